"""What is rendered, what is copied as it is, and what is left out."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from baking import LEFTOVERS, ROOT, TEMPLATE, Bakery, files
from cookiecutter.generate import is_copy_only_path

RENDERED = {
    ".env.example",
    "LICENSE",
    "README.md",
    "catalog-info.yaml",
    "compose.yaml",
    "deploy/terraform/service.json",
    "pyproject.toml",
}
# What stands in these folders of the template, and what the default answers make of it.
FILLED_IN = ("deploy/k8s", "ops/generated")
UNANSWERED = {
    b"https://git.example.com/repository": b"https://git.example.com/team-orders/order-service",
    b"unanswered-name": b"order-service",
}
CLOUD_ONLY = (
    *(".github/workflows/terraform.yml", ".gitlab/terraform.yml"),
    *("deploy/terraform/", "dev/delivery/terraform/", "docs/terraform.md", "tests/delivery/terraform/"),
)
CHOICES = [(ci, cloud) for ci in ("github", "gitlab", "both") for cloud in ("aws", "none")]
# Words that would point a reader to something that was left out.
VARIANT = ".aws.yml"
TRACES = {
    "github": (".github", "GitHub", "github.com"),
    "gitlab": (".gitlab", "GitLab"),
    "aws": ("terraform", "Terraform", "aws-actions", "awscli"),
}


def test_only_these_files_are_rendered() -> None:
    """Everything else is copied raw, so the folder on the web is the program."""
    context = {"cookiecutter": json.loads((ROOT / "cookiecutter.json").read_text())}

    rendered = {
        str(path)
        for path in files(TEMPLATE)
        if not any(is_copy_only_path(str(part), context) for part in [path, *path.parents][:-1])
    }

    assert rendered == RENDERED


@pytest.mark.parametrize("name", sorted(RENDERED))
def test_every_rendered_file_needs_to_be(name: str) -> None:
    """A file without an answer in it belongs to the raw ones."""
    assert "{{ cookiecutter." in (TEMPLATE / name).read_text()


def test_everything_else_is_copied_byte_for_byte(bakery: Bakery) -> None:
    """With every choice kept, a service has the template's files: same names, same bytes, same modes."""
    service = bakery.bake(ci="both", cloud="aws")

    expected = [path for path in files(TEMPLATE) if not path.name.endswith(VARIANT)]
    assert list(files(service)) == expected
    raw = [path for path in expected if str(path) not in RENDERED]
    changed = [path for path in raw if (service / path).read_bytes() != _filled_in(TEMPLATE / _chosen(path))]
    assert changed == []
    modes = [path for path in expected if _mode(service / path) != _mode(TEMPLATE / path)]
    assert modes == []


def _chosen(path: Path) -> Path:
    """Return what takes a file's place where AWS was the answer, or else the file."""
    variant = path.with_name(f"{path.stem}{VARIANT}")
    return variant if (TEMPLATE / variant).exists() else path


def test_a_variant_takes_the_place_of_a_file(bakery: Bakery) -> None:
    """Where it was chosen, and nowhere else."""
    aws, none = bakery.bake(ci="both", cloud="aws"), bakery.bake(ci="both", cloud="none")

    places = [path for path in files(TEMPLATE) if _chosen(path) != path]
    assert len(places) >= 2
    for path in places:
        assert (aws / path).read_bytes() == (TEMPLATE / _chosen(path)).read_bytes()
        assert (none / path).read_bytes() == (TEMPLATE / path).read_bytes()


def _filled_in(path: Path) -> bytes:
    """Return what was written before there were answers, with those of the bakery in the place of none."""
    text = path.read_bytes()
    if any(path.is_relative_to(TEMPLATE / folder) for folder in FILLED_IN):
        for unanswered, answer in UNANSWERED.items():
            text = text.replace(unanswered, answer)
    return text


@pytest.mark.parametrize(("ci", "cloud"), CHOICES)
def test_choices_leave_out_exactly_what_was_declined(bakery: Bakery, ci: str, cloud: str) -> None:
    """Files of a declined choice are gone with their empty folders, and no other file is."""
    service = bakery.bake(ci=ci, cloud=cloud)

    gone = {str(path) for path in files(TEMPLATE)} - {str(path) for path in files(service)}
    expected = {
        name
        for name in map(str, files(TEMPLATE))
        if (ci == "gitlab" and (name.startswith(".github/") or name.endswith(("/github.py", "/test_github.py"))))
        or (ci == "github" and (name.startswith(".gitlab") or name.endswith(("/gitlab.py", "/test_gitlab.py"))))
        or (ci == "github" and name == "renovate.json")
        or name.endswith(VARIANT)
        or (cloud == "none" and name.startswith(CLOUD_ONLY))
        or (name.endswith("/pipeline_github.tf") and ci == "gitlab")
        or (name.endswith("/pipeline_gitlab.tf") and ci == "github")
    }
    assert gone == expected
    assert [path for path in service.rglob("*") if path.is_dir() and not any(path.iterdir())] == []


