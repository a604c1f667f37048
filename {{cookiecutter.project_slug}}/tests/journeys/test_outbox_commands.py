"""`app outbox`, as an operator uses it: real processes with the login of the jobs, on events that were refused."""

import json
import re

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.patterns.outbox import Event, Relay, RelaySettings
from dev.environment import ROOT
from tests.support.app_command import app, operators_variables
from tests.support.outbox import attempts, given_events, parked_rows
from tests.support.recording_broker import RecordingBroker

COMMANDS = re.findall(r"^app (outbox .+)$", (ROOT / "docs" / "outbox.md").read_text(), re.MULTILINE)
UNKNOWN = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def env(database_url: str) -> dict[str, str]:
    """Return the environment of a process that has the logins of production, and neither broker nor provider."""
    return operators_variables(database_url)


@pytest.fixture
async def events(engine: AsyncEngine) -> list[Event]:
    """Return three parked events of two tenants, with one that waits behind them."""
    broker = RecordingBroker()
    broker.never = {"order.bad"}
    bad = [
        Event(type="order.bad", source="/orders", aggregate_id=str(number), tenant=tenant, data={"number": number})
        for number, tenant in enumerate(["acme", "globex", "acme"])
    ]
    await given_events(engine, *bad)
    await Relay(engine, broker, RelaySettings(lanes_per_pass=64)).relay_once()
    await given_events(engine, Event(type="order.good", source="/orders", aggregate_id="9", tenant="acme", data={}))
    return bad


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_of_the_page_works(env: dict[str, str], events: list[Event], command: str) -> None:
    """As docs/outbox.md has it, on a parked event; its use is in the log."""
    ended = await app(env, command.replace("EVENT_ID", str(events[0].id)))

    assert (ended.code, bool(ended.out)) == (0, True)
    (crossed,) = ended.logged("security.tenants_crossed")
    assert crossed["job"] == " ".join(command.split()[:2])


def test_the_page_has_every_command() -> None:
    """Each action is shown, so each is run above."""
    assert {command.split()[1] for command in COMMANDS} == {"list", "show", "replay", "drop"}


async def test_the_list_is_a_table_for_people(env: dict[str, str], events: list[Event]) -> None:
    """One line per parked event under the headings, the oldest first; what waits is not among them."""
    ended = await app(env, "outbox list")

    headings, *lines = [re.split(r"\s{2,}", line) for line in ended.out.splitlines()]
    assert headings == ["event", "age", "type", "tenant", "aggregate", "attempts", "reason"]
    assert [(line[0], *line[2:]) for line in lines] == [
        (str(event.id), "order.bad", event.tenant, event.aggregate, "1", "never, says the test") for event in events
    ]


async def test_a_long_list_says_that_there_is_more(env: dict[str, str], events: list[Event]) -> None:
    """And how to see it."""
    ended = await app(env, "outbox list --limit 2")

    *_, last_event, hint = ended.out.splitlines()
    assert last_event.startswith(str(events[1].id))
    assert hint == "There are more: --limit 4"


async def test_the_list_of_what_waits_is_another(env: dict[str, str], events: list[Event]) -> None:  # noqa: ARG001 - are there
    """Events that are not yet published, as JSON."""
    ended = await app(env, "outbox list --waiting --json")

    assert [(row["type"], row["attempts"], row["reason"]) for row in json.loads(ended.out)] == [("order.good", 0, None)]


async def test_show_prints_all_there_is(env: dict[str, str], events: list[Event]) -> None:
    """The envelope as consumers would get it, and why they did not."""
    shown = json.loads((await app(env, f"outbox show {events[1].id}")).out)

    assert (shown["state"], shown["reason"], shown["tenant_id"]) == ("parked", "never, says the test", "globex")
    assert (shown["envelope"]["id"], shown["envelope"]["data"]) == (str(events[1].id), {"number": 1})


async def test_replay_puts_events_back_under_their_ids(
    env: dict[str, str], events: list[Event], engine: AsyncEngine
) -> None:
    """The named ones and no others, as if never tried; the answer warns about the order, and the audit log has it."""
    ids = [str(event.id) for event in events[:2]]

    ended = await app(env, f"outbox replay {' '.join(ids)}")

    assert ended.out.startswith("2 back in the outbox. Later events of its aggregate may be out already")
    (line,) = ended.logged("audit.outbox_events_replayed")
    assert (line["events"], line["event_ids"]) == (2, ids)
    assert [row.event_id for row in await parked_rows(engine)] == [events[2].id]
    assert await attempts(engine) == [("order.good", 0), ("order.bad", 0), ("order.bad", 0)]


