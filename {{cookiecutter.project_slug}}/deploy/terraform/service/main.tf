# All of one environment. What it needs and does not make is `network`.

terraform {
  required_version = ">= 1.11" # write-only arguments, and state locking in S3 itself

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

locals {
  name      = "${var.service.name}-${var.environment}"
  namespace = var.service.name
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.name
  log_group = "arn:${data.aws_partition.current.partition}:logs:${local.region}:${local.account}:log-group"

  keys = {
    database = { description = "Database of ${local.name}: storage, backups", used_by = [] }
    cache    = { description = "Cache of ${local.name}", used_by = [] }
    secrets  = { description = "Secrets of ${local.name}", used_by = [] }
    archives = { description = "Audit log and archives of ${local.name}", used_by = [] }
    logs = {
      description = "Log lines of ${local.name}"
      used_by = [
        {
          sid     = "CloudWatchForTheseGroups" # who may read a group needs no right to its key
          service = "logs.${local.region}.${data.aws_partition.current.dns_suffix}"
          condition = { ArnLike = { "kms:EncryptionContext:aws:logs:arn" = [
            "${local.log_group}:/${var.service.name}/${var.environment}/*",
            "${local.log_group}:/aws/rds/instance/${local.name}/*",
            "${local.log_group}:aws-waf-logs-${local.name}",
          ] } }
        },
      ]
    }
    alarms = {
      description = "Alarms of ${local.name}"
      used_by = [
        {
          sid     = "AlarmsToThisTopic"
          service = "cloudwatch.amazonaws.com"
          condition = { StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = [
            "arn:${data.aws_partition.current.partition}:sns:${local.region}:${local.account}:${local.name}",
          ] } }
        },
      ]
    }
  }
}

module "key" {
  for_each = { for purpose, key in local.keys : purpose => key if purpose != "cache" || var.cache_node_type != null }
  source   = "../modules/key"

  name        = "${local.name}-${each.key}"
  description = each.value.description
  used_by     = each.value.used_by
}
