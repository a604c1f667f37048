"""The few shapes that a picture of a dashboard consists of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Box:
    """A place in the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Where it ends."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Where it ends below."""
        return self.y + self.height

    def inset(self, gap: float) -> "Box":
        """Return it, smaller by a gap on each side."""
        return Box(self.x + gap, self.y + gap, self.width - 2 * gap, self.height - 2 * gap)


def svg(width: float, height: float, parts: Iterable[str]) -> str:
    """Return a picture."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" font-family="sans-serif">'
    ground = f'<rect width="{width:g}" height="{height:g}" fill="#f0f2f5"/>'
    return "\n".join([head, ground, *parts, "</svg>\n"])


def box(where: Box, fill: str) -> str:
    """Return a box with a fine border."""
    return (
        f'<rect x="{where.x:.1f}" y="{where.y:.1f}" width="{where.width:.1f}" height="{where.height:.1f}"'
        f' fill="{fill}" stroke="#d5dae1"/>'
    )


def rectangle(where: Box, fill: str) -> str:
    """Return a box without one."""
    return (
        f'<rect x="{where.x:.1f}" y="{where.y:.1f}" width="{where.width:.1f}" height="{where.height:.1f}"'
        f' fill="{fill}"/>'
    )


def text(x: float, y: float, said: str, *, size: int, colour: str, bold: bool = False) -> str:
    """Return a line of text that begins there."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}"{weight}>{escape(said)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, *, dashed: bool = False) -> str:
    """Return a straight line."""
    dashes = ' stroke-dasharray="6 4"' if dashed else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashes}/>'


def points(places: Sequence[tuple[float, float]], colour: str) -> str:
    """Return a line through all of them; a single one is a dot."""
    if len(places) == 1:
        ((x, y),) = places
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{colour}"/>'
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
