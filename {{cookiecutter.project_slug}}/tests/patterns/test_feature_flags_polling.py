"""patterns/feature_flags: a server that is well, slow, hanging, wrong or gone, and who never waits for it."""

import asyncio
import gzip
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from starlette.responses import Response, StreamingResponse
from structlog.testing import capture_logs

from app.patterns.feature_flags import FeatureFlags, FeatureFlagSettings, KillSwitch, running, telemetry
from app.patterns.feature_flags.rules import Rules
from dev.flag_server import TOKEN, FlagServer
from dev.http_server import serving
from dev.ports import free_port
from tests.support.eventually import eventually

STOPPED = KillSwitch(name="parcels-stopped", owner="service", purpose="No parcels.", review=date(2100, 1, 1))
RULES_ON = json.dumps({"version": 2, "features": [{"name": "parcels-stopped", "enabled": True, "strategies": []}]})


@pytest.fixture
def server() -> Iterator[FlagServer]:
    """Yield a flag server that knows the flag, off."""
    server = FlagServer()
    server.know(parcels_stopped=False)
    with serving(server.app()) as url:
        server.url = f"{url}/api"
        yield server
        server.hangs = False


@asynccontextmanager
async def flags_of(url: str, folder: Path, **changes: object) -> AsyncIterator[FeatureFlags]:
    """Yield flags that ask this server often, with a cache."""
    told = {"url": url, "token": TOKEN, "poll_seconds": 0.02, "timeout_seconds": 0.2, "cache_folder": folder}
    settings = FeatureFlagSettings.model_validate({**told, **changes})
    async with running(FeatureFlags([STOPPED], settings, service="parcels", env="test"), settings) as flags:
        yield flags


async def test_a_switch_arrives_with_the_next_question(server: FlagServer, tmp_path: Path) -> None:
    """There and back, while the process runs."""
    async with flags_of(server.url, tmp_path) as flags:
        server.know(parcels_stopped=True)
        await eventually(lambda: flags.is_on(STOPPED))

        server.know(parcels_stopped=False)
        await eventually(lambda: not flags.is_on(STOPPED))


async def test_a_question_says_who_asks_and_what_is_known(server: FlagServer, tmp_path: Path) -> None:
    """Rules that have not changed are not sent again, and are not read again."""
    unchanged = _fetched("unchanged")
    async with flags_of(server.url, tmp_path):
        await eventually(lambda: _fetched("unchanged") > unchanged)

    assert server.asked[0]["unleash-appname"] == "parcels"
    assert "if-none-match" not in server.asked[0]
    assert server.asked[-1]["if-none-match"].startswith('"')


async def _drip() -> AsyncIterator[bytes]:
    """Send a byte now and then, each in time."""
    while True:
        yield b" "
        await asyncio.sleep(0.02)


def answering(*response: Any) -> Callable[[FlagServer], None]:  # noqa: ANN401 - whatever a Response takes
    """Return what makes a server answer each question with this."""
    return lambda server: setattr(server, "answers_instead", lambda: Response(*response))


