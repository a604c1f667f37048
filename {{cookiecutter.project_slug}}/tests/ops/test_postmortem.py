"""`make postmortem`: what a real Prometheus has recorded of an outage becomes a page to begin with."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dev.monitoring import Prometheus
from dev.ops import slos
from dev.postmortem.__main__ import main
from dev.postmortem.page import TEMPLATE
from tests.support.recorded_series import given

LEVELS = slos.read()
NINE = datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp()
MINUTE = 60.0
BURN = {"alertname": "LoginBudgetBurn", "alertstate": "firing", "severity": "page", "slo": "login", "window": "1h"}
SLOW = {"alertname": "ReadSlow", "alertstate": "firing", "severity": "ticket"}
PENDING = {**BURN, "alertstate": "pending"}
FROM, TO = "2026-03-02T09:00", "2026-03-02T11:00"


def between(first: float, last: float, value: float = 1.0) -> list[tuple[float, float]]:
    """Return a value for each minute from one to another, counted from nine o'clock."""
    return [(NINE + minute * MINUTE, value) for minute in range(int(first), int(last) + 1)]


def recorded() -> Iterator[tuple[str, Mapping[str, str], list[tuple[float, float]]]]:
    """Yield the morning of 2 March: a release at 9:30 that is taken back at 10:10, and what others saw meanwhile."""
    yield "build_info", {"service": "orders", "instance": "a", "version": "1.4.1"}, between(-60, 29) + between(70, 180)
    yield "build_info", {"service": "orders", "instance": "a", "version": "1.5.0"}, between(30, 69)
    yield "build_info", {"service": "billing", "instance": "b", "version": "7.0.0"}, between(0, 180)
    starts = [(-60, 29, NINE - 9_000), (30, 69, NINE + 1_790.5), (70, 180, NINE + 4_195)]
    processes = [point for first, last, start in starts for point in between(first, last, start)]
    yield "process_start_time_seconds", {"service": "orders", "job": "http", "instance": "a:8000"}, processes
    late = between(100, 180, NINE + 5_990)
    yield "process_start_time_seconds", {"service": "orders", "job": "worker", "instance": "c:8001"}, late
    yield "ALERTS", {**PENDING, "service": "orders"}, between(32, 34)
    yield "ALERTS", {**BURN, "service": "orders"}, between(34, 75) + between(90, 95)
    yield "ALERTS", {**SLOW, "service": "orders"}, between(-30, 10) + between(110, 180)
    yield "ALERTS", {**BURN, "service": "billing"}, between(10, 20)
    # A hundred events a minute for ten hours, so 60 may fail; from 9:30 to 10:09 one does in each minute.
    for level in LEVELS.slos:
        own = {"service": "orders", "slo": level}
        if level != "event-delivery":
            yield "slo:events:increase5m", own, between(-480, 119, 100)
            bad = between(-480, 29, 0) + between(30, 69, 1 if level == "login" else 0) + between(70, 119, 0)
            yield "slo:bad_events:increase5m", own, bad
            yield "slo:error_budget:remaining", own, between(-480, 120, 0.25 if level == "login" else 1)


