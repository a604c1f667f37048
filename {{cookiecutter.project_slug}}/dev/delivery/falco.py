"""Rules for Falco, read and tried on events: Falco does not run here. This knows what they use of its language."""

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from dev.delivery.kustomize import FOLDER

Event = Mapping[str, str]
"""What a system call is about, by Falco's fields; those that it has no value for are left out."""
Test = Callable[[Event], bool]
SOURCE = FOLDER / "falco" / "rules.yaml"
_PRIORITIES = {"CRITICAL", "ERROR", "WARNING"}
_KEYS = {
    "list": {"list", "items"},
    "macro": {"macro", "condition"},
    "rule": {"rule", "desc", "condition", "output", "priority", "tags"},
}
_FIELDS = {
    *("container.id", "container.name", "container.image.repository", "evt.type", "evt.is_open_write"),
    *("fd.name", "fd.type", "fd.typechar", "fd.l4proto", "fd.sip", "fd.sport", "k8s.ns.name", "k8s.pod.name"),
    *("proc.name", "proc.pname", "proc.cmdline", "proc.exepath", "user.uid"),
}
_VALUES = {
    *("host", "true", "f", "ipv4", "ipv6", "udp"),
    *("execve", "execveat", "open", "openat", "openat2", "creat", "connect", "sendto", "sendmsg"),
}
"""What stands in conditions without quotes. Falco takes a misspelt list for one of these."""
_COMPARED: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda found, value: found == value,
    "!=": lambda found, value: found != value,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": str.__contains__,
}
_WORD = re.compile(r'"[^"]*"|!=|[()=,]|[^\s()"=,!]+')


class BadCondition(Exception):
    """Falco would refuse it, or never find it true; the message says why."""


def mistakes(text: str) -> list[str]:
    """Return what is wrong with a file of rules."""
    entries: list[dict[str, Any]] = yaml.safe_load(text)
    names = [str(next(iter(entry.values()))) for entry in entries]
    told = [f"{name}: there are two of it" for name in sorted({name for name in names if names.count(name) > 1})]
    attacks = re.findall(r"^- rule: (.+)\n  # Attack: .+\.$", text, re.MULTILINE)
    reader = _Reader(entries)
    for entry, name in zip(entries, names, strict=True):
        told += [f"{name}: {why}" for why in _wrong(entry, reader)]
        if "rule" in entry and name not in attacks:
            told.append(f"{name}: it does not say what attack it is for")
    unused = {name for entry, name in zip(entries, names, strict=True) if "rule" not in entry} - reader.used
    return [*told, *(f"{name}: no rule uses it" for name in sorted(unused))]


def fired(text: str, event: Event) -> list[str]:
    """Return the rules that an event fires.

    Raises:
        BadCondition: one of them is broken.
    """
    entries: list[dict[str, Any]] = yaml.safe_load(text)
    reader = _Reader(entries)
    return [entry["rule"] for entry in entries if "rule" in entry and reader.read(entry["condition"])(event)]


def ports(text: str) -> set[int]:
    """Return the ports that connections to are expected."""
    return {
        port
        for entry in yaml.safe_load(text)
        if entry.get("list") == "ports_of_its_dependencies"
        for port in entry["items"]
    }


def _wrong(entry: dict[str, Any], reader: "_Reader") -> Iterator[str]:
    kind = next(iter(entry))
    if entry.keys() != _KEYS.get(kind):
        yield f"it has {', '.join(entry)}"
        return
    try:
        if kind != "list":
            reader.read(entry["condition"])
    except BadCondition as exc:
        yield str(exc)
    if kind == "rule":
        for field in sorted(set(re.findall(r"%([\w.]+)", entry["output"])) - _FIELDS):
            yield f"{field} is no field that is known here"
        if entry["priority"] not in _PRIORITIES:
            yield f"{entry['priority']} is no priority"


class _Reader:
    """Makes of a condition what tells whether an event meets it; `or` binds less than `and`."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._lists = {entry["list"]: [*map(str, entry.get("items", ()))] for entry in entries if "list" in entry}
        self._macros = {entry["macro"]: str(entry.get("condition", "")) for entry in entries if "macro" in entry}
        self._words: deque[str] = deque()
        self.used: set[str] = set()
        """Lists and macros that were asked for."""

    def read(self, condition: str) -> Test:
        """Return the condition as a function.

        Raises:
            BadCondition: it is none.
        """
        around, self._words = self._words, deque(_WORD.findall(condition))
        test = self._either()
        if self._words:
            raise BadCondition(f"nothing is expected at {' '.join(self._words)[:40]}")
        self._words = around
        return test

    def _either(self) -> Test:
        tests = [self._both()]
        while self._next_is("or"):
            tests.append(self._both())
        return lambda event: any(test(event) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._next_is("and"):
            tests.append(self._one())
        return lambda event: all(test(event) for test in tests)

    def _one(self) -> Test:
        if self._next_is("not"):
            negated = self._one()
            return lambda event: not negated(event)
        if self._next_is("("):
            inner = self._either()
            self._expect(")")
            return inner
        word = self._take()
        if word in self._macros:
            self.used.add(word)
            return self.read(self._macros[word])
        if word not in _FIELDS:
            raise BadCondition(f"{word} is neither a macro nor a field that is known here")
        return self._comparison(word)

    def _comparison(self, field: str) -> Test:
        operator = self._take()
        if operator == "in":
            values = self._values()
            return lambda event: event.get(field) in values
        if operator not in _COMPARED:
            raise BadCondition(f"{operator} is no operator")
        compared, value = _COMPARED[operator], self._value()
        return lambda event: field in event and compared(event[field], value)

    def _values(self) -> set[str]:
        self._expect("(")
        found = {*self._listed()}
        while self._next_is(","):
            found |= {*self._listed()}
        self._expect(")")
        return found

    def _listed(self) -> list[str]:
        if self._words and self._words[0] in self._lists:
            self.used.add(self._words[0])
            return self._lists[self._words.popleft()]
        return [self._value()]

    def _value(self) -> str:
        word = self._take()
        if word in _VALUES or word.isdigit() or word[0] in '"/':
            return word.strip('"')
        raise BadCondition(f"{word} is neither a list nor a value that is known here")

    def _take(self) -> str:
        if not self._words:
            raise BadCondition("it ends too early")
        return self._words.popleft()

    def _next_is(self, word: str) -> bool:
        if self._words and self._words[0] == word:
            self._words.popleft()
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._next_is(word):
            raise BadCondition(f"{word} is missing before {' '.join(self._words)[:40] or 'its end'}")