@pytest.mark.parametrize(("ci", "cloud"), CHOICES)
def test_nothing_refers_to_what_was_declined(bakery: Bakery, ci: str, cloud: str) -> None:
    """No file of a service names the CI or the cloud tooling that it does not have."""
    service = bakery.bake(ci=ci, cloud=cloud)

    kept = {"github", "gitlab"} if ci == "both" else {ci}
    traces = [trace for choice, words in TRACES.items() if choice not in {*kept, cloud} for trace in words]
    found = [(str(path), trace) for path in files(service) for trace in traces if trace in _text(service / path)]
    assert found == []


@pytest.mark.parametrize(("ci", "cloud"), CHOICES)
@pytest.mark.parametrize("licence", ["MIT", "Apache-2.0", "Proprietary"])
def test_no_template_syntax_is_left(bakery: Bakery, ci: str, cloud: str, licence: str) -> None:
    """No bake holds a trace of cookiecutter, and no rendered file a trace of Jinja or a blank line where one was."""
    service = bakery.bake(ci=ci, cloud=cloud, licence=licence)

    assert [path for path in files(service) if "cookiecutter" in _text(service / path)] == []
    rendered = {name: (service / name).read_text() for name in RENDERED if (service / name).exists()}
    assert [name for name, text in rendered.items() if any(mark in text for mark in ("{{", "{%", "{#"))] == []
    assert [name for name, text in rendered.items() if "\n\n\n" in text or not text.endswith("\n")] == []
    assert [name for name, text in rendered.items() if text.endswith("\n\n")] == []


@pytest.mark.parametrize(
    ("licence", "first_line", "spdx"),
    [
        pytest.param("MIT", "MIT License", "MIT", id="MIT"),
        pytest.param("Apache-2.0", "Apache License", "Apache-2.0", id="Apache-2.0"),
        pytest.param(
            "Proprietary",
            "Copyright (c) the Order Service authors. All rights reserved.",
            "LicenseRef-Proprietary",
            id="Proprietary",
        ),
    ],
)
def test_the_licence_is_the_chosen_one(bakery: Bakery, licence: str, first_line: str, spdx: str) -> None:
    """LICENSE holds the chosen text alone, and the package's metadata agrees with it."""
    service = bakery.bake(licence=licence)

    assert (service / "LICENSE").read_text().splitlines()[0].strip() == first_line
    assert f'license = "{spdx}"' in (service / "pyproject.toml").read_text()


def test_what_tools_leave_in_the_template_is_not_copied(bakery: Bakery, tmp_path: Path) -> None:
    """A template that was worked on, with caches everywhere, bakes the same service as a clean one."""
    copy = tmp_path / "plimsoll"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", ".tools", ".bake", *LEFTOVERS))
    inside = copy / TEMPLATE.name
    for folder in [inside / "src" / "app" / "__pycache__", inside / "tests" / "__pycache__"]:
        folder.mkdir(parents=True)
        (folder / "x.pyc").write_bytes(b"\0")
    for name in sorted(LEFTOVERS):
        folder = inside / "deploy" / "terraform" / name if name == ".terraform" else inside / name
        folder.mkdir()
        (folder / "broken.py").write_text("{{ nothing }} {% if %}")

    out = bakery.new_folder()
    command = [sys.executable, "-m", "cookiecutter", str(copy), "--no-input", "--config-file", str(bakery.config)]
    subprocess.run([*command, "--output-dir", str(out)], check=True, capture_output=True)

    made = {str(path.relative_to(out / "order-service")) for path in out.glob("order-service/**/*") if path.is_file()}
    assert made == {str(path) for path in files(bakery.bake())}


def test_the_closing_words_are_three_commands_that_exist(bakery: Bakery) -> None:
    """A bake ends with three lines: where to go, how to start, how to check; each make target is there."""
    out = bakery.new_folder()

    result = bakery.run(out=out)

    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0] == f"cd {out / 'order-service'}"
    makefile = (out / "order-service" / "Makefile").read_text()
    assert [line.split()[:2] for line in lines[1:]] == [["make", "up"], ["make", "check"]]
    assert all(f"\n{line.split()[1]}: " in makefile for line in lines[1:])
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["compose.yaml", "catalog-info.yaml", ".gitlab-ci.yml", ".github/workflows/check.yml"])
def test_yaml_is_valid_unbaked_too(name: str) -> None:
    """Editors and linters can read the template's files as they stand."""
    assert isinstance(yaml.safe_load((TEMPLATE / name).read_text()), dict)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", errors="replace")
