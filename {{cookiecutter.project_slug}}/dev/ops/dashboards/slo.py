"""What was promised, how much of it may still fail, and how fast that is used up."""

from dev.ops.dashboards.model import OWN, Dashboard, Line, Panel, Query, Row, increase, quantile
from dev.ops.dashboards.sources import Sources
from dev.ops.rules import burn_alert
from dev.ops.slos import BurnRate
from dev.ops.tables import blocks

_JOURNEY = "synthetic_journey"


def dashboard(sources: Sources) -> Dashboard:
    """Return it."""
    return Dashboard(
        uid="slo",
        title="Service levels",
        about="What users were promised, what is left of each error budget, and how fast it burns.",
        rows=(
            Row("Budgets", _budgets(sources)),
            Row("How fast they burn", tuple(_burn(sources, rate) for rate in sources.levels.burn_rates)),
            Row("A customer's steps, tried from outside", _journey()),
            Row("When somebody is told", (_detection(sources),)),
        ),
        since="now-24h",
    )


def _budgets(sources: Sources) -> tuple[Panel, ...]:
    remaining = f"slo:error_budget:remaining{{{OWN}}}"
    days = sources.levels.window_days
    floors = ", ".join(f"{name} {slo.min_bad_events}" for name, slo in sources.levels.slos.items())
    return (
        Panel(
            title="Budget left now",
            answers=f"How much of what may fail in {days} days has not failed yet? Below 0 the promise is broken.",
            queries=(Query(expr=remaining, legend="{{slo}}"),),
            kind="stat",
            unit="percentunit",
            lines=(Line(0, "page"), Line(0.25, "ticket")),
            bad_below=True,
            width=24,
        ),
        Panel(
            title="Budget left",
            answers="When was it spent: in one outage, or in a drizzle?",
            queries=(Query(expr=remaining, legend="{{slo}}"),),
            unit="percentunit",
            lines=(Line(0, "ticket"),),
            bad_below=True,
            alerts=("ErrorBudgetExhausted",),
        ),
        Panel(
            title="Bad events within an hour",
            answers=f"How many customers is it about? Fewer than these alert nobody: {floors}.",
            queries=(Query(expr=f"slo:bad_events:increase1h{{{OWN}}}", legend="{{slo}}"),),
        ),
        Panel(
            title="Events within 30 minutes",
            answers="Is it counted at all? A level that counts nothing while customers come is measured no more.",
            queries=(Query(expr=f"slo:events:increase30m{{{OWN}}}", legend="{{slo}}"),),
            alerts=("SloMetricAbsent",),
        ),
    )


def _burn(sources: Sources, pair: BurnRate) -> Panel:
    """Return a panel of what the alert looks at: the smaller of both windows, in multiples of the budget."""
    days = sources.levels.window_days
    queries = []
    for name, slo in sources.levels.slos.items():
        long, short = (f'slo:errors:ratio_rate{window}{{{OWN}, slo="{name}"}}' for window in (pair.long, pair.short))
        queries.append(Query(expr=f"({long} < {short} or {short}) / {float(slo.budget):.12g}", legend=name))
    return Panel(
        title=f"Burn rate, {pair.severity} by {pair.long}",
        answers=f"How many times too fast is the budget spent, within {pair.long} and still within {pair.short}?"
        f" At the line {pair.budget_percent:g} % of the budget of {days} days goes in {pair.long};"
        f" above it, it alerts after {pair.for_}.",
        queries=tuple(queries),
        lines=(Line(float(pair.factor(days)), pair.severity),),
        alerts=tuple(map(burn_alert, sources.levels.slos)),
        width=12,
    )


def _journey() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Steps that work",
            answers="Can a customer log in, place an order, read it and cancel it? The first `no` is the broken step.",
            queries=(
                Query(expr=f"min by (journey) ({_JOURNEY}_success{{{OWN}}})", legend="all of {{journey}}"),
                Query(expr=f"min by (journey, step) ({_JOURNEY}_step_success{{{OWN}}})", legend="{{step}}"),
            ),
            kind="stat",
            unit="bool_yes_no",
            lines=(Line(1, "page"),),
            bad_below=True,
            width=24,
        ),
        Panel(
            title="Runs since the last success",
            answers="Has the journey failed for long? 1 is the usual, more are failed runs, or a probe that is stuck.",
            queries=(
                Query(
                    expr=f"(time() - {_JOURNEY}_last_success_timestamp_seconds{{{OWN}}})"
                    f" / {_JOURNEY}_interval_seconds{{{OWN}}}",
                    legend="{{journey}}",
                ),
            ),
        ),
        Panel(
            title="Steps that failed, within 15 minutes",
            answers="At which step does it fail, and why?",
            queries=(
                Query(
                    expr=f"sum by (step, reason) (increase({_JOURNEY}_step_failures_total{{{OWN}}}[15m])) > 0",
                    legend="{{step}}: {{reason}}",
                    may_be_empty="no step has failed",
                ),
                Query(
                    expr=increase(f"{_JOURNEY}_runs_total", 'outcome="failure"', by="journey", window="[15m]"),
                    legend="all runs of {{journey}}",
                ),
            ),
        ),
        Panel(
            title="Duration of a step",
            answers="Which step makes customers wait, as seen from outside?",
            queries=(Query(expr=quantile(0.9, f"{_JOURNEY}_step_duration_seconds", by="step"), legend="{{step}}"),),
            unit="s",
        ),
    )


def _detection(sources: Sources) -> Panel:
    table = blocks(sources.levels)["detection"]
    return Panel(
        title="After how long",
        answers="If so many events are bad all of a sudden, who is told first, and when?",
        kind="text",
        text=table,
        width=24,
    )
