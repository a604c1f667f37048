"""Writes what follows from ops/telemetry-policy.yaml. `make telemetry-policy` runs it; a second run changes nothing."""

import sys

from app.telemetry_policy import BadPolicy
from dev.environment import ROOT
from dev.telemetry_policy.places import outputs, read


def main() -> None:
    """Write the files that differ, and name them."""
    try:
        policy = read()
    except BadPolicy as exc:
        sys.exit(str(exc))
    for path, text in outputs(policy).items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
