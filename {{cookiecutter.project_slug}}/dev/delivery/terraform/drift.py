"""Is the cloud as it is described? Writes a report for an issue; the same drift has the same title and the same text.

    python -m dev.delivery.terraform.drift production --report drift.md

Exit status: 0 no difference, 2 there are some, 1 it could not be seen, or no issue be opened where one was wanted.
Standard output is the issue's title.
"""

import hashlib
import json
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dev.delivery.issues import NotOpened, open_once
from dev.delivery.terraform.program import ENVIRONMENTS, FOLDER, Parser, TerraformFailed, init, terraform
from dev.delivery.tools import ToolMissing

_MOST = 200  # of lines: an issue has a limit, and nobody reads more
_WORDS = {
    ("create",): "is described, and is not there",
    ("delete",): "is there, and no longer described",
    ("update",): "differs",
    ("forget",): "is there, and would be forgotten",
}


def main(words: Sequence[str] | None = None) -> int:
    """Compare, write the report, print its title, and return the exit status."""
    parser = Parser(
        prog="python -m dev.delivery.terraform.drift",
        description=__doc__,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("environment", choices=ENVIRONMENTS)
    parser.add_argument("--report", type=Path, default=Path("drift.md"), help="Markdown; default %(default)s")
    parser.add_argument("--open-issue", action="store_true", help="in the system that runs this, unless there is one")
    arguments = parser.parse_args(words)
    try:
        plan = seen(FOLDER / "environments" / arguments.environment)
    except (ToolMissing, TerraformFailed) as exc:
        print(f"drift: {exc}", file=sys.stderr)
        return 1
    if plan is None:
        print(f"{arguments.environment} is as it is described")
        return 0
    title, text = report(arguments.environment, plan)
    arguments.report.write_text(text)
    print(title)
    if arguments.open_issue:
        try:
            print(open_once(title, text), file=sys.stderr)
        except NotOpened as exc:
            print(f"drift: {exc}", file=sys.stderr)
            return 1
    return 2


def seen(folder: Path) -> dict[str, Any] | None:
    """Return what would have to be changed; None if nothing.

    Raises:
        ToolMissing, TerraformFailed: it could not be seen.
    """
    init(folder, backend=True)
    with TemporaryDirectory() as place:
        out = f"{place}/plan"
        # Without the lock: it changes nothing, and must not stand in the way of who does.
        plan = ["plan", "-detailed-exitcode", "-lock=false", "-input=false", "-no-color", f"-out={out}"]
        if terraform(*plan, cwd=folder, accepted=(0, 2)).returncode == 0:
            return None
        found: dict[str, Any] = json.loads(terraform("show", "-json", out, cwd=folder).stdout)
        return found


def report(environment: str, plan: Mapping[str, Any]) -> tuple[str, str]:
    """Return title and text. They hold names of settings, and no value: an issue is read by many."""
    outside = {change["address"] for change in plan.get("resource_drift", [])}
    lines = sorted(_lines(plan, outside))
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
    title = f"Drift in {environment}: {len(lines)} {'difference' if len(lines) == 1 else 'differences'} ({digest})"
    more = [f"- and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
    text = [
        f"`{environment}` is not as `deploy/terraform/environments/{environment}` describes it.",
        "",
        *lines[:_MOST],
        *more,
        "",
        "Who changed it by hand puts it into the description, or the next `terraform apply` takes it back.",
        "",
    ]
    return title, "\n".join(text)


def _lines(plan: Mapping[str, Any], outside: set[str]) -> Iterator[str]:
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        actions = tuple(change["actions"])
        if actions in {("no-op",), ("read",)}:
            continue
        what = _WORDS.get(actions, "differs so that it would be replaced")
        names = f": {', '.join(f'`{name}`' for name in differing(change))}" if actions == ("update",) else ""
        hand = ", changed outside of Terraform" if resource["address"] in outside else ""
        yield f"- `{resource['address']}` {what}{names}{hand}"
    for name, change in plan.get("output_changes", {}).items():
        if change["actions"] != ["no-op"]:
            yield f"- output `{name}` differs"


def differing(change: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ, sorted."""
    before, after, unknown = change["before"] or {}, change["after"] or {}, change.get("after_unknown") or {}
    names = before.keys() | after.keys() | unknown.keys()
    return sorted(name for name in names if unknown.get(name) is True or before.get(name) != after.get(name))


if __name__ == "__main__":
    sys.exit(main())
