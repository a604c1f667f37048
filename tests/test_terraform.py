"""The Terraform of a service is accepted by the real one with the real provider, and its tests notice mistakes."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from baking import Bakery
from terraforming import HOW_TO_GET_IT, Terraform

_PROOF = "terraform validates deploy/terraform"
_SENT = (
    '  password_wo                         = coalesce(var.master_password, "none") '
    "# too short for RDS: it is asked for where it is sent\n"
    "  password_wo_version                 = var.master_password_version\n"
)
# What is broken, how, and what the service's own tests say of it. All at once: a run takes a while. In each test file
# only what the first test looks at, since terraform leaves out the others after a failure.
_NOTICED = {
    "no deletion protection": (
        "modules/database/main.tf",
        "  deletion_protection       = true",
        "  deletion_protection       = false",
        "Every instance must have deletion protection.",
    ),
    "no last snapshot": (
        "modules/database/main.tf",
        "  skip_final_snapshot       = false",
        "  skip_final_snapshot       = true",
        "A last snapshot and the backups must outlive the database.",
    ),
    "unencrypted storage": (
        "modules/database/main.tf",
        "  storage_encrypted     = true",
        "  storage_encrypted     = false",
        "Storage must be encrypted with our own key.",
    ),
    "TLS not forced": (
        "modules/database/main.tf",
        'name  = "rds.force_ssl"\n    value = "1"',
        'name  = "rds.force_ssl"\n    value = "0"',
        "Connections without TLS must be refused.",
    ),
    "a database on the internet": (
        "modules/database/main.tf",
        "  publicly_accessible    = false",
        "  publicly_accessible    = true",
        "No instance may be reached from the internet.",
    ),
    "a password that RDS manages, which makes no replica then": (
        "modules/database/main.tf",
        _SENT,
        "  manage_master_user_password         = true\n",
        "RDS makes no replica of a database whose password it manages.",
    ),
    "no retention of a log": (
        "modules/database/main.tf",
        "  retention_in_days = var.log_retention_days\n",
        "",
        "The database's log must have a retention and our own key.",
    ),
    "a lock that somebody may lift": (
        "modules/locked_bucket/main.tf",
        '"COMPLIANCE"',
        '"GOVERNANCE"',
        "Nobody may shorten the retention: COMPLIANCE, for all of its days.",
    ),
    "a bucket without versions": (
        "modules/locked_bucket/main.tf",
        '"Enabled"\n  }',
        '"Suspended"\n  }',
        "The bucket must have object lock, and versions.",
    ),
    "a public bucket": (
        "modules/locked_bucket/main.tf",
        "  block_public_policy     = true",
        "  block_public_policy     = false",
        "The bucket must not be public in any way.",
    ),
    "a bucket without TLS": (
        "modules/locked_bucket/main.tf",
        '"aws:SecureTransport" = "false"',
        '"aws:SecureTransport" = "true"',
        "The bucket's policy must refuse what comes without TLS, and give nothing to anybody.",
    ),
    "a rule that only counts": (
        "modules/firewall/main.tf",
        "none {} # what the group blocks is blocked",
        "count {}",
        "No rule may only count, or let through.",
    ),
    "a rule that is gone": (
        "modules/firewall/main.tf",
        "    AWSManagedRulesSQLiRuleSet   =",
        "    AWSManagedRulesLinuxRuleSet  =",
        "Each rule must be there, the cheap ones first.",
    ),
    "a token in the firewall's log": (
        "modules/firewall/main.tf",
        '      name = "authorization"',
        '      name = "accept"',
        "Tokens and cookies must not be in the log.",
    ),
    "any service account": (
        "modules/workload/main.tf",
        '"aws:RequestTag/kubernetes-service-account" = var.service_account',
        '"aws:RequestTag/kubernetes-service-account" = "default"',
        "The role must be for the pods of this service account in this namespace.",
    ),
    "any repository": (
        "modules/pipeline_role/main.tf",
        "local.exact ? { sub = var.subjects } : {})",
        "{})",
        "The role must be for exactly these jobs.",
    ),
    "tags that can be moved": (
        "modules/registry/main.tf",
        '"IMMUTABLE"',
        '"MUTABLE"',
        "Tags must be immutable.",
    ),
    "signatures that expire": (
        "modules/registry/main.tf",
        'tagStatus      = "tagged"',
        'tagStatus      = "any"',
        "Only releases may expire: signatures have other tags, or none.",
    ),
    "an alarm that looks for another name": (
        "modules/firewall/main.tf",
        "    metric_name                = var.name",
        '    metric_name                = "firewall"',
        "What no rule blocks is let through, and counted by the name that the alarm looks for.",
    ),
    "silence that is good": (
        "modules/alarms/main.tf",
        'each.value.silence_is_bad ? "breaching" : "notBreaching"',
        '"notBreaching"',
        "Silence must be an alarm where it is bad, and nowhere else.",
    ),
    "any action of a job": (
        "service/pipeline.tf",
        '["ecr:GetAuthorizationToken"]',
        '["ecr:*"]',
        "The rights of a job name each action.",
    ),
    "lines that go with their description": (
        "modules/log_streams/main.tf",
        'each.key != "app"',
        "false",
        "Audit and security lines must outlive this configuration.",
    ),
    "any action": (
        "service/workloads.tf",
        'actions   = ["s3:ListBucket"]',
        'actions   = ["s3:*"]',
        "A workload's rights name each action and each resource.",
    ),
}
# What `terraform validate` knows by itself, from the provider.
_INVALID = {
    "an unknown argument": (
        "modules/key/main.tf",
        "  enable_key_rotation     =",
        "  enable_key_rotations    =",
        'An argument named "enable_key_rotations" is not expected here. Did you mean "enable_key_rotation"?',
    ),
    "a value that is none": (
        "modules/pipeline_role/main.tf",
        "max_session_duration = var.session_seconds",
        "max_session_duration = 60",
        "expected max_session_duration to be in the range (3600 - 43200), got 60",
    ),
    "a module that is told too little": (
        "service/watch.tf",
        '  logs_key_arn              = module.key["logs"].arn\n',
        "",
        'The argument "logs_key_arn" is required',
    ),
}
_KINDS = {
    "test": (_NOTICED, "test", ["service"]),
    "validate": (_INVALID, "validate", ["environments/shared", "environments/production"]),
}
_Row = tuple[str, str, str, str]
_Said = Callable[[str], str | None]


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform | None:
    """The real one, with the real provider; None where they cannot be had."""
    program = Terraform(tmp_path_factory.mktemp("terraform"))
    return program if program.has_provider(tmp_path_factory.mktemp("provider")) else None


@pytest.fixture(scope="module")
def said(bakery: Bakery, terraform: Terraform | None) -> _Said:
    """Return a function that tells what terraform says of a service in which mistakes were planted."""
    kept: dict[str, str] = {}

    def ask(kind: str) -> str | None:
        if terraform is None:
            return None
        if kind not in kept:
            rows, command, roots = _KINDS[kind]
            folder = planted(bakery.bake(), rows)
            for root in roots:
                terraform.init(folder / root)
                done = terraform.run(command, cwd=folder / root)
                assert done.returncode == 1
                kept[kind] = kept.get(kind, "") + done.stdout + done.stderr
        # Terraform breaks lines where its margin is.
        return " ".join(re.sub(r"[│╷╵\n]", " ", kept[kind]).split())

    return ask


def planted(service: Path, rows: dict[str, _Row]) -> Path:
    """Return the description of a service, with mistakes in it."""
    folder = service / "deploy" / "terraform"
    for file, text, instead, _ in rows.values():
        whole = (folder / file).read_text()
        assert text in whole, (file, text)
        (folder / file).write_text(whole.replace(text, instead, 1))
    return folder


def test_terraform_accepts_and_tests_it(
    bakery: Bakery, terraform: Terraform | None, unproven: Callable[[str, str], None]
) -> None:
    """Formatted, valid against the provider's schema, and its own tests pass, with hostile text in the answers."""
    if terraform is None:
        unproven(_PROOF, HOW_TO_GET_IT)
        return
    folder = bakery.bake(description='Prend "des" <commandes>: 100% ${sûr} %{if} \\ #1', ci="both") / "deploy/terraform"
    number = sum(path.read_text().count('\nrun "') for path in folder.rglob("*.tftest.hcl"))

    steps = {"format": terraform.run("fmt", "-check", "-recursive", "-diff", cwd=folder)}
    for environment in ("shared", "production"):  # staging is applied, in test_terraform_cloud.py
        terraform.init(folder / "environments" / environment)
        steps[environment] = terraform.run("validate", cwd=folder / "environments" / environment)
    terraform.init(folder / "service")
    steps["tests"] = terraform.run("test", cwd=folder / "service")

    assert {name: step.returncode for name, step in steps.items()} == dict.fromkeys(steps, 0), [
        step.stdout + step.stderr for step in steps.values()
    ]
    assert number >= 25
    assert f"{number} passed, 0 failed" in steps["tests"].stdout


