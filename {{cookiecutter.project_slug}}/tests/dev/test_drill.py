"""The drill's judge: each way in which a drill can go wrong is seen."""

import pytest

from dev.drill.load import NO_ANSWER, Promise
from dev.drill.plan import Restart, WorkerDeath, draw
from dev.drill.verdict import OrderFound, Verdict, judge

PLACED, CANCELLED = "order.placed", "order.cancelled"


def verdict_on(state: str, *history: tuple[int, str]) -> Verdict:
    """Return the verdict on one order whose customer got no answer."""
    return judge([OrderFound("a", state, history)], [Promise("a")], {})


@pytest.mark.parametrize(
    ("state", "history"),
    [
        ("placed", [(1, PLACED)]),
        ("refused", [(1, "order.refused")]),
        ("cancelled", [(1, PLACED), (2, CANCELLED)]),
    ],
)
def test_a_history_that_tells_each_event_once_and_in_order_is_clean(state: str, history: list[tuple[int, str]]) -> None:
    """Nothing is held against an order whose history is complete."""
    verdict = verdict_on(state, *history)

    assert verdict.clean
    assert verdict.expected == verdict.in_effect == len(history)


@pytest.mark.parametrize(
    ("history", "counts"),
    [
        pytest.param([(1, PLACED)], (1, 0, 0), id="the last event is missing"),
        pytest.param([(1, CANCELLED)], (1, 0, 0), id="the first event is missing"),
        pytest.param([], (2, 0, 0), id="all are missing"),
        pytest.param([(1, PLACED), (2, PLACED), (3, CANCELLED)], (0, 1, 0), id="one is there twice"),
        pytest.param([(1, CANCELLED), (2, PLACED)], (0, 0, 1), id="one has overtaken the other"),
        pytest.param([(1, PLACED), (3, CANCELLED)], (0, 0, 1), id="a position was skipped"),
    ],
)
def test_a_wrong_history_of_a_cancelled_order_is_counted(
    history: list[tuple[int, str]], counts: tuple[int, int, int]
) -> None:
    """Events that are missing, doubled, or out of order are counted as what they are."""
    verdict = verdict_on("cancelled", *history)

    assert (verdict.missing, verdict.doubled, verdict.out_of_order) == counts
    assert not verdict.clean


def test_an_order_that_stays_pending_is_unfinished() -> None:
    """An order that nobody settled is not clean, although it has no event to miss."""
    verdict = verdict_on("pending")

    assert verdict.unfinished == 1
    assert not verdict.clean


@pytest.mark.parametrize(
    ("promise", "state"),
    [
        pytest.param(Promise("a", "201"), "refused", id="accepted and refused"),
        pytest.param(Promise("a", "201"), "cancelled", id="cancelled by nobody"),
        pytest.param(Promise("a", "402"), "placed", id="refused and placed"),
        pytest.param(Promise("a", "201", cancel_asked=True, cancel_confirmed=True), "placed", id="cancel forgotten"),
        pytest.param(Promise("another", "202"), "placed", id="no such order"),
    ],
)
def test_an_answer_that_the_database_does_not_keep_is_a_broken_promise(promise: Promise, state: str) -> None:
    """What a customer was told must be so."""
    history = tuple((number, type_) for number, type_ in enumerate([PLACED, CANCELLED], 1))

    verdict = judge([OrderFound("a", state, history)], [promise], {})

    assert len(verdict.promises_broken) == 1
    assert not verdict.clean


def test_two_orders_from_one_request_are_a_broken_promise() -> None:
    """One request without an answer may have made one order or none, but not two."""
    order = OrderFound("a", "placed", ((1, PLACED),))

    assert judge([order, order], [Promise("a", NO_ANSWER)], {}).promises_broken == ["a: 2 orders from one request"]


def test_an_answer_that_nobody_may_give_is_held_against_the_service() -> None:
    """A 503 while a server restarts is honest, a 500 is not."""
    verdict = judge([], [], {"place 503": 3, "place 500": 1})

    assert verdict.answers_unexpected == ["place 500"]
    assert not verdict.clean


def test_a_plan_is_the_same_for_the_same_seed_and_holds_every_fault() -> None:
    """A drill can be repeated, and no seed leaves a kind of fault out."""
    plan = draw(orders=100, per_second=1, seed=7, rounds=2, workers=2)

    assert plan == draw(orders=100, per_second=1, seed=7, rounds=2, workers=2)
    assert plan != draw(orders=100, per_second=1, seed=8, rounds=2, workers=2)
    assert {fault.what for fault in plan.faults if isinstance(fault.what, Restart)} == set(Restart)
    assert sum(isinstance(fault.what, WorkerDeath) for fault in plan.faults) == 12
    assert sum(isinstance(fault.what, Restart) for fault in plan.faults) == 12
    assert sorted(fault.after_orders for fault in plan.faults) == [fault.after_orders for fault in plan.faults]
