"""Rules of the house that no linter knows. Each exception is named here, with its reason."""

import ast
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.support.source import APP, called_name, calls, domains, modules, name_of, parsed

MAX_LINES = 300
READS_THE_ENVIRONMENT: dict[str, set[str]] = {}  # whose libraries take a switch from nowhere else
KNOWS_STATUSES = {
    "src/app/kit/asgi.py": "knows what the server sends when nobody has answered, and tells our failures from refusals",
    "src/app/kit/problems.py": "errors become answers here",
    "src/app/main.py": "says which errors are more than their category",
    "src/app/patterns/feature_flags/polling.py": "tells rules from other answers of the flag server",
    "src/app/patterns/health.py": "a probe's answer is its status",
    "src/app/patterns/outbound_telemetry.py": "tells refusals of others from their answers",
    "src/app/patterns/synthetic_journey/steps.py": "tells the answer that a customer needs from others",
    "src/app/orders/probe.py": "knows which answers a customer needs",
    "src/app/orders/payments.py": "reads the statuses of the provider",
}
LEVELS = {"debug", "info", "warning", "error", "critical", "exception", "log"}
SOURCES = modules("src")
SOURCE = pytest.mark.parametrize("path", SOURCES, ids=name_of)


@pytest.mark.parametrize("path", modules("src", "dev", "migrations", "tests"), ids=name_of)
def test_a_module_is_short(path: Path) -> None:
    """No module is longer than a reader's patience."""
    assert len(path.read_text().splitlines()) <= MAX_LINES


@SOURCE
def test_only_settings_read_the_environment(path: Path) -> None:
    """Every setting is in `settings.py`, where a start with a bad one lists it."""
    touched = {
        ast.unparse(node)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute | ast.Name) and re.search(r"\b(environb?|getenv|putenv)$", ast.unparse(node))
    }
    keys = {ast.unparse(key) for node in ast.walk(parsed(path)) for key in _keys_of_environ(node)}

    assert keys <= READS_THE_ENVIRONMENT.get(name_of(path), set())
    assert bool(touched) == bool(keys), "the environment is read as a whole"


@SOURCE
def test_statuses_are_the_business_of_few(path: Path) -> None:
    """Routes declare their success, and describe their refusals for the API's document; `problems.py` does the rest."""
    described = {node for call in calls(path) if called_name(call) == "described" for node in ast.walk(call)}
    used = {status for node in ast.walk(parsed(path)) if node not in described for status in _statuses_in(node)}

    if name_of(path) not in KNOWS_STATUSES:
        allowed = {status for status in used if status < HTTPStatus.MULTIPLE_CHOICES}
        assert used == (allowed if path.name == "routes.py" else set())


@pytest.mark.parametrize("name", KNOWS_STATUSES)
def test_an_exception_is_still_needed(name: str) -> None:
    """A module that has stopped using statuses leaves the list."""
    assert re.search(r"HTTPStatus\.|httpx\.codes\.|\b[45]\d\d\b", (APP.parent.parent / name).read_text())


@SOURCE
def test_events_of_the_log_have_static_dotted_names(path: Path) -> None:
    """Names can be searched for: a literal such as `outbox.event_refused`, never put together."""
    logged = [
        call.args[0]
        for call in calls(path)
        if called_name(call) in LEVELS
        and isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value) == "_log"
    ]

    wrong = [ast.unparse(name) for name in logged if not re.fullmatch(r"'[a-z_]+(\.[a-z_]+)+'", ast.unparse(name))]
    assert wrong == []


@pytest.mark.parametrize("domain", domains())
def test_what_a_domain_has_on_floor_4_is_marked(domain: str) -> None:
    """Every line of floor 4 that names a domain says so: it is found when the next is added, or this one removed."""
    mark = f"# domain: {domain}"
    places = [*APP.glob("*.py"), APP.parent.parent / "migrations" / "env.py"]

    unmarked = [
        f"{path.name}:{number}: {line.strip()}"
        for path in places
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(rf"\b({'|'.join([domain, *_imported_from(path, domain)])})\b", line) and not line.endswith(mark)
    ]
    assert unmarked == []


@pytest.mark.parametrize("domain", domains())
def test_a_domain_has_tests_and_contracts(domain: str) -> None:
    """Each domain has a folder of tests, and a place in each import contract that names domains."""
    project = APP.parent.parent
    contracts = (project / "pyproject.toml").read_text()

    assert list((project / "tests" / domain).glob("test_*.py")) != []
    assert contracts.count(f'    "app.{domain}",  # domain: {domain}\n') == 3


def _statuses_in(node: ast.AST) -> set[HTTPStatus]:
    """Return the status that a node stands for: one by name, or a number that looks like a failure."""
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"HTTPStatus", "httpx.codes"}:
        return {HTTPStatus[node.attr]}
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return {status for status in HTTPStatus if status == node.value >= HTTPStatus.BAD_REQUEST}
    return set()


def _keys_of_environ(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Subscript(value=ast.Attribute(attr="environ"), slice=key):
            return [key]
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="environ"), attr="get"), args=[key, *_]):
            return [key]
        case ast.Call(func=ast.Attribute(attr="getenv" | "putenv"), args=[key, *_]):
            return [key]
    return []


def _imported_from(path: Path, domain: str) -> list[str]:
    return [
        alias.asname or alias.name
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"app.{domain}")
        for alias in node.names
    ]
