mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  service        = "orders"
  environment    = "production"
  key_arn        = "arn:aws:kms:eu-central-1:123456789012:key/logs"
  retention_days = { app = 30, security = 400, audit = 731 }
  stream_arns    = { app = "arn:app", security = "arn:security", audit = "arn:audit" }
  access = {
    developer = { environments = ["staging"], streams = ["app"] }
    on_call   = { environments = ["staging", "production"], streams = ["app", "security"] }
    auditor   = { environments = ["production"], streams = ["audit"] }
    security  = { environments = ["staging", "production"], streams = ["security", "audit"] }
  }
  principals = {
    developer = ["arn:aws:iam::123456789012:role/sso-developer"]
    on_call   = ["arn:aws:iam::123456789012:role/sso-on-call"]
    auditor   = ["arn:aws:iam::123456789012:role/sso-auditor"]
    security  = ["arn:aws:iam::123456789012:role/sso-security"]
  }
}

run "streams_are_kept_as_the_policy_says_and_the_collector_only_adds" {
  command = plan

  module {
    source = "../modules/log_streams"
  }

  assert {
    condition     = tomap({ for stream, group in aws_cloudwatch_log_group.stream : stream => group.retention_in_days }) == var.retention_days
    error_message = "Retention must be the policy's."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.stream : group.kms_key_id == var.key_arn])
    error_message = "Every stream must be encrypted with our own key."
  }
  assert {
    condition     = aws_cloudwatch_log_group.stream["audit"].skip_destroy && aws_cloudwatch_log_group.stream["security"].skip_destroy
    error_message = "Audit and security lines must outlive this configuration."
  }
  assert {
    condition     = jsondecode(aws_iam_policy.writer.policy).Statement[0].Action == ["logs:CreateLogStream", "logs:PutLogEvents"]
    error_message = "The collector must only add."
  }
}

run "in_staging_a_developer_reads_the_application_and_nothing_else" {
  command = plan

  module {
    source = "../modules/log_readers"
  }

  variables {
    environment = "staging"
  }

  assert {
    condition = toset(jsondecode(aws_iam_role_policy.reader["developer"].policy).Statement[0].Resource) == toset([
      "arn:app", "arn:app:*",
    ])
    error_message = "A developer must read the app stream only."
  }
  assert {
    condition = alltrue([
      for stream in ["security", "audit"] :
      !strcontains(aws_iam_role_policy.reader["developer"].policy, var.stream_arns[stream])
    ])
    error_message = "A developer must not read security or audit."
  }
  assert {
    condition     = !contains(keys(aws_iam_role.reader), "auditor")
    error_message = "There is nothing to audit in staging."
  }
}

run "in_production_a_developer_has_no_role_and_readers_only_read" {
  command = plan

  module {
    source = "../modules/log_readers"
  }

  assert {
    condition     = toset(keys(aws_iam_role.reader)) == toset(["on_call", "auditor", "security"])
    error_message = "In production only those who are on call, audit or look after security read logs."
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.reader["on_call"].policy, var.stream_arns["audit"])
    error_message = "Who is on call must not read audit."
  }
  assert {
    condition = alltrue([
      for stream in ["app", "security"] :
      !strcontains(aws_iam_role_policy.reader["auditor"].policy, var.stream_arns[stream])
    ])
    error_message = "An auditor must read audit only."
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.reader["security"].policy, var.stream_arns["app"])
    error_message = "Security must not read the application."
  }
  assert {
    condition = alltrue([
      for role in aws_iam_role_policy.reader : alltrue([
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
      for role in aws_iam_role_policy.reader :
      [for statement in jsondecode(role.policy).Statement : statement.Action if statement.Resource == "*"] == [["logs:GetQueryResults", "logs:StopQuery"]]
    ])
    error_message = "Only what takes the id of a query may go without naming groups."
  }
}

run "without_principals_nobody_can_read" {
  command = plan

  module {
    source = "../modules/log_readers"
  }

  variables {
    principals = {}
  }

  assert {
    condition     = length(aws_iam_role.reader) == 0
    error_message = "A role must not exist before somebody may take it."
  }
}

run "a_principal_of_no_role_is_a_mistake" {
  command = plan

  module {
    source = "../modules/log_readers"
  }

  variables {
    principals = {
      developers = ["arn:aws:iam::123456789012:role/sso-developer"]
    }
  }

  expect_failures = [var.principals]
}

run "a_stream_without_retention_is_a_mistake" {
  command = plan

  module {
    source = "../modules/log_streams"
  }

  variables {
    retention_days = { app = 30, security = 400 }
  }

  expect_failures = [var.retention_days]
}
