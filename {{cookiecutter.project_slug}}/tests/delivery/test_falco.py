"""Rules for Falco are well formed, each for an attack, and know the service; Falco itself does not run here."""

import pytest

from dev.delivery import falco
from dev.delivery.kustomize import built
from dev.environment import project_name
from tests.support.needing_tools import WithTools

TEXT = falco.SOURCE.read_text()


def test_nothing_is_wrong() -> None:
    """And the five attacks that the issue of such rules is about are there."""
    assert falco.mistakes(TEXT) == []
    assert TEXT.count("- rule: ") == TEXT.count("# Attack: ") >= 5
    assert f'k8s.ns.name = "{project_name()}"' in TEXT


def test_the_rules_are_a_config_map(with_tools: WithTools) -> None:
    """Beside Falco, whole."""
    [found] = with_tools(lambda: built(falco.SOURCE.parent))

    assert (found["kind"], found["metadata"]["namespace"]) == ("ConfigMap", "falco")
    assert found["data"] == {"rules.yaml": TEXT}


@pytest.mark.parametrize(
    ("text", "instead", "told"),
    [
        pytest.param("  # Attack: a tool", "  # A tool", "it does not say what attack it is for", id="no attack"),
        pytest.param("- list: shells", "- list: shell", "shells is not defined", id="unknown list"),
        pytest.param(
            "- macro: of_its_image", "- macro: of_its_imge", "of_its_imge: no rule uses it", id="unused macro"
        ),
        pytest.param(
            "proc.exepath startswith", "proc.exepth startswith", "proc.exepth is no field", id="unknown field"
        ),
        pytest.param("(shells)", "(shells", "its brackets do not match", id="brackets"),
        pytest.param("priority: ERROR", "priority: HIGH", "HIGH is no priority", id="priority"),
        pytest.param("  desc: A file outside", "  about: A file outside", "it has rule, about", id="unknown key"),
        pytest.param("- rule: A write below the root", "- rule: A shell in the service", "two of it", id="twice"),
        pytest.param("startswith /tmp/\n", "beginswith /tmp/\n", "beginswith is not defined", id="unknown operator"),
    ],
)
def test_a_mistake_is_told(text: str, instead: str, told: str) -> None:
    """By the name of its rule."""
    assert text in TEXT

    assert any(told in said for said in falco.mistakes(TEXT.replace(text, instead, 1)))
