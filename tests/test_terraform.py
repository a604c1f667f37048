"""The Terraform of a service is accepted by the real terraform with the real provider."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import Bakery

# Where a machine's image may keep providers for work without the registry, beside terraform's own default places.
_MIRRORS = ("opt/*/*/hashicorp/aws", "usr/share/*/*/hashicorp/aws")


@pytest.fixture
def terraform(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run terraform, with a provider mirror if the machine has one."""
    settings = "disable_checkpoint = true\n"
    for pattern in _MIRRORS:
        for provider in Path("/").glob(pattern):
            settings += (
                f'provider_installation {{\n  filesystem_mirror {{\n    path = "{provider.parents[2]}"\n  }}\n}}\n'
            )
    (tmp_path / "terraformrc").write_text(settings)
    env = {**os.environ, "TF_CLI_CONFIG_FILE": str(tmp_path / "terraformrc"), "TF_IN_AUTOMATION": "1"}

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        command = ["terraform", *arguments]
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)

    return run


def test_terraform_accepts_and_tests_the_module(
    bakery: Bakery,
    terraform: Callable[..., subprocess.CompletedProcess[str]],
    unproven: Callable[[str, str], None],
) -> None:
    """Formatted, valid against the provider's schema, and its own tests pass, with hostile text in the variables."""
    proof = "terraform validates deploy/terraform"
    if shutil.which("terraform") is None:
        unproven(proof, "install terraform >= 1.11")
        return
    module = bakery.bake(description='Prend "des" <commandes>: 100% ${sûr} %{if} \\ #1') / "deploy" / "terraform"
    if terraform("init", "-backend=false", "-input=false", cwd=module).returncode != 0:
        unproven(proof, "let `terraform init` reach a registry, or a mirror that holds hashicorp/aws 5")
        return

    steps = {name: terraform(*name.split(), cwd=module) for name in ("fmt -check -diff", "validate", "test")}

    assert {name: step.returncode for name, step in steps.items()} == dict.fromkeys(steps, 0), [
        step.stdout + step.stderr for step in steps.values()
    ]
    assert "8 passed, 0 failed" in steps["test"].stdout
