# What is refused before it reaches the service. docs/terraform.md says of each rule which attack it is for.

locals {
  # In the order in which they look at a request; the cheap ones first.
  managed = {
    AWSManagedRulesAmazonIpReputationList = { priority = 10, counted = [] } # bots and scanners that AWS knows by their address
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 30, counted = [] } # Log4Shell, Spring4Shell, paths of exploits
    # Traversal, file inclusion, XSS, SSRF to metadata: the core rule set. Bodies above 8 KB are counted and not blocked:
    # the service allows larger ones, and answers 413 above APP_HTTP__MAX_BODY_BYTES itself.
    AWSManagedRulesCommonRuleSet = { priority = 40, counted = ["SizeRestrictions_BODY"] }
    AWSManagedRulesSQLiRuleSet   = { priority = 50, counted = [] } # SQL in query, body, cookies and path
  }
}

resource "aws_wafv2_web_acl" "this" {
  name        = var.name
  description = "In front of ${var.name}"
  scope       = "REGIONAL"

  default_action {
    allow {}
  }

  # One address that asks as much as many: password guessing, scraping, a flood of one source.
  rule {
    name     = "rate-per-address"
    priority = 20

    action {
      block {
        custom_response {
          response_code = 429
        }
      }
    }

    statement {
      rate_based_statement {
        limit                 = var.requests_per_five_minutes
        evaluation_window_sec = 300
        aggregate_key_type    = "IP"
      }
    }

    visibility_config {
      metric_name                = "rate-per-address"
      cloudwatch_metrics_enabled = true
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = local.managed

    content {
      name     = rule.key
      priority = rule.value.priority

      override_action {
        none {} # what the group blocks is blocked
      }

      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.key

          dynamic "rule_action_override" {
            for_each = rule.value.counted

            content {
              name = rule_action_override.value

              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        metric_name                = rule.key
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = true
      }
    }
  }

  visibility_config {
    metric_name                = var.name
    cloudwatch_metrics_enabled = true
    sampled_requests_enabled   = true
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.load_balancer_arn == null ? 0 : 1

  resource_arn = var.load_balancer_arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "aws-waf-logs-${var.name}" # WAF writes to no other names
  retention_in_days = var.log_retention_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.this.arn]

  redacted_fields {
    single_header {
      name = "authorization"
    }
  }
  redacted_fields {
    single_header {
      name = "cookie"
    }
  }

  # What was let through is in the service's own log.
  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
      condition {
        action_condition {
          action = "COUNT"
        }
      }
    }
  }
}

output "arn" {
  description = "What the load balancer is given."
  value       = aws_wafv2_web_acl.this.arn
}

output "name" {
  description = "As alarms name it."
  value       = aws_wafv2_web_acl.this.name
}

output "rules" {
  description = "Names of the rules, in their order."
  value       = [for rule in { for rule in aws_wafv2_web_acl.this.rule : format("%04d", rule.priority) => rule.name } : rule]
}
