"""What of a caller's trace is taken over: its ids and its decision, and no text."""

from opentelemetry.context import Context
from opentelemetry.propagators.textmap import CarrierT, Getter, default_getter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator


class TraceParent(TraceContextTextMapPropagator):
    """W3C Trace Context without `tracestate`, which is free text of strangers and would end up on each span.

    Baggage is left out for the same reason. The recommendation allows both (sections 3.3 and 4.3).
    """

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """Return `context` with the caller's span, if `carrier` names one."""
        named = getter.get(carrier, self._TRACEPARENT_HEADER_NAME)
        return super().extract({self._TRACEPARENT_HEADER_NAME: named} if named else {}, context)


PROPAGATOR = TraceParent()
