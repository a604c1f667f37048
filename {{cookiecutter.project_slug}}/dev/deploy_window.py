"""Runs a deployment, and meanwhile silences the tickets that every deployment causes: `deploy_sensitive` ones.

The silence is a lease: it is renewed as long as the command runs and ends with it, and if nobody renews it any more it
lapses by itself. Pages, and what is not marked, are never silenced. Without Alertmanager the deployment goes on, as it
may be what repairs it.

Exit status: that of the command; 128 and the number of the signal that ended it; 127 if it cannot be started.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from dev.environment import named, service_name
from dev.http_client import NotKnown, ask, read_token
from dev.ops.durations import Duration, seconds

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_USUAL = "30m"
"""A deployment that takes longer is looked at, not silenced, unless it is a canary, which takes its time."""
LONGEST = "90m"
_NOT_STARTED = 127
_HTTP_SECONDS = 5.0


def silence(service: str, ends: datetime) -> dict[str, Any]:
    """Return what is silenced, and until when: nothing else can be said to Alertmanager.

    Raises:
        ValueError: that is no name of a service.
    """
    labels = {"service": named(service), "severity": "ticket", "deploy_sensitive": "true"}
    return {
        "matchers": [{"name": k, "value": v, "isRegex": False, "isEqual": True} for k, v in labels.items()],
        "startsAt": (ends - timedelta(days=1)).isoformat(),  # what lies behind begins now, by Alertmanager's clock
        "endsAt": ends.isoformat(),
        "createdBy": "deploy_window",
        "comment": f"A deployment of {service} is running; this is renewed until it ends.",
    }


class Window:
    """One silence, from before the deployment until after it."""

    def __init__(self, url: str, service: str, *, lease: timedelta, cap: timedelta, token_file: Path | None) -> None:
        self._url = f"{url.rstrip('/')}/api/v2"
        self._service = service
        self._lease = lease
        self._cap_at = datetime.now(UTC) + cap
        self._token_file = token_file
        self._id: str | None = None
        self._ends = datetime.now(UTC)

    def open(self) -> None:
        """Begin to be silent; without Alertmanager, say so."""
        try:
            self._post(silence(self._service, self._next_end()), within=self._lease)
        except (NotKnown, ValidationError) as exc:
            _warn(f"tickets are not silenced, and the deployment goes on: {_line(exc)}")

    def renew(self) -> None:
        """Stay silent for another lease, if nobody has ended that and the cap is not reached."""
        if self._id is None:
            return
        ends = self._next_end()
        if ends <= self._ends:
            if datetime.now(UTC) >= self._cap_at:
                self._forget("the deployment takes long: its tickets are heard again")
            return
        try:
            # Within a third of it: a slow Alertmanager must not let the lease run out.
            kept = _Kept.model_validate_json(self._ask("GET", f"silence/{self._id}", within=self._lease / 3))
            if kept.status.state != "active":
                self._forget("the silence has ended before the deployment: tickets are heard")
                return
            renewed = {**silence(self._service, ends), "id": self._id, "startsAt": kept.startsAt}
            self._post(renewed, within=self._lease / 3)
        except (NotKnown, ValidationError) as exc:
            _warn(f"the silence could not be renewed, and ends at {self._ends:%H:%M:%S} UTC: {_line(exc)}")

    def close(self) -> None:
        """End the silence."""
        if self._id is None:
            return
        try:
            self._ask("DELETE", f"silence/{self._id}", within=self._lease)
        except NotKnown as exc:
            _warn(f"the silence could not be ended, and lapses at {self._ends:%H:%M:%S} UTC: {exc}")

    def _forget(self, why: str) -> None:
        self._id = None
        _warn(why)

    def _next_end(self) -> datetime:
        return min(datetime.now(UTC) + self._lease, self._cap_at)

    def _post(self, wanted: dict[str, Any], *, within: timedelta) -> None:
        self._id = _Created.model_validate_json(self._ask("POST", "silences", wanted, within=within)).silenceID
        self._ends = datetime.fromisoformat(wanted["endsAt"])

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None, *, within: timedelta) -> bytes:
        timeout = min(_HTTP_SECONDS, within.total_seconds())
        token = read_token(self._token_file)
        return ask("Alertmanager", method, f"{self._url}/{path}", timeout_seconds=timeout, token=token, body=body)


class _Created(BaseModel):
    silenceID: str  # noqa: N815 - Alertmanager's word


class _Status(BaseModel):
    state: str


class _Kept(BaseModel):
    status: _Status
    startsAt: str  # noqa: N815 - Alertmanager's word


def run(command: Sequence[str], window: Window, *, every: timedelta) -> int:
    """Run `command` in the window, and return its exit status as a shell would."""
    child: subprocess.Popen[bytes] | None = None
    early: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if child is None:
            early.append(number)
        else:
            _send(child, number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    window.open()
    try:
        # In a session of its own Ctrl-C reaches it once, from here: twice is what makes some tools drop their state.
        child = subprocess.Popen(command, start_new_session=True)
        for missed in early:
            _send(child, missed)
        while True:
            try:
                status = child.wait(every.total_seconds())
            except subprocess.TimeoutExpired:
                window.renew()
            else:
                return status if status >= 0 else 128 - status
    except OSError as exc:
        _warn(f"the command cannot be started: {exc}")
        return _NOT_STARTED
    finally:
        window.close()


def _send(child: subprocess.Popen[bytes], number: int) -> None:
    if child.poll() is None:
        os.killpg(child.pid, number)  # its children too, as a terminal would


def _warn(why: str) -> None:
    print(f"deploy window: {why}", file=sys.stderr, flush=True)


def _line(exc: NotKnown | ValidationError) -> str:
    return str(exc) if isinstance(exc, NotKnown) else "what answered does not speak as Alertmanager does"


def duration(written: str) -> timedelta:
    """Return how long `5m` is."""
    return timedelta(seconds=seconds(TypeAdapter(Duration).validate_python(written)))


def main(words: Sequence[str] | None = None) -> int:
    """Run what stands behind `--`, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m dev.deploy_window", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.usage = "%(prog)s [--alertmanager URL] [--service NAME] [options] -- COMMAND..."
    parser.add_argument(
        "--alertmanager", default=os.environ.get("ALERTMANAGER_URL"), help="address; or ALERTMANAGER_URL"
    )
    parser.add_argument("--token-file", type=Path, help="holds a bearer token for Alertmanager")
    parser.add_argument("--service", default=service_name(), help="label `service` of its alerts; default %(default)s")
    parser.add_argument("--lease", type=duration, default="5m", help="how long it stays silent unrenewed; default 5m")
    parser.add_argument(
        "--cap", type=duration, default=_USUAL, help=f"how long at most; default {_USUAL}, and most {LONGEST}"
    )
    words = sys.argv[1:] if words is None else words
    at = words.index("--") if "--" in words else len(words)
    arguments, command = parser.parse_args(words[:at]), words[at + 1 :]
    if not command:
        parser.error("say what to run, after --")
    if not arguments.alertmanager:
        parser.error("where is Alertmanager? Say it with --alertmanager or in ALERTMANAGER_URL")
    if not arguments.lease <= min(arguments.cap, duration(_USUAL)):
        parser.error(f"a lease is no longer than the cap, nor than {_USUAL}")
    if arguments.cap > duration(LONGEST):
        parser.error(f"the cap is no longer than {LONGEST}")
    try:
        silence(arguments.service, datetime.now(UTC))
    except ValueError as exc:
        parser.error(str(exc))
    window = Window(
        arguments.alertmanager,
        arguments.service,
        lease=arguments.lease,
        cap=arguments.cap,
        token_file=arguments.token_file,
    )
    return run(command, window, every=arguments.lease / 3)


if __name__ == "__main__":
    sys.exit(main())
