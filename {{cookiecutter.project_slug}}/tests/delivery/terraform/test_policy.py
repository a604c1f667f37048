"""The description keeps to what trivy asks for, every exception is explained and needed, and a mistake is noticed."""

import shutil
from pathlib import Path

import pytest

from dev.delivery.terraform.policy import EXCEPTIONS, NothingChecked, findings, mistakes, unprotected
from dev.delivery.terraform.program import FOLDER

# What is broken, where, and how somebody would break it; all at once, since a run of trivy takes seconds.
PLANTED = [
    ("modules/database/main.tf", "  storage_encrypted     = true", "  storage_encrypted     = false", "AWS-0080"),
    ("modules/database/main.tf", "  publicly_accessible    = false", "  publicly_accessible    = true", "AWS-0180"),
    (
        "modules/database/main.tf",
        "  deletion_protection       = true",
        "  deletion_protection       = false",
        "AWS-0177",
    ),
    (
        "modules/locked_bucket/main.tf",
        "  block_public_acls       = true",
        "  block_public_acls       = false",
        "AWS-0086",
    ),
    (
        "modules/locked_bucket/main.tf",
        "  block_public_policy     = true",
        "  block_public_policy     = false",
        "AWS-0087",
    ),
    ("modules/locked_bucket/main.tf", '"Enabled"\n  }', '"Suspended"\n  }', "AWS-0090"),
    ("modules/alarms/main.tf", "  kms_master_key_id = var.key_arn\n", "", "AWS-0095"),
    ("modules/registry/main.tf", '"IMMUTABLE"', '"MUTABLE"', "AWS-0031"),
    ("modules/registry/main.tf", "scan_on_push = true", "scan_on_push = false", "AWS-0030"),
    ("modules/key/main.tf", "  enable_key_rotation     = true", "  enable_key_rotation     = false", "AWS-0065"),
    ("modules/firewall/main.tf", "  kms_key_id        = var.logs_key_arn\n", "", "AWS-0017"),
]
UNPROTECTED = [
    ("modules/database/main.tf", "aws_db_instance.primary"),
    ("modules/key/main.tf", "aws_kms_key.this"),
    ("modules/locked_bucket/main.tf", "aws_s3_bucket.this"),
    ("modules/registry/main.tf", "aws_ecr_repository.service"),
    ("modules/secret/main.tf", "aws_secretsmanager_secret.this"),
]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Return what trivy finds in a copy with all mistakes."""
    folder = copied(tmp_path_factory.mktemp("terraform"))
    for file, text, instead, _ in PLANTED:
        change(folder / file, text, instead)
    return [(finding.file, finding.rule) for finding in findings(folder)]


def copied(place: Path) -> Path:
    """Return a copy of the description, with a name in the place of an unanswered question."""
    folder = place / "terraform"
    shutil.copytree(FOLDER, folder, ignore=shutil.ignore_patterns(".terraform*", "*.tfplan"))
    return folder


def change(path: Path, text: str, instead: str) -> None:
    """Change what a file says."""
    whole = path.read_text()
    assert text in whole, (path, text)
    path.write_text(whole.replace(text, instead, 1))


def test_nothing_is_found_but_what_is_explained() -> None:
    """Neither a broken rule nor an exception that hides nothing."""
    assert list(mistakes(FOLDER)) == []


@pytest.mark.parametrize(("file", "rule"), [pytest.param(row[0], row[3], id=row[3]) for row in PLANTED])
def test_a_mistake_is_found_by_its_rule(planted: list[tuple[str, str]], file: str, rule: str) -> None:
    """Each mistake that was planted is named with its file."""
    assert (file, rule) in planted


@pytest.mark.parametrize(("file", "resource"), UNPROTECTED)
def test_what_holds_data_says_so_itself(tmp_path: Path, file: str, resource: str) -> None:
    """Without `prevent_destroy` a resource with data is named."""
    folder = copied(tmp_path)
    change(folder / file, "    prevent_destroy = true", "    prevent_destroy = false")

    assert list(unprotected(folder)) == [f"{file}: {resource} has no prevent_destroy"]


def test_a_type_that_nobody_has_thought_of_holds_data(tmp_path: Path) -> None:
    """A table that is new here is named, until it is protected or somebody has said that it holds nothing."""
    (tmp_path / "main.tf").write_text('resource "aws_dynamodb_table" "this" {\n  name = "orders"\n}\n')

    assert list(unprotected(tmp_path)) == ["main.tf: aws_dynamodb_table.this has no prevent_destroy"]


def test_an_exception_is_needed_and_explained(tmp_path: Path) -> None:
    """One that hides nothing is a mistake, and so is one without a reason."""
    folder = copied(tmp_path)
    with (folder / EXCEPTIONS).open("a") as file:
        file.write('\n[[exception]]\nrule = "AWS-0001"\nfile = "modules/key/main.tf"\nreason = " "\n')

    assert list(mistakes(folder)) == [
        f"{EXCEPTIONS}: AWS-0001 in modules/key/main.tf has no reason",
        f"{EXCEPTIONS}: AWS-0001 in modules/key/main.tf hides nothing: take it out",
    ]


def test_to_check_nothing_is_no_success(tmp_path: Path) -> None:
    """Trivy ends with 0 where there is nothing to check."""
    with pytest.raises(NothingChecked, match="trivy has checked nothing"):
        findings(tmp_path)
