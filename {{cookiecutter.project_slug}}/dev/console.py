"""What `make up` says: one stream of lines, each with the name of who said it."""

import os
import sys
import threading
from collections.abc import Callable

_COLOURS = (36, 33, 35, 32, 34, 31)  # cyan, yellow, magenta, green, blue, red
_NAME_WIDTH = 8


class Console:
    """Standard output, shared by the threads that listen to the children."""

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._colours: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def coloured(self) -> bool:
        """Whether a person looks at a terminal that shows colours."""
        return self._coloured

    def say(self, text: str, *, name: str = "up") -> None:
        """Print `text`, every line of it behind `name`."""
        with self._lock:
            for line in text.splitlines():
                print(f"{self._prefix(name)} {line}", flush=True)

    def show(self, text: str) -> None:
        """Print `text` as it is, so that commands in it can be copied."""
        with self._lock:
            print(text, flush=True)

    def listener(self, name: str, *, hide: tuple[str, ...] = ()) -> Callable[[str], None]:
        """Return what prints the lines of one child, except those that hold one of the words in `hide`."""

        def listen(line: str) -> None:
            if not any(word in line for word in hide):
                self.say(line, name=name)

        return listen

    def _prefix(self, name: str) -> str:
        padded = f"{name:<{_NAME_WIDTH}} |"
        if not self._coloured:
            return padded
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        return f"\x1b[{colour}m{padded}\x1b[0m"
