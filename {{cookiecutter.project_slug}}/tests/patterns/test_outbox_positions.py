"""patterns/outbox/positions.py: how far a relay may skip."""

from app.patterns.outbox.positions import LanePositions


def test_the_floor_rises_when_all_older_transactions_have_ended() -> None:
    """What was read in one pass is skipped once a later pass has seen everybody of that time finish."""
    positions = LanePositions()

    positions.passed(3, last_id=10, xmin=100, own=105)
    assert positions.floors()[3] == 0
    positions.passed(3, last_id=20, xmin=110, own=110)

    assert positions.floors()[3] == 10


def test_the_floor_stays_while_an_older_transaction_runs() -> None:
    """A slow writer may still commit a lower id, so nothing is skipped, however many passes go by."""
    positions = LanePositions()

    positions.passed(3, last_id=10, xmin=100, own=105)
    positions.passed(3, last_id=20, xmin=104, own=120)
    positions.passed(3, last_id=30, xmin=104, own=130)

    assert positions.floors()[3] == 0


def test_the_floor_never_passes_a_row_that_was_kept() -> None:
    """An event that waits for another try is read again, and so are all behind it."""
    positions = LanePositions()

    positions.passed(3, last_id=10, xmin=100, own=105)
    positions.kept(3, 7)
    positions.passed(3, last_id=20, xmin=120, own=120)
    positions.kept(3, 7)
    positions.passed(3, last_id=30, xmin=140, own=140)

    assert positions.floors()[3] == 6


def test_the_floor_never_passes_what_the_pass_could_not_read() -> None:
    """When more latecomers appear than one pass takes, the rest of them is still ahead."""
    positions = LanePositions()

    positions.passed(3, last_id=100, xmin=100, own=105)
    positions.passed(3, last_id=64, xmin=110, own=110)

    assert positions.floors()[3] == 64


def test_lanes_move_independently() -> None:
    """A lane without traffic keeps its floor."""
    positions = LanePositions()

    positions.passed(0, last_id=10, xmin=100, own=105)
    positions.passed(0, last_id=12, xmin=205, own=205)

    assert positions.floors()[:2] == [10, 0]


def test_an_older_transaction_that_ends_later_lets_the_floor_rise_then() -> None:
    """The barrier stays where the first pass after the read has put it: later passes need not wait for more."""
    positions = LanePositions()

    positions.passed(3, last_id=10, xmin=100, own=105)
    positions.passed(3, last_id=20, xmin=104, own=120)
    positions.passed(3, last_id=30, xmin=120, own=130)

    assert positions.floors()[3] == 10
