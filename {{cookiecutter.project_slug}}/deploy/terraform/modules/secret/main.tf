# A secret without its value: that is put in by hand, or by the rotation, and is never in the state.

resource "aws_secretsmanager_secret" "this" {
  name                    = var.name
  description             = var.description
  kms_key_id              = var.key_arn
  recovery_window_in_days = 30

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret_rotation" "this" {
  count = length(var.rotated_by)

  secret_id           = aws_secretsmanager_secret.this.id
  rotation_lambda_arn = var.rotated_by[count.index]
  rotate_immediately  = false # its login may not be there yet

  rotation_rules {
    automatically_after_days = 30
  }
}

output "arn" {
  description = "Of the secret."
  value       = aws_secretsmanager_secret.this.arn
}

output "name" {
  description = "Of the secret."
  value       = aws_secretsmanager_secret.this.name
}
