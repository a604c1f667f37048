"""What differs from its description is reported: by name, without values, and the same each time."""

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dev.delivery.terraform import drift
from dev.delivery.terraform.drift import report

BUCKET = 'module.service.module.bucket["audit"].aws_s3_bucket_public_access_block.this'
QUEUE = "aws_sqs_queue.this"


def plan(*changes: tuple[str, tuple[str, ...], dict[str, Any], dict[str, Any]], outside: tuple[str, ...] = ()) -> Any:  # noqa: ANN401 - a plan
    """Return what `terraform show -json` prints, with what the report reads of it."""
    return {
        "resource_drift": [{"address": address} for address in outside],
        "resource_changes": [
            {"address": address, "change": {"actions": list(actions), "before": before, "after": after}}
            for address, actions, before, after in changes
        ],
    }


OPENED = (BUCKET, ("update",), {"block_public_acls": False, "id": "a"}, {"block_public_acls": True, "id": "a"})
MISSING: Any = (QUEUE, ("create",), None, {"name": "a"})


def test_a_difference_is_told_by_the_name_of_its_setting() -> None:
    """Which resource, which setting, and that it was changed by hand; not what it was changed to."""
    title, text = report("production", plan(OPENED, outside=(BUCKET,)))

    assert title.startswith("Drift in production: 1 difference (")
    assert f"- `{BUCKET}` differs: `block_public_acls`, changed outside of Terraform\n" in text
    assert "True" not in text


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param(MISSING, f"- `{QUEUE}` is described, and is not there\n", id="deleted by hand"),
        pytest.param(
            (QUEUE, ("delete",), {}, None), f"- `{QUEUE}` is there, and no longer described\n", id="not described"
        ),
        pytest.param(
            (QUEUE, ("delete", "create"), {}, {}), f"- `{QUEUE}` differs so that it would be replaced\n", id="replaced"
        ),
    ],
)
def test_each_kind_of_difference_has_its_words(change: Any, line: str) -> None:  # noqa: ANN401 - a change
    """A reader knows without Terraform what is meant."""
    assert line in report("production", plan(change))[1]


def test_the_same_drift_has_the_same_title_and_text() -> None:
    """Whatever the order: who looks for an open issue with this title finds it."""
    assert report("production", plan(OPENED, MISSING)) == report("production", plan(MISSING, OPENED))


def test_another_drift_has_another_title() -> None:
    """Also if it is as many differences, or elsewhere."""
    titles = {
        report(environment, plan(change))[0]
        for environment in ("staging", "production")
        for change in (OPENED, MISSING)
    }

    assert len(titles) == 4


def test_what_is_equal_is_not_told() -> None:
    """Of an output that differs the name is told; resources as they should be are not."""
    same = {**plan((QUEUE, ("no-op",), {}, {})), "output_changes": {"settings": {"actions": ["update"]}}}

    title, text = report("staging", same)

    assert "1 difference" in title
    assert QUEUE not in text


def test_a_flood_fits_into_an_issue() -> None:
    """Two hundred lines, and the number of the others."""
    many = plan(*((f"aws_sqs_queue.q{number}", ("create",), {}, {}) for number in range(500)))

    title, text = report("production", many)

    assert "500 differences" in title
    assert len(text.splitlines()) < 210
    assert "- and 300 more\n" in text


def test_an_unknown_environment_is_an_error_and_no_drift() -> None:
    """Status 2 would open an issue."""
    with pytest.raises(SystemExit) as ended:
        drift.main(["prodution"])

    assert ended.value.code == 1


def test_terraform_that_fails_is_an_error_and_no_drift(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A state that cannot be read, a value that was not given: status 1, no report, and no issue."""
    (tmp_path / "terraform").write_text('#!/bin/sh\n[ "$1" != plan ] || { echo "no state"; exit 1; }\n')
    (tmp_path / "terraform").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugins"))

    assert drift.main(["production", "--report", str(tmp_path / "drift.md"), "--open-issue"]) == 1
    assert "in production:\nno state\n" in capsys.readouterr().err
    assert not (tmp_path / "drift.md").exists()


@pytest.mark.parametrize(
    ("found", "token", "expected"),
    [
        pytest.param(plan(OPENED), "given", (2, "opened https://example.com/1"), id="opened"),
        pytest.param(plan(OPENED), "", (1, "is not set"), id="no token"),
        pytest.param(None, "", (0, ""), id="no drift"),
    ],
)
def test_an_issue_is_opened_where_one_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: Any,  # noqa: ANN401 - a plan
    token: str,
    expected: tuple[int, str],
) -> None:
    """With the report; that there is none, although there is drift, is an error."""
    opened = []

    def open_issue(title: str, text: str) -> str:
        opened.append((title, text))
        return "https://example.com/1"

    system = SimpleNamespace(TOKEN="A_TOKEN", open_issue=open_issue)
    monkeypatch.setattr("dev.delivery.issues.systems", lambda: [system])
    monkeypatch.setattr(drift, "seen", lambda _: found)
    monkeypatch.setenv("A_TOKEN", token)

    ended = drift.main(["production", "--report", os.devnull, "--open-issue"])

    assert ended == expected[0]
    assert expected[1] in capsys.readouterr().err
    assert opened == ([report("production", found)] if ended == 2 else [])
