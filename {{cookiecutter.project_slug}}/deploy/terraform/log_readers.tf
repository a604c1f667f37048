# One role per kind of reader, with the streams that the telemetry policy gives it. Nobody can take a role before
# `log_reader_principals` says who: without principals there is no role.

resource "aws_iam_role" "log_reader" {
  for_each = {
    for role, access in var.log_access : role => access
    if contains(access.environments, var.environment) && length(lookup(var.log_reader_principals, role, [])) > 0
  }

  name                 = "${var.service}-${var.environment}-logs-${replace(each.key, "_", "-")}"
  description          = "Reads ${join(" and ", sort(each.value.streams))} logs of ${var.service} in ${var.environment}."
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = var.log_reader_principals[each.key] }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "log_reader" {
  for_each = aws_iam_role.log_reader

  name = "read-log-streams"
  role = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ReadTheseStreams"
        Effect = "Allow"
        Action = [
          "logs:DescribeLogStreams",
          "logs:FilterLogEvents",
          "logs:GetLogEvents",
          "logs:GetLogGroupFields",
          "logs:StartQuery",
        ]
        Resource = flatten([
          for stream in var.log_access[each.key].streams :
          [aws_cloudwatch_log_group.stream[stream].arn, "${aws_cloudwatch_log_group.stream[stream].arn}:*"]
        ])
      },
      {
        # These two know no groups. They take the id of a query, which only who started it knows: DescribeQueries is missing.
        Sid      = "FetchOwnQueries"
        Effect   = "Allow"
        Action   = ["logs:GetQueryResults", "logs:StopQuery"]
        Resource = "*"
      },
    ]
  })
}

output "log_reader_role_arns" {
  description = "Roles to take, by kind of reader."
  value       = { for role, resource in aws_iam_role.log_reader : role => resource.arn }
}
