"""The worker of the service, which kills itself at a chosen point of its work: `crashing_worker POINT NTH`.

Nothing in the service knows of this. The points are found from outside: in the SQL that passes through the engine, in
the connection pool, and in the broker client's acknowledgement. The end is a SIGKILL, so no cleanup runs: what the
process leaves behind is what a power cut or the OOM killer would leave.
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Any

from nats.aio.msg import Msg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import Pool

from app import cli

_CLAIM = "FOR UPDATE OF l SKIP LOCKED"
_MARK = "DELETE FROM outbox"
_REMEMBER = "INSERT INTO inbox"


class CrashPoint(StrEnum):
    """Where a worker can die: between any two steps whose order matters."""

    RELAY_BEFORE_CLAIM = "relay.before_claim"
    RELAY_AFTER_PUBLISH = "relay.after_publish"
    """The broker has the events, and the table does not know."""
    RELAY_AFTER_MARK = "relay.after_mark"
    """The rows are deleted, but the transaction is open."""
    RELAY_AFTER_COMMIT = "relay.after_commit"
    CONSUMER_BEFORE_COMMIT = "consumer.before_commit"
    """The handler is through, but the transaction is open."""
    CONSUMER_AFTER_COMMIT = "consumer.after_commit"
    """The event has taken effect, and the broker does not know."""


def last_words(point: str) -> str:
    """Return the line that a worker writes immediately before it dies at `point`."""
    return f"crash point reached: {point}"


def arm(point: CrashPoint, nth: int) -> None:
    """Kill this process when it reaches `point` for the `nth` time."""
    left = nth

    def reached() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.write(
                sys.stdout.fileno(), f"{last_words(point)}\n".encode()
            )  # unbuffered: nothing flushes a killed process
            os.kill(os.getpid(), signal.SIGKILL)

    _ARM[point](reached)


def _before_claim(reached: Callable[[], None]) -> None:
    _on_statement("before_cursor_execute", _CLAIM, lambda _connection: reached())


def _after_publish(reached: Callable[[], None]) -> None:
    _on_statement("before_cursor_execute", _MARK, lambda _connection: reached())


def _after_mark(reached: Callable[[], None]) -> None:
    _on_statement("after_cursor_execute", _MARK, lambda _connection: reached())


def _after_relay_commit(reached: Callable[[], None]) -> None:
    """A committed connection goes back to the pool: the first moment after the commit that can be seen from here."""
    _at_commit_with(_MARK, lambda connection: connection.info.update(committing=True))

    def on_checkin(_connection: object, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy has no public type for it
        if record.info.pop("committing", False):
            reached()

    event.listen(Pool, "checkin", on_checkin)


def _before_consumer_commit(reached: Callable[[], None]) -> None:
    _at_commit_with(_REMEMBER, lambda _connection: reached())


def _after_consumer_commit(reached: Callable[[], None]) -> None:
    acknowledge = Msg.ack

    async def dying_ack(message: Msg) -> None:
        reached()
        await acknowledge(message)

    setattr(Msg, "ack", dying_ack)  # noqa: B010 - the one place between the commit and the broker; types forbid `=`


def _on_statement(moment: str, marker: str, act: Callable[[Connection], None]) -> None:
    def on_execute(connection: Connection, _cursor: object, statement: str, *_rest: object) -> None:
        if marker in statement:
            act(connection)

    event.listen(Engine, moment, on_execute)


def _at_commit_with(marker: str, act: Callable[[Connection], None]) -> None:
    """Call `act` before the COMMIT of each transaction in which a statement with `marker` was executed."""
    _on_statement("after_cursor_execute", marker, lambda connection: connection.info.update(marked=True))

    def on_commit(connection: Connection) -> None:
        if connection.info.pop("marked", False):
            act(connection)

    event.listen(Engine, "commit", on_commit)
    event.listen(Engine, "rollback", lambda connection: connection.info.pop("marked", None))


_ARM: dict[CrashPoint, Callable[[Callable[[], None]], None]] = {
    CrashPoint.RELAY_BEFORE_CLAIM: _before_claim,
    CrashPoint.RELAY_AFTER_PUBLISH: _after_publish,
    CrashPoint.RELAY_AFTER_MARK: _after_mark,
    CrashPoint.RELAY_AFTER_COMMIT: _after_relay_commit,
    CrashPoint.CONSUMER_BEFORE_COMMIT: _before_consumer_commit,
    CrashPoint.CONSUMER_AFTER_COMMIT: _after_consumer_commit,
}


def _main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("point", type=CrashPoint, choices=list(CrashPoint))
    arguments.add_argument("nth", type=int)
    given = arguments.parse_args()
    arm(given.point, given.nth)
    sys.argv = ["app", "worker"]
    cli.main()


if __name__ == "__main__":
    _main()
