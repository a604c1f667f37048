"""Is the service there, does it answer, how fast, and what holds it up?"""

from dev.ops.dashboards import outside
from dev.ops.dashboards.model import OWN, Dashboard, Line, Panel, Query, Row, quantile, rate, share
from dev.ops.dashboards.sources import Sources

_REQUESTS = "http_server_request_duration_seconds"
_PROCESSES = f'{OWN}, job=~"http|worker"'
_REFUSED = 'outcome!~"accepted|expired|keys_unavailable"'


def dashboard(sources: Sources) -> Dashboard:
    """Return it."""
    return Dashboard(
        uid="service",
        title="Service",
        about="Rate, errors and duration of requests, and the state of the processes that answer them.",
        rows=(
            Row("Is it there?", _there()),
            Row("Requests", _requests(sources)),
            outside.row(sources),
            Row("Processes", _processes(sources)),
            Row("Callers", _callers(sources)),
            Row("What watches it", _watching()),
        ),
    )


def _there() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Processes that answer",
            answers="How many of each kind does Prometheus reach?",
            queries=(Query(expr=f'sum by (job) (up{{{OWN}, job=~"http|worker|probe"}})', legend="{{job}}"),),
            kind="stat",
            lines=(Line(1, "page"),),
            bad_below=True,
            alerts=("ServiceDown",),
            width=6,
        ),
        Panel(
            title="Version",
            answers="Which build runs? Two of a kind are a deployment, or one that got stuck.",
            queries=(Query(expr=f"count by (job, version) (build_info{{{OWN}}})", legend="{{job}} {{version}}"),),
            kind="stat",
            width=6,
        ),
        Panel(
            title="Budget left, at worst",
            answers="Does anybody notice? How much of the error budget is left of the service level that fares worst.",
            queries=(Query(expr=f"min(slo:error_budget:remaining{{{OWN}}})", legend="worst"),),
            kind="stat",
            unit="percentunit",
            lines=(Line(0, "page"), Line(0.25, "ticket")),
            bad_below=True,
            width=6,
        ),
        Panel(
            title="Alerts that fire",
            answers="What has been told of this service by now?",
            queries=(
                Query(
                    expr=f'count by (alertname) (ALERTS{{{OWN}, alertstate="firing"}})',
                    legend="{{alertname}}",
                    may_be_empty="nothing is wrong",
                ),
            ),
            kind="stat",
            lines=(Line(1, "page"),),
            width=6,
        ),
    )


def _requests(sources: Sources) -> tuple[Panel, ...]:
    slowest = (sources.promised("buy-latency"), sources.promised("read-order-latency"))
    return (
        Panel(
            title="Requests per second, by route",
            answers="Do customers come, and as many as usual? A sudden nothing is an outage in front of the service.",
            queries=(Query(expr=rate(f"{_REQUESTS}_count", 'job="http"', by="http_route"), legend="{{http_route}}"),),
            unit="reqps",
            stacked=True,
            width=12,
        ),
        Panel(
            title="Answers per second, by status",
            answers="What are they told? 5xx are errors of ours, 4xx are of the client's making.",
            queries=(
                Query(
                    expr=rate(f"{_REQUESTS}_count", 'job="http"', by="http_response_status_code"),
                    legend="{{http_response_status_code}}",
                ),
            ),
            unit="reqps",
            stacked=True,
            width=12,
        ),
        Panel(
            title="Share of requests that fail, by route",
            answers="Which route answers with errors of ours? One route is its code, all are what they share.",
            queries=(
                Query(
                    expr=share(f"{_REQUESTS}_count", 'http_response_status_code=~"5.."', 'job="http"', by="http_route"),
                    legend="{{http_route}}",
                ),
            ),
            unit="percentunit",
            width=12,
        ),
        Panel(
            title="Slowest hundredth, by route",
            answers="How long do the slowest hundredth of requests take? The lines are what is promised for reading and"
            " for placing an order; the points are traces to look at.",
            queries=(
                Query(
                    expr=quantile(0.99, _REQUESTS, 'job="http"', by="http_route"),
                    legend="{{http_route}}",
                    exemplars=True,
                ),
            ),
            unit="s",
            lines=slowest,
            width=12,
        ),
    )


