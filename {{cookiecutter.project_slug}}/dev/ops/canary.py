"""How a release is judged beside what runs: an AnalysisTemplate of Argo Rollouts, from the service levels.

Each level is one question to Prometheus. It answers 1 if the canary is worse, 0 if not, and nothing if there were too
few events to tell. Worse is: more bad events than its budget allows, and more than beside it, by a one-sided test of
two proportions. The test is corrected for continuity: without that, few bad events look more certain than they are.
"""

from statistics import NormalDist
from typing import Any

from dev.environment import project_name
from dev.ops.counting import bad_events, events
from dev.ops.rules import Lines
from dev.ops.slos import Canary, Slo, Slos

NAME = "service-levels"
_ADDRESS = "http://prometheus-operated.monitoring.svc:9090"


def analysis_template(levels: Slos) -> dict[str, Any]:
    """Return the template; a Rollout gives it the hashes of the pods to compare."""
    within = levels.canary.within
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": NAME, "labels": {"app.kubernetes.io/component": NAME}},
        "spec": {
            "args": [
                {"name": "canary"},
                {"name": "stable"},
                {"name": "window", "value": within},
                {"name": "prometheus", "value": _ADDRESS},
            ],
            "metrics": [
                {
                    "name": name,
                    "initialDelay": within,
                    "count": 1,  # looking often is another test: chance would have more than one try
                    "failureLimit": 0,
                    "inconclusiveLimit": 0,
                    "successCondition": "len(result) == 1 && result[0] == 0",
                    "failureCondition": "len(result) == 1 && result[0] == 1",
                    "provider": {
                        "prometheus": {"address": "{{args.prometheus}}", "query": _is_worse(slo, levels.canary)}
                    },
                }
                for name, slo in levels.slos.items()
                if slo.is_request
            ],
        },
    }


def _is_worse(slo: Slo, canary: Canary) -> Lines:
    """Return the question, about pods of a Rollout called `http`.

    With x of c events bad on the canary, y of s beside it, and X of N altogether, the test is
    x/c - y/s - (1/c + 1/s) / 2 > z * sqrt(X * (N - X) / (N * c * s)); what is asked is that times c * s.
    """
    new, old = (
        {"service": project_name(), "instance": f"http-{{{{args.{which}}}}}-.+"} for which in ("canary", "stable")
    )
    c, x = (count(slo, "{{args.window}}", **new) for count in (events, bad_events))
    s, y = (count(slo, "{{args.window}}", **old) for count in (events, bad_events))
    z = NormalDist().inv_cdf(1 - canary.alpha)
    return Lines(f"""\
(
  {x}
  > bool {float(slo.budget):g} *
  {c}
)
* (
  {x}
  * {s}
  - {y}
  * {c}
  - ({c}
  + {s}) / 2
  > bool {z:.4f} * sqrt(
    clamp_min({x}
    + {y}, 0)
    * ({c}
    - {x}
    + {s}
    - {y})
    * {c}
    * {s}
    / ({c}
    + {s})
  )
)
and {c} >= {canary.min_events}
and {s} > 0
""")
