"""Tracing: one trace id from the first byte of a request to the last consumer of its events.

Use when: a request crosses process borders, or "where did the time go" is asked.
Not when: counts and durations are all you need - metrics cost a tenth of it.
Costs:    about 7 microseconds for a request that is not sampled, 120 to 150 for one that is, most of it its export.
Fails:    collector down or slow -> finished spans wait, at most `queue_size`; what comes on top is dropped and counted,
          requests never wait. A caller decides sampling by its `traceparent`: strip the header at the edge if callers
          are strangers.
Copy:     this folder, kit/asgi.py, kit/context.py, kit/histogram.py, kit/instruments.py, kit/redaction.py,
          kit/spans.py.
Origin:   Dapper (Sigelman and others, 2010); W3C Trace Context; OpenTelemetry and its semantic conventions.

    provider.py    the process's tracer provider: identity and sampling
    requests.py    the layer: the decision on sampling, and the span of a request
    enrichment.py  what every span says about the work it belongs to
    export.py      the way to the collector
"""

from .provider import TracingSettings, configure, shut_down
from .requests import RequestSpans

__all__ = ["RequestSpans", "TracingSettings", "configure", "shut_down"]
