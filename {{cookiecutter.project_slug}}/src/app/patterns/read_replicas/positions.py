"""Places in PostgreSQL's write-ahead log (LSN), and when the primary was there.

How late a replica is cannot be asked of it: the time of the last transaction that it has replayed grows on an idle
primary, and a replica that is cut off believes to be up to date. So the primary's position is noted each time one
looks; a replica is as late as the first note that is beyond it.
"""

from collections import deque

_KEPT_SECONDS = 600.0  # later than that is late enough


class Log:
    """Where the primary was, and when."""

    def __init__(self) -> None:
        self._notes: deque[tuple[float, int]] = deque()

    def note(self, position: int, at: float) -> None:
        """Note that the primary had reached `position` at this monotonic time."""
        if not self._notes or position > self._notes[-1][1]:
            self._notes.append((at, position))
        while len(self._notes) > 1 and at - self._notes[0][0] > _KEPT_SECONDS:
            self._notes.popleft()

    def lag_seconds(self, replayed: int, now: float) -> float:
        """Return for how long the primary has been known to be beyond `replayed`; 0 when it is not."""
        return next((now - at for at, position in self._notes if position > replayed), 0.0)
