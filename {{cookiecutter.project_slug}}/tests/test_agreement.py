"""What documents and other files say of the service is what its code says, down to the default of a setting.

Who says more of a thing has a test of its own: manifests and cloud in `tests/delivery`, what the telemetry policy
decides in `tests/ops`, the pages of metrics, logs and flags in `tests/architecture`, `.env.example` beside this file.
"""

import re
import shlex
import tomllib
from collections.abc import Iterator

import pytest

from app.patterns import health
from dev import up
from dev.delivery.pipelines import targets
from dev.delivery.variables import all_variables
from dev.environment import ROOT
from dev.ops.app_commands import no_command
from tests.support import metrics_page

TEXT = {".env", ".example", ".hcl", ".json", ".md", ".mk", ".tf", ".toml", ".yaml", ".yml"}
FILES = {
    str(path.relative_to(ROOT)): path
    for place in ("*", "docs/**/*", "deploy/**/*", "ops/**/*", ".git[hl]*/**/*")
    for path in ROOT.glob(place)
    if path.is_file() and (path.suffix in TEXT or path.name in ("Dockerfile", "Makefile"))
    # What tools keep for themselves is in hidden folders; what `make ops` writes says the same as its source.
    if not any(part.startswith(".") or part == "generated" for part in path.relative_to(ROOT).parts[1:-1])
}
SETTINGS = all_variables()
# The others are of the repository that this service was made from, and the documents say so.
TARGETS = targets(ROOT) | {"bench", "bench-audit", "bench-retention", "bench-telemetry", "test-image"}
PORTS = {str(port) for port, _ in up.PORTS.values()}


def is_exposed(name: str) -> bool:
    """Tell whether this is a metric, or the last word of a setting."""
    return name in metrics_page.rows() or any(setting.endswith(f"_{name.upper()}") for setting in SETTINGS)


def is_command(written: str) -> bool:
    """Tell whether `app` knows these words; what is in brackets, or comes later, is left out."""
    why = no_command(shlex.split(re.sub(r"\[[^]]*\]|\.\.\.", "", written)))
    return not why or "are required" in why


CLAIMS = (
    (r"\b(?:APP_[A-Z0-9_]*[A-Z0-9]|OTEL_[A-Z_]+)\b", SETTINGS.__contains__, "{} is no setting"),
    (r"(?:`|^|\$ )app ([a-z][^`\n#]*)", is_command, "no such command: app {}"),
    (r"(?:`|^)make ([a-z][a-z-]*)", TARGETS.__contains__, "no such target: make {}"),
    (r"`([a-z]+(?:_[a-z]+)+_(?:total|seconds|bytes))\b", is_exposed, "nothing exposes {}"),
    (r"(?:`|:80\d\d)(/[a-z]+z)\b", health.PATHS.__contains__, "nothing answers {}"),
    (r"\b(?:localhost|127\.0\.0\.1):(80\d\d)\b", PORTS.__contains__, "nothing listens on {}"),
)
DEFAULTS = (  # in brackets behind a setting, in a table of settings, in a table of what they are for
    r"`(?P<name>APP_\w+)` \((?P<value>[\d.]+)\)",
    r"^\| `(?P<name>APP_\w+)` \| `?(?P<value>[^|`]+)`? \|",
    r"^\|[^|]*\| (?P<value>[\d.]+) [^|]*\| `(?P<name>APP_\w+)` \|$",
)


def untrue(text: str) -> Iterator[str]:
    """Yield what a text names and there is not, and each default that is another one."""
    for pattern, is_true, told in CLAIMS:
        yield from (told.format(found) for found in re.findall(pattern, text, re.MULTILINE) if not is_true(found))
    for found in (found for pattern in DEFAULTS for found in re.finditer(pattern, text, re.MULTILINE)):
        default = SETTINGS[found["name"]].default if found["name"] in SETTINGS else found["value"]
        if found["value"].removesuffix(".0") != ("none" if default is None else str(default).removesuffix(".0")):
            yield f"{found['name']} is {default}, and not {found['value']}"


def test_what_is_named_is_there() -> None:
    """Settings, commands, targets, metrics, probes and ports, in every file that is no code."""
    told = {name: [*untrue(path.read_text())] for name, path in FILES.items()}

    assert {name: lines for name, lines in told.items() if lines} == {}
    assert {"README.md", ".env.example", "Makefile", "deploy/Dockerfile", "ops/alerts.yaml"} <= FILES.keys()


def test_what_is_kept_is_told_as_it_is() -> None:
    """The days of the rules of retention, on the pages of what they remove."""
    kept = tomllib.loads((ROOT / "src" / "app" / "retention.toml").read_text())
    page = (ROOT / "docs" / "retention.md").read_text()
    audit_log = (ROOT / "docs" / "audit-log.md").read_text()

    told = re.findall(r"A month of `(\w+)` goes when its last day is (\d+) days ago", page)
    assert told == [(table, str(kept[table]["keep_days"])) for table, _ in told] != []
    assert re.findall(r"drops it after (\d+) days", audit_log) == [str(kept["audit_log"]["keep_days"])]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Set `APP_HTTP__PROT`.", "APP_HTTP__PROT is no setting"),
        ("ENV APP_VERSON=1", "APP_VERSON is no setting"),
        ("`APP_RETENTION__ARCHIVE_DAYS` (366)", "APP_RETENTION__ARCHIVE_DAYS is 365, and not 366"),
        ("| kept | 8 days | `APP_INBOX__KEPT_DAYS` |", "APP_INBOX__KEPT_DAYS is 7.0, and not 8"),
        ("| `APP_LOGGING__BURST` | `100` | x |", "APP_LOGGING__BURST is 1000, and not 100"),
        ("| `APP_REPLICAS__URLS` | none | x |", "APP_REPLICAS__URLS is (), and not none"),
        ("Run `app outbox lst`.", "no such command: app outbox lst"),
        ("```\napp migrate upp\n```", "no such command: app migrate upp"),
        ("Run `make chek`.", "no such target: make chek"),
        ("See `outbox_oldest_seconds`.", "nothing exposes outbox_oldest_seconds"),
        ("Ask `/healthz`.", "nothing answers /healthz"),
        ("curl localhost:8080/readyz", "nothing listens on 8080"),
    ],
)
def test_what_is_not_there_is_told(text: str, told: str) -> None:
    """Planted: each kind of claim once."""
    assert [*untrue(text)] == [told]
