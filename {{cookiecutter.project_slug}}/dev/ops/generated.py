"""Everything that follows from the sources, by the file that it is written to."""

from collections.abc import Mapping
from pathlib import Path

from dev.environment import ROOT
from dev.ops import alerts, cause_rules, exports, pages, routing, rule_tests, rules, slos, tables
from dev.ops.dashboards import catalogue
from dev.telemetry_policy.marks import with_blocks

FOLDER = ROOT / "ops" / "generated"
LEDGER = FOLDER / "proof.md"
"""Written by `make prove`, from what it has seen."""
PAGE = ROOT / "docs" / "slo.md"


def outputs() -> Mapping[Path, str]:
    """Return what each file must hold.

    Raises:
        BadSource: a source cannot be used.
    """
    levels = slos.read()
    causes = alerts.read(levels)
    made = {f"prometheus/{name}": text for name, text in rules.rule_files(levels).items()}
    made |= {f"tests/{name}": text for name, text in rule_tests.test_files(levels).items()}
    made |= {
        **{f"prometheus/{name}": text for name, text in cause_rules.rule_files(causes).items()},
        **{f"tests/{name}": text for name, text in cause_rules.test_files(causes).items()},
        routing.OUTPUT: routing.configuration(causes, levels),
        **catalogue.files(causes, levels),
    }
    rule_files = {name.removeprefix("prometheus/"): text for name, text in made.items() if name.startswith("prom")}
    made |= exports.exports(levels, rule_files)
    return {
        **{FOLDER / name: text for name, text in made.items()},
        **pages.pages(causes, levels),
        PAGE: with_blocks(PAGE.read_text(), tables.blocks(levels)),
        catalogue.PAGE: with_blocks(catalogue.PAGE.read_text(), catalogue.blocks(causes, levels)),
    }


def there() -> list[Path]:
    """Return the files of the folder in which everything is generated."""
    return [path for path in FOLDER.rglob("*") if path.is_file() and path != LEDGER]
