# One role per kind of reader, with the streams that the telemetry policy gives it. Nobody can take a role before
# `principals` says who: without principals there is no role.

resource "aws_iam_role" "reader" {
  for_each = {
    for role, access in var.access : role => access
    if contains(access.environments, var.environment) && length(lookup(var.principals, role, [])) > 0
  }

  name                 = "${var.service}-${var.environment}-logs-${replace(each.key, "_", "-")}"
  description          = "Reads ${join(" and ", sort(each.value.streams))} logs of ${var.service} in ${var.environment}."
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { AWS = var.principals[each.key] }
        Action    = "sts:AssumeRole"
      },
    ]
  })
}

resource "aws_iam_role_policy" "reader" {
  for_each = aws_iam_role.reader

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
          for stream in var.access[each.key].streams : [var.stream_arns[stream], "${var.stream_arns[stream]}:*"]
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

output "role_arns" {
  description = "Roles to take, by kind of reader."
  value       = { for role, resource in aws_iam_role.reader : role => resource.arn }
}
