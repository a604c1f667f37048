# `terraform test`: no account and no network needed.

mock_provider "aws" {}

run "images_cannot_be_replaced_or_read_without_the_key" {
  command = plan

  assert {
    condition     = aws_ecr_repository.service.image_tag_mutability == "IMMUTABLE"
    error_message = "Tags must be immutable."
  }
  assert {
    condition     = aws_ecr_repository.service.encryption_configuration[0].encryption_type == "KMS"
    error_message = "Images must be encrypted with our own key."
  }
  assert {
    condition     = aws_ecr_repository.service.image_scanning_configuration[0].scan_on_push
    error_message = "Images must be scanned when they arrive."
  }
  assert {
    condition     = aws_kms_key.registry.enable_key_rotation
    error_message = "The key must rotate."
  }
}
