"""Rules for Falco, read: nothing here runs Falco, so this holds them against each other, and each to its form."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from dev.delivery.kustomize import FOLDER

SOURCE = FOLDER / "falco" / "rules.yaml"
_PRIORITIES = {"CRITICAL", "ERROR", "WARNING"}
_WORDS = {
    *("and", "or", "not", "in", "endswith", "startswith", "contains", "true", "false"),
    *("host", "execve", "execveat", "open", "openat", "openat2", "creat", "connect", "sendto", "sendmsg"),
    *("ipv4", "ipv6", "f"),
}
"""Of the language, and what stands in conditions without quotes."""
_FIELDS = re.compile(r"\b(?:container|evt|fd|k8s|proc|user)(?:\.[a-z0-9_]+)+")
_KNOWN_FIELDS = {
    *("container.id", "container.name", "container.image.repository", "evt.type", "evt.is_open_write"),
    *("fd.name", "fd.type", "fd.typechar", "fd.sip", "fd.sport", "k8s.ns.name", "k8s.pod.name", "user.uid"),
    *("proc.name", "proc.pname", "proc.cmdline", "proc.exepath"),
}


def mistakes(text: str) -> list[str]:
    """Return what is wrong with a file of rules."""
    entries: list[dict[str, Any]] = yaml.safe_load(text)
    names = [str(next(iter(entry.values()))) for entry in entries]
    defined = {name for entry, name in zip(entries, names, strict=True) if "rule" not in entry}
    told = [f"{name}: there are two of it" for name in sorted({name for name in names if names.count(name) > 1})]
    for entry, name in zip(entries, names, strict=True):
        told += [f"{name}: {why}" for why in _wrong(entry, defined)]
    used = {word for entry in entries for word in _words(str(entry.get("condition", "")))}
    told += [f"{name}: no rule uses it" for name in sorted(defined - used)]
    attacks = re.findall(r"^- rule: (.+)\n  # Attack: .+\.$", text, re.MULTILINE)
    told += [
        f"{name}: it does not say what attack it is for"
        for entry, name in zip(entries, names, strict=True)
        if "rule" in entry and name not in attacks
    ]
    return told


def ports(text: str) -> set[int]:
    """Return the ports that connections to are expected."""
    return {
        port
        for entry in yaml.safe_load(text)
        if entry.get("list") == "ports_of_its_dependencies"
        for port in entry["items"]
    }


def _wrong(entry: dict[str, Any], defined: set[str]) -> Iterator[str]:
    kind = next(iter(entry))
    wanted = {
        "list": {"list", "items"},
        "macro": {"macro", "condition"},
        "rule": {"rule", "desc", "condition", "output", "priority", "tags"},
    }
    if entry.keys() != wanted.get(kind):
        yield f"it has {', '.join(entry)}"
        return
    if kind == "list":
        return
    condition = str(entry["condition"])
    if condition.count("(") != condition.count(")"):
        yield "its brackets do not match"
    for word in sorted(_words(condition) - _WORDS - defined):
        yield f"{word} is not defined"
    for field in sorted({*_FIELDS.findall(condition), *_FIELDS.findall(str(entry.get("output", "")))} - _KNOWN_FIELDS):
        yield f"{field} is no field that is known here"
    if kind == "rule" and entry["priority"] not in _PRIORITIES:
        yield f"{entry['priority']} is no priority"


def _words(condition: str) -> set[str]:
    """Return the bare words of a condition: neither fields, nor paths, nor what is quoted."""
    bare = _FIELDS.sub(" ", re.sub(r'"[^"]*"|/\S+', " ", condition))
    return {*re.findall(r"[a-z]\w*", bare)}
