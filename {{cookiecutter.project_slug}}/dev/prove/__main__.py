"""Fires every alert by its fault, follows its runbook, and writes down what came of it. `make prove` runs it."""

import argparse
import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from dev.environment import ROOT
from dev.ops import alerts, slos
from dev.ops.generated import LEDGER
from dev.ops.pages import names
from dev.ops.tools import ToolMissing, find
from dev.process import StartFailed
from dev.prove.fault import FAULTS
from dev.prove.ledger import ledger
from dev.prove.run import SLOW, Run, seconds_since_begin


def main() -> None:
    """Exit with 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="ALERT", help="prove these, and write no ledger")
    parser.add_argument("--busy", action="store_true", help="the machine does other work: do not mind slow answers")
    arguments = parser.parse_args()
    levels = slos.read()
    known = {*names(alerts.read(levels), levels)}
    unproven = known - FAULTS.keys() - {"Watchdog"}
    if unknown := {*(arguments.only or ())} - FAULTS.keys():
        parser.error(f"no fault is known for {', '.join(sorted(unknown))}")
    folder = Path(tempfile.mkdtemp(prefix="prove-"))
    chosen = [fault for fault in FAULTS.values() if not arguments.only or fault.alert in arguments.only]
    run = Run(chosen, folder, ignored=SLOW if arguments.busy else frozenset())
    try:
        for program in ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter"):
            find(program)
        asyncio.run(run.go())
    except (ToolMissing, StartFailed) as exc:
        sys.exit(f"prove: {exc}")
    wrong = [f"NOT PROVEN {proof.fault.alert}: {proof.wrong}" for proof in run.proofs if proof.wrong]
    if run.noise:
        wrong.append(f"The control lane, which nothing was done to, was told of: {', '.join(run.noise)}")
    if not arguments.only:
        wrong += [f"NOT EXPOSED {name}, which a rule or a runbook asks for" for name in run.unseen]
        wrong += [f"UNPROVEN {name}: it has no fault" for name in sorted(unproven)]
    print(f"{sum(not proof.wrong for proof in run.proofs)} of {len(run.proofs)} alerts are proven.")
    if wrong:
        sys.exit("\n".join([*wrong, f"All logs are in {folder}."]))
    shutil.rmtree(folder)
    if not arguments.only:
        LEDGER.write_text(ledger(run.proofs, seconds=seconds_since_begin()))
        print(f"wrote {LEDGER.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
