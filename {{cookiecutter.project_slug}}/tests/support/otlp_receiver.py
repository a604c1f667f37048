"""A trace collector to ask for a span that is still on its way."""

from dev import otlp_receiver
from dev.otlp_receiver import ReceivedSpan
from tests.support.eventually import eventually


class OtlpReceiver(otlp_receiver.OtlpReceiver):
    """The collector, with patience."""

    async def span(self, name: str, *, trace_id: str) -> ReceivedSpan:
        """Wait for the one span of this name in a trace."""

        def found() -> list[ReceivedSpan]:
            return [span for span in self.of_trace(trace_id) if span.name == name]

        (only,) = await eventually(found)
        return only
