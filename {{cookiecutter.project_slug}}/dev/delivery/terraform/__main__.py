"""Checks deploy/terraform: `make terraform` runs it. Neither an account nor the state is needed."""

import sys
from collections.abc import Callable
from functools import partial

from dev.delivery.terraform import policy
from dev.delivery.terraform.program import ENVIRONMENTS, FOLDER, TerraformFailed, init, terraform
from dev.delivery.tools import ToolMissing


def main() -> int:
    """Print each mistake; return 1 if there is one."""
    checks: dict[str, Callable[[], list[str]]] = {
        "format": _format,
        **{f"valid: {name}": partial(_valid, name) for name in ENVIRONMENTS},
        "tests": _tests,
        "policy": lambda: list(policy.mistakes(FOLDER)),
    }
    failed = False
    for name, check in checks.items():
        try:
            mistakes = check()
        except (ToolMissing, TerraformFailed, policy.NothingChecked) as exc:
            mistakes = [str(exc)]
        print(f"{'FAILED' if mistakes else 'ok':6}  {name}", *mistakes, sep="\n", flush=True)
        failed = failed or bool(mistakes)
    return int(failed)


def _format() -> list[str]:
    differences = terraform("fmt", "-check", "-recursive", "-diff", cwd=FOLDER, accepted=(0, 3)).stdout.strip()
    return [differences] if differences else []


def _valid(environment: str) -> list[str]:
    folder = FOLDER / "environments" / environment
    init(folder, backend=False)
    terraform("validate", "-no-color", cwd=folder)
    return []


def _tests() -> list[str]:
    init(FOLDER / "service", backend=False)
    terraform("test", "-no-color", cwd=FOLDER / "service")
    return []


if __name__ == "__main__":
    sys.exit(main())
