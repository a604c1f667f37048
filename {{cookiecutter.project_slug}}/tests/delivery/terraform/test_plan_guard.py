"""A plan that would lose data is refused, whatever it is made for; what is wanted is allowed by name, for days."""

import json
from pathlib import Path
from typing import Any

import pytest

from dev.delivery.terraform import plan_guard
from dev.delivery.terraform.plan_guard import Loss, NotAPlan, losses

DATABASE = "module.service.module.database.aws_db_instance.primary"
PROTECTED = {
    "deletion_protection": True,
    "backup_retention_period": 35,
    "skip_final_snapshot": False,
    "delete_automated_backups": False,
    "multi_az": True,
    "publicly_accessible": False,
}

TERRAFORM = """#!/bin/sh
case "$1" in
  plan) printf "today's" > "${4#-out=}" ;;
  show) cat ../../plan.json ;;
esac
"""


def locked(mode: str = "COMPLIANCE", days: int = 731) -> list[Any]:
    """Return the rules of a bucket with a lock."""
    return [{"default_retention": [{"mode": mode, "days": days}]}]


def kept(days: int | None = None, versions: int | None = None) -> dict[str, Any]:
    """Return a rule of a bucket, whose objects and older versions expire after days, or never."""
    expiry = {
        "expiration": [{"days": days}] if days else [],
        "noncurrent_version_expiration": [{"noncurrent_days": versions}] if versions else [],
    }
    return {"id": "cheaper", "status": "Enabled", **expiry}


def images(number: int, which: str = "tagged") -> str:
    """Return the policy of a registry that keeps so many images."""
    return json.dumps({"rules": [{"rulePriority": 1, "selection": {"tagStatus": which, "countNumber": number}}]})


def forced(value: str) -> list[Any]:
    """Return the parameters of a database: is TLS forced?"""
    return [{"name": "rds.force_ssl", "value": value}]


def plan(*changes: dict[str, Any]) -> dict[str, Any]:
    """Return a plan as `terraform show -json` prints it, with what the guard reads of it."""
    return {"format_version": "1.2", "planned_values": {}, "resource_changes": list(changes)}


