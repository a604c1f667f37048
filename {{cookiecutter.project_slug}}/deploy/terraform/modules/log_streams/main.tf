# One log group per stream: retention and readers differ, and both are properties of a group.

resource "aws_cloudwatch_log_group" "stream" {
  for_each = var.retention_days

  name              = "/${var.service}/${var.environment}/${each.key}"
  retention_in_days = each.value
  kms_key_id        = var.key_arn
  skip_destroy      = each.key != "app" # who removes this file does not remove what was recorded
}

# For the collector, which brings the lines: it can add, not read, change or delete.
resource "aws_iam_policy" "writer" {
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

output "arns" {
  description = "By stream, its log group."
  value       = { for stream, group in aws_cloudwatch_log_group.stream : stream => group.arn }
}

output "writer_policy_arn" {
  description = "What the collector's role needs."
  value       = aws_iam_policy.writer.arn
}
