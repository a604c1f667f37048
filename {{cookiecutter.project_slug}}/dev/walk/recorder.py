"""What the children of the walk say: kept for its steps to look into, printed once the walk is over."""

from collections import defaultdict

from dev.console import Console


class Recorder(Console):
    """A console that listens in silence, except to the supervisor."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[str, list[str]] = defaultdict(list)
        """By the name of the child."""
        self.live = False
        """Whether lines are printed as they come."""

    def say(self, text: str, *, name: str = "up") -> None:
        """Keep `text`, and print it if somebody wants to read it now."""
        self.lines[name] += text.splitlines()
        if name == "up" or self.live:
            super().say(text, name=name)