def _processes(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Starts within an hour",
            answers="Does a process end and begin again and again?",
            queries=(
                Query(expr=f"max by (job) (changes(process_start_time_seconds{{{_PROCESSES}}}[1h]))", legend="{{job}}"),
            ),
            alerts=("CrashLooping",),
        ),
        Panel(
            title="Event loop's lag",
            answers="Does something block all requests of a process at once?",
            queries=(
                Query(
                    expr=quantile(0.99, "event_loop_lag_seconds", by="job, instance", window="[5m]"),
                    legend="{{job}} {{instance}}",
                ),
            ),
            unit="s",
            lines=(sources.line("EventLoopBlocked", "seconds"),),
            alerts=("EventLoopBlocked",),
        ),
        Panel(
            title="Memory",
            answers="Does it grow without end? The line is where the platform ends the process.",
            queries=(Query(expr=f"process_resident_memory_bytes{{{_PROCESSES}}}", legend="{{job}} {{instance}}"),),
            unit="bytes",
            lines=(sources.line("MemoryWillExhaust", "limit_bytes"),),
            alerts=("MemoryWillExhaust",),
        ),
        Panel(
            title="Processor",
            answers="Is a process at its limit, which is one core?",
            queries=(
                Query(
                    expr=f"rate(process_cpu_seconds_total{{{_PROCESSES}}}[$__rate_interval])",
                    legend="{{job}} {{instance}}",
                ),
            ),
            unit="percentunit",
            width=12,
        ),
        Panel(
            title="Tasks that are not done",
            answers="Do requests pile up inside, or does something forget its tasks?",
            queries=(Query(expr=f"asyncio_tasks{{{OWN}}}", legend="{{job}} {{instance}}"),),
            width=12,
        ),
    )


def _callers(sources: Sources) -> tuple[Panel, ...]:
    return (
        Panel(
            title="Share of bad tokens",
            answers="Does somebody try tokens that we never issued, or has an issuer's key changed?",
            queries=(Query(expr=share("authentication_tokens_total", _REFUSED, window="[5m]"), legend="refused"),),
            unit="percentunit",
            lines=(sources.line("AuthenticationFailureSpike", "share"),),
            alerts=("AuthenticationFailureSpike",),
        ),
        Panel(
            title="Callers refused, per second",
            answers="Why are callers turned away: their token, none at all, or a right that they lack?",
            queries=(
                Query(
                    expr=rate("authentication_tokens_total", 'outcome!="accepted"', by="outcome"),
                    legend="token: {{outcome}}",
                ),
                Query(expr=rate("authorization_refusals_total", by="reason"), legend="right: {{reason}}"),
            ),
            unit="ops",
        ),
        Panel(
            title="Requests that are sent again, per second",
            answers="Do clients send again what they had no answer to? It often comes before they complain.",
            queries=(Query(expr=rate("idempotency_requests_total", by="outcome"), legend="{{outcome}}"),),
            unit="ops",
        ),
    )


def _watching() -> tuple[Panel, ...]:
    failed = "alertmanager_notification_requests_failed_total"
    return (
        Panel(
            title="Heartbeat",
            answers="Does Prometheus evaluate rules? It is 1, or nobody is told of anything.",
            queries=(Query(expr='count(ALERTS{alertname="Watchdog", alertstate="firing"})', legend="Watchdog"),),
            kind="stat",
            lines=(Line(1, "page"),),
            bad_below=True,
            alerts=("Watchdog",),
            of_all_services=True,
            width=6,
        ),
        Panel(
            title="Notifications that were not delivered, per second",
            answers="Does Alertmanager reach those who should be told?",
            queries=(Query(expr=f"sum by (integration) (rate({failed}[5m]))", legend="{{integration}}"),),
            unit="ops",
            alerts=("AlertDeliveryFailing",),
            of_all_services=True,
            width=12,
        ),
        Panel(
            title="Alerts that no route knows",
            answers="Has somebody written a rule whose severity nobody receives?",
            queries=(
                Query(
                    expr='count by (service, alertname) (ALERTS{alertstate="firing",'
                    ' severity!~"page|ticket|security|heartbeat"})',
                    legend="{{alertname}}",
                    may_be_empty="each severity has a route",
                ),
            ),
            kind="stat",
            lines=(Line(1, "ticket"),),
            alerts=("UnroutedAlert",),
            of_all_services=True,
            width=6,
        ),
    )
