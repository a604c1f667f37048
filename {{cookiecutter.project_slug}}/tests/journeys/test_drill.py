"""The drill of `make drill`, small."""

from pathlib import Path

from dev.drill.plan import draw
from dev.drill.run import drill
from dev.drill.seats import POWER_CUT


async def test_every_event_is_in_effect_once_though_workers_die_and_servers_restart(tmp_path: Path) -> None:
    """Each crash point and each kind of restart during 150 orders: nothing is missing, doubled or out of order."""
    plan = draw(orders=150, per_second=10, seed=20, rounds=1, workers=2)

    result = await drill(plan, tmp_path)

    assert result.verdict.clean, result
    assert result.passed, result
    assert result.deaths.total() - result.deaths[POWER_CUT] == 12
    assert result.restarts.total() == 6
    assert result.kills >= 18
    assert result.verdict.in_effect >= plan.orders
