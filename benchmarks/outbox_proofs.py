"""What a run has proven: the figures against their targets, and the known mistakes against theirs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """One claim, measured. Without a control there is nothing that could pass by mistake."""

    name: str
    target: str
    measured: object
    met: bool
    control: str | None = None
    control_measured: object = None
    failed_as_known: bool | None = None
    counts: bool = False
    """Whether it counts things, which must be right on any machine, or measures time."""

    @property
    def holds(self) -> bool:
        """Whether the target is met, and the control is not."""
        return self.met and self.failed_as_known is not False


def verdict(proofs: Sequence[Proof]) -> list[dict[str, object]]:
    """Print the proofs and return them as data."""
    print(f"\n{'proof':<58}{'measured':>22}   target")
    for proof in proofs:
        print(f"{proof.name:<58}{_brief(proof.measured):>22}   {proof.target}{'' if proof.met else '   MISSED'}")
        if proof.control:
            failed = "fails, as known" if proof.failed_as_known else "PASSES: the proof above proves nothing"
            print(f"  {'control: ' + proof.control:<56}{_brief(proof.control_measured):>22}   {failed}")
    return [{**asdict(proof), "holds": proof.holds} for proof in proofs]


def _brief(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
