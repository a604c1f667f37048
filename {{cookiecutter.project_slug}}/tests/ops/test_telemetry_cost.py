"""`app telemetry-cost`: what a running service exposes becomes a bill, and an exit status."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.telemetry_cost import bill, main
from app.telemetry_policy import Policy
from app.telemetry_usage import Usage, measure, scrape
from dev.http_server import serving
from dev.telemetry_policy.places import read
from tests.support.exposing_process import AFTER, BEFORE, ExposingProcess, exposed


@pytest.fixture
def second() -> Iterator[ExposingProcess]:
    """Yield another one."""
    process = ExposingProcess()
    with serving(process.app()) as process.url:
        yield process


@pytest.fixture
def policy() -> Policy:
    """Return the policy with figures of which this file can be sure."""
    said = read().model_dump()
    said["budget"] = {
        "log_bytes_per_1000_requests": 600_000,
        "log_lines_per_1000_requests": 1000,
        "span_bytes_per_1000_requests": 50_000,
        "spans_per_1000_requests": 100,
        "series_per_process": 20,
        "new_series_per_1000_requests": 0,
    }
    said["assumed"] = {"requests_per_second": 100, "replicas": 4}
    said["prices"] = {"currency": "USD", "logs_per_gb": 0.5, "traces_per_gb": 0.25, "per_1000_series": 8.0}
    said["sampling"]["traces"]["head_ratio"] = {"development": 1.0, "production": 0.1}
    return Policy.model_validate(said)


@pytest.fixture
def policy_file(policy: Policy, tmp_path: Path) -> Path:
    """Return the file of that policy: JSON is YAML."""
    path = tmp_path / "policy.yaml"
    path.write_text(policy.model_dump_json())
    return path


@pytest.fixture
def command(policy_file: Path, process: ExposingProcess) -> Callable[..., int]:
    """Return the command, with `between` in place of the pause."""

    def call(*arguments: str, between: Callable[[float], None] | None = None, urls: tuple[str, ...] = ()) -> int:
        named = [word for url in urls or (process.url,) for word in ("--url", url)]
        return main([*named, "--policy", str(policy_file), *arguments], pause=between or process.works())

    return call


def usage_of(*processes: ExposingProcess) -> Usage:
    """Return what the processes do between two scrapes; what they expose besides stays."""
    urls = [process.url for process in processes]
    before = scrape(urls)
    for process in processes:
        process.works(process.text.replace(exposed(BEFORE), exposed(AFTER)))(0)
    return measure(before, scrape(urls))


def test_the_bill_is_what_was_counted(process: ExposingProcess, policy: Policy) -> None:
    """Amounts are per 1 000 requests, a month has 30 days, and each price is the policy's."""
    rows = {row.title: row for row in bill(usage_of(process), policy, requests_per_second=100)}

    assert {title: row.amount for title, row in rows.items()} == {
        "log bytes": 600_000,
        "log lines": 1000,
        "span bytes": 50_000,
        "spans": 100,
        "series per process": 12,
        "new series": 0,
    }
    assert rows["log bytes"].per_month == pytest.approx(155.52)  # 259.2 million requests of 600 bytes
    assert rows["log bytes"].price == pytest.approx(77.76)
    assert rows["span bytes"].price == pytest.approx(12.96 * 0.25)
    assert rows["series per process"].price == pytest.approx(12 * 4 / 1000 * 8)
    assert [row.title for row in rows.values() if row.over] == []


def test_processes_are_added_up_and_the_largest_must_fit(
    process: ExposingProcess, second: ExposingProcess, policy: Policy
) -> None:
    """Bytes and spans are those of all processes; series are limited in each, and paid for in all."""
    second.text += "workers 2\njobs 3\n"
    counted = usage_of(process, second)
    rows = {row.title: row for row in bill(counted, policy, requests_per_second=100)}

    assert counted.requests == 4000
    assert (rows["log lines"].amount, rows["series per process"].amount) == (1000, 14)
    assert rows["series per process"].per_month == (12 + 14) * 4


@pytest.mark.parametrize(("ratio", "spans"), [(None, 100), (0.1, 100), (1.0, 10), (0.05, 200)])
def test_spans_are_counted_as_in_production(
    process: ExposingProcess, policy: Policy, ratio: float | None, spans: float
) -> None:
    """Where more or fewer traces are recorded than in production, spans are scaled to production's share."""
    rows = {row.title: row for row in bill(usage_of(process), policy, requests_per_second=100, head_ratio=ratio)}

    assert rows["spans"].amount == pytest.approx(spans)
    assert rows["span bytes"].amount == pytest.approx(spans * 500)


