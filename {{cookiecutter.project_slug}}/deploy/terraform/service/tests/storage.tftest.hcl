mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name        = "orders-production-audit"
  locked_days = 731
  key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/archives"
  description = "A secret"
}

run "an_object_stays_until_its_day_and_only_who_has_a_right_reads_it" {
  command = plan

  module {
    source = "../modules/locked_bucket"
  }

  assert {
    condition     = aws_s3_bucket.this.object_lock_enabled && aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "The bucket must have object lock, and versions."
  }
  assert {
    condition     = aws_s3_bucket_object_lock_configuration.this.rule[0].default_retention[0].mode == "COMPLIANCE" && aws_s3_bucket_object_lock_configuration.this.rule[0].default_retention[0].days == 731
    error_message = "Nobody may shorten the retention: COMPLIANCE, for all of its days."
  }
  assert {
    condition     = aws_s3_bucket.this.force_destroy != true
    error_message = "A bucket that is not empty must not be deleted."
  }
  assert {
    condition     = alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : length(rule.expiration) + length(rule.noncurrent_version_expiration) == 0])
    error_message = "Nothing may expire by itself."
  }
  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "The bucket must not be public in any way."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement :
      statement.Effect == "Deny" && statement.Condition.Bool["aws:SecureTransport"] == "false"
    ])
    error_message = "The bucket's policy must refuse what comes without TLS, and give nothing to anybody."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule[*].apply_server_side_encryption_by_default[0].kms_master_key_id) == var.key_arn
    error_message = "Objects must be encrypted with our own key."
  }
}

run "a_lock_of_no_days_is_a_mistake" {
  command = plan

  module {
    source = "../modules/locked_bucket"
  }

  variables {
    locked_days = 0
  }

  expect_failures = [var.locked_days]
}

run "a_secret_can_be_had_back_and_rotates" {
  command = plan

  module {
    source = "../modules/secret"
  }

  variables {
    rotated_by = ["arn:aws:lambda:eu-central-1:123456789012:function:rotation"]
  }

  assert {
    condition     = aws_secretsmanager_secret.this.recovery_window_in_days == 30 && aws_secretsmanager_secret.this.kms_key_id == var.key_arn
    error_message = "A secret must be encrypted with our own key, and can be had back for thirty days."
  }
  assert {
    condition     = aws_secretsmanager_secret_rotation.this[0].rotation_rules[0].automatically_after_days == 30
    error_message = "It must rotate each month."
  }
}
