"""The answers: each is checked the moment it is given, and turned into text that is safe where it lands.

cookiecutter loads this module by `_extensions` in cookiecutter.json. The private variables there (`__name`, `__slug`)
are rendered in order, between two questions, so a bad answer stops at once and before any folder exists. A hook could
not do that: it runs after the last question, and cookiecutter prints a traceback below its message. An error raised
here, cookiecutter prints as one line, and exits with 1.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

from cookiecutter.exceptions import FailedHookException
from jinja2 import Environment
from jinja2.ext import Extension

_ROOT = Path(__file__).parent
_SERVICE = "{{cookiecutter.project_slug}}"
_MAX_TEXT = 200
_TEMPLATE_SYNTAX = ("{{", "{%", "{#")
# They reorder what a person reads: a name could show other words than it holds.
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control, surrogate, line and paragraph separators
_NONCHARACTERS = 0xFFFE  # U+xxFFFE and U+xxFFFF: not allowed in YAML
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# 32: an ElastiCache identifier ends at 40, and an environment's name (`-staging`) is appended. Kubernetes allows 63 for
# a label and 52 for a CronJob. Two hyphens in a row are not allowed in RDS and ElastiCache identifiers.
_SLUG_LENGTH = range(3, 33)
_OWNER = re.compile(r"[a-z0-9]+([-_.][a-z0-9]+)*")  # an entity name in Backstage
_MAX_OWNER = 63
_URL = re.compile(
    r"https?://[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?"
    r"(/[a-z0-9._~%+-]+)*/?",
    re.IGNORECASE,
)


class BadAnswer(FailedHookException):  # type: ignore[misc]  # cookiecutter ships no types
    """An answer is refused; cookiecutter prints the message as its last line."""


def _text_fault(text: str) -> str | None:
    """Return why `text` cannot stand in one line of a document, or None."""
    if not text.strip():
        return "must not be blank"
    if len(text) > _MAX_TEXT:
        return f"must have at most {_MAX_TEXT} characters, this one has {len(text)}"
    for char in text:
        if char in _BIDIRECTIONAL:
            return f"must not hold bidirectional control characters (U+{ord(char):04X})"
        if unicodedata.category(char) in _INVISIBLE or ord(char) & _NONCHARACTERS == _NONCHARACTERS:
            return f"must not hold line breaks or control characters (U+{ord(char):04X})"
    if text != text.strip():
        return "must not begin or end with a space"
    return _syntax_fault(text)


def _syntax_fault(text: str) -> str | None:
    for mark in _TEMPLATE_SYNTAX:
        if mark in text:
            return f"must not hold template syntax ({mark})"
    return None


def _slug_fault(slug: str) -> str | None:
    if len(slug) not in _SLUG_LENGTH:
        return f"must have {_SLUG_LENGTH.start} to {_SLUG_LENGTH.stop - 1} characters, this one has {len(slug)}"
    if not _SLUG.fullmatch(slug):
        return "must be lower-case letters, digits and single hyphens, from a letter to a letter or digit"
    if slug in _libraries():
        return "is the name of a library that the service needs"
    return None


def _owner_fault(owner: str) -> str | None:
    if len(owner) > _MAX_OWNER or not _OWNER.fullmatch(owner):
        return f"must be a handle of at most {_MAX_OWNER} lower-case letters and digits, joined by - _ or ."
    return None


def _url_fault(url: str) -> str | None:
    if not url.lower().startswith(("http://", "https://")):
        return "must begin with https:// or http://"
    if "@" in url:
        return "must not hold a user name or password"
    if len(url) > _MAX_TEXT or not _URL.fullmatch(url):
        return f"must be a plain address of at most {_MAX_TEXT} characters: host, port and path of ASCII letters"
    return None


_FAULTS: Mapping[str, Callable[[str], str | None]] = {
    "project_name": _text_fault,
    "project_slug": _slug_fault,
    "description": _text_fault,
    "owner_team": _owner_fault,
    "repository_url": _url_fault,
}


def checked(answer: object, question: str) -> str:
    """Return the answer to `question` unchanged.

    Raises:
        BadAnswer: it cannot be used, and why.
    """
    text = str(answer)
    fault = _FAULTS[question](text)
    if fault is not None:
        raise BadAnswer(f"Refused: {question} {fault}. The answer was {ascii(text)[: _MAX_TEXT + 20]}.")
    return text


def all_checked(answers: Mapping[str, object]) -> str:
    """Check every answer once more, for the ways that ask nothing (`--replay`, see hooks/pre_gen_project.py)."""
    for question in _FAULTS:
        checked(answers[question], question)
    for question, choices in _questions().items():
        if isinstance(choices, list) and not question.startswith("_") and answers[question] not in choices:
            raise BadAnswer(f"Refused: {question} must be one of {', '.join(choices)}.")
    return "yes"


def quoted(text: str) -> str:
    r"""Return `text` for the inside of double quotes in JSON, TOML and YAML, which agree on `\\` and `\"`."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def markdown(text: str) -> str:
    """Return `text` for a line of its own in Markdown, shown as it was typed."""
    text = re.sub(r"([\\`*_\[\]<>#&~])", r"\\\1", text)
    text = re.sub(r"^([-+=])", r"\\\1", text)  # a list or an underline
    return re.sub(r"^([0-9]+)([.)])", r"\1\\\2", text)  # a numbered list


class Answers(Extension):
    """The filters that cookiecutter.json uses, and the refusal of template syntax inside answers.

    With `--no-input` cookiecutter renders the answers themselves, so `{{ 7 * 7 }}` would silently become 49.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        filters: dict[str, Callable[..., str]] = {
            "all_checked": all_checked,
            "checked": checked,
            "markdown": markdown,
            "quoted": quoted,
        }
        environment.filters.update(filters)
        self._own = _own_sources()

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002 - Jinja names it
        """Let through files, which have a name, and what the template itself renders without one."""
        fault = _syntax_fault(source)
        if name is None and fault is not None and source not in self._own:
            raise BadAnswer(f"Refused: an answer {fault}. The answer was {ascii(source)[: _MAX_TEXT + 20]}.")
        return source


def _own_sources() -> frozenset[str]:
    hooks = [path.read_text(encoding="utf-8") for path in (_ROOT / "hooks").glob("*.py")]
    return frozenset([_SERVICE, *hooks, *(text for text in _questions().values() if isinstance(text, str))])


def _questions() -> dict[str, object]:
    questions: dict[str, object] = json.loads((_ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    return questions


def _libraries() -> frozenset[str]:
    """Return what the service depends on: a package cannot depend on another one of its own name."""
    project = (_ROOT / _SERVICE / "pyproject.toml").read_text(encoding="utf-8")
    return frozenset(re.findall(r'^    "([a-z0-9-]+)[^"]*[<>=]', project, re.MULTILINE))
