output "settings" {
  description = "By workload: variables of its environment that follow from what is here, and the secret behind each other one."
  value = {
    for workload in keys(local.workloads) : workload => {
      variables = merge(
        { OTEL_SERVICE_NAME = var.service.name, APP_ENV = var.environment },
        workload != "worker" ? {} : {
          APP_AUDIT_LOG__EXPORT_URL     = "s3://${module.bucket["audit"].name}"
          APP_AUDIT_LOG__RETENTION_DAYS = tostring(var.locked_days.audit)
        },
        workload != "retention" ? {} : {
          APP_RETENTION__ARCHIVE_URL  = "s3://${module.bucket["archives"].name}"
          APP_RETENTION__ARCHIVE_DAYS = tostring(var.locked_days.archives)
        },
      )
      secrets = merge([
        for name, secret in local.secrets : { for setting in secret.settings : setting => module.secret[name].name }
        if contains(secret.workloads, workload)
      ]...)
    }
  }
}

output "database" {
  description = "Where PostgreSQL is."
  value = {
    address           = module.database.address
    replica_addresses = module.database.replica_addresses
    port              = module.database.port
    database          = module.database.database
  }
}

output "cache_address" {
  description = "Where the cache is; null without one."
  value       = one(module.cache[*].address)
}

output "firewall_arn" {
  description = "For the load balancer, where the cluster's controller makes it."
  value       = module.firewall.arn
}

output "service_accounts" {
  description = "Service accounts that have a role, by workload."
  value       = { for workload, role in module.workload : workload => role.role_arn }
}

output "secret_reader_policy_arn" {
  description = "What the role of the cluster's secret operator needs."
  value       = aws_iam_policy.secret_reader.arn
}

output "log_writer_policy_arn" {
  description = "What the collector's role needs."
  value       = module.log_streams.writer_policy_arn
}

output "log_reader_role_arns" {
  description = "Roles to take, by kind of reader."
  value       = module.log_readers.role_arns
}

output "alarm_topic_arn" {
  description = "Where alarms are told."
  value       = module.alarms.topic_arn
}
