# Who reads what was logged, what is refused at the door, and what only AWS can see.

module "log_streams" {
  source = "../modules/log_streams"

  service        = var.service.name
  environment    = var.environment
  retention_days = var.telemetry.log_retention_days
  key_arn        = module.key["logs"].arn
}

module "log_readers" {
  source = "../modules/log_readers"

  service     = var.service.name
  environment = var.environment
  stream_arns = module.log_streams.arns
  access      = var.telemetry.log_access
  principals  = var.log_reader_principals
}

module "firewall" {
  source = "../modules/firewall"

  name                      = local.name
  load_balancer_arn         = var.network.load_balancer_arn
  requests_per_five_minutes = var.requests_per_five_minutes
  log_retention_days        = var.telemetry.log_retention_days["security"]
  logs_key_arn              = module.key["logs"].arn
}

locals {
  of_primary = {
    storage-low = {
      metric         = "FreeStorageSpace", statistic = "Minimum", below = var.database.storage_gb * 0.05 * 1024 * 1024 * 1024, minutes = 5 # at a tenth, RDS makes it larger by itself
      silence_is_bad = true
      first_step     = "Raise max_storage_gb, then look which table has grown: app retention plan."
    }
    cpu-high = {
      metric     = "CPUUtilization", above = 85, minutes = 15
      first_step = "Open Database Insights: which statement takes the time, and since when?"
    }
    memory-low = {
      metric     = "FreeableMemory", statistic = "Minimum", below = 256 * 1024 * 1024, minutes = 10
      first_step = "Count connections and look for large sorts in Database Insights."
    }
    queue-deep = {
      metric     = "DiskQueueDepth", above = 64, minutes = 10
      first_step = "Open Database Insights: which statement reads or writes so much?"
    }
    transaction-ids-low = {
      metric     = "MaximumUsedTransactionIDs", statistic = "Maximum", above = 1000000000, minutes = 5
      first_step = "Vacuum is behind; at two billion PostgreSQL stops writing. End long transactions, then VACUUM FREEZE the oldest table."
    }
  }

  alarms = merge(
    { for name, alarm in local.of_primary : "database-${name}" => merge(alarm, {
      namespace  = "AWS/RDS"
      dimensions = { DBInstanceIdentifier = module.database.identifiers.primary }
    }) },
    { for index in range(var.database.replicas) : "replica-${index + 1}-late" => {
      namespace      = "AWS/RDS"
      metric         = "ReplicaLag"
      dimensions     = { DBInstanceIdentifier = module.database.identifiers.replicas[index] }
      statistic      = "Average"
      above          = 60
      minutes        = 10
      silence_is_bad = true
      first_step     = "Reads go to the primary meanwhile: docs/read-replicas.md. Look for a long query on the replica."
    } },
    {
      firewall-blocks = {
        namespace  = "AWS/WAFV2"
        metric     = "BlockedRequests"
        dimensions = { WebACL = module.firewall.name, Rule = "ALL", Region = local.region }
        statistic  = "Sum"
        above      = 500
        minutes    = 5
        first_step = "An attack, or a rule that blocks customers: look in the firewall's log which rule, and from where."
      }
    },
  )
}

module "alarms" {
  source = "../modules/alarms"

  name    = local.name
  key_arn = module.key["alarms"].arn
  told_at = var.alarms_told_at
  alarms  = local.alarms
}