def test_terraform_accepts_who_is_called(
    service: Path, tmp_path: Path, terraform: Terraform | None, unproven: Callable[[str, str], None]
) -> None:
    """What is described for PagerDuty is valid against its provider's schema, where that can be had."""
    folder = shutil.copytree(service / "deploy" / "terraform", tmp_path / "terraform") / "pagerduty"
    if terraform is None or terraform.run("init", "-backend=false", cwd=folder).returncode != 0:
        unproven(f"{_PROOF}/pagerduty", "let `terraform init` reach a registry that holds PagerDuty/pagerduty 3")
        return

    valid = terraform.run("validate", cwd=folder)

    assert valid.returncode == 0, valid.stdout + valid.stderr


def test_a_deployment_has_its_role_to_the_end(service: Path) -> None:
    """The job that waits for a canary takes hours; without credentials it could not go back."""
    jobs = (service / ".github/workflows/release.yml").read_text()
    login = (service / ".github/actions/login/action.yml").read_text()
    roles = (service / "deploy/terraform/service/pipeline.tf").read_text()

    longest = max(int(minutes) for minutes in re.findall(r"timeout-minutes: (\d+)", jobs)) * 60
    (asked,) = re.findall(r"cluster && (\d+)", login)
    (given,) = re.findall(r"session_seconds = (\d+) # as long as", roles)
    assert longest <= int(asked) <= int(given)


@pytest.mark.parametrize(
    ("kind", "message"),
    [pytest.param(kind, row[3], id=name) for kind, (rows, _, _) in _KINDS.items() for name, row in rows.items()],
)
def test_a_mistake_is_noticed(said: _Said, unproven: Callable[[str, str], None], kind: str, message: str) -> None:
    """Each mistake that was planted is told by its own sentence."""
    text = said(kind)

    if text is None:
        unproven(_PROOF, HOW_TO_GET_IT)
        return
    assert message in text
