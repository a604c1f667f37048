"""What every span says about the work it belongs to, so that a trace can be found by request, tenant or caller."""

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Span, SpanProcessor

from app.kit import context


class Enrichment(SpanProcessor):
    """Writes the work in hand onto each span that begins."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        span.set_attributes(of_current_work())


def of_current_work() -> dict[str, str | int]:
    """Return the attributes of the work in hand, as far as it is known by now."""
    work = context.current()
    known = {"app.request_id": work.request_id, "app.tenant": work.tenant, "enduser.pseudo.id": work.actor}
    return {name: value for name, value in known.items() if value}
