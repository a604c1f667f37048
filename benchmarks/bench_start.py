"""From nothing to the first answer: how long making a service takes, and starting the whole of it.

    python benchmarks/bench_start.py

Each round makes a service with the default answers in a new folder, installs it (uv's cache is warm after the first
round), starts what `make up` starts, and asks for the API's description until it is answered.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 3
LONGEST_SECONDS = 300
PORTS = (
    "APP_HTTP__PORT",
    "APP_WORKER__PORT",
    "APP_PROBE__PORT",
    "DEV_NATS_PORT",
    "DEV_PAYMENTS_PORT",
    "DEV_ISSUER_PORT",
)


def main() -> None:
    """Run the rounds, print the table, write the JSON."""
    rounds = [one_round() for _ in range(ROUNDS)]
    figures = {name: [each[name] for each in rounds] for name in rounds[0]}
    print(f"{'step':<36}{'median':>8}{'min':>8}{'max':>8}  seconds")
    for name, seconds in figures.items():
        print(f"{name:<36}{statistics.median(seconds):>8.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}")
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / "start.json").write_text(json.dumps(figures, indent=2))


def one_round() -> dict[str, float]:
    """Return the seconds of each step, and of all of them."""
    with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
        begun = time.perf_counter()
        make = [sys.executable, "-m", "cookiecutter", str(HERE.parent), "--no-input", "--default-config"]
        subprocess.run([*make, "--output-dir", folder], check=True, stdout=subprocess.DEVNULL)
        made = time.perf_counter()
        service = Path(folder) / "order-service"
        subprocess.run(["make", "setup"], cwd=service, check=True, stdout=subprocess.DEVNULL)
        installed = time.perf_counter()
        answered = first_answer(service)
    return {
        "make it (cookiecutter)": made - begun,
        "install it (make setup)": installed - made,
        "start it (make up) to first answer": answered - installed,
        "all of it": answered - begun,
    }


def first_answer(service: Path) -> float:
    """Start the system, stop it, and return the time at which its first request was answered."""
    ports = free_ports()
    system = subprocess.Popen(
        [service / ".venv/bin/python", "-m", "dev.up"],
        cwd=service,
        env={**os.environ, **{name: str(port) for name, port in ports.items()}},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_for(f"http://127.0.0.1:{ports['APP_HTTP__PORT']}/openapi.json", system)
        return time.perf_counter()
    finally:
        system.terminate()
        system.wait(LONGEST_SECONDS)


def wait_for(url: str, system: subprocess.Popen[bytes]) -> None:
    """Return when `url` is answered with 200."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + LONGEST_SECONDS
    while time.monotonic() < deadline and system.poll() is None:
        try:
            with direct.open(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    sys.exit(f"no answer from {url}; the system's exit status: {system.poll()}")


def free_ports() -> dict[str, int]:
    """Return a port for each variable, all of them free a moment ago."""
    probes = [socket.socket() for _ in PORTS]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: int(probe.getsockname()[1]) for name, probe in zip(PORTS, probes, strict=True)}
    finally:
        for probe in probes:
            probe.close()


if __name__ == "__main__":
    main()
