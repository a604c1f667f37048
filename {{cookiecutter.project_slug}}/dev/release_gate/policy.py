"""ops/release-policy.yaml, read and checked against the service levels."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from dev.environment import ROOT
from dev.ops.durations import Duration
from dev.ops.lines import Document, Place
from dev.ops.parts import Name, Part, Sentence
from dev.ops.rules import windows
from dev.ops.slos import Slos

SOURCE = ROOT / "ops" / "release-policy.yaml"
Percent = Annotated[float, Field(ge=0, lt=100)]


class Freeze(Part):
    """What stops a release."""

    percent_left: Percent
    burn: dict[Duration, Annotated[float, Field(gt=0)]] = Field(min_length=1)


class Caution(Part):
    """What is said of a release that is allowed."""

    percent_left: Percent


class Policy(Part):
    """When a release may go out."""

    freeze: Freeze
    caution: Caution
    exceptions: dict[Name, Sentence]
    may_be_idle: dict[Name, Sentence]
    stale_after: Duration


def read(levels: Slos, document: Document | None = None) -> Policy:
    """Return the policy.

    Raises:
        BadSource: with the line and the reason of each mistake.
    """
    return (document or Document(SOURCE)).read(Policy, lambda policy: _mistakes(policy, levels))


def _mistakes(policy: Policy, levels: Slos) -> Iterator[tuple[Place, str]]:
    recorded = windows(levels)
    for window in policy.freeze.burn:
        if window not in recorded:
            yield ("freeze", "burn", window), f"{window} is not recorded; these windows are: {', '.join(recorded)}"
    for name in policy.may_be_idle:
        if name not in levels.slos:
            yield ("may_be_idle", name), f"{name} is no service level of ops/slo.yaml"
    if policy.caution.percent_left <= policy.freeze.percent_left:
        yield ("caution", "percent_left"), f"it must be above what freezes, which is {policy.freeze.percent_left:g}"
