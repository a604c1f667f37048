"""The tables of docs/incidents/error-budget-policy.md. `make ops` writes them, from ops/release-policy.yaml."""

from dev.environment import ROOT
from dev.markdown import table
from dev.release_gate.policy import Policy
from dev.telemetry_policy.marks import with_blocks

PAGE = ROOT / "docs" / "incidents" / "error-budget-policy.md"


def page(policy: Policy) -> str:
    """Return the page with its tables as they must be."""
    return with_blocks(PAGE.read_text(), {"release_rules": _rules(policy), "release_exceptions": _exceptions(policy)})


def _rules(policy: Policy) -> str:
    rows = [
        (f"no more than {policy.freeze.percent_left:g} % of its budget is left", "frozen"),
        *(
            (f"over {window} its budget was spent {times:g} times too fast, or faster", "frozen")
            for window, times in policy.freeze.burn.items()
        ),
        (f"no more than {policy.caution.percent_left:g} % of its budget is left", "small and reversible changes only"),
        *((f"it is `{name}`, and nothing has happened: {why}", "excused") for name, why in policy.may_be_idle.items()),
        (f"nothing is known of it, or nothing new for {policy.stale_after}", "unknown"),
    ]
    return table(("of a service level", "what follows"), rows)


def _exceptions(policy: Policy) -> str:
    rows = [(f"`--reason {name}`", why) for name, why in policy.exceptions.items()]
    return table(("goes out while frozen", "because"), rows)