def change(address: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any values
    """Return the change of one resource."""
    kind = address.removesuffix("[0]").rsplit(".", 2)[-2]
    given = {"actions": list(actions), "before": before, "after": after, "after_unknown": {}, **more}
    return {"address": address, "mode": "managed", "type": kind, "change": given}


def update(address: str, before: dict[str, Any], **after: Any) -> dict[str, Any]:  # noqa: ANN401 - any values
    """Return a change in place."""
    return change(address, "update", before=before, after={**before, **after})


@pytest.mark.parametrize(
    ("actions", "what"),
    [
        pytest.param(("delete",), "delete", id="delete"),
        pytest.param(("delete", "create"), "replace", id="replace"),
        pytest.param(("create", "delete"), "replace", id="replace, the new one first"),
        pytest.param(("forget",), "forget", id="forget"),
        pytest.param(("create", "forget"), "replace", id="replace, the old one left alone"),
    ],
)
@pytest.mark.parametrize(
    "address",
    [
        DATABASE,
        "module.service.module.bucket['audit'].aws_s3_bucket.this",
        "module.service.module.key['logs'].aws_kms_key.this",
        "module.service.module.secret['broker'].aws_secretsmanager_secret.this",
        "module.registry.aws_ecr_repository.service",
        "aws_opensearch_domain.that_nobody_has_thought_of",
        "module.service.module.bucket['audit'].aws_s3_bucket_object_lock_configuration.this",
    ],
)
def test_what_holds_data_stays(address: str, actions: tuple[str, ...], what: str) -> None:
    """Deleted, replaced or forgotten: each is refused by its name."""
    found = list(losses(plan(change(address, *actions, before={}))))

    assert [(loss.address, loss.what) for loss in found] == [(address, what)]


def test_a_replacement_says_what_it_is_because_of() -> None:
    """A credential that is rotated by a new user name replaces the database: it is said which setting does it."""
    rotation = change(DATABASE, "delete", "create", before={"username": "a"}, after={}, replace_paths=[["username"]])

    assert list(losses(plan(rotation))) == [
        Loss(DATABASE, "replace", "replaces what holds data, or may hold some, because of username")
    ]


@pytest.mark.parametrize(
    ("before", "after", "name"),
    [
        *(
            pytest.param(PROTECTED, {name: value}, name, id=f"database: {name}")
            for name, value in {
                "deletion_protection": False,
                "backup_retention_period": 0,
                "skip_final_snapshot": True,
                "delete_automated_backups": True,
                "multi_az": False,
                "publicly_accessible": True,
            }.items()
        ),
        pytest.param(PROTECTED, {"backup_retention_period": 34}, "backup_retention_period", id="a day less of backups"),
    ],
)
def test_the_database_keeps_its_protection(before: dict[str, Any], after: dict[str, Any], name: str) -> None:
    """A setting that keeps data is not made weaker."""
    assert [loss.what for loss in losses(plan(update(DATABASE, before, **after)))] == [name]


@pytest.mark.parametrize(
    ("kind", "setting", "before", "after", "what"),
    [
        pytest.param("aws_s3_bucket_object_lock_configuration", "rule", locked(), [], "mode", id="lock taken away"),
        pytest.param(
            "aws_s3_bucket_object_lock_configuration",
            "rule",
            locked(),
            locked(mode="GOVERNANCE"),
            "mode",
            id="lock that somebody may lift",
        ),
        pytest.param("aws_s3_bucket_object_lock_configuration", "rule", locked(), locked(days=1), "days", id="a day"),
        pytest.param(
            "aws_s3_bucket_versioning",
            "versioning_configuration",
            [{"status": "Enabled"}],
            [{"status": "Suspended"}],
            "status",
            id="no versions",
        ),
        pytest.param("aws_s3_bucket_public_access_block", "block_public_policy", True, False, None, id="public bucket"),
        pytest.param("aws_s3_bucket", "force_destroy", False, True, None, id="bucket"),
        pytest.param("aws_s3_bucket_lifecycle_configuration", "rule", [kept()], [kept(30)], None, id="objects expire"),
        pytest.param("aws_s3_bucket_lifecycle_configuration", "rule", [kept(60)], [kept(30)], None, id="expire sooner"),
        pytest.param(
            "aws_s3_bucket_lifecycle_configuration",
            "rule",
            [kept(60)],
            [kept(60, versions=1)],
            None,
            id="versions expire",
        ),
        pytest.param("aws_kms_key", "enable_key_rotation", True, False, None, id="key"),
        pytest.param("aws_secretsmanager_secret", "recovery_window_in_days", 30, 0, None, id="a secret gone at once"),
        pytest.param("aws_cloudwatch_log_group", "retention_in_days", 400, 30, None, id="log"),
        pytest.param("aws_cloudwatch_log_group", "skip_destroy", True, False, None, id="a log that goes"),
        pytest.param("aws_ecr_repository", "force_delete", False, True, None, id="images that go"),
        pytest.param("aws_ecr_repository", "image_tag_mutability", "IMMUTABLE", "MUTABLE", None, id="tags that move"),
        pytest.param("aws_ecr_lifecycle_policy", "policy", images(100), images(10), None, id="fewer images"),
        pytest.param("aws_ecr_lifecycle_policy", "policy", images(9), images(9, "any"), None, id="all images"),
        pytest.param("aws_s3_bucket_policy", "policy", "aws:SecureTransport", "{}", None, id="a bucket without TLS"),
        pytest.param("aws_db_parameter_group", "parameter", forced("1"), forced("0"), None, id="no TLS"),
    ],
)
def test_other_protections_stay_as_well(kind: str, setting: str, before: Any, after: Any, what: str | None) -> None:  # noqa: ANN401 - any values
    """Locks, versions, expiry, retention, rotation and TLS are not made weaker."""
    found = [loss.what for loss in losses(plan(update(f"{kind}.this", {setting: before}, **{setting: after})))]

    assert (what or setting) in found


def test_a_protection_that_is_not_known_is_refused() -> None:
    """What depends on something that is not made yet could be anything."""
    unknown = update(DATABASE, PROTECTED)
    unknown["change"]["after"].pop("deletion_protection")
    unknown["change"]["after_unknown"] = {"deletion_protection": True}

    assert [loss.what for loss in losses(plan(unknown))] == ["deletion_protection"]


@pytest.mark.parametrize(
    "harmless",
    [
        pytest.param(change(DATABASE, "create", after={**PROTECTED, "multi_az": False}), id="a new database"),
        pytest.param(change(DATABASE, "no-op", before=PROTECTED, after=PROTECTED), id="nothing"),
        pytest.param(update(DATABASE, PROTECTED, backup_retention_period=36), id="more backups"),
        pytest.param(update(DATABASE, {**PROTECTED, "tags": {}}, tags={"a": "b"}), id="a tag"),
        pytest.param(change("aws_iam_role.this", "delete", "create", before={}, after={}), id="a role replaced"),
        pytest.param(change("aws_wafv2_web_acl_association.this[0]", "delete", before={}), id="no data"),
        pytest.param(
            update("aws_cloudwatch_log_group.this", {"retention_in_days": 30}, retention_in_days=0), id="kept for ever"
        ),
        pytest.param(update("aws_db_instance.this", PROTECTED, password_wo_version=2), id="another password"),
        pytest.param(
            update("aws_s3_bucket_lifecycle_configuration.b", {"rule": [kept(9)]}, rule=[kept()]), id="no expiry"
        ),
        pytest.param(
            update("aws_ecr_lifecycle_policy.this", {"policy": images(9)}, policy=images(99)), id="more images"
        ),
        pytest.param({**change(DATABASE, "delete", before={}), "mode": "data"}, id="something that is only read"),
    ],
)
def test_a_harmless_change_passes(harmless: dict[str, Any]) -> None:
    """The guard stands in nobody's way who loses nothing."""
    assert list(losses(plan(harmless))) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("", "is not JSON", id="empty"),
        pytest.param("[]", "is no plan", id="a list"),
        pytest.param("{}", "this is no plan", id="nothing"),
        pytest.param('{"format_version": "1.0", "values": {}}', "this is no plan", id="a state"),
        pytest.param('{"format_version": "2.0", "planned_values": {}}', "this is no plan", id="another format"),
        pytest.param(
            '{"format_version": "1.2", "planned_values": {}, "errored": true}', "is not whole", id="broken off"
        ),
        pytest.param(
            json.dumps(plan(change(DATABASE, "abandon"))), f"what becomes of {DATABASE}: abandon", id="unknown action"
        ),
        pytest.param(None, "cannot be read", id="no file"),
    ],
)
def test_what_is_no_plan_is_not_let_through(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, why: str
) -> None:
    """One line says why, and the status is neither that of a good plan nor that of a bad one."""
    path = tmp_path / "plan.json"
    if text is not None:
        path.write_text(text)

    assert plan_guard.main(["production", str(path)]) == 1
    assert why in capsys.readouterr().err