@pytest.fixture(scope="module")
def prometheus(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a Prometheus that remembers that morning."""
    tool("promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    given(folder, recorded())
    server = Prometheus(folder, {"global": {}})
    server.start()
    yield server.url
    server.stop()


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the command prints."""
    main(words)
    return capsys.readouterr().out


def rows(page: str, head: str) -> list[list[str]]:
    """Return the rows of the table with such a head."""
    begun = itertools.dropwhile(lambda line: not line.startswith(f"| {head}"), page.splitlines())
    table = list(itertools.takewhile(lambda line: line.startswith("|"), begun))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_timeline_is_in_order(prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Alerts that began, ended, or went on beyond; versions; starts of processes; and nothing of another service."""
    page = printed(capsys, "--prometheus", prometheus, "--service", "orders", FROM, TO)

    burn = "LoginBudgetBurn (page, slo=login, window=1h)"
    assert rows(page, "UTC | what |") == [
        ["2026-03-02 09:00:00", "ReadSlow (ticket) is firing already"],
        ["2026-03-02 09:10:00", "ReadSlow (ticket) ends"],
        ["2026-03-02 09:29:00", "Version 1.4.1 no longer runs"],
        ["2026-03-02 09:29:50", "Process http a:8000 restarts"],
        ["2026-03-02 09:30:00", "Deployment: version 1.4.1 -> 1.5.0"],
        ["2026-03-02 09:34:00", f"{burn} fires"],
        ["2026-03-02 10:09:00", "Version 1.5.0 no longer runs"],
        ["2026-03-02 10:09:55", "Process http a:8000 restarts"],
        ["2026-03-02 10:10:00", "Deployment: version 1.5.0 -> 1.4.1"],
        ["2026-03-02 10:15:00", f"{burn} ends after 41 min"],
        ["2026-03-02 10:30:00", f"{burn} fires"],
        ["2026-03-02 10:35:00", f"{burn} ends after 5 min"],
        ["2026-03-02 10:39:50", "Process worker c:8001 starts"],
        ["2026-03-02 10:50:00", "ReadSlow (ticket) fires"],
        ["2026-03-02 11:00:00", "ReadSlow (ticket) is still firing"],
    ]


def test_the_budget_that_was_spent_is_told(prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Forty of the sixty events that may fail; nothing of other levels; and which level has no data."""
    page = printed(capsys, "--prometheus", prometheus, "--service", "orders", FROM, TO)

    told = {level.strip("`"): cells for level, *cells in rows(page, "service level | budget spent")}
    assert list(told) == list(LEVELS.slos)
    assert told["login"] == ["66.7%", "25.0%"]
    assert told["buy-availability"] == ["0.0%", "100.0%"]
    assert told["event-delivery"] == ["no data", "no data"]


def test_the_page_is_the_template(prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With all its headings, and none of its places left empty."""
    page = printed(capsys, "--prometheus", prometheus, "--service", "orders", FROM, TO)

    assert headings(page) == headings(TEMPLATE.read_text())
    assert "filled in.\n" not in page
    assert ["minutes", "120"] in rows(page, "service | orders |")


def test_a_moment_may_have_a_zone(prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is printed is UTC."""
    zoned = ["2026-03-02T10:00+01:00", "2026-03-02T12:00+01:00"]

    told = printed(capsys, "--prometheus", prometheus, "--service", "orders", *zoned)

    assert told == printed(capsys, "--prometheus", prometheus, "--service", "orders", FROM, TO)


def test_a_time_without_anything_says_so(prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
    """That is no mistake: perhaps the time is wrong, perhaps the outage was elsewhere."""
    page = printed(capsys, "--prometheus", prometheus, "--service", "nobody", FROM, TO)

    assert rows(page, "UTC | what |") == [["2026-03-02 09:00:00", "Prometheus saw nothing happen"]]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param([FROM, FROM], "TO must be after FROM", id="no time"),
        pytest.param([TO, FROM], "TO must be after FROM", id="the wrong way round"),
        pytest.param(["yesterday", TO], "invalid moment value: 'yesterday'", id="no moment"),
        pytest.param([FROM], "required: TO", id="no end"),
        pytest.param(["--service", ".*", FROM, TO], "invalid named value: '.*'", id="every service"),
    ],
)
def test_what_cannot_be_asked_is_refused(words: list[str], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line that says what is wrong."""
    with pytest.raises(SystemExit) as ended:
        main(["--prometheus", "http://127.0.0.1:1", *words])

    assert ended.value.code == 2
    assert why in capsys.readouterr().err.splitlines()[-1]


def test_without_prometheus_there_is_no_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Half a timeline would be taken for the whole."""
    with pytest.raises(SystemExit, match="Prometheus cannot be asked: "):
        main(["--prometheus", "http://127.0.0.1:1", FROM, TO])

    assert capsys.readouterr().out == ""


def headings(page: str) -> list[str]:
    """Return the headings of a page."""
    return re.findall(r"^#+ .*$", page, re.MULTILINE)
