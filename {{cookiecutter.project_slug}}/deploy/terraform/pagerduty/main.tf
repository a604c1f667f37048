# Who is called, and who is called next: the numbers are those of docs/incidents/on-call.md. Apart from the environments,
# since it needs another provider and another credential, PAGERDUTY_TOKEN.

terraform {
  required_version = ">= 1.11"

  required_providers {
    pagerduty = {
      source  = "PagerDuty/pagerduty"
      version = "~> 3.0"
    }
  }

  # Bucket, key and region are in state.s3.tfbackend. The state holds the integrations' keys.
  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

variable "first_schedule_id" {
  description = "Schedule of who is called first."
  type        = string
}

variable "second_schedule_id" {
  description = "Schedule of who is called when the first does not answer."
  type        = string
}

variable "owner_user_id" {
  description = "Who owns the service, and is called last."
  type        = string
}

locals {
  service = jsondecode(file("${path.module}/../service.json"))
}

resource "pagerduty_escalation_policy" "this" {
  name      = local.service.name
  num_loops = 2

  rule {
    escalation_delay_in_minutes = 5 # then the second

    target {
      type = "schedule_reference"
      id   = var.first_schedule_id
    }
  }

  rule {
    escalation_delay_in_minutes = 25 # then, half an hour after the first call, the owner

    target {
      type = "schedule_reference"
      id   = var.second_schedule_id
    }
  }

  rule {
    escalation_delay_in_minutes = 30

    target {
      type = "user_reference"
      id   = var.owner_user_id
    }
  }
}

resource "pagerduty_service" "this" {
  name                    = local.service.name
  description             = "${local.service.description} ${local.service.repository}"
  escalation_policy       = pagerduty_escalation_policy.this.id
  acknowledgement_timeout = "1800" # who fell asleep over it is called again
  auto_resolve_timeout    = "null"
  alert_creation          = "create_alerts_and_incidents"

  incident_urgency_rule {
    type    = "constant"
    urgency = "high" # only pages come here: docs/alerts.md
  }
}

resource "pagerduty_service_integration" "alertmanager" {
  name    = "Alertmanager"
  type    = "events_api_v2_inbound_integration"
  service = pagerduty_service.this.id
}

data "pagerduty_vendor" "cloudwatch" {
  name = "Amazon CloudWatch"
}

resource "pagerduty_service_integration" "cloudwatch" {
  name    = data.pagerduty_vendor.cloudwatch.name
  vendor  = data.pagerduty_vendor.cloudwatch.id
  service = pagerduty_service.this.id
}

output "alertmanager_routing_key" {
  description = "Of the receiver `page` in Alertmanager."
  value       = pagerduty_service_integration.alertmanager.integration_key
  sensitive   = true
}

output "alarms_told_at" {
  description = "For TF_VAR_alarms_told_at of the environments."
  value       = "https://events.pagerduty.com/integration/${pagerduty_service_integration.cloudwatch.integration_key}/enqueue"
  sensitive   = true
}