def test_the_verdict_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal names resource and reason, and how an allowance names it; a good plan ends with 0."""
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan(update(DATABASE, PROTECTED, deletion_protection=False))))
    assert plan_guard.main(["production", str(path)]) == 2
    assert capsys.readouterr().out == (
        f'REFUSED: {DATABASE}: deletion_protection was True, and would be False (what = "deletion_protection")\n'
    )

    path.write_text(json.dumps(plan()))
    assert plan_guard.main(["production", str(path)]) == 0
    assert capsys.readouterr().out == "nothing is lost by this plan\n"


@pytest.mark.parametrize(
    ("days", "status", "name"),
    [pytest.param(35, 0, "checked.tfplan", id="good"), pytest.param(7, 2, "refused.tfplan", id="refused")],
)
def test_only_a_good_plan_is_called_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, status: int, name: str
) -> None:
    """Who applies that name after a refusal finds no plan, not even one of yesterday."""
    folder = tmp_path / "environments" / "production"
    folder.mkdir(parents=True)
    (folder / "checked.tfplan").write_text("yesterday's")
    (tmp_path / "plan.json").write_text(json.dumps(plan(update(DATABASE, PROTECTED, backup_retention_period=days))))
    (tmp_path / "terraform").write_text(TERRAFORM)
    (tmp_path / "terraform").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugins"))
    monkeypatch.setattr(plan_guard, "FOLDER", tmp_path)

    assert plan_guard.main(["production"]) == status
    assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "today's")]


def test_an_unknown_environment_is_no_verdict() -> None:
    """A wrong word ends with 1, which is neither."""
    with pytest.raises(SystemExit) as ended:
        plan_guard.main(["prodution"])

    assert ended.value.code == 1


def test_a_plan_of_another_format_is_named() -> None:
    """What cannot be read is not judged."""
    with pytest.raises(NotAPlan):
        list(losses({"format_version": "9"}))
