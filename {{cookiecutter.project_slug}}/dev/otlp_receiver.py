"""A trace collector: takes spans over OTLP/HTTP as a real one does, and keeps them for who wants to look at them."""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dev.http_server import parser, serve, serving

_PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span, as it came over the wire."""

    name: str
    kind: str
    """`SERVER`, `CLIENT`, `CONSUMER`, ..."""
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    events: list[tuple[str, dict[str, str]]]
    """Names and attributes."""
    links: list[str]
    """Ids of the spans that this one refers to."""
    began_ns: int
    """Nanoseconds since 1970, by the clock of the machine it ran on."""
    ended_ns: int


class OtlpReceiver:
    """The collector's memory; `endpoint` is what APP_TRACING__OTLP_ENDPOINT has to be."""

    def __init__(self) -> None:
        self.endpoint = ""
        self.spans: list[ReceivedSpan] = []

    def app(self) -> Starlette:
        """Return the HTTP side."""
        return Starlette(routes=[Route("/v1/traces", self._export, methods=["POST"])])

    def of_trace(self, trace_id: str) -> list[ReceivedSpan]:
        """Return the spans of one trace that have arrived so far."""
        return [span for span in list(self.spans) if span.trace_id == trace_id]

    async def _export(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(span, service) for span in scope.spans]
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=_PROTOBUF)


_Receiver = TypeVar("_Receiver", bound=OtlpReceiver)


@contextmanager
def receiving(receiver: _Receiver) -> Iterator[_Receiver]:
    """Listen until the block ends."""
    with serving(receiver.app()) as url:
        receiver.endpoint = f"{url}/v1/traces"
        yield receiver


def _received(span: Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        events=[(event.name, _attributes(event.attributes)) for event in span.events],
        links=[link.span_id.hex() for link in span.links],
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value")) for pair in pairs}


if __name__ == "__main__":
    serve(OtlpReceiver().app(), port=parser(__doc__, port=4318).parse_args().port)
