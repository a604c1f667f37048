"""What holds data that nobody can make again, and which settings keep it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STATEFUL = frozenset(
    {
        "aws_backup_vault",
        "aws_cloudwatch_log_group",
        "aws_db_instance",
        "aws_dynamodb_table",
        "aws_ecr_repository",
        "aws_efs_file_system",
        "aws_elasticache_replication_group",
        "aws_kms_key",
        "aws_rds_cluster",
        "aws_s3_bucket",
        "aws_s3_bucket_object_lock_configuration",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_versioning",
        "aws_secretsmanager_secret",
        "aws_secretsmanager_secret_rotation",
    }
)
PREVENTS_DESTROY = frozenset(
    {"aws_db_instance", "aws_ecr_repository", "aws_kms_key", "aws_s3_bucket", "aws_secretsmanager_secret"}
)
"""Of these the description itself must say `prevent_destroy`, so that not even a plan is made."""

Path = tuple[str | int, ...]
Weaker = Callable[[Any, Any], bool]


@dataclass(frozen=True, slots=True)
class Protection:
    """A setting that keeps data, and what makes it weaker."""

    path: Path
    is_weaker: Weaker

    @property
    def name(self) -> str:
        """Return how an allowance names it."""
        return next(str(part) for part in reversed(self.path) if isinstance(part, str))


def _off(before: Any, after: Any) -> bool:  # noqa: ANN401 - any value of a plan
    return bool(before) and not after


def _on(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    return not before and bool(after)


def _lower(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    return bool(before) and (after is None or after < before)


def _shorter(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    """Of a retention in which 0 means for ever."""
    return bool(after) and (not before or after < before)


def _other(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    return bool(before) and after != before


def _without_tls(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    return "1" in _values("rds.force_ssl", before) and "1" not in _values("rds.force_ssl", after)


def _values(name: str, parameters: Any) -> list[str]:  # noqa: ANN401 - as above
    return [parameter["value"] for parameter in parameters or [] if parameter["name"] == name]


PROTECTIONS: Mapping[str, Sequence[Protection]] = {
    "aws_db_instance": [
        Protection(("deletion_protection",), _off),
        Protection(("backup_retention_period",), _lower),
        Protection(("skip_final_snapshot",), _on),
        Protection(("delete_automated_backups",), _on),
        Protection(("multi_az",), _off),
        Protection(("publicly_accessible",), _on),
        Protection(("manage_master_user_password",), _off),
    ],
    "aws_db_parameter_group": [Protection(("parameter",), _without_tls)],
    "aws_s3_bucket": [Protection(("force_destroy",), _on)],
    "aws_s3_bucket_object_lock_configuration": [
        Protection(("rule", 0, "default_retention", 0, "mode"), _other),
        Protection(("rule", 0, "default_retention", 0, "days"), _lower),
    ],
    "aws_s3_bucket_versioning": [Protection(("versioning_configuration", 0, "status"), _other)],
    "aws_s3_bucket_public_access_block": [
        Protection((name,), _off)
        for name in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    ],
    "aws_kms_key": [
        Protection(("enable_key_rotation",), _off),
        Protection(("is_enabled",), _off),
        Protection(("deletion_window_in_days",), _lower),
    ],
    "aws_secretsmanager_secret": [Protection(("recovery_window_in_days",), _lower)],
    "aws_cloudwatch_log_group": [Protection(("retention_in_days",), _shorter)],
    "aws_elasticache_replication_group": [Protection(("automatic_failover_enabled",), _off)],
}


def at(value: Any, path: Path) -> Any:  # noqa: ANN401 - as above
    """Return what is at a path in a plan's value; None where it ends before."""
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and len(value) > part else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value
