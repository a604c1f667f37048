"""What a plan may do all the same: one change of one resource, with a reason, for days."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.delivery.terraform.allowances import Allowance, BadAllowance, read
from dev.delivery.terraform.plan_guard import judge

TODAY = date(2026, 3, 2)
DATABASE = "module.service.module.database.aws_db_instance.primary"
ENTRY = f"""
[[allow]]
address = "{DATABASE}"
what = "replace"
reason = "moves to a larger disk, after a restore was tried"
by = "the on-call engineer"
until = 2026-03-05
"""


def plan(*changes: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as `terraform show -json` prints it, with what the guard reads of it."""
    return {"format_version": "1.2", "planned_values": {}, "resource_changes": list(changes)}


def replacement(address: str, *actions: str) -> dict[str, Any]:
    """Return the change of a database that is replaced, or something else."""
    change: dict[str, Any] = {"actions": list(actions or ("delete", "create")), "before": {}, "after": None}
    return {"address": address, "mode": "managed", "type": "aws_db_instance", "change": change}


def test_an_allowance_is_for_one_change_of_one_resource(tmp_path: Path) -> None:
    """What it names is let through; the rest of the same plan is not."""
    (tmp_path / "allow.toml").write_text(ENTRY)
    replica = DATABASE.replace("primary", "replica[0]")
    both = plan(replacement(DATABASE), replacement(replica))

    refused, let_through = judge(both, read(tmp_path / "allow.toml", TODAY))

    assert ([loss.address for loss in refused], [loss.address for loss in let_through]) == ([replica], [DATABASE])


def test_an_allowance_to_replace_does_not_allow_to_delete(tmp_path: Path) -> None:
    """`what` is part of the name."""
    (tmp_path / "allow.toml").write_text(ENTRY)

    refused, _ = judge(plan(replacement(DATABASE, "delete")), read(tmp_path / "allow.toml", TODAY))

    assert [loss.what for loss in refused] == ["delete"]


@pytest.mark.parametrize(
    ("text", "instead", "why"),
    [
        pytest.param("2026-03-05", "2026-03-01", "ended on 2026-03-01: take it out", id="over"),
        pytest.param("2026-03-05", "2026-03-17", "at most 14 days ahead", id="for too long"),
        pytest.param("until = 2026-03-05", "", "until: Field required", id="without an end"),
        pytest.param(
            '"moves to a larger disk, after a restore was tried"', '""', "reason: String should", id="no reason"
        ),
        pytest.param(DATABASE, "*", "address: String should match", id="everything"),
        pytest.param("by = ", "whom = ", "by: Field required", id="by nobody"),
        pytest.param("[[allow]]", "[[allow]", "is not TOML", id="not TOML"),
    ],
)
def test_a_bad_allowance_allows_nothing(tmp_path: Path, text: str, instead: str, why: str) -> None:
    """It is refused as a whole, with the reason."""
    assert text in ENTRY
    (tmp_path / "allow.toml").write_text(ENTRY.replace(text, instead, 1))

    with pytest.raises(BadAllowance, match=why):
        read(tmp_path / "allow.toml", TODAY)


def test_on_its_last_day_an_allowance_holds(tmp_path: Path) -> None:
    """And on the day after no longer."""
    (tmp_path / "allow.toml").write_text(ENTRY)
    last = date(2026, 3, 5)

    assert [type(entry) for entry in read(tmp_path / "allow.toml", last)] == [Allowance]
    with pytest.raises(BadAllowance):
        read(tmp_path / "allow.toml", last + timedelta(days=1))