def test_the_ratio_is_an_option(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """`--ratio 1` says that what is measured records every trace: production would record a tenth of it."""
    command("--ratio", "1")

    assert [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("spans ")] == ["10"]


def test_within_budget_ends_well(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 0, a table with every line OK, and what most of it comes from."""
    status = command()

    printed = capsys.readouterr().out
    assert status == 0
    assert (printed.count(" OK "), printed.count("OVER")) == (6, 0)
    assert "2,000 requests, 1 processes; a month has 30 days at 100 requests/s" in printed
    assert "100%    1,200,000  http.request" in printed
    assert "100%      100,000  GET /v1/orders" in printed
    assert "33%            4  http_server_request_duration_seconds" in printed


def test_another_rate_is_another_month(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """`--rate` is what the month is computed for; what is measured stays."""
    command("--rate", "10")

    printed = capsys.readouterr().out
    assert "at 10 requests/s" in printed
    assert "15.6 GB      7.78" in printed


@pytest.mark.parametrize(
    ("amounts", "title"),
    [
        pytest.param({"BYTES": 1_900_000}, "log bytes", id="longer lines"),
        pytest.param({'handled"} 7\n': 'handled"} 900\n'}, "log lines", id="more lines"),
        pytest.param({"SPANS": 400}, "spans", id="more spans"),
        pytest.param({"SPAN_SIZE": 240_000}, "span bytes", id="larger spans"),
        pytest.param({"queue_depth 3": "queue_depth 3\nqueue_limit 9"}, "new series", id="another metric"),
    ],
)
def test_over_budget_ends_badly(
    command: Callable[..., int],
    process: ExposingProcess,
    capsys: pytest.CaptureFixture[str],
    amounts: dict[str, object],
    title: str,
) -> None:
    """Exit status 1, and the one line that is over says so."""
    status = command(between=process.works(exposed(AFTER | amounts)))

    over = [line for line in capsys.readouterr().out.splitlines() if "OVER" in line]
    assert status == 1
    assert [line[:20].strip() for line in over] == [title]


def test_a_new_series_is_named(
    command: Callable[..., int], process: ExposingProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who makes series while requests come in is found by the name of the metric."""
    grown = exposed(AFTER) + '# TYPE visits counter\nvisits_total{user="1"} 1\nvisits_total{user="2"} 1\n'

    assert command(between=process.works(grown)) == 1
    assert "new series by metric\n  100%            2  visits" in capsys.readouterr().out


def test_what_was_dropped_is_told(
    command: Callable[..., int], process: ExposingProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lines that a limit has held back are no saving to be proud of: the report says how many."""
    command(between=process.works(exposed(AFTER).replace('reason="rate"} 4', 'reason="rate"} 54')))

    assert "not in this bill, because dropped: 50 log lines, 0 spans" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(exposed(BEFORE), "no requests between the two scrapes", id="idle"),
        pytest.param(exposed({**AFTER, "REQUESTS": 3}), "was restarted while it was measured", id="restarted"),
        pytest.param(exposed(AFTER).replace("log_bytes", "logged_bytes"), "exposes no log_bytes", id="renamed"),
        pytest.param("{nothing of the kind", "does not answer with metrics", id="no metrics"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    command: Callable[..., int], process: ExposingProcess, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    """Exit status 2, and one line on standard error that says why: never a table of zeros."""
    status = command(between=process.works(text))

    printed = capsys.readouterr()
    assert (status, printed.out, len(printed.err.splitlines())) == (2, "", 1)
    assert message in printed.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nowhere", "http://"], ids=["nobody", "no scheme", "no host"])
def test_an_address_that_does_not_answer_is_one_line(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], url: str
) -> None:
    """The line names the address."""
    status = command(urls=(url,))

    printed = capsys.readouterr()
    assert (status, printed.out, len(printed.err.splitlines())) == (2, "", 1)
    assert f"app: {url} cannot be read: " in printed.err


def test_a_refused_scrape_is_one_line(
    command: Callable[..., int], process: ExposingProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that is no success is not read as metrics."""
    process.status = 403

    assert command() == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_bad_policy_is_refused(command: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a budget nothing is measured."""
    assert command("--policy", "nowhere.yaml") == 2
    assert "nowhere.yaml cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--seconds", "--rate", "--ratio"])
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon"])
def test_an_impossible_option_is_refused(command: Callable[..., int], option: str, value: str) -> None:
    """What would make nonsense of the figures ends the command at once."""
    with pytest.raises(SystemExit) as ended:
        command(option, value)

    assert ended.value.code == 2
