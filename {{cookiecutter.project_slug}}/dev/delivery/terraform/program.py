"""Runs terraform: never asking, and with its plugins downloaded once for all folders."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from dev.delivery.tools import ToolMissing
from dev.environment import ROOT

FOLDER = ROOT / "deploy" / "terraform"
ENVIRONMENTS = sorted(path.name for path in (FOLDER / "environments").glob("*") if path.is_dir())
BACKEND = "state.s3.tfbackend"


class TerraformFailed(Exception):
    """It ended with an error; the message is its own."""


class Parser(argparse.ArgumentParser):
    """Of a command in which the usual status for bad words, 2, says something else."""

    def error(self, message: str) -> NoReturn:
        """End with 1."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def environment_variables() -> Mapping[str, str]:
    """Return the environment for terraform."""
    cache = ROOT / ".cache" / "terraform"
    variables = {"TF_PLUGIN_CACHE_DIR": str(cache), **os.environ, "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}
    Path(variables["TF_PLUGIN_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)
    settings = variables.get("TF_CLI_CONFIG_FILE")
    if settings and not Path(settings).exists():  # terraform warns at each call, and takes its defaults
        del variables["TF_CLI_CONFIG_FILE"]
    return variables


def terraform(*words: str, cwd: Path, accepted: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    """Return what terraform said.

    Raises:
        ToolMissing: it is not installed.
        TerraformFailed: its status is none of those accepted.
    """
    if shutil.which("terraform") is None:
        raise ToolMissing("terraform is not installed: it must be 1.11 or newer, and in the PATH")
    command = ["terraform", *words]
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment_variables(), capture_output=True, text=True, check=False, timeout=1800
        )
    except subprocess.TimeoutExpired as exc:
        raise TerraformFailed(f"terraform {' '.join(words)}, in {cwd.name}: not done after half an hour") from exc
    if done.returncode not in accepted:
        told = "\n".join(filter(None, (done.stdout.strip(), done.stderr.strip())))
        raise TerraformFailed(f"terraform {' '.join(words)}, in {cwd.name}:\n{told}")
    return done


def init(folder: Path, *, backend: bool) -> None:
    """Get modules and plugins; with the state if there is one to be read.

    Raises:
        ToolMissing, TerraformFailed: as above.
    """
    where = [f"-backend-config={BACKEND}"] if backend and (folder / BACKEND).exists() else []
    terraform("init", "-input=false", "-no-color", *(where if backend else ["-backend=false"]), cwd=folder)
