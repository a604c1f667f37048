"""ops/release-policy.yaml: a mistake is told with its line, and the page for people says the same."""

from pathlib import Path

import pytest

from dev.ops import slos
from dev.ops.lines import BadSource, Document
from dev.release_gate import page
from dev.release_gate.decision import Verdict
from dev.release_gate.policy import SOURCE, read

LEVELS = slos.read()
MISTAKES = {
    "a window that is not recorded": (
        "burn: {1h: 14.4, 6h: 6}",
        "burn: {1h: 14.4, 4h: 6}",
        "freeze.burn.4h: 4h is not recorded; these windows are: 5m, 30m, 1h, 2h, 6h, 1d, 3d",
    ),
    "no window": ("burn: {1h: 14.4, 6h: 6}", "burn: {}", "freeze.burn: Dictionary should have at least 1 item"),
    "a burn that is always there": ("1h: 14.4", "1h: 0", "freeze.burn.1h: Input should be greater than 0"),
    "a debt": (
        "percent_left: 0\n",
        "percent_left: -50\n",
        "freeze.percent_left: Input should be greater than or equal",
    ),
    "not a number": (
        "percent_left: 0\n",
        "percent_left: none\n",
        "freeze.percent_left: Input should be a valid number",
    ),
    "caution that is never reached": (
        "percent_left: 25",
        "percent_left: 0",
        "caution.percent_left: it must be above what freezes, which is 0",
    ),
    "an excuse for no level": (
        "may_be_idle: {}",
        "may_be_idle: {logins: Nobody logs in yet.}",
        "may_be_idle.logins: logins is no service level of ops/slo.yaml",
    ),
    "an excuse without a reason": (
        "may_be_idle: {}",
        "may_be_idle: {login: ''}",
        "may_be_idle.login: String should match pattern",
    ),
    "an exception without a reason": ("  fix: It", "  fix:\n  x: It", "exceptions.fix: Input should be a valid string"),
    "no duration": ("stale_after: 3m", "stale_after: 3", "stale_after: Input should be a valid string"),
    "an unknown word": ("stale_after: 3m", "stale_after: 3m\nalways: true", "always: Extra inputs are not permitted"),
    "a missing one": ("stale_after: 3m", "", "stale_after: Field required"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, mistake: str) -> None:
    """The place, and why."""
    right, wrong, why = MISTAKES[mistake]
    text = SOURCE.read_text()
    assert right in text
    path = tmp_path / "release-policy.yaml"
    path.write_text(text.replace(right, wrong, 1))

    with pytest.raises(BadSource) as refused:
        read(LEVELS, Document(path))

    (told,) = str(refused.value).splitlines()
    assert why in told
    _, number, place, *_ = told.split(":")
    line = path.read_text().splitlines()[int(number) - 1]
    assert place.split(".")[-1].strip() in line or mistake == "a missing one"


def test_the_page_says_what_the_policy_says() -> None:
    """`make ops` has written its tables."""
    assert page.page(read(LEVELS)) == page.PAGE.read_text()


@pytest.mark.parametrize("verdict", Verdict, ids=lambda verdict: verdict.name)
def test_the_page_says_who_decides(verdict: Verdict) -> None:
    """Each exit status has its row."""
    assert f"| {verdict.name.lower()} | {verdict.value} | " in page.PAGE.read_text()
