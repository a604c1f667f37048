# One log group per stream: retention and readers differ, and both are properties of a group.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  log_group_prefix = "/${var.service}/${var.environment}"
}

resource "aws_kms_key" "logs" {
  description             = "Log lines of ${var.service} in ${var.environment}."
  enable_key_rotation     = true
  deletion_window_in_days = 30 # lines are unreadable without the key: leave time to notice

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "OwnedByTheAccount"
        Effect    = "Allow"
        Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        # CloudWatch encrypts and decrypts for whoever may write to or read from the group; they need no right to the key.
        Sid       = "UsedByCloudWatchForTheseGroupsOnly"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.current.partition}:logs:${var.region}:${data.aws_caller_identity.current.account_id}:log-group:${local.log_group_prefix}/*"
          }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "logs" {
  name          = "alias/${var.service}-${var.environment}-logs"
  target_key_id = aws_kms_key.logs.key_id
}

resource "aws_cloudwatch_log_group" "stream" {
  for_each = var.log_retention_days

  name              = "${local.log_group_prefix}/${each.key}"
  retention_in_days = each.value
  kms_key_id        = aws_kms_key.logs.arn
  skip_destroy      = each.key != "app" # who removes this file does not remove what was recorded
}

# For the collector, which brings the lines: it can add, not read, change or delete.
resource "aws_iam_policy" "log_writer" {
  name        = "${var.service}-${var.environment}-log-writer"
  description = "Writes the log streams of ${var.service} in ${var.environment}."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = flatten([for group in aws_cloudwatch_log_group.stream : [group.arn, "${group.arn}:*"]])
      },
    ]
  })
}

output "log_writer_policy_arn" {
  description = "What the collector's role needs."
  value       = aws_iam_policy.log_writer.arn
}
