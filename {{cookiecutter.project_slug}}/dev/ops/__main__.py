"""Writes ops/generated/ from the files in ops/ that people write. `make ops` runs it; a second run changes nothing."""

import sys

from dev.environment import ROOT
from dev.ops.generated import outputs, there
from dev.ops.lines import BadSource


def main() -> None:
    """Write the files that differ, delete those that nothing makes any more, and name both."""
    try:
        wanted = outputs()
    except BadSource as exc:
        sys.exit(str(exc))
    for path, text in wanted.items():
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    for path in sorted(set(there()) - set(wanted)):
        path.unlink()
        print(f"deleted {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
