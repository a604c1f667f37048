"""What the template's documents point to exists."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest
from baking import ROOT, TEMPLATE

DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), TEMPLATE / "README.md", TEMPLATE / "docs" / "tour.md"]
)
_TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(path: Path) -> None:
    """Every link to a file or folder of the repository can be followed."""
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text())

    assert [link for link in links if "://" not in link and not (path.parent / unquote(link)).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_make_targets_exist(path: Path) -> None:
    """Every `make ...` that a document tells people to run is a target of one of the two Makefiles."""
    makefiles = [ROOT / "Makefile", TEMPLATE / "Makefile", *TEMPLATE.glob("deploy/*/targets.mk")]
    targets = {name for makefile in makefiles for name in _TARGET.findall(makefile.read_text())}

    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text(), re.MULTILINE))
    assert named - targets == set()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_files_of_the_template_exist(path: Path) -> None:
    """Every test, hook and top-level file that a document names in code style is there."""
    named = re.findall(r"`((?:tests|hooks|docs)/[\w./-]+|[\w]+\.(?:json|toml|py|md))`", path.read_text())

    places = (ROOT, TEMPLATE, TEMPLATE / "src" / "app", TEMPLATE / "src" / "app" / "orders")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []
