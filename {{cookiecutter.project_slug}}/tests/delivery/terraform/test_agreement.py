"""Terraform and the code say the same: names of settings, what a workload needs, how long things are kept."""

import re
from collections.abc import Mapping, Sequence

import pytest

from app.cli import CLIENTS, COMMANDS
from app.patterns.retention import RetentionSettings
from dev.delivery.kustomize import Object
from dev.delivery.manifests import Manifests
from dev.delivery.process_rules import ours
from dev.delivery.terraform.program import ENVIRONMENTS, FOLDER
from dev.delivery.terraform.stateful import GUARD_ALONE, PROTECTIONS, STATELESS
from dev.delivery.variables import all_variables
from dev.environment import ROOT
from dev.telemetry_policy.places import read

SERVICE = {path.name: path.read_text() for path in (FOLDER / "service").glob("*.tf")}
MODULES = {path.parent.name: path.read_text() for path in (FOLDER / "modules").glob("*/main.tf")}
MANIFESTS = "\n".join(path.read_text() for path in sorted((ROOT / "deploy" / "k8s" / "base").glob("*.yaml")))
PAGE = (ROOT / "docs" / "terraform.md").read_text()
# What else is given to a process in a file, and is a secret.
SECRET_FILES = {"APP_PROBE__CLIENT_SECRET_FILE"}


def secrets() -> dict[str, dict[str, list[str]]]:
    """Return of each secret its settings and its workloads."""
    table = SERVICE["data.tf"].partition("  secrets = {\n")[2].partition("\n  }\n")[0]
    found = re.findall(r"^    ([\w-]+) = \{\n(.*?)\n    \}", table, re.MULTILINE | re.DOTALL)
    return {
        name: {key: re.findall(r'"([^"]+)"', values) for key, values in re.findall(r"(\w+)\s*= (\[.*\])", body)}
        for name, body in found
    }


def workloads() -> set[str]:
    """Return the names of the workloads."""
    table = SERVICE["workloads.tf"].partition("  workloads = {\n")[2].partition("\n  }\n")[0]
    return set(re.findall(r"^    ([\w-]+)\s+= ", table, re.MULTILINE))


def test_each_secret_of_the_code_has_a_place() -> None:
    """And each place is for a secret of the code: both ways."""
    placed = [setting for secret in secrets().values() for setting in secret["settings"]]

    assert len(placed) == len(set(placed))
    assert set(placed) == {name for name, variable in all_variables().items() if variable.secret} | SECRET_FILES


def test_a_secret_goes_to_workloads_that_exist() -> None:
    """And to one at least."""
    given = [workload for secret in secrets().values() for workload in secret["workloads"]]

    assert set(given) <= workloads()
    assert [name for name, secret in secrets().items() if not secret["workloads"]] == []


def test_what_every_process_needs_each_has() -> None:
    """Settings without a default that are secrets go to each workload that loads all settings."""
    required = {"APP_DATABASE__URL", "APP_BROKER__URL"}
    loads_all = workloads() - {"probe"}

    for_all = {
        setting
        for secret in secrets().values()
        if loads_all <= set(secret["workloads"])
        for setting in secret["settings"]
    }
    assert required <= for_all


def test_each_role_is_for_the_same_repository() -> None:
    """The registry's and the environments': who it is for is said in two places alike."""
    texts = [path.read_text().replace("local.service", "var.service") for path in FOLDER.rglob("pipeline_github.tf")]

    assert len({tuple(re.findall(r"^  github_\w+ += (.+)$", text, re.MULTILINE)) for text in texts}) <= 1


def test_each_workload_is_a_command() -> None:
    """`http` is `app serve`."""
    commands = {*COMMANDS, *CLIENTS, "migrate", "partitions", "retention"}

    assert workloads() - {"http"} <= commands
    assert {"serve", "worker", "probe"} <= commands


def test_each_workload_is_a_service_account_of_the_manifests() -> None:
    """Both ways: who has no role is the node."""
    accounts = set(re.findall(r"^ +serviceAccountName: (\S+)$", MANIFESTS, re.MULTILINE))

    assert accounts == workloads()


def test_secrets_have_the_names_of_the_manifests() -> None:
    """What a manifest asks the store for is there, and goes into the same setting."""
    asked = re.findall(r"secretKey: (\S+), remoteRef: \{key: [\w-]+/([\w-]+)\}", MANIFESTS)
    placed = {name: secret["settings"] for name, secret in secrets().items()}

    assert len(asked) >= 6
    assert [pair for pair in asked if pair[1] not in placed] == []
    assert [pair for pair in asked if pair[0].startswith("APP_") and pair[0] not in placed[pair[1]]] == []
    # Without these nothing is signed, and no flag server is asked.
    assert placed.keys() - {key for _, key in asked} == {"audit-signing-key", "feature-flags-token"}


