"""The judge: compares what is in the database with what must be there. Knows nothing of how the service works."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dev.drill.load import NO_ANSWER, Promise

_MUST_TELL: Mapping[str, tuple[str, ...]] = {
    "placed": ("order.placed",),
    "cancelled": ("order.placed", "order.cancelled"),
    "refused": ("order.refused",),
}
"""What an order's history must say, by its final state; an order in any other state is unfinished."""

_STATES_AFTER: Mapping[str, frozenset[str]] = {
    "201": frozenset({"placed"}),
    "202": frozenset({"placed", "refused"}),
    "402": frozenset({"refused"}),
}
"""The states an order may be in, by the answer to its request, unless its customer has cancelled it."""

_HONEST_ANSWERS = frozenset(
    {
        *(f"place {answer}" for answer in ("201", "202", "402", "503", NO_ANSWER)),
        *(f"cancel {answer}" for answer in ("200", "409", "503", NO_ANSWER)),
    }
)


@dataclass(frozen=True, slots=True)
class OrderFound:
    """One order in the database: its state, and the events that have taken effect, as (position, type)."""

    sku: str
    state: str
    history: tuple[tuple[int, str], ...]


@dataclass(slots=True)
class Verdict:
    """How many of everything; all fields after `in_effect` must be zero or empty."""

    states: Counter[str] = field(default_factory=Counter)
    expected: int = 0
    in_effect: int = 0
    missing: int = 0
    doubled: int = 0
    out_of_order: int = 0
    unfinished: int = 0
    promises_broken: list[str] = field(default_factory=list)
    answers_unexpected: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        wrong = (self.missing, self.doubled, self.out_of_order, self.unfinished)
        return not any(wrong) and not self.promises_broken and not self.answers_unexpected


def judge(found: Sequence[OrderFound], promises: Sequence[Promise], answers: Mapping[str, int]) -> Verdict:
    """Return the verdict on a drill."""
    verdict = Verdict(answers_unexpected=sorted(set(answers) - _HONEST_ANSWERS))
    for order in found:
        _judge_history(order, verdict)
    by_sku: dict[str, list[OrderFound]] = {}
    for order in found:
        by_sku.setdefault(order.sku, []).append(order)
    for promise in promises:
        if complaint := _complaint(promise, by_sku.get(promise.sku, [])):
            verdict.promises_broken.append(f"{promise.sku}: {complaint}")
    return verdict


def _judge_history(order: OrderFound, verdict: Verdict) -> None:
    must = _MUST_TELL.get(order.state, ())
    told = [type_ for _, type_ in order.history]
    missing, doubled = Counter(must) - Counter(told), Counter(told) - Counter(must)
    verdict.states[order.state] += 1
    verdict.unfinished += order.state not in _MUST_TELL
    verdict.expected += len(must)
    verdict.in_effect += len(told)
    verdict.missing += missing.total()
    verdict.doubled += doubled.total()
    in_order = [event for event in must if event in told] == list(dict.fromkeys(told))
    numbered = [position for position, _ in order.history] == list(range(1, len(told) + 1))
    verdict.out_of_order += not (in_order and numbered)


def _complaint(promise: Promise, orders: Sequence[OrderFound]) -> str | None:
    """Return what the customer could rightly complain about."""
    if len(orders) > 1:
        return f"{len(orders)} orders from one request"
    if promise.answer not in _STATES_AFTER:
        return None  # nothing was promised
    if not orders:
        return f"answered {promise.answer}, and there is no order"
    may_be = _STATES_AFTER[promise.answer]
    if promise.cancel_confirmed:
        may_be = frozenset({"cancelled"})
    elif promise.cancel_asked:
        may_be |= {"cancelled"}
    state = orders[0].state
    return None if state in may_be else f"answered {promise.answer}, cancel {promise.cancel_confirmed}, but is {state}"
