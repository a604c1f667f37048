"""What holds data that nobody can make again, and which settings keep it."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STATELESS = frozenset(
    {
        "aws_cloudwatch_metric_alarm",
        "aws_db_parameter_group",
        "aws_db_subnet_group",
        "aws_ecr_lifecycle_policy",
        "aws_eks_pod_identity_association",
        "aws_elasticache_subnet_group",
        "aws_elasticache_user",
        "aws_elasticache_user_group",
        "aws_iam_openid_connect_provider",
        "aws_iam_policy",
        "aws_iam_role",
        "aws_iam_role_policy",
        "aws_iam_role_policy_attachment",
        "aws_kms_alias",
        "aws_s3_bucket_lifecycle_configuration",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_server_side_encryption_configuration",
        "aws_security_group",
        "aws_serverlessapplicationrepository_cloudformation_stack",
        "aws_sns_topic",
        "aws_sns_topic_policy",
        "aws_sns_topic_subscription",
        "aws_vpc_security_group_egress_rule",
        "aws_vpc_security_group_ingress_rule",
        "aws_wafv2_web_acl",
        "aws_wafv2_web_acl_association",
        "aws_wafv2_web_acl_logging_configuration",
        "pagerduty_escalation_policy",
        "pagerduty_service",
        "pagerduty_service_integration",
    }
)
"""What can be made again as it was. Any other type holds data, or keeps it, until it is said here that it does not."""
GUARD_ALONE = frozenset(
    {
        "aws_cloudwatch_log_group",
        "aws_elasticache_replication_group",
        "aws_s3_bucket_object_lock_configuration",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_versioning",
        "aws_secretsmanager_secret_rotation",
    }
)
"""Of the others, those without `prevent_destroy` in the description: with it, not even a plan is made."""

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


def _in_the_clear(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    return "aws:SecureTransport" in str(before) and "aws:SecureTransport" not in str(after)


def _expires_sooner(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    days = _expirations(before)
    return any(after_days < days.get(which, math.inf) for which, after_days in _expirations(after).items())


def _expirations(rules: Any) -> dict[tuple[str, str], int]:  # noqa: ANN401 - as above
    """Return by rule and kind of what expires: after how many days."""
    return {
        (rule["id"], kind): block.get("days") or block.get("noncurrent_days") or 0
        for rule in rules or []
        for kind in ("expiration", "noncurrent_version_expiration")
        for block in rule.get(kind) or []
        if rule["status"] == "Enabled"
    }


def _fewer_images(before: Any, after: Any) -> bool:  # noqa: ANN401 - as above
    kept = _selections(before)
    return any(number < kept.get(which, math.inf) for which, number in _selections(after).items())


def _selections(policy: Any) -> dict[str, int]:  # noqa: ANN401 - as above
    """Return by what a rule selects: after how many, or how many days, images expire."""
    selections = [rule["selection"] for rule in json.loads(policy)["rules"]] if policy else []
    return {json.dumps(each | {"countNumber": 0}, sort_keys=True): each["countNumber"] for each in selections}


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
    ],
    "aws_db_parameter_group": [Protection(("parameter",), _without_tls)],
    "aws_ecr_repository": [
        Protection(("force_delete",), _on),
        Protection(("image_tag_mutability",), _other),
    ],
    "aws_ecr_lifecycle_policy": [Protection(("policy",), _fewer_images)],
    "aws_s3_bucket": [Protection(("force_destroy",), _on)],
    "aws_s3_bucket_lifecycle_configuration": [Protection(("rule",), _expires_sooner)],
    "aws_s3_bucket_object_lock_configuration": [
        Protection(("rule", 0, "default_retention", 0, "mode"), _other),
        Protection(("rule", 0, "default_retention", 0, "days"), _lower),
    ],
    "aws_s3_bucket_versioning": [Protection(("versioning_configuration", 0, "status"), _other)],
    "aws_s3_bucket_policy": [Protection(("policy",), _in_the_clear)],
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
    "aws_cloudwatch_log_group": [
        Protection(("retention_in_days",), _shorter),
        Protection(("skip_destroy",), _off),
    ],
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
