"""The ledger: what each alert's proof has shown, as a page that is kept with the code."""

import os
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime

from dev.environment import ROOT
from dev.markdown import table
from dev.prove.proof import RECEIVERS, Proof
from dev.prove.scaled import SCALE

_HEAD = """# Proof ledger

Written by `make prove`, which fired each alert by a real fault, followed its runbook, and saw its end told.
Windows were {scale:g} times as long as in production. Seconds are as they were measured: from the fault to the message
at its receiver, and from the beginning of the mitigation to the message of its end. What else was told is named.

{proven} of {all} alerts, {blocks} blocks of runbooks executed, in {seconds:.0f} s on {cores} cores, on {day}, at commit
`{commit}` of the repository it was run in.

"""


def ledger(proofs: Iterable[Proof], *, seconds: float) -> str:
    """Return the page of a run that took so long."""
    ordered = sorted(proofs, key=lambda proof: proof.fault.alert)
    rows = [
        [
            f"[{proof.fault.alert}](../../docs/runbooks/{proof.fault.alert}.md)",
            proof.fault.what,
            RECEIVERS[proof.fault.severity],
            f"{proof.fired_after:.1f}",
            "after days" if proof.fault.lasts else f"{proof.resolved_after:.1f}",
            ", ".join(sorted(proof.also)) or "nobody",
        ]
        for proof in ordered
    ]
    head = _HEAD.format(
        scale=SCALE,
        proven=sum(not proof.wrong for proof in ordered),
        all=len(ordered),
        blocks=sum(proof.blocks for proof in ordered),
        seconds=seconds,
        cores=os.cpu_count(),
        day=datetime.now(UTC).date(),
        commit=_commit(),
    )
    return f"{head}{table(['alert', 'fault', 'receiver', 'fired, s', 'resolved, s', 'also told'], rows)}\n"


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
