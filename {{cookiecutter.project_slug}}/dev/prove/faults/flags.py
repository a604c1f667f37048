"""The flag server."""

import asyncio

from dev.prove.data_lane import data
from dev.prove.fault import fault
from dev.prove.lane import Lane


async def _the_flag_server_is_started(lane: Lane) -> None:
    data(lane).start_flags()
    await asyncio.sleep(0)


@fault("FeatureFlagsStale", "data", severity="ticket", heal=_the_flag_server_is_started)
async def the_flag_server_is_killed(lane: Lane) -> None:
    """The flag server is killed with SIGKILL; it stands in for Unleash, which is too large for this."""
    flags = data(lane).flags
    assert flags
    await asyncio.to_thread(flags.kill)
