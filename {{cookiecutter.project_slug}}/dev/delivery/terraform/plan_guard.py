"""Refuses a plan that would lose data: that deletes, replaces or forgets what holds it, or takes away what keeps it.

    python -m dev.delivery.terraform.plan_guard production            # makes the plan; a good one is checked.tfplan
    python -m dev.delivery.terraform.plan_guard production plan.json  # judges what `terraform show -json` has printed

Exit status: 0 nothing is lost, 2 refused, 1 the plan cannot be judged. What is wanted all the same is named in
deploy/terraform/environments/ENVIRONMENT/plan-allowances.toml.
"""

import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev.delivery.terraform import allowances
from dev.delivery.terraform.program import ENVIRONMENTS, FOLDER, Parser, TerraformFailed, init, terraform
from dev.delivery.terraform.stateful import PROTECTIONS, STATELESS, at
from dev.delivery.tools import ToolMissing

CHECKED = "checked.tfplan"
REFUSED = "refused.tfplan"
_LOST: dict[tuple[str, ...], str | None] = {
    ("no-op",): None,
    ("read",): None,
    ("create",): None,
    ("update",): None,
    ("delete",): "delete",
    ("forget",): "forget",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("create", "forget"): "replace",
}


class NotAPlan(Exception):
    """Nothing can be said of it; the message says why."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What one resource would lose."""

    address: str
    what: str
    why: str


def losses(plan: dict[str, Any]) -> Iterator[Loss]:
    """Yield what a plan would lose.

    Raises:
        NotAPlan: it is something else, or not whole.
    """
    if not str(plan.get("format_version", "")).startswith("1.") or "planned_values" not in plan:
        raise NotAPlan("this is no plan: terraform show -json PLAN prints one")
    if plan.get("errored"):
        raise NotAPlan("the plan ended with an error, and is not whole")
    for resource in plan.get("resource_changes", []):
        if resource["mode"] == "managed":
            yield from _of_resource(resource)


def _of_resource(resource: dict[str, Any]) -> Iterator[Loss]:
    change, address = resource["change"], resource["address"]
    actions = tuple(change["actions"])
    if actions not in _LOST:
        raise NotAPlan(f"nobody knows what becomes of {address}: {', '.join(actions)}")
    what = _LOST[actions]
    if resource["type"] not in STATELESS and what is not None:
        forced = sorted({str(path[0]) for path in change.get("replace_paths", [])})
        why = f", because of {', '.join(forced)}" if forced else ""
        yield Loss(address, what, f"{what}s what holds data, or may hold some{why}")
        return
    if change["before"] is None or change["after"] is None:
        return
    for protection in PROTECTIONS.get(resource["type"], []):
        before, after = at(change["before"], protection.path), at(change["after"], protection.path)
        if at(change.get("after_unknown"), protection.path) is True and before is not None:
            yield Loss(address, protection.name, f"nobody knows what {protection.name} will be after {before!r}")
        elif protection.is_weaker(before, after):
            yield Loss(address, protection.name, f"{protection.name} was {before!r}, and would be {after!r}")


def judge(plan: dict[str, Any], allowed: Sequence[allowances.Allowance]) -> tuple[list[Loss], list[Loss]]:
    """Return what is refused, and what is let through.

    Raises:
        NotAPlan: as above.
    """
    named = {(entry.address, entry.what) for entry in allowed}
    found = list(losses(plan))
    return (
        [loss for loss in found if (loss.address, loss.what) not in named],
        [loss for loss in found if (loss.address, loss.what) in named],
    )


def made_plan(environment: str) -> dict[str, Any]:
    """Return a new plan, which stays where it was made, under a name that nobody applies by mistake.

    Raises:
        ToolMissing, TerraformFailed: it could not be made.
    """
    folder = FOLDER / "environments" / environment
    (folder / CHECKED).unlink(missing_ok=True)
    init(folder, backend=True)
    terraform("plan", "-input=false", "-no-color", f"-out={REFUSED}", cwd=folder)
    plan: dict[str, Any] = json.loads(terraform("show", "-json", REFUSED, cwd=folder).stdout)
    return plan


def read_plan(path: Path) -> dict[str, Any]:
    """Return the plan in a file.

    Raises:
        NotAPlan: it is none.
    """
    try:
        plan = json.loads(path.read_bytes())
    except OSError as exc:
        raise NotAPlan(f"{path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise NotAPlan(f"{path} is not JSON") from exc
    if not isinstance(plan, dict):
        raise NotAPlan(f"{path} is no plan")
    return plan


def main(words: Sequence[str] | None = None) -> int:
    """Print the verdict, and return the exit status."""
    parser = Parser(
        prog="python -m dev.delivery.terraform.plan_guard",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("environment", choices=ENVIRONMENTS)
    parser.add_argument("plan", nargs="?", type=Path, help="what `terraform show -json` has printed")
    arguments = parser.parse_args(words)
    folder = FOLDER / "environments" / arguments.environment
    try:
        allowed = allowances.read(folder / "plan-allowances.toml", datetime.now(UTC).date())
        plan = read_plan(arguments.plan) if arguments.plan else made_plan(arguments.environment)
        refused, let_through = judge(plan, allowed)
    except (NotAPlan, ToolMissing, TerraformFailed, allowances.BadAllowance) as exc:
        print(f"plan-guard: {exc}", file=sys.stderr)
        return 1
    for loss in let_through:
        print(f"allowed: {loss.address}: {loss.why}")
    for loss in refused:
        print(f'REFUSED: {loss.address}: {loss.why} (what = "{loss.what}")')
    if refused:
        return 2
    if not arguments.plan:
        (folder / REFUSED).rename(folder / CHECKED)
    print("nothing is lost by this plan")
    return 0


if __name__ == "__main__":
    sys.exit(main())
