"""How the walk looks in a terminal: 100 columns, a label on the left, what was seen on the right."""

import json
import re
from collections.abc import Mapping, Sequence

from dev.console import Console
from dev.otlp_receiver import ReceivedSpan

WIDTH = 100
_LABEL = 12
_BODY = WIDTH - _LABEL
_NAME, _BAR = 40, 24
_BOLD, _DIM, _CYAN, _YELLOW = "1", "2", "36", "33"


class Screen:
    """Prints one step after the other. The ids of the request in hand are marked wherever they turn up."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._marks: list[str] = []

    def headline(self, number: str, title: str) -> None:
        """Begin a step."""
        self._marks = []
        self._console.show(f"\n{self._in(_DIM, number)}  {self._in(_BOLD, title)}\n{self._in(_DIM, '-' * WIDTH)}")

    def mark(self, *ids: str) -> None:
        """Mark these ids from now on, until the next step."""
        self._marks += ids

    def text(self, label: str, text: str) -> None:
        """Show prose, or a line as somebody wrote it."""
        self._rows(label, [row for line in text.splitlines() for row in _wrapped(line, _BODY)])

    def data(self, label: str, heading: str, document: Mapping[str, object] | None = None) -> None:
        """Show a heading, and below it a document as JSON."""
        body = [] if document is None else _wrapped(json.dumps(document, ensure_ascii=False), _BODY)
        self._rows(label, [*(_wrapped(heading, _BODY) if heading else []), *body])

    def trace(self, spans: Sequence[ReceivedSpan]) -> None:
        """Show one trace as a tree on a time line."""
        begin, end = min(span.began_ns for span in spans), max(span.ended_ns for span in spans)
        rows = [f"{spans[0].trace_id}   {_ms(end - begin)} from begin to end"]
        for indent, span in _tree(spans):
            name = f"{indent}{span.name}"[:_NAME]
            bar = _bar(span, begin, max(end - begin, 1))
            rows.append(f"{name:<{_NAME}} {span.kind.lower():<9}{_ms(span.ended_ns - span.began_ns):>10}  |{bar}|")
        self._rows("trace", rows)

    def close(self, text: str) -> None:
        """End the walk."""
        self._console.show(f"\n{self._in(_BOLD, text)}")

    def _rows(self, label: str, rows: Sequence[str]) -> None:
        shown = [self._marked(row) for row in rows]
        first = f"{self._in(_CYAN, f'{label:<{_LABEL}}')}{shown[0]}"
        self._console.show("\n".join([first, *(f"{'':<{_LABEL}}{row}" for row in shown[1:])]))

    def _marked(self, row: str) -> str:
        for marked in self._marks:
            row = row.replace(marked, self._in(_YELLOW, marked))
        return row

    def _in(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._console.coloured else text


def _wrapped(line: str, width: int) -> list[str]:
    """Break JSON after a comma, everything else also after a space; what is longer than a row is cut."""
    rows = [""]
    for word in re.findall(r"[^,]*, ?|[^,]+" if line.startswith("{") else r"[^ ,]*[ ,]+|[^ ,]+", line):
        if len(rows[-1]) + len(word.rstrip()) > width and rows[-1]:
            rows.append("")
        rest = word
        while len(rest.rstrip()) > width:
            rows[-1], rest = rest[:width], rest[width:]
            rows.append("")
        rows[-1] += rest
    return [row.rstrip() for row in rows]


def _tree(spans: Sequence[ReceivedSpan]) -> list[tuple[str, ReceivedSpan]]:
    known = {span.span_id for span in spans}

    def below(parent: str | None, indent: str) -> list[tuple[str, ReceivedSpan]]:
        children = [span for span in spans if (span.parent_id == parent if parent else span.parent_id not in known)]
        rows = []
        for number, span in enumerate(sorted(children, key=lambda child: child.began_ns), 1):
            last = number == len(children)
            branch = "" if parent is None else ("└─ " if last else "├─ ")
            deeper = "" if parent is None else ("   " if last else "│  ")
            rows += [(indent + branch, span), *below(span.span_id, indent + deeper)]
        return rows

    return below(None, "")


def _bar(span: ReceivedSpan, begin: int, whole: int) -> str:
    first = min(_BAR - 1, (span.began_ns - begin) * _BAR // whole)
    length = max(1, min(_BAR - first, round((span.ended_ns - span.began_ns) * _BAR / whole)))
    return f"{' ' * first}{'=' * length:<{_BAR - first}}"


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f} ms"
