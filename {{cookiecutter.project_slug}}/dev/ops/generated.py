"""Everything that follows from the sources, by the file that it is written to."""

from collections.abc import Mapping
from pathlib import Path

from dev.environment import ROOT
from dev.ops import alerts, cause_rules, exports, pages, routing, rule_tests, rules, slos, tables
from dev.ops.dashboards import catalogue
from dev.release_gate import page, policy
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
    rule_files = {**rules.rule_files(levels), **cause_rules.rule_files(causes)}
    test_files = {**rule_tests.test_files(levels), **cause_rules.test_files(causes)}
    made = {
        **{f"prometheus/{name}": text for name, text in rule_files.items()},
        **{f"tests/{name}": text for name, text in test_files.items()},
        routing.OUTPUT: routing.configuration(causes, levels),
        **catalogue.files(causes, levels),
        **exports.exports(levels, rule_files),
    }
    return {
        **{FOLDER / name: text for name, text in made.items()},
        **pages.pages(causes, levels),
        PAGE: with_blocks(PAGE.read_text(), tables.blocks(levels)),
        catalogue.PAGE: with_blocks(catalogue.PAGE.read_text(), catalogue.blocks(causes, levels)),
        page.PAGE: page.page(policy.read(levels)),
    }


def there() -> list[Path]:
    """Return the files of the folder in which everything is generated."""
    return [path for path in FOLDER.rglob("*") if path.is_file() and path != LEDGER]
