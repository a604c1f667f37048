mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                      = "orders-production"
  requests_per_five_minutes = 2000
  log_retention_days        = 400
  logs_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/logs"
  key_arn                   = "arn:aws:kms:eu-central-1:123456789012:key/alarms"
}

run "every_rule_blocks_and_what_was_blocked_is_kept" {
  command = plan

  module {
    source = "../modules/firewall"
  }

  assert {
    condition = output.rules == [
      "AWSManagedRulesAmazonIpReputationList", "rate-per-address", "AWSManagedRulesKnownBadInputsRuleSet",
      "AWSManagedRulesCommonRuleSet", "AWSManagedRulesSQLiRuleSet",
    ]
    error_message = "Each rule must be there, the cheap ones first."
  }
  assert {
    condition = alltrue([
      for rule in aws_wafv2_web_acl.this.rule :
      length(flatten([for action in concat(rule.action, rule.override_action) : concat(try(action.count, []), try(action.allow, []))])) == 0
    ])
    error_message = "No rule may only count, or let through."
  }
  assert {
    condition = flatten([
      for rule in aws_wafv2_web_acl.this.rule : [
        for statement in rule.statement : [for group in statement.managed_rule_group_statement : group.rule_action_override[*].name]
      ]
    ]) == ["SizeRestrictions_BODY"]
    error_message = "Of the managed rules only the one about large bodies counts: the service refuses those itself."
  }
  assert {
    condition = flatten([
      for rule in aws_wafv2_web_acl.this.rule : [
        for statement in rule.statement : [for rate in statement.rate_based_statement : rate.limit]
      ]
    ]) == [2000]
    error_message = "An address must have a limit."
  }
  assert {
    condition     = length(aws_wafv2_web_acl.this.default_action[0].allow) == 1 && aws_wafv2_web_acl.this.visibility_config[0].metric_name == output.name
    error_message = "What no rule blocks is let through, and counted by the name that the alarm looks for."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.retention_in_days == 400 && aws_cloudwatch_log_group.this.kms_key_id == var.logs_key_arn
    error_message = "The firewall's log must have a retention and our own key."
  }
  assert {
    condition = toset(flatten([
      for field in aws_wafv2_web_acl_logging_configuration.this.redacted_fields : field.single_header[*].name
    ])) == toset(["authorization", "cookie"])
    error_message = "Tokens and cookies must not be in the log."
  }
}

run "a_limit_that_an_office_reaches_is_a_mistake" {
  command = plan

  module {
    source = "../modules/firewall"
  }

  variables {
    requests_per_five_minutes = 10
  }

  expect_failures = [var.requests_per_five_minutes]
}

run "an_alarm_is_told" {
  command = plan

  module {
    source = "../modules/alarms"
  }

  variables {
    told_at = "https://events.example.com/integration/key/enqueue"
    alarms = {
      cpu = { namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = {}, above = 85, minutes = 15, first_step = "Look." }
      lag = { namespace = "AWS/RDS", metric = "ReplicaLag", dimensions = {}, above = 60, minutes = 10, silence_is_bad = true, first_step = "Look." }
    }
  }

  assert {
    condition     = [for alarm in aws_cloudwatch_metric_alarm.this : alarm.treat_missing_data] == ["notBreaching", "breaching"]
    error_message = "Silence must be an alarm where it is bad, and nowhere else."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.this["cpu"].alarm_actions == toset([aws_sns_topic.this.arn]) && aws_sns_topic_subscription.pager[0].topic_arn == aws_sns_topic.this.arn
    error_message = "An alarm must reach whoever is told."
  }
  assert {
    condition     = aws_sns_topic.this.kms_master_key_id == var.key_arn
    error_message = "What is told must be encrypted with our own key."
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_sns_topic_policy.this.policy).Statement :
      statement.Principal == { Service = "cloudwatch.amazonaws.com" } && statement.Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    ])
    error_message = "Only alarms of this account may tell anything."
  }
}

run "an_alarm_without_a_bound_or_over_http_is_a_mistake" {
  command = plan

  module {
    source = "../modules/alarms"
  }

  variables {
    told_at = "http://events.example.com/"
    alarms = {
      cpu = { namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = {}, minutes = 15, first_step = "Look." }
    }
  }

  expect_failures = [var.told_at, var.alarms]
}
