"""A real Prometheus and a real Alertmanager, each with its data in a folder, without Docker."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from dev.guardian import Guardian
from dev.ops.tools import beside, find
from dev.ports import free_port
from dev.process import Process, StartFailed

_START_SECONDS = 20.0
_LOOK_SECONDS = 0.05


class _Server:
    """One of Prometheus's programs; the port stays the same across restarts."""

    ready_path = "/-/ready"

    def __init__(self, name: str, program: str, folder: Path, flags: Sequence[str]) -> None:
        self.port = free_port()
        self._name = name
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / f"{name.lower()}.log"
        path = find(program)
        usr = folder / "usr"
        if (share := beside(path)) and not usr.exists():
            usr.symlink_to(share)

        def write(line: str) -> None:
            with log.open("a") as file:
                file.write(f"{line}\n")

        listen = f"--web.listen-address=127.0.0.1:{self.port}"
        self.process = Process(name, [path, listen, *flags], cwd=folder, on_line=write)
        self._client = httpx.Client()
        self._guardian: Guardian | None = None

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, and return when it is ready.

        Raises:
            StartFailed: with its own reason.
        """
        self._client.close()
        self._client = httpx.Client(base_url=self.url, timeout=10)  # one for all: to make one takes 20 ms
        if self._guardian:
            self._guardian.dismiss()  # of the one before, which is gone
        self._guardian = Guardian()  # an owner that is killed itself leaves nothing running
        self.process.start()
        self._guardian.look_after(self.process.pid)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.running:
            try:
                if self._client.get(self.ready_path, timeout=2).is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(_LOOK_SECONDS)
        self.process.kill()
        self.stop()  # the guardian, too, must forget a number that others will be given
        raise StartFailed(f"{self._name} does not start: {' '.join(self.process.last_lines[-2:]) or 'it said nothing'}")

    def stop(self) -> None:
        """Shut down cleanly."""
        self._client.close()
        self.process.stop()
        if self._guardian:
            self._guardian.dismiss()
            self._guardian = None


class Prometheus(_Server):
    """Scrapes and evaluates what `config` says, which may be the content of a prometheus.yml."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Nothing starts here."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
        # Otherwise an alert that was not taken at once is sent again a minute later.
        flags = ["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb", "--rules.alert.resend-delay=1s"]
        super().__init__("Prometheus", "prometheus", folder, [*flags, "--enable-feature=exemplar-storage"])

    def query(self, expression: str) -> list["Row"]:
        """Return what an instant query finds now.

        Raises:
            httpx.HTTPError: it did not answer, or took the expression for a mistake.
        """
        answer = self._client.get("/api/v1/query", params={"query": expression})
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise httpx.HTTPStatusError(str(answer.json()["error"]), request=answer.request, response=answer)
        data = answer.raise_for_status().json()["data"]
        if data["resultType"] == "scalar":
            return [Row({}, float(data["result"][1]))]
        return [Row(row["metric"], float(row["value"][1])) for row in data["result"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Return what is pending or firing."""
        answer = self._client.get("/api/v1/alerts").raise_for_status()
        return list(answer.json()["data"]["alerts"])


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer."""

    labels: Mapping[str, str]
    value: float


class Alertmanager(_Server):
    """Routes what it is told as `config` says, which may be the content of an alertmanager.yml."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Nothing starts here."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(config), sort_keys=False))
        flags = [
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            "--cluster.listen-address=",
            "--log.level=debug",
        ]
        super().__init__("Alertmanager", "prometheus-alertmanager", folder, flags)

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Tell it of alerts, as Prometheus would."""
        self._client.post("/api/v2/alerts", json=list(alerts)).raise_for_status()

    def alerts(self) -> list[dict[str, Any]]:
        """Return what it knows, with the status of each: active, or suppressed by what."""
        return list(self._client.get("/api/v2/alerts").raise_for_status().json())


class Blackbox(_Server):
    """A real blackbox_exporter, which asks as `modules`, a file, says."""

    ready_path = "/-/healthy"

    def __init__(self, folder: Path, modules: Path) -> None:
        """Nothing starts here."""
        super().__init__(
            "blackbox", "prometheus-blackbox-exporter", folder, [f"--config.file={modules}", "--timeout-offset=0.05"]
        )
