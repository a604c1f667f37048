# `terraform test`: no account and no network needed.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "images_cannot_be_replaced_or_read_without_the_key" {
  command = plan

  module {
    source = "../modules/registry"
  }

  variables {
    service     = "orders"
    description = "Takes orders."
  }

  assert {
    condition     = aws_ecr_repository.service.image_tag_mutability == "IMMUTABLE"
    error_message = "Tags must be immutable."
  }
  assert {
    condition     = aws_ecr_repository.service.encryption_configuration[0].encryption_type == "KMS"
    error_message = "Images must be encrypted with our own key."
  }
  assert {
    condition = [for rule in jsondecode(aws_ecr_lifecycle_policy.service.policy).rules : [rule.selection.tagStatus, rule.selection.tagPatternList]] == [
      ["tagged", ["v*"]],
    ]
    error_message = "Only releases may expire: signatures have other tags, or none."
  }
  assert {
    condition     = aws_ecr_repository.service.image_scanning_configuration[0].scan_on_push
    error_message = "Images must be scanned when they arrive."
  }
}

run "a_key_rotates_and_leaves_time" {
  command = plan

  module {
    source = "../modules/key"
  }

  variables {
    name        = "orders"
    description = "Orders"
  }

  assert {
    condition     = aws_kms_key.this.enable_key_rotation
    error_message = "The key must rotate."
  }
  assert {
    condition     = aws_kms_key.this.deletion_window_in_days == 30
    error_message = "A key that is deleted must leave time to notice."
  }
}

run "a_service_uses_a_key_under_a_condition" {
  command = plan

  module {
    source = "../modules/key"
  }

  variables {
    name        = "orders"
    description = "Orders"
    used_by     = [{ sid = "Any", service = "logs.amazonaws.com", condition = {} }]
  }

  expect_failures = [var.used_by]
}
