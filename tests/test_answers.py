"""Good answers survive exactly into every kind of file; bad ones are refused in one line and leave nothing."""

import json
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from answer_tables import FRIENDLY_TEXTS, HOSTILE
from baking import Bakery
from markdown_it import MarkdownIt

from plimsoll_answers import BadAnswer, quoted


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        pytest.param(question, answer, id=f"{question}: {name}")
        for question, table in HOSTILE.items()
        for name, answer in table.items()
    ],
)
def test_a_bad_answer_is_refused_in_one_printable_line_and_leaves_nothing(
    bakery: Bakery, question: str, answer: str
) -> None:
    """Each hostile answer stops the bake with a one-line ASCII reason, before any file or folder is made."""
    with pytest.raises(BadAnswer) as refusal:
        bakery.bake(**{question: answer})

    message = str(refusal.value)
    assert re.fullmatch(r"Refused: [ -~]+\.", message)
    assert question in message or "template syntax" in message
    assert not list(bakery.last_folder.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["project_slug=Not A Slug"], id="slug"),
        pytest.param(["project_name=a\x1b[31mb"], id="control character"),
        pytest.param(["description={% raw"], id="broken template"),
        pytest.param(["repository_url=https://someone:secret@git.example.com/orders"], id="password"),
    ],
)
def test_the_command_prints_one_line_and_no_traceback(bakery: Bakery, arguments: list[str]) -> None:
    """`cookiecutter --no-input` with a bad answer prints exactly one line, exits with 1 and makes nothing."""
    out = bakery.new_folder()

    result = bakery.run(*arguments, out=out)

    assert result.returncode == 1
    assert len((result.stdout + result.stderr).splitlines()) == 1
    assert result.stdout.startswith("Refused: ")
    assert not list(out.iterdir())


def test_a_typed_answer_is_refused_before_the_next_question(bakery: Bakery) -> None:
    """Interactively, a bad slug stops at once: the description is not asked any more."""
    out = bakery.new_folder()

    result = bakery.run(out=out, typed="Orders\nNot A Slug\n")

    assert result.returncode == 1
    assert "Refused: project_slug" in result.stdout.splitlines()[-1]
    assert "[3/8]" not in result.stdout
    assert "Traceback" not in result.stdout + result.stderr
    assert not list(out.iterdir())


def test_typed_template_syntax_is_refused(bakery: Bakery) -> None:
    """Interactively, template syntax in a name is refused as it is without questions."""
    out = bakery.new_folder()

    result = bakery.run(out=out, typed="{{ 7 * 7 }}\n")

    assert result.returncode == 1
    assert "Refused: project_name must not hold template syntax ({{)" in result.stdout
    assert not list(out.iterdir())


def test_pressing_enter_through_all_questions_makes_a_service(bakery: Bakery) -> None:
    """The default answers are good ones, and every question shows its help text instead of a variable's name."""
    out = bakery.new_folder()

    result = bakery.run(out=out, typed="\n" * 8)

    assert result.returncode == 0, result.stdout + result.stderr
    assert [path.name for path in out.iterdir()] == ["order-service"]
    assert "[8/8]" in result.stdout
    assert "project_name" not in result.stdout


def test_a_tampered_replay_is_refused(bakery: Bakery, tmp_path: Path) -> None:
    """`--replay` skips the questions, so the hook checks the answers again; nothing is left of the project."""
    bakery.bake()
    record = json.loads(next(bakery.replays.glob("*.json")).read_text())
    record["cookiecutter"]["description"] = 'x"\n"""; import os'
    tampered = tmp_path / "tampered.json"
    tampered.write_text(json.dumps(record))
    out = bakery.new_folder()

    result = bakery.run("--replay-file", str(tampered), out=out, typed="")

    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith("Refused: description must not hold line breaks")
    assert not list(out.iterdir())