def test_a_secret_goes_to_the_processes_that_it_is_for(rendered: Mapping[str, Sequence[Object]]) -> None:
    """Each process gets those secrets that Terraform's table gives its workload, and no others."""
    manifests = Manifests(rendered["production"])
    given = {
        process.where.partition("/")[2]: {name for name, value in manifests.environment(process).items() if not value}
        for process in ours(manifests)
    }
    asked = {name for names in given.values() for name in names}
    meant = {
        workload: {
            setting
            for secret in secrets().values()
            if workload in secret["workloads"]
            for setting in secret["settings"]
            if setting in asked
        }
        for workload in workloads()
    }

    assert len(asked) >= 5
    assert given == meant


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_manifests_write_into_the_buckets(environment: str) -> None:
    """Under the names that Terraform gives them, and locked for as many days."""
    folder = ROOT / "deploy" / "k8s" / "overlays" / environment
    given = dict(line.split("=", 1) for line in (folder / "settings.env").read_text().splitlines())
    name = given["APP_AUDIT_LOG__EXPORT_URL"].removeprefix("s3://").removesuffix(f"-{environment}-audit")
    main = (FOLDER / "environments" / environment / "main.tf").read_text()
    days = {'local.telemetry.log_retention_days["audit"]': str(read().retention_days.logs.audit)}

    locked = dict(re.findall(r"^    (audit|archives) += (\S+)$", main, re.MULTILINE))
    assert 'name        = "${local.name}-${each.key}"' in SERVICE["data.tf"]
    assert given["APP_AUDIT_LOG__EXPORT_URL"] == f"s3://{name}-{environment}-audit"
    assert given["APP_RETENTION__ARCHIVE_URL"] == f"s3://{name}-{environment}-archives"
    assert given["APP_AUDIT_LOG__RETENTION_DAYS"] == days.get(locked["audit"], locked["audit"])
    assert given["APP_RETENTION__ARCHIVE_DAYS"] == locked["archives"]


def test_a_bucket_is_read_by_who_writes_it() -> None:
    """What `docs/audit-log.md` says that the worker needs is what it has."""
    said = (ROOT / "docs" / "audit-log.md").read_text().partition("The worker needs ")[2].partition(";")[0]

    needed = set(re.findall(r"`(s3:\w+)`", said))
    given = set(re.findall(r'"(s3:\w+)"', SERVICE["workloads.tf"]))
    assert needed == given != set()


def test_archives_are_locked_as_long_as_the_code_locks_them() -> None:
    """Production's default is the code's."""
    production = (FOLDER / "environments" / "production" / "main.tf").read_text()

    assert re.findall(r"archives = (\d+)", production) == [str(RetentionSettings().archive_days)]


def test_the_database_is_where_the_policy_lets_processes_out_to() -> None:
    """One port in the cluster and in the cloud."""
    (port,) = re.findall(r"name: to-database\n.*?port: (\d+)", MANIFESTS, re.DOTALL)

    assert set(re.findall(r"(?:from|to)_port += (\d+)", MODULES["database"])) == {port}


def test_the_roles_of_the_database_are_the_pages() -> None:
    """Logins of `docs/tenancy.md` are those that the secrets are for."""
    page = (ROOT / "docs" / "tenancy.md").read_text()

    assert {"service", "service_jobs"} == set(re.findall(r"CREATE ROLE (\w+) LOGIN", page))
    assert set(re.findall(r"CREATE ROLE (\w+) LOGIN", PAGE)) == {"service", "service_jobs", "service_owner"}


def test_the_page_tells_of_each_rule_of_the_firewall() -> None:
    """Which attack it is for; and of no other rule."""
    rules = {*re.findall(r"^    (AWSManaged\w+)", MODULES["firewall"], re.MULTILINE)} | {
        *re.findall(r'^    name     = "([\w-]+)"', MODULES["firewall"], re.MULTILINE)
    }

    assert len(rules) == 5
    table = PAGE.partition("## The firewall")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE)) == rules


def test_the_page_tells_of_each_alarm() -> None:
    """What to do first is in the alarm itself."""
    table = PAGE.partition("## Alarms")[2].partition("\n## ")[0]
    named = set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE))

    in_code = {
        f"database-{name}"
        for name in re.findall(r"^    ([\w-]+) = \{\n      metric", SERVICE["watch.tf"], re.MULTILINE)
    }
    assert len(in_code) == 5
    assert named == in_code | {"replica-1-late", "firewall-blocks"}


def test_the_page_tells_of_each_module_and_environment() -> None:
    """Nothing is there without a word."""
    folders = {path.name for path in (FOLDER / "modules").iterdir()} | set(ENVIRONMENTS)

    assert [name for name in folders if f"`{name}`" not in PAGE] == []


def test_the_guard_knows_the_resources_that_are_here() -> None:
    """What holds data is what we think that does, and there is no word about what is not described."""
    texts = "\n".join(path.read_text() for path in FOLDER.rglob("*.tf"))
    described = set(re.findall(r'^resource "(\w+)"', texts, re.MULTILINE))

    assert described - STATELESS - GUARD_ALONE == {
        "aws_db_instance",
        "aws_ecr_repository",
        "aws_kms_key",
        "aws_s3_bucket",
        "aws_secretsmanager_secret",
    }
    assert not STATELESS & GUARD_ALONE
    assert (STATELESS | GUARD_ALONE | PROTECTIONS.keys()) - described == set()


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_environment_has_the_state_of_another(environment: str) -> None:
    """Each has a backend that is locked, and no key in the code, which would be copied with it."""
    text = (FOLDER / "environments" / environment / "main.tf").read_text()

    assert 'backend "s3" {' in text
    assert re.search(r"use_lockfile += true", text)
    assert "key =" not in text


def test_who_is_called_after_whom_is_as_the_page_says() -> None:
    """The second after five minutes, the owner half an hour after the first call."""
    rules = (FOLDER / "pagerduty" / "main.tf").read_text()
    table = (ROOT / "docs" / "incidents" / "on-call.md").read_text().partition("## Escalation")[2]
    said = {
        who: int(minutes) for minutes, who in re.findall(r"^\| (\d+) minutes[^|]*\| ([^,|]+?) \|", table, re.MULTILINE)
    }

    delays = [int(minutes) for minutes in re.findall(r"escalation_delay_in_minutes = (\d+)", rules)]
    assert delays[0] == said["the second on-call engineer"]
    assert sum(delays[:2]) == said["the owner of the service"]
