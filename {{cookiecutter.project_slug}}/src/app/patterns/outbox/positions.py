"""Where in each lane to start reading.

A relay deletes what it has published, but PostgreSQL keeps deleted rows until vacuum may remove them, which is not
while any old snapshot lives. Reading each lane from its beginning would walk over all of them again and again: 400 ms
a claim after 300 000 events. So a relay remembers, per lane, a floor: an id below which nothing can ever appear again.

Ids alone do not tell. A slow transaction may commit an id below those already published, and skipping it, even for a
moment, would let a later event of the same aggregate overtake it. The transaction ids do tell: whoever took an id
smaller than a pass's `last_id` had its transaction id before that pass read, so it is below any that is given out
afterwards, such as the next pass's own. Once a snapshot's xmin has reached that one, the barrier, all of them have
ended; what they committed was visible to the pass of that snapshot, and the floor may rise to `last_id`.

The xmax of the first pass's snapshot would not do: it is one above the last transaction that has *ended*, and one that
still runs may be above it.
"""

from dataclasses import dataclass

from .models import LANES


@dataclass(slots=True)
class _Checkpoint:
    last_id: int
    barrier: int | None = None
    """A transaction id that was given out after the read."""


class LanePositions:
    """The floor of each lane, kept in memory: a new relay starts at 0 and pays for one slow read."""

    def __init__(self) -> None:
        self._floors = [0] * LANES
        self._checkpoints: dict[int, _Checkpoint] = {}

    def floors(self) -> list[int]:
        """Return, for lane 0, 1, 2, ..., the id after which to read."""
        return list(self._floors)

    def passed(self, lane: int, *, last_id: int, xmin: int, own: int) -> None:
        """Note that transaction `own` has read the lane from its floor to `last_id`, in a snapshot with this xmin."""
        checkpoint = self._checkpoints.get(lane)
        if checkpoint is not None:
            if checkpoint.barrier is None:
                checkpoint.barrier = own
            if xmin < checkpoint.barrier:
                return
            # Not beyond what this pass has read: latecomers may have been more than it could take.
            self._floors[lane] = max(self._floors[lane], min(checkpoint.last_id, last_id))
        self._checkpoints[lane] = _Checkpoint(last_id)

    def kept(self, lane: int, first_id: int) -> None:
        """Note that row `first_id` stays in the table for another try: the floor must not pass it."""
        self._floors[lane] = min(self._floors[lane], first_id - 1)
        if checkpoint := self._checkpoints.get(lane):
            checkpoint.last_id = min(checkpoint.last_id, first_id - 1)
