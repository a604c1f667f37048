"""Values inside files that people write: `threshold_ms: 500 # policy: sampling.slow_seconds x 1000`."""

import re
from decimal import Decimal

from app.telemetry_policy import Policy

_MARK = re.compile(
    r"""^(?P<before>[^#\n]*[:=][ ]*) (?P<number>[\d.]+) (?P<unit>[a-z]*)
         (?P<mark>[ ]*[#][ ]policy:[ ](?P<key>[\w.]+) (?:[ ]x[ ](?P<factor>\d+))?)$""",
    re.MULTILINE | re.VERBOSE,
)
_BLOCK = re.compile(r"(<!-- (?:policy|ops): (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_values(text: str, policy: Policy) -> str:
    """Return `text` with the policy's value on each marked line; its unit and the rest of the line stay."""

    def replaced(found: re.Match[str]) -> str:
        return f"{found['before']}{_value(policy, found['key'], found['factor'])}{found['unit']}{found['mark']}"

    return _MARK.sub(replaced, text)


def with_blocks(text: str, blocks: dict[str, str]) -> str:
    """Return a Markdown `text` with each block between `<!-- policy: name -->` (or `ops`) and `<!-- end -->` new."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n{found[3]}", text)


def keys(text: str) -> set[str]:
    """Return the keys of the policy that the marked lines of `text` name."""
    return {found["key"] for found in _MARK.finditer(text)}


def _value(policy: Policy, key: str, factor: str | None) -> str:
    value: object = policy
    for name in key.split("."):
        value = getattr(value, name)
    # Decimal: 0.07 x 100 is 7, and not 7.000000000000001.
    return f"{(Decimal(str(value)) * Decimal(factor or 1)).normalize():f}"
