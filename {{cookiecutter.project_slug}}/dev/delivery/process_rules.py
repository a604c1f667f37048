"""What the manifests say of the service's processes, held against its code: settings, commands, ports, times."""

from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from app.kit.instruments import DECLARED
from app.patterns import health
from app.settings import ProbeProcess, Settings
from dev.delivery.manifests import SECRET, Manifests, Process, name_of
from dev.delivery.variables import Variable, all_variables, variables
from dev.ops.app_commands import no_command
from dev.ops.selectors import declare_all

Rule = Callable[[Manifests], Iterator[str]]
LISTENS = {"serve": "APP_HTTP__", "worker": "APP_WORKER__", "probe": "APP_PROBE__"}
"""By command: the settings of its socket."""
PROBES = {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
"""What the cluster asks, and which question of health.py means the same."""
_REACHES = {
    "serve": {53, 443, 4318, 5432},
    "worker": {53, 80, 443, 4222, 4318, 5432},
    "probe": {53, 443},
    "migrate": {53, 4318, 5432},
    "partitions": {53, 4318, 5432},
    "retention": {53, 80, 443, 4318, 5432},
}
"""By command: ports of what it asks. 53 names, 80 credentials of AWS, 443 the internet; NATS, traces, PostgreSQL."""
_ONLY_FOR = {
    "APP_AUTHENTICATION__PSEUDONYM_KEY": ("serve",),
    "APP_DATABASE__JOBS_URL": ("worker",),
    "APP_MIGRATIONS__DATABASE_URL": ("migrate", "partitions", "retention"),
}
"""Secrets that not every process has: the commands that need one; nothing else may have it."""
_PORTS = {"http": 80, "https": 443}


def ours(manifests: Manifests) -> Iterator[Process]:
    """Yield the processes of the service's own image."""
    return (process for process in manifests.processes if process.is_ours)


def read_by(process: Process) -> Mapping[str, Variable]:
    """Return the variables that a process reads."""
    return variables(ProbeProcess if process.command[:1] == ["probe"] else Settings)


def _commands(manifests: Manifests) -> Iterator[str]:
    for process in ours(manifests):
        if "command" in process.container:
            yield f"{process.where}: its entry point is the image's, and not {process.container['command']}"
        if no_command(process.command):
            yield f"{process.where}: no such command: app {' '.join(process.command)}"


def _settings(manifests: Manifests) -> Iterator[str]:
    for process in ours(manifests):
        given, known = manifests.environment(process), read_by(process)
        for name in sorted(given.keys() - known.keys()):
            yield f"{process.where}: {name} is no setting of it"
        for name in sorted(name for name, variable in known.items() if variable.required and name not in given):
            yield f"{process.where}: {name} is required, and not given"


def _secrets(manifests: Manifests) -> Iterator[str]:
    """Secrets are in no manifest, and what is no secret is in none of the others."""
    known = all_variables()
    for where, name, value in _values(manifests):
        secret = known[name].secret if name in known else False
        if secret and value is not SECRET:
            yield f"{where}: {name} is a secret, and its value is in a manifest"
        if name in known and not secret and value is SECRET:
            yield f"{where}: {name} is no secret, and nobody can see its value"
        if value and "://" in value and "@" in value.partition("://")[2].partition("/")[0]:
            yield f"{where}: {name} holds a password"


def _values(manifests: Manifests) -> Iterator[tuple[str, str, str | None]]:
    """Every variable with its value, also one that another takes the place of."""
    for found in manifests.of("ConfigMap"):
        yield from ((name_of(found), name, value) for name, value in found.get("data", {}).items())
    for process in manifests.processes:
        yield from ((process.where, name, value) for name, value in manifests.environment(process).items())


def _tokens(manifests: Manifests) -> Iterator[str]:
    """No process asks the cluster's API, so none has a token for it."""
    for process in manifests.processes:
        if process.pod.get("automountServiceAccountToken") is not False:
            yield f"{process.where}: it has a token of the cluster, and does not need one"


def _needed_secrets(manifests: Manifests) -> Iterator[str]:
    """Who answers requests has no login that sees the rows of all tenants, or owns their tables."""
    for process in ours(manifests):
        given = manifests.environment(process)
        for name, commands in _ONLY_FOR.items():
            needs = process.command[0] in commands
            if name in given and not needs:
                yield f"{process.where}: it has {name}, and does not need it"
            if needs and name not in given:
                yield f"{process.where}: it needs {name}"


def _ports(manifests: Manifests) -> Iterator[str]:
    for process in ours(manifests):
        listens, found = port_of(manifests, process), list(process.ports.values())
        if found != ([listens] if listens else []):
            yield f"{process.where}: its ports are {found}, and it listens on {listens or 'none'}"


def port_of(manifests: Manifests, process: Process) -> int | None:
    """Return where a process listens, by its settings."""
    if process.command[0] not in LISTENS:
        return None
    name = f"{LISTENS[process.command[0]]}PORT"
    return int(str(manifests.environment(process).get(name) or read_by(process)[name].default))


def _reaches(manifests: Manifests) -> Iterator[str]:
    """A process is let out to what it needs, and to nothing else."""
    for process in ours(manifests):
        allowed = {
            port["port"]
            for policy in manifests.of("NetworkPolicy")
            if process in manifests.selected(policy["spec"].get("podSelector"))
            for rule in policy["spec"].get("egress", ())
            for port in rule.get("ports", ())
        }
        needed = _REACHES.get(process.command[0], set())
        for port in sorted(needed - allowed):
            yield f"{process.where}: no NetworkPolicy lets it out to {port}"
        for port in sorted(allowed - needed):
            yield f"{process.where}: it is let out to {port}, and needs nothing there"
        for name, value in manifests.environment(process).items() if process.command[0] in LISTENS else ():
            address = urlsplit(value or "")
            asked = address.port or _PORTS.get(address.scheme)
            if asked and asked not in allowed:
                yield f"{process.where}: {name} leads to port {asked}, to which no NetworkPolicy lets it out"


def _probes(manifests: Manifests) -> Iterator[str]:
    for process in manifests.processes:
        if process.is_ours and process.command[0] in LISTENS:
            yield from _questions(process)
        for probe in PROBES:
            asked = process.container.get(probe, {}).get("httpGet")
            if asked and process.port(asked["port"]) is None:
                yield f"{process.where}: {probe} asks {asked['port']}, where nothing listens"


def _questions(process: Process) -> Iterator[str]:
    for probe, path in PROBES.items():
        if probe not in process.container:
            yield f"{process.where}: it has no {probe}"
        elif (asked := process.container[probe].get("httpGet", {}).get("path")) != path:
            known = "" if asked in health.PATHS else ", which nothing answers"
            yield f"{process.where}: {probe} asks {asked}{known}, and not {path}"


def _times(manifests: Manifests) -> Iterator[str]:
    """A process is not killed while it drains, and drains until everybody has noticed."""
    for process in ours(manifests):
        if process.command[0] not in LISTENS:
            continue
        drain, shutdown = (_seconds(manifests, process, name) for name in ("DRAIN_SECONDS", "SHUTDOWN_SECONDS"))
        grace = process.pod.get("terminationGracePeriodSeconds", 30)
        if grace <= drain + shutdown:
            yield f"{process.where}: it is killed after {grace} s, and may need {drain + shutdown:g} s to stop"
        probe = process.container.get("readinessProbe", {})
        noticed = probe.get("periodSeconds", 10) * probe.get("failureThreshold", 3)
        if process.command[0] == "serve" and drain <= noticed:
            yield f"{process.where}: it drains for {drain:g} s, and is called unready after {noticed} s"


def _metrics(manifests: Manifests) -> Iterator[str]:
    """The autoscaler goes by what the processes expose."""
    declare_all()
    for scaler in manifests.of("HorizontalPodAutoscaler"):
        for metric in scaler["spec"]["metrics"]:
            if metric["type"] != "Pods":
                continue
            name = metric["pods"]["metric"]["name"]
            if name not in DECLARED or DECLARED[name].kind != "gauge":
                yield f"{name_of(scaler)}: {name} is no gauge of this service; see docs/metrics.md"


def _seconds(manifests: Manifests, process: Process, name: str) -> float:
    whole = f"{LISTENS[process.command[0]]}{name}"
    return float(str(manifests.environment(process).get(whole) or read_by(process)[whole].default))


RULES: tuple[Rule, ...] = (
    _commands,
    _settings,
    _secrets,
    _needed_secrets,
    _tokens,
    _ports,
    _reaches,
    _probes,
    _times,
    _metrics,
)
