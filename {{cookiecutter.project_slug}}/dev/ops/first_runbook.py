"""What the runbook of a new service level begins with: `make ops` writes it once, and people make it better."""

from dev.ops.rules import burn_alert
from dev.ops.selectors import labels_of
from dev.ops.slos import Slo

_TEXT = """# {alert}

<!-- ops: header -->
<!-- end -->

## Meaning

So many events were bad that the budget of the month is spent too fast: enough in the long window of the alert to
matter, and it goes on in the short one.

## Impact

{impact}

## First five minutes

1. What was deployed within the hour? Take it back first, and look for the reason afterwards.
2. Is one instance bad, or are all? One is a bad process or a canary, all are a dependency or data.
3. What do the bad events have in common?

## Diagnosis

How many are bad, and whether it goes on:

```promql
slo:errors:ratio_rate5m{{service="$service", slo="{name}"}} > {budget}
```

By instance, all events:

```promql
sum by ({group}) (rate({selector}[5m])) > 0
```

## Mitigation

```sh
kubectl --namespace "$service" rollout undo deployment/http
```

## Verify

```promql
slo:errors:ratio_rate5m{{service="$service", slo="{name}"}} < {budget}
```

## Escalate

To whoever owns what the bad events have in common. To the incident lead when a tenth of all is bad for fifteen minutes.
"""


def first_runbook(name: str, slo: Slo) -> str:
    """Return the text, whose queries are about the level's own events."""
    where = [f'{label}="{value}"' for label, value in {"service": "$service", **slo.events.where}.items()]
    known = labels_of(slo.events.counter) or {}
    return _TEXT.format(
        alert=burn_alert(name),
        name=name,
        impact=slo.impact,
        budget=f"{float(slo.budget):.12g}",
        group=", ".join(["instance", *(label for label in slo.bad if label in known)]),
        selector=f"{slo.events.counter}{{{', '.join(where)}}}",
    )
