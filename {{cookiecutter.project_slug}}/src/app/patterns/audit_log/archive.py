"""What an exported object looks like: for each segment its seal, then its entries, a line each.

An object is named by the tenant and its first segment, so that whoever reads knows where the next one is:
    acme/000000000001.ndjson           segments 1 to 7
    acme/000000000001.checkpoint.json  what segment 7 stands for
    acme/000000000008.ndjson           segments 8 to ...
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import orjson

from .segments import Seal


@dataclass(frozen=True, slots=True)
class Segment:
    """A seal, and the lines that are said to be its entries."""

    seal: Seal
    lines: list[bytes] = field(default_factory=list)


def folder(tenant: str) -> str:
    """Return where a tenant's objects are; dots are quoted too, for `..` is somewhere else."""
    return f"{quote(tenant, safe='').replace('.', '%2E')}/"


def tenant_of(name: str) -> str:
    """Return whose object this is, by its name."""
    return unquote(name.partition("/")[0])


def object_name(tenant: str, first: int) -> str:
    """Return the name of the object that begins with segment `first`."""
    return f"{folder(tenant)}{first:012}.ndjson"


def checkpoint_name(tenant: str, first: int) -> str:
    """Return the name of the checkpoint at the end of that object."""
    return f"{folder(tenant)}{first:012}.checkpoint.json"


def render(segments: Iterable[Segment]) -> bytes:
    """Return the object that holds `segments`."""
    lines: list[bytes] = []
    for segment in segments:
        lines += [orjson.dumps({"seal": segment.seal.to_json()}), *segment.lines]
    return b"\n".join(lines) + b"\n"


def parse(body: bytes) -> tuple[Sequence[Segment], int | None]:
    """Return the segments of an object, and the number of the first line that cannot be read.

    Whether they are whole, their seals tell.
    """
    segments: list[Segment] = []
    for number, line in enumerate(body.splitlines(), 1):
        try:
            if line.startswith(b'{"seal":'):
                segments.append(Segment(Seal.from_json(orjson.loads(line)["seal"])))
            else:
                segments[-1].lines.append(line)
        except (LookupError, TypeError, ValueError):
            return segments, number
    return segments, None if segments else 1
