"""A trace collector: takes spans over OTLP/HTTP as a real one does, and keeps them for the test to look at."""

import gzip
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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

from tests.support.eventually import eventually
from tests.support.http_server import serving

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

    async def span(self, name: str, *, trace_id: str) -> ReceivedSpan:
        """Wait for the one span of this name in a trace."""

        def found() -> list[ReceivedSpan]:
            return [span for span in self.of_trace(trace_id) if span.name == name]

        (only,) = await eventually(found)
        return only

    async def _export(self, request: Request) -> Response:
        body = await request.body()
        if request.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(span, service) for span in scope.spans]
        return Response(ExportTraceServiceResponse().SerializeToString(), media_type=_PROTOBUF)


@contextmanager
def receiving() -> Iterator[OtlpReceiver]:
    """Listen until the block ends."""
    receiver = OtlpReceiver()
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
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, str]:
    return {pair.key: str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value")) for pair in pairs}
