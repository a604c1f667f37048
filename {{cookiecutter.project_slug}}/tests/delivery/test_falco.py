"""Rules for Falco fire for attacks and not for what the service does; Falco itself does not run here."""

import pytest

from dev.delivery import falco
from dev.delivery.kustomize import built
from dev.environment import project_name
from tests.support.needing_tools import WithTools

TEXT = falco.SOURCE.read_text()
SERVICE = {
    "container.id": "3f2a",
    "container.image.repository": f"registry.example.com/{project_name()}",
    "k8s.ns.name": project_name(),
    "proc.name": "app",
    "proc.exepath": "/venv/bin/python3",
}
START = {"evt.type": "execve"}
FILE = {"evt.type": "openat", "fd.typechar": "f", "evt.is_open_write": "false"}
WRITE = FILE | {"evt.is_open_write": "true"}
TCP = {"evt.type": "connect", "fd.type": "ipv4", "fd.typechar": "4", "fd.l4proto": "tcp", "fd.sip": "10.0.3.4"}
SENT = TCP | {"evt.type": "sendto"}
SHELL, FOREIGN, WRITTEN = (
    "A shell in the service",
    "A program that the image does not start",
    "A program that was written after the start",
)


def test_nothing_is_wrong() -> None:
    """And the five attacks that the issue of such rules is about are there."""
    assert falco.mistakes(TEXT) == []
    assert TEXT.count("- rule: ") == TEXT.count("# Attack: ") >= 5
    assert f'k8s.ns.name = "{project_name()}"' in TEXT


@pytest.mark.parametrize(
    ("event", "fired"),
    [
        pytest.param(START | {"proc.name": "sh", "proc.exepath": "/usr/bin/dash"}, [SHELL, FOREIGN], id="shell"),
        pytest.param(START | {"proc.name": "curl", "proc.exepath": "/usr/bin/curl"}, [FOREIGN], id="tool"),
        pytest.param(START | {"proc.name": "python", "proc.exepath": "/tmp/python"}, [WRITTEN], id="disguised"),
        pytest.param(WRITE | {"fd.name": "/venv/bin/app"}, ["A write below the root"], id="changed program"),
        pytest.param(
            FILE | {"fd.name": "/run/secrets/kubernetes.io/serviceaccount/token"},
            ["A token of the cluster was read"],
            id="token",
        ),
        pytest.param(TCP | {"fd.sport": "4444"}, ["A connection to somewhere unexpected"], id="reverse shell"),
        pytest.param(
            SENT | {"fd.l4proto": "udp", "fd.sport": "9999"}, ["A connection to somewhere unexpected"], id="tunnel"
        ),
    ],
)
def test_an_attack_fires_the_rules_that_are_for_it(event: dict[str, str], fired: list[str]) -> None:
    """And no others; in another namespace, none."""
    assert falco.fired(TEXT, SERVICE | event) == fired
    assert falco.fired(TEXT, SERVICE | event | {"k8s.ns.name": "another"}) == []
    assert falco.fired(TEXT, SERVICE | event | {"container.id": "host"}) == []


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(START, id="starts"),
        pytest.param(FILE | {"fd.name": "/venv/lib/python3.13/site-packages/app/main.py"}, id="reads its code"),
        pytest.param(WRITE | {"fd.name": "/tmp/crash-7.new"}, id="notes a crash"),
        pytest.param(WRITE | {"fd.name": "/dev/null"}, id="writes nowhere"),
        pytest.param(
            FILE | {"fd.name": "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount/token"}, id="its role in AWS"
        ),
        pytest.param(TCP | {"fd.sport": "5432"}, id="asks PostgreSQL"),
        pytest.param(SENT | {"fd.sport": "8000"}, id="answers a request"),
        pytest.param(SENT | {"fd.l4proto": "udp", "fd.sport": "53"}, id="asks for a name"),
        pytest.param(TCP | {"fd.sip": "127.0.0.1", "fd.sport": "8000"}, id="asks itself"),
        pytest.param(SENT | {"fd.type": "unix", "fd.l4proto": "NA"}, id="speaks to a socket in a file"),
    ],
)
def test_what_the_service_does_fires_nothing(event: dict[str, str]) -> None:
    """Thousands of times a minute, each would be a false alarm."""
    assert falco.fired(TEXT, SERVICE | event) == []


def test_the_rules_are_a_config_map(with_tools: WithTools) -> None:
    """Beside Falco, whole."""
    [found] = with_tools(lambda: built(falco.SOURCE.parent))

    assert (found["kind"], found["metadata"]["namespace"]) == ("ConfigMap", "falco")
    assert found["data"] == {"rules.yaml": TEXT}


@pytest.mark.parametrize(
    ("text", "instead", "told"),
    [
        pytest.param("  # Attack: a tool", "  # A tool", "it does not say what attack it is for", id="no attack"),
        pytest.param("- list: shells", "- list: shell", "shells is neither a list nor", id="unknown list"),
        pytest.param("condition: of_its_image and", "condition: of_its_imge and", "of_its_imge is neither", id="macro"),
        pytest.param("items: [53,", "about: [53,", "ports_of_its_dependencies: it has list, about", id="no items"),
        pytest.param("in (shells)", "= sh", "shells: no rule uses it", id="unused list"),
        pytest.param("proc.exepath startswith", "proc.exepth startswith", "proc.exepth is neither", id="unknown field"),
        pytest.param("file=%fd.name", "file=%fd.nme", "fd.nme is no field", id="unknown field of the output"),
        pytest.param("(shells)", "(shells", ") is missing before its end", id="brackets"),
        pytest.param("image and evt.type in (open", "image evt.type in (open", "nothing is expected at", id="no `and`"),
        pytest.param("= true and", "and", "and is no operator", id="no operator"),
        pytest.param("(ports_of_its_dependencies)", "", "( is missing before its end", id="no values"),
        pytest.param("startswith /tmp/\n", "\n", "it ends too early", id="no end"),
        pytest.param("startswith /tmp/\n", "beginswith /tmp/\n", "beginswith is no operator", id="unknown operator"),
        pytest.param("priority: ERROR", "priority: HIGH", "HIGH is no priority", id="priority"),
        pytest.param("  desc: A file outside", "  about: A file outside", "it has rule, about", id="unknown key"),
        pytest.param("- rule: A write below the root", "- rule: A shell in the service", "two of it", id="twice"),
    ],
)
def test_a_mistake_is_told(text: str, instead: str, told: str) -> None:
    """By the name of its rule."""
    assert text in TEXT

    assert any(told in said for said in falco.mistakes(TEXT.replace(text, instead, 1)))
