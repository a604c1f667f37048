"""Alertmanager's own configuration, delivering to a sink of this machine, and faster."""

import re
from pathlib import Path
from typing import Any

import yaml

from dev.ops.durations import written
from dev.ops.generated import FOLDER
from dev.ops.routing import OUTPUT

_SECRETS = "/etc/alertmanager/secrets/"
_WAITS = ("group_wait", "group_interval", "repeat_interval")
_ALWAYS = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
PAGE = "pagerduty pagerduty-routing-key"
SECURITY = "pagerduty pagerduty-security-routing-key"
INCIDENTS, TICKETS, ELSEWHERE, UNROUTED = (
    "slack #incidents",
    "slack #tickets",
    "slack #non-production",
    "slack #unrouted",
)
HEARTBEAT = "heartbeat"


def delivering_to(
    sink_url: str, secrets: Path, *, scale: float = 1.0, always: bool = True, text: str | None = None
) -> dict[str, Any]:
    """Return the configuration, with credentials in `secrets`, whose names they also are.

    Every wait is multiplied by `scale`. With `always`, office hours do not end: a proof on a Sunday proves the same.
    """
    text = (FOLDER / OUTPUT).read_text() if text is None else text
    secrets.mkdir(parents=True, exist_ok=True)
    for name in re.findall(f"{_SECRETS}([a-z-]+)", text):
        (secrets / name).write_text(f"{sink_url}/slack" if name.startswith("slack") else name)
    config: dict[str, Any] = yaml.safe_load(text.replace(_SECRETS, f"{secrets}/"))
    config["global"]["pagerduty_url"] = f"{sink_url}/v2/enqueue"
    for receiver in config["receivers"]:
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = f"{sink_url}/beats"
    for route in (config["route"], *config["route"]["routes"]):
        for wait in _WAITS:
            if wait in route:
                route[wait] = _scaled(route[wait], scale)
    if always:
        for interval in config["time_intervals"]:
            interval["time_intervals"] = _ALWAYS if interval["name"] == "office-hours" else []
        _without_muting(config)
    return config


def _without_muting(config: dict[str, Any]) -> None:
    for route in config["route"]["routes"]:
        route.pop("mute_time_intervals", None)
    config["time_intervals"] = [each for each in config["time_intervals"] if each["time_intervals"]]


def _scaled(duration: str, scale: float) -> str:
    found = re.fullmatch(r"(\d+)([smhd])", duration)
    assert found, duration
    seconds = int(found[1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[found[2]] * scale
    return written(max(seconds, 0.1) if seconds else 0)