TOO_MUCH = gzip.compress(b'{"version": 2, "features": []}' + b" " * 9_000_000)
GZIP = {"content-encoding": "gzip"}
FAULTS: dict[str, tuple[Callable[[FlagServer], None], str]] = {
    "it hangs": (lambda server: setattr(server, "hangs", True), "timeout"),
    "it drips": (lambda server: setattr(server, "answers_instead", lambda: StreamingResponse(_drip())), "timeout"),
    "it is broken": (answering("no", 500), "refused"),
    "the token is refused": (answering("no", 401), "refused"),
    "it leads elsewhere": (answering("", 302, {"location": "http://127.0.0.1:9/"}), "refused"),
    "it sends a page": (answering("<html>"), "malformed"),
    "it sends nothing": (answering(""), "malformed"),
    "it sends other rules": (answering("{}"), "malformed"),
    "it sends brackets without end": (answering("[" * 100_000), "malformed"),
    "it sends no text": (answering(b"\xff\xfe\x00"), "malformed"),
    "it sends something that is not compressed": (answering("{}", 200, GZIP), "malformed"),
    "it sends more than fits": (answering(TOO_MUCH, 200, GZIP), "malformed"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_was_known_last_stays(server: FlagServer, tmp_path: Path, fault: str) -> None:
    """The failure is counted by its reason, told once, and told again when it is over."""
    break_it, reason = FAULTS[fault]
    server.know(parcels_stopped=True)
    async with flags_of(server.url, tmp_path) as flags:
        await eventually(lambda: flags.is_on(STOPPED))
        failed = _fetched(reason)

        with capture_logs() as logs:
            break_it(server)
            await eventually(lambda: _fetched(reason) >= failed + 3)
            still = flags.is_on(STOPPED)
            server.hangs, server.answers_instead = False, None
            server.know(parcels_stopped=False)
            await eventually(lambda: not flags.is_on(STOPPED))
            await eventually(lambda: [line for line in logs if line["event"] == "feature_flags.fetched_again"])

    assert still
    assert [line["reason"] for line in logs if line["event"] == "feature_flags.fetch_failed"] == [reason]


async def test_nothing_is_no_first_answer(server: FlagServer, tmp_path: Path) -> None:
    """What came of it is not that rules are what they were, and are known to be fresh."""
    answering("")(server)
    counted = {reason: _fetched(reason) for reason in ("malformed", "unchanged")}

    async with flags_of(server.url, tmp_path):
        await eventually(lambda: _fetched("malformed") >= counted["malformed"] + 3)

    assert _fetched("unchanged") == counted["unchanged"]


async def test_a_bug_does_not_end_the_questions(
    server: FlagServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is counted, and told once with its traceback; what is thrown after it arrives."""

    def broken(_document: str) -> Rules:
        raise ZeroDivisionError

    with capture_logs() as logs, monkeypatch.context() as patch:
        crashed = _fetched("crashed")
        patch.setattr("app.patterns.feature_flags.polling.Rules", broken)
        async with flags_of(server.url, tmp_path) as flags:
            await eventually(lambda: _fetched("crashed") >= crashed + 3)
            patch.undo()
            server.know(parcels_stopped=True)
            await eventually(lambda: flags.is_on(STOPPED))

    told = [(line["reason"], line["exc_info"]) for line in logs if line["event"] == "feature_flags.fetch_failed"]
    assert told == [("crashed", True)]


async def test_rules_without_an_etag_are_read_once(server: FlagServer, tmp_path: Path) -> None:
    """A proxy may take it away: the same text is no news, and its file is not written again and again."""
    server.answers_instead = lambda: Response(RULES_ON)
    changed, unchanged = _fetched("changed"), _fetched("unchanged")

    async with flags_of(server.url, tmp_path):
        await eventually(lambda: _fetched("unchanged") >= unchanged + 2)

    assert _fetched("changed") == changed + 1


async def test_a_server_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    """The default answers, and one line says why."""
    with capture_logs() as logs:
        async with flags_of(f"http://127.0.0.1:{free_port()}/api", tmp_path) as flags:
            failed = _fetched("unreachable")
            await eventually(lambda: _fetched("unreachable") >= failed + 3)

            assert not flags.is_on(STOPPED)

    assert [line["event"] for line in logs] == ["feature_flags.fetch_failed"]


async def test_neither_start_nor_answers_nor_the_end_wait_for_a_server_that_hangs(
    server: FlagServer, tmp_path: Path
) -> None:
    """It has the question and has not answered; flags are asked, and the process ends, and nothing stays behind."""
    server.hangs = True
    tasks, threads = asyncio.all_tasks(), threading.active_count()

    async with flags_of(server.url, tmp_path, timeout_seconds=3600) as flags:
        started_without = len(server.asked)
        await eventually(lambda: len(server.asked) == 1)
        answer = flags.is_on(STOPPED)
        waiting = asyncio.all_tasks() - tasks

    assert started_without == 0
    assert answer is False
    assert [task.get_name() for task in waiting] == ["feature-flags"]
    assert asyncio.all_tasks() == tasks
    assert threading.active_count() == threads


async def test_without_a_server_nothing_is_asked_and_nothing_is_stale(tmp_path: Path) -> None:
    """No task, and no time from which an age could be told."""
    tasks = asyncio.all_tasks()
    telemetry.LAST_FETCH.set(0)
    settings = FeatureFlagSettings(cache_folder=tmp_path)

    async with running(FeatureFlags([STOPPED], settings, service="parcels", env="test"), settings) as flags:
        assert asyncio.all_tasks() == tasks
        assert not flags.is_on(STOPPED)

    assert _last_fetch() == 0


async def test_the_next_start_knows_what_was_fetched(server: FlagServer, tmp_path: Path) -> None:
    """Also with the server gone; how old that is, is told, but never an age that is yet to come."""
    server.know(parcels_stopped=True)
    async with flags_of(server.url, tmp_path) as flags:
        await eventually(lambda: flags.is_on(STOPPED))
        (cache,) = await eventually(lambda: _settled(tmp_path))
    long_ago = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    os.utime(cache, (long_ago, long_ago))

    async with flags_of(f"http://127.0.0.1:{free_port()}/api", tmp_path) as flags:
        assert flags.is_on(STOPPED)
        assert _last_fetch() == long_ago

    os.utime(cache, (4e9, 4e9))  # by a clock that was wrong: nothing would look stale until then
    async with flags_of(f"http://127.0.0.1:{free_port()}/api", tmp_path):
        assert _last_fetch() < 4e9


async def test_rules_that_are_confirmed_are_as_good_as_new(server: FlagServer, tmp_path: Path) -> None:
    """The file's time is that of the last answer; a file that somebody has deleted is written again."""
    async with flags_of(server.url, tmp_path):
        (cache,) = await eventually(lambda: _settled(tmp_path))
        os.utime(cache, (0, 0))
        await eventually(lambda: cache.stat().st_mtime > 0)
        cache.unlink()
        await eventually(cache.exists)

    assert json.loads(cache.read_text()) == json.loads(server.document())


async def test_a_flag_that_the_server_does_not_know_is_told(server: FlagServer, tmp_path: Path) -> None:
    """A switch that has another name there cannot be thrown in an incident."""
    server.know(parcels_stoped=True)

    with capture_logs() as logs:
        async with flags_of(server.url, tmp_path):
            await eventually(lambda: [line for line in logs if line["event"] == "feature_flags.unknown_to_server"])

    told = [line["names"] for line in logs if line["event"] == "feature_flags.unknown_to_server"]
    assert told == [["parcels-stopped"]]


async def test_a_folder_that_cannot_be_written_to_stops_nothing(server: FlagServer, tmp_path: Path) -> None:
    """As on a root file system that is read-only."""
    server.know(parcels_stopped=True)
    (tmp_path / "file").touch()

    with capture_logs() as logs:
        async with flags_of(server.url, tmp_path / "file" / "folder") as flags:
            await eventually(lambda: flags.is_on(STOPPED))
            await eventually(lambda: [line for line in logs if line["event"] == "feature_flags.cache_not_written"])
            server.know(parcels_stopped=False)
            await eventually(lambda: not flags.is_on(STOPPED))


async def test_a_disk_that_hangs_holds_up_no_question(
    server: FlagServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next switch arrives, whatever became of the file."""
    hanging = threading.Event()
    monkeypatch.setattr("app.patterns.feature_flags.polling.keep", lambda *_args, **_more: hanging.wait(30))
    async with flags_of(server.url, tmp_path, timeout_seconds=0.05) as flags:
        server.know(parcels_stopped=True)
        await eventually(lambda: flags.is_on(STOPPED))
        server.know(parcels_stopped=False)
        await eventually(lambda: not flags.is_on(STOPPED))
        hanging.set()

    assert _settled(tmp_path) == []


def _settled(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == ".json"]


def _fetched(outcome: str) -> float:
    return REGISTRY.get_sample_value("feature_flags_fetches_total", {"outcome": outcome}) or 0


def _last_fetch() -> float:
    value = REGISTRY.get_sample_value("feature_flags_last_fetch_timestamp_seconds")
    assert value is not None
    return value
