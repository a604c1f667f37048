"""`make lint` is the static analysis for security, too: ruff's rules `S`, which are bandit's."""

import subprocess
import sys

import pytest

from dev.environment import ROOT

MISTAKES = {
    "SQL from text": ("S608", "def f(c, name):\n    c.execute(f\"SELECT * FROM orders WHERE name = '{name}'\")\n"),
    "a shell": ("S602", "import subprocess\n\ndef f(x):\n    subprocess.run(x, shell=True)\n"),
    "YAML that makes objects": ("S506", "import yaml\n\ndef f(x):\n    return yaml.load(x, yaml.Loader)\n"),
    "pickle": ("S301", "import pickle\n\ndef f(x):\n    return pickle.loads(x)\n"),
    "evaluated input": ("S307", "def f(x):\n    return eval(x)\n"),
    "no check of certificates": ("S501", "import httpx\n\ndef f(x):\n    return httpx.get(x, verify=False)\n"),
    "a weak hash": ("S324", "import hashlib\n\ndef f(x):\n    return hashlib.md5(x)\n"),
    "numbers that can be guessed": ("S311", "import random\n\ndef f():\n    return random.random()\n"),
    "a password in code": ("S105", 'password = "correct-horse"\n'),
    "every address": ("S104", 'HOST = "0.0.0.0"\n'),
    "a file anybody may replace": ("S108", 'PATH = "/tmp/state"\n'),
    "an error that is swallowed": ("S110", "def f(x):\n    try:\n        x()\n    except Exception:\n        pass\n"),
    "XML with entities": ("S314", "import xml.etree.ElementTree as E\n\ndef f(x):\n    return E.fromstring(x)\n"),
}


@pytest.mark.parametrize(("rule", "code"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_noticed(rule: str, code: str) -> None:
    """As it would be in a file of the service, with the settings that are here."""
    words = ("check", "--no-cache", "--output-format", "concise", "--stdin-filename", "src/app/orders/planted.py", "-")
    command = [sys.executable, "-m", "ruff", *words]

    found = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, check=False)

    assert found.returncode == 1
    assert rule in found.stdout
