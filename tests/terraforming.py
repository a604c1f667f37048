"""Running the real terraform on a service, with a mirror of its providers if the machine has one."""

import os
import shutil
import subprocess
from pathlib import Path

# Where a machine's image may keep providers for work without the registry, beside terraform's own default places.
_MIRRORS = ("opt/*/*/hashicorp/aws", "usr/share/*/*/hashicorp/aws")
HOW_TO_GET_IT = (
    "install terraform >= 1.11, and let `terraform init` reach a registry, or a mirror that holds hashicorp/aws"
)


class Terraform:
    """The program, and the environment in which it finds its providers."""

    def __init__(self, folder: Path) -> None:
        settings = "disable_checkpoint = true\n"
        for pattern in _MIRRORS:
            for provider in Path("/").glob(pattern):
                mirror = f'filesystem_mirror {{\n    path = "{provider.parents[2]}"\n  }}'
                settings += f"provider_installation {{\n  {mirror}\n}}\n"
        (folder / "terraformrc").write_text(settings)
        (folder / "plugins").mkdir()
        self.env = {
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(folder / "terraformrc"),
            "TF_PLUGIN_CACHE_DIR": str(folder / "plugins"),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "NO_COLOR": "1",
        }

    def run(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Return what it said, whatever it ends with."""
        command = ["terraform", words[0], "-no-color", *words[1:]]
        return subprocess.run(command, cwd=cwd, env=self.env, capture_output=True, text=True, check=False, timeout=900)

    def init(self, folder: Path) -> None:
        """Get modules and providers, without a state."""
        done = self.run("init", "-backend=false", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr

    def has_provider(self, folder: Path) -> bool:
        """Tell whether the provider can be had."""
        (folder / "main.tf").write_text(
            'terraform {\n  required_providers {\n    aws = {\n      source = "hashicorp/aws"\n    }\n  }\n}\n'
        )
        return shutil.which("terraform") is not None and self.run("init", cwd=folder).returncode == 0
