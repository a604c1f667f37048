"""An environment is made in moto's AWS and taken down again; drift is reported; plans that lose data are refused.

What moto does not have, and is left out here: pod identities, replicas (it makes them, and the provider does not find
them), the cache and the rotation of logins, which staging has not. What it forgets, and is not compared: performance
insights, parameters of a group, the description of a rule.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from terraforming import HOW_TO_GET_IT, Terraform

pytestmark = pytest.mark.xdist_group("cloud")

_PROOF = "Terraform makes an environment in moto's AWS"
_DATABASE = "module.service.module.database.aws_db_instance.primary"
_LOCK = 'module.service.module.bucket["audit"].aws_s3_bucket_object_lock_configuration.this'
_ACCESS = 'module.service.module.bucket["audit"].aws_s3_bucket_public_access_block.this'
_RENAMED = 'username                            = "postgres2"'
_REGION = "eu-central-1"
_NETWORK = """
import boto3, json
ec2 = boto3.client("ec2")
vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
subnets = [
    ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-central-1{z}")["Subnet"]["SubnetId"]
    for n, z in enumerate("ab")
]
group = ec2.create_security_group(GroupName="pods", Description="pods", VpcId=vpc)["GroupId"]
network = {"vpc_id": vpc, "private_subnet_ids": subnets, "pod_security_group_id": group, "cluster_name": "main"}
print(json.dumps(network))
"""
_OPENED_BY_HAND = """
import boto3
access = dict.fromkeys(("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), CLOSED)
s3 = boto3.client("s3")
s3.put_public_access_block(Bucket="order-service-staging-audit", PublicAccessBlockConfiguration=access)
"""
_UNPROTECTED_BY_HAND = """
import boto3
boto3.client("rds").modify_db_instance(DBInstanceIdentifier="order-service-staging", DeletionProtection=False)
"""
_TRUSTED = """
import boto3
role = boto3.client("iam").get_role(RoleName="order-service-staging-github-deploy")["Role"]
print(*role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"].values())
"""
_SNAPSHOTS = """
import boto3
shown = boto3.client("rds").describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
print([snapshot["DBSnapshotIdentifier"] for snapshot in shown])
"""
_PROVIDER = """
terraform {
  backend "local" {}
}

provider "aws" {
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  s3_use_path_style           = true
}
"""
_OTHERWISE = {
    "environments/staging": _PROVIDER,
    "modules/workload": 'resource "aws_eks_pod_identity_association" "this" {\n  count = 0\n}\n',
    "modules/database": """
resource "aws_db_instance" "primary" {
  lifecycle {
    ignore_changes = [performance_insights_enabled, performance_insights_kms_key_id]
  }
}

resource "aws_db_parameter_group" "this" {
  lifecycle {
    ignore_changes = [parameter]
  }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  lifecycle {
    ignore_changes = [description]
  }
}
""",
}


@dataclass
class Cloud:
    """A service, whose staging is in moto's AWS."""

    service: Path
    python: Path
    terraform: Terraform

    @property
    def staging(self) -> Path:
        """Return the environment's folder."""
        return self.service / "deploy" / "terraform" / "environments" / "staging"

    def change(self, file: str, text: str, instead: str) -> None:
        """Change what a file of the description says."""
        path = self.service / "deploy" / "terraform" / file
        whole = path.read_text()
        assert text in whole, (file, text)
        path.write_text(whole.replace(text, instead))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run terraform on staging."""
        return self.terraform.run(*words, cwd=self.staging)

    def drift(self) -> subprocess.CompletedProcess[str]:
        """Run the service's search for drift; its report is `drift.md`."""
        return self._tool("drift", {})

    def plan_guard(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the service's guard. What it plans with is what was applied: to ask moto again takes a while."""
        return self._tool("plan_guard", {"TF_CLI_ARGS_plan": "-refresh=false"}, *words)

    def _tool(self, name: str, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.python), "-m", f"dev.delivery.terraform.{name}", "staging", *words]
        env = {**self.terraform.env, **env}
        return subprocess.run(
            command, cwd=self.service, env=env, capture_output=True, text=True, check=False, timeout=600
        )

    def by_hand(self, code: str) -> str:
        """Do something behind Terraform's back, and return what that printed."""
        command = [str(self.python), "-c", code]
        return subprocess.run(
            command, env=self.terraform.env, capture_output=True, text=True, check=True, timeout=60
        ).stdout


@pytest.fixture(scope="module")
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud | None]:
    """Staging, applied; None where terraform or its provider cannot be had."""
    terraform = Terraform(tmp_path_factory.mktemp("terraform"))
    if not terraform.has_provider(tmp_path_factory.mktemp("provider")):
        yield None
        return
    service: Path = request.getfixturevalue("equipped")
    python = service / ".venv" / "bin" / "python"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    terraform.env |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": _REGION,
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_VAR_alarms_told_at": "https://pager.example.com/key",
        "TF_VAR_master_password": "an-example-of-a-password",
    }
    moto = subprocess.Popen(
        [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**terraform.env, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port)
        made = tmp_path_factory.mktemp("made") / "service"
        shutil.copytree(service, made, ignore=shutil.ignore_patterns(".venv", ".tools", ".cache"))
        cloud = Cloud(made, python, terraform)
        for folder, text in _OTHERWISE.items():
            (made / "deploy" / "terraform" / folder / "moto_override.tf").write_text(text)
        (cloud.staging / "terraform.tfvars.json").write_text(
            json.dumps({"network": json.loads(cloud.by_hand(_NETWORK))})
        )
        cloud.change("service.json", '"github_ids": []', '"github_ids": [12, 345]')
        for words in (["init"], ["apply", "-auto-approve"]):
            done = cloud.run(*words)
            assert done.returncode == 0, done.stdout + done.stderr
        yield cloud
    finally:
        moto.send_signal(signal.SIGTERM)
        moto.wait(10)


def _wait_for(port: int) -> None:
    """Wait until something listens."""
    for _ in range(300):
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("moto does not listen")


@pytest.fixture
def there(cloud: Cloud | None, unproven: Callable[[str, str], None]) -> Cloud | None:
    """Staging, or a note that this was not proven."""
    if cloud is None:
        unproven(_PROOF, HOW_TO_GET_IT)
    return cloud


def test_what_was_applied_is_as_described(there: Cloud | None) -> None:
    """A second plan has nothing to do, and the search for drift ends with 0; settings name what is there."""
    if there is None:
        return
    report = there.service / "drift.md"

    found = there.drift()

    assert not report.exists(), report.read_text()
    assert (found.returncode, found.stdout) == (0, "staging is as it is described\n"), found.stderr
    told = json.loads(there.run("output", "-json").stdout)["service"]["value"]
    assert told["settings"]["worker"]["variables"]["APP_AUDIT_LOG__EXPORT_URL"] == "s3://order-service-staging-audit"
    assert told["settings"]["http"]["secrets"]["APP_DATABASE__URL"] == "staging/order-service/database-url"
    subject = "repo:team-orders@12/order-service@345:environment:staging"
    assert there.by_hand(_TRUSTED) == f"['sts.amazonaws.com'] ['{subject}']\n"


def test_what_was_changed_by_hand_is_reported(there: Cloud | None) -> None:
    """A bucket that somebody has opened is named, with the settings that differ, as text for an issue."""
    if there is None:
        return
    there.by_hand(_OPENED_BY_HAND.replace("CLOSED", "False"))

    found = there.drift()

    there.by_hand(_OPENED_BY_HAND.replace("CLOSED", "True"))
    assert found.returncode == 2, found.stderr
    assert re.fullmatch(r"Drift in staging: 1 difference \([0-9a-f]{8}\)\n", found.stdout)
    names = "`block_public_acls`, `block_public_policy`, `ignore_public_acls`, `restrict_public_buckets`"
    text = (there.service / "drift.md").read_text()
    assert f"- `{_ACCESS}` differs: {names}, changed outside of Terraform\n" in text


def test_a_harmless_change_passes(there: Cloud | None) -> None:
    """More storage to grow into, another password and threshold: the guard makes the plan and lets it through."""
    if there is None:
        return
    there.change("environments/staging/main.tf", "max_storage_gb = 100", "max_storage_gb = 200")
    there.change("environments/staging/main.tf", "password_version = 1", "password_version = 2")
    there.change("service/watch.tf", "above = 85", "above = 90")

    verdict = there.plan_guard()

    assert (verdict.returncode, verdict.stdout) == (0, "nothing is lost by this plan\n"), verdict.stderr
    assert (there.staging / "checked.tfplan").exists()


def test_a_credential_rotation_that_replaces_the_database_is_refused(there: Cloud | None) -> None:
    """Another user name is another database. In the same plan all else that is made weaker is named.

    An allowance lets through what it names, and nothing else.
    """
    if there is None:
        return
    weaker = (
        ("modules/database/main.tf", 'username                            = "postgres"', _RENAMED),
        ("modules/database/main.tf", "prevent_destroy = true", "prevent_destroy = false"),  # or there is no plan
        ("modules/locked_bucket/main.tf", '"COMPLIANCE"', '"GOVERNANCE"'),
        ("modules/key/main.tf", "enable_key_rotation     = true", "enable_key_rotation     = false"),
        ("modules/secret/main.tf", "recovery_window_in_days = 30", "recovery_window_in_days = 7"),
        ("telemetry.json", '"security": 400', '"security": 30'),
    )
    for file, text, instead in weaker:
        there.change(file, text, instead)

    before = there.plan_guard()
    (there.staging / "plan-allowances.toml").write_text(
        f'[[allow]]\naddress = \'{_LOCK}\'\nwhat = "mode"\nby = "the owner"\n'
        f'reason = "it is not written to yet"\nuntil = {datetime.now(UTC).date() + timedelta(days=1)}\n'
    )
    (there.service / "plan.json").write_text(there.run("show", "-json", "refused.tfplan").stdout)
    after = there.plan_guard("plan.json")

    for file, text, instead in weaker:
        there.change(file, instead, text)
    refused = set(re.findall(r'^REFUSED: (\S+):.*what = "(\w+)"', before.stdout, re.MULTILINE))
    assert (before.returncode, after.returncode) == (2, 2), before.stderr
    assert not (there.staging / "checked.tfplan").exists()
    assert f"REFUSED: {_DATABASE}: replaces what holds data, or may hold some, because of username" in before.stdout
    assert {
        (_LOCK, "mode"),
        ('module.service.module.key["database"].aws_kms_key.this', "enable_key_rotation"),
        ('module.service.module.secret["broker-url"].aws_secretsmanager_secret.this', "recovery_window_in_days"),
        ('module.service.module.log_streams.aws_cloudwatch_log_group.stream["security"]', "retention_in_days"),
    } <= refused
    assert f"allowed: {_LOCK}: mode was 'COMPLIANCE', and would be 'GOVERNANCE'\n" in after.stdout
    assert f"REFUSED: {_DATABASE}: replaces" in after.stdout


def test_it_is_taken_down_by_nobody_who_does_not_mean_it(there: Cloud | None, figure: Callable[[str], None]) -> None:
    """`destroy` is refused as long as what holds data is protected; otherwise a last snapshot is all that stays."""
    if there is None:
        return
    refused = there.run("destroy", "-auto-approve", "-refresh=false")
    for module in ("database", "key", "locked_bucket", "secret"):
        there.change(f"modules/{module}/main.tf", "prevent_destroy = true", "prevent_destroy = false")
    there.by_hand(_UNPROTECTED_BY_HAND)
    started = time.monotonic()

    done = there.run("destroy", "-auto-approve", "-refresh=false")

    assert refused.returncode == 1
    assert "Instance cannot be destroyed" in refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "values" not in json.loads(there.run("show", "-json").stdout)
    assert there.by_hand(_SNAPSHOTS) == "['order-service-staging-final']\n"
    figure(f"staging taken down in moto's AWS in {time.monotonic() - started:.0f} s")
