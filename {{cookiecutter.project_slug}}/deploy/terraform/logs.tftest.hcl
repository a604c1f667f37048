# `terraform test`: no account and no network needed. `apply` on a mocked provider: the rights name groups by their ARNs.

mock_provider "aws" {}

variables {
  log_reader_principals = {
    developer = ["arn:aws:iam::123456789012:role/sso-developer"]
    on_call   = ["arn:aws:iam::123456789012:role/sso-on-call"]
    auditor   = ["arn:aws:iam::123456789012:role/sso-auditor"]
    security  = ["arn:aws:iam::123456789012:role/sso-security"]
  }
}

run "streams_are_kept_as_long_as_the_policy_says_and_encrypted" {
  assert {
    condition     = tomap({ for stream, group in aws_cloudwatch_log_group.stream : stream => group.retention_in_days }) == var.log_retention_days
    error_message = "Retention must be the policy's."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.stream : group.kms_key_id == aws_kms_key.logs.arn])
    error_message = "Every stream must be encrypted with our own key."
  }
  assert {
    condition     = aws_kms_key.logs.enable_key_rotation
    error_message = "The key must rotate."
  }
  assert {
    condition     = aws_cloudwatch_log_group.stream["audit"].skip_destroy && aws_cloudwatch_log_group.stream["security"].skip_destroy
    error_message = "Audit and security lines must outlive this configuration."
  }
}

run "in_staging_a_developer_reads_the_application_and_nothing_else" {
  variables {
    environment = "staging"
  }

  assert {
    condition = toset(jsondecode(aws_iam_role_policy.log_reader["developer"].policy).Statement[0].Resource) == toset([
      aws_cloudwatch_log_group.stream["app"].arn, "${aws_cloudwatch_log_group.stream["app"].arn}:*",
    ])
    error_message = "A developer must read the app stream only."
  }
  assert {
    condition = alltrue([
      for stream in ["security", "audit"] :
      !strcontains(aws_iam_role_policy.log_reader["developer"].policy, aws_cloudwatch_log_group.stream[stream].arn)
    ])
    error_message = "A developer must not read security or audit."
  }
  assert {
    condition     = !contains(keys(aws_iam_role.log_reader), "auditor")
    error_message = "There is nothing to audit in staging."
  }
}

run "in_production_a_developer_has_no_role" {
  assert {
    condition     = toset(keys(aws_iam_role.log_reader)) == toset(["on_call", "auditor", "security"])
    error_message = "In production only those who are on call, audit or look after security read logs."
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.log_reader["on_call"].policy, aws_cloudwatch_log_group.stream["audit"].arn)
    error_message = "Who is on call must not read audit."
  }
  assert {
    condition = alltrue([
      for stream in ["app", "security"] :
      !strcontains(aws_iam_role_policy.log_reader["auditor"].policy, aws_cloudwatch_log_group.stream[stream].arn)
    ])
    error_message = "An auditor must read audit only."
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.log_reader["security"].policy, aws_cloudwatch_log_group.stream["app"].arn)
    error_message = "Security must not read the application."
  }
}

run "readers_only_read" {
  assert {
    condition = alltrue([
      for role in aws_iam_role_policy.log_reader : alltrue([
        for statement in jsondecode(role.policy).Statement : length(setsubtract(statement.Action, [
          "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents", "logs:GetLogGroupFields",
          "logs:StartQuery", "logs:GetQueryResults", "logs:StopQuery",
        ])) == 0
      ])
    ])
    error_message = "A reader must not be able to write, delete, export or subscribe."
  }
  assert {
    condition = alltrue([
      for role in aws_iam_role_policy.log_reader :
      [for statement in jsondecode(role.policy).Statement : statement.Action if statement.Resource == "*"] == [["logs:GetQueryResults", "logs:StopQuery"]]
    ])
    error_message = "Only what takes the id of a query may go without naming groups."
  }
}

run "the_collector_adds_and_does_not_read" {
  assert {
    condition     = jsondecode(aws_iam_policy.log_writer.policy).Statement[0].Action == ["logs:CreateLogStream", "logs:PutLogEvents"]
    error_message = "The collector must only add."
  }
}

run "without_principals_nobody_can_read" {
  variables {
    log_reader_principals = {}
  }

  assert {
    condition     = length(aws_iam_role.log_reader) == 0
    error_message = "A role must not exist before somebody may take it."
  }
}

run "a_principal_of_no_role_is_a_mistake" {
  command = plan

  variables {
    log_reader_principals = {
      developers = ["arn:aws:iam::123456789012:role/sso-developer"]
    }
  }

  expect_failures = [var.log_reader_principals]
}
