"""Making services the way a user does, and reading what came out."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from cookiecutter.main import cookiecutter

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "{{cookiecutter.project_slug}}"
LEFTOVERS = frozenset(
    {".dev", ".hypothesis", ".tools", ".venv", ".terraform", "__pycache__"}
    | {f".{tool}_cache" for tool in ("mypy", "ruff", "pytest", "import_linter")}
)


class Bakery:
    """Bakes into its own folder and keeps cookiecutter's records there too, away from the user's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.last_folder = folder
        self.replays = folder / "replay"
        self.config = folder / "cookiecutter.yaml"
        self.config.write_text(f"replay_dir: '{self.replays}'\ncookiecutters_dir: '{folder}/clones'\n")

    def bake(self, **answers: str) -> Path:
        """Return the folder of a new service; questions that are not named get their default answer."""
        out = self.new_folder()
        context: dict[str, object] = dict(answers)
        path = cookiecutter(
            str(ROOT), no_input=True, extra_context=context, output_dir=str(out), config_file=str(self.config)
        )
        return Path(path)

    def run(
        self, *arguments: str, out: Path, typed: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the `cookiecutter` command; without `typed` answers it asks nothing."""
        command = [sys.executable, "-m", "cookiecutter", str(ROOT), "--config-file", str(self.config)]
        asking = ["--no-input"] if typed is None else []
        return subprocess.run(
            [*command, *asking, "--output-dir", str(out), *arguments],
            input=typed,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def new_folder(self) -> Path:
        """Return an empty folder."""
        self._count += 1
        out = self._folder / f"out-{self._count}"
        out.mkdir()
        self.last_folder = out
        return out


def files(folder: Path) -> Iterator[Path]:
    """Yield every file below `folder`, relative and sorted, without what tools leave behind."""
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and LEFTOVERS.isdisjoint(relative.parts):
            yield relative