async def test_replay_of_all_empties_the_table_in_batches(env: dict[str, str], engine: AsyncEngine) -> None:
    """However many there are, and in the order of their writing."""
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO outbox_parked (id, lane, event_id, tenant_id, aggregate, type, envelope, created_at,"
                " attempts, reason) SELECT n, 1, gen_random_uuid(), 'acme', 'a', 'x.n' || n, '{}', now(), 1, 'r'"
                " FROM generate_series(1, 2500) n"
            )
        )

    ended = await app(env, "outbox replay --all")

    assert ended.out.startswith("2500 back in the outbox.")
    assert [line["events"] for line in ended.logged("audit.outbox_events_replayed")] == [1000, 1000, 500]
    assert await attempts(engine) == [(f"x.n{number}", 0) for number in range(1, 2501)]
    assert await parked_rows(engine) == []


async def test_drop_deletes_one_event_and_the_audit_log_has_it(
    env: dict[str, str], events: list[Event], engine: AsyncEngine
) -> None:
    """Which one, of whom, and why it was parked; the others stay."""
    ended = await app(env, f"outbox drop {events[1].id} --yes")

    (line,) = ended.logged("audit.outbox_event_dropped")
    assert (line["level"], line["event_id"], line["tenant"]) == ("warning", str(events[1].id), "globex")
    assert (line["event_type"], line["reason"]) == ("order.bad", "never, says the test")
    assert [row.event_id for row in await parked_rows(engine)] == [events[0].id, events[2].id]


@pytest.mark.parametrize(
    ("command", "told"),
    [
        pytest.param(
            f"outbox show {UNKNOWN}",
            f"no event {UNKNOWN} is parked or waits: it was published, dropped, or never was.",
            id="show",
        ),
        pytest.param(
            f"outbox replay KNOWN {UNKNOWN}",
            f"nothing was replayed, for these are not parked: {UNKNOWN}",
            id="replay",
        ),
        pytest.param(f"outbox drop {UNKNOWN} --yes", f"no event {UNKNOWN} is parked.", id="drop"),
    ],
)
async def test_what_cannot_be_done_is_told_in_one_line(
    env: dict[str, str], events: list[Event], engine: AsyncEngine, command: str, told: str
) -> None:
    """And nothing is changed."""
    ended = await app(env, command.replace("KNOWN", str(events[0].id)))

    assert (ended.code, ended.out, ended.err.splitlines()[-1]) == (1, "", f"app: {told}")
    assert len(await parked_rows(engine)) == 3


@pytest.mark.parametrize(
    ("command", "named"),
    [
        pytest.param(f"outbox drop {UNKNOWN}", "--yes", id="drop without --yes"),
        pytest.param("outbox drop --yes", "event_id", id="drop of nothing"),
        pytest.param("outbox replay", "--all is required", id="replay of nothing"),
        pytest.param(f"outbox replay {UNKNOWN} --all", "not allowed with", id="replay of one and all"),
        pytest.param("outbox show 7", "invalid UUID value", id="no id"),
        pytest.param("outbox", "action", id="no action"),
    ],
)
async def test_a_mistyped_command_is_named(env: dict[str, str], command: str, named: str) -> None:
    """Next to the usage, before anything is asked of the database."""
    ended = await app(env, command)

    assert ended.code == 2
    assert named in ended.err


async def test_a_database_that_is_down_is_told_in_one_line(env: dict[str, str]) -> None:
    """With the setting to look at, and without its password."""
    nowhere = {"APP_DATABASE__JOBS_URL": "postgresql+asyncpg://service_jobs:hunter2@127.0.0.1:1/none"}

    ended = await app({**env, **nowhere}, "outbox list")

    assert ended.code == 1
    assert ended.err.splitlines()[-1] == ("app: PostgreSQL cannot be reached at APP_DATABASE__JOBS_URL; is it running?")
    assert "hunter2" not in ended.err + ended.out


async def test_a_login_without_the_right_is_refused(env: dict[str, str]) -> None:
    """The login of requests may not see all tenants' events, whoever runs the command."""
    ended = await app({**env, "APP_DATABASE__JOBS_URL": env["APP_DATABASE__URL"]}, "outbox list")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[-1].startswith("app: PostgreSQL refuses (APP_DATABASE__JOBS_URL): ")
    assert "app_jobs" in ended.err