@pytest.mark.parametrize("text", FRIENDLY_TEXTS.values(), ids=FRIENDLY_TEXTS)
def test_text_survives_exactly_into_every_format(bakery: Bakery, text: str) -> None:
    """A name and a description come back from TOML, YAML, JSON and Markdown as they were typed."""
    service = bakery.bake(project_name=text, project_slug="orders", description=text)

    assert tomllib.loads((service / "pyproject.toml").read_text())["project"]["description"] == text
    metadata = yaml.safe_load((service / "catalog-info.yaml").read_text())["metadata"]
    assert (metadata["title"], metadata["description"]) == (text, text)
    assert _markdown_lines(service / "README.md")[:2] == [("h1", text), ("p", text)]
    assert json.loads((service / "deploy/terraform/service.json").read_text())["description"] == text
    assert f"Copyright (c) the {text} authors" in (service / "LICENSE").read_text()


@pytest.mark.parametrize("text", FRIENDLY_TEXTS.values(), ids=FRIENDLY_TEXTS)
def test_quoted_text_is_json_and_yaml_and_toml(text: str) -> None:
    """One way of quoting is read back exactly by all three languages, so one private variable is enough."""
    line = f'"{quoted(text)}"'

    assert json.loads(line) == text
    assert yaml.safe_load(line) == text
    assert tomllib.loads(f"x = {line}")["x"] == text


def test_identity_lands_in_every_file_that_needs_it(bakery: Bakery) -> None:
    """Slug, owner and repository are the same in every rendered file."""
    url = "https://git.example.com:8443/group/sub-group/orders_1.git"
    service = bakery.bake(project_slug="orders-2", owner_team="team.blue_1", repository_url=url)

    project = tomllib.loads((service / "pyproject.toml").read_text())["project"]
    assert (project["name"], project["urls"]) == ("orders-2", {"Repository": url})
    catalogue = yaml.safe_load((service / "catalog-info.yaml").read_text())
    assert catalogue["metadata"]["name"] == "orders-2"
    assert catalogue["metadata"]["annotations"]["backstage.io/source-location"] == f"url:{url}"
    assert catalogue["spec"]["owner"] == "team.blue_1"
    assert yaml.safe_load((service / "compose.yaml").read_text())["name"] == "orders-2"
    assert "\nOTEL_SERVICE_NAME=orders-2\n" in (service / ".env.example").read_text()
    identity = json.loads((service / "deploy/terraform/service.json").read_text())
    assert {key: value for key, value in identity.items() if key != "description"} == {
        "name": "orders-2",
        "owner": "team.blue_1",
        "repository": url,
        "github_ids": [],
    }
    assert service.name == "orders-2"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        pytest.param("Order Service", "order-service", id="words"),
        pytest.param("Commandés à Zürich", "commandes-a-zurich", id="accents"),
        pytest.param("3D Printing & Co.", "d-printing-co", id="leading digit"),
        pytest.param("A very long name for a very small service", "a-very-long-name-for-a-very-smal", id="long"),
    ],
)
def test_the_slug_follows_from_the_name(bakery: Bakery, name: str, slug: str) -> None:
    """Without an answer of its own the slug is made from the name, and is always a good one."""
    assert bakery.bake(project_name=name).name == slug


def test_terraform_reads_the_description_back(
    bakery: Bakery, tmp_path: Path, unproven: Callable[[str, str], None]
) -> None:
    """The real Terraform reads the description exactly as it was typed, for every friendly text."""
    if shutil.which("terraform") is None:
        unproven("Terraform reads every text back", "install terraform")
        return
    for number, text in enumerate(FRIENDLY_TEXTS.values()):
        service = bakery.bake(project_slug="orders", description=text)
        shutil.copy(service / "deploy/terraform/service.json", tmp_path / f"{number:03}.json")

    shown = subprocess.run(
        ["terraform", "console"],
        input='jsonencode([for name in sort(fileset(".", "*.json")) : jsondecode(file(name)).description])\n',
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(json.loads(shown.stdout)) == list(FRIENDLY_TEXTS.values())


def _markdown_lines(path: Path) -> list[tuple[str, str]]:
    """Return the blocks of a document as (tag, text as a reader sees it)."""
    tokens = MarkdownIt().enable(["strikethrough", "table"]).parse(path.read_text())
    return [
        (opening.tag, "".join(child.content for child in inline.children or []))
        for opening, inline in pairwise(tokens)
        if inline.type == "inline"
    ]
