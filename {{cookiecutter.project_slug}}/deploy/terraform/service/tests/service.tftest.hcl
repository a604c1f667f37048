# All of an environment, as it hangs together.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

override_resource {
  target          = module.bucket["audit"].aws_s3_bucket.this
  override_during = plan
  values          = { arn = "arn:aws:s3:::audit" }
}

override_resource {
  target          = module.bucket["archives"].aws_s3_bucket.this
  override_during = plan
  values          = { arn = "arn:aws:s3:::archives" }
}

variables {
  service = {
    name        = "orders-with-a-name-of-thirty-two" # the longest: what is made of it must not be too long either
    description = "Takes orders."
    owner       = "team-orders"
    repository  = "https://git.example.com/team/orders"
    github_ids  = [12, 345]
  }
  telemetry = {
    log_retention_days = { app = 30, security = 400, audit = 731 }
    log_access         = {}
  }
  environment = "production"
  network = {
    vpc_id                     = "vpc-1"
    private_subnet_ids         = ["subnet-1", "subnet-2"]
    cluster_name               = "main"
    pod_security_group_id      = "sg-1"
    endpoint_security_group_id = "sg-2"
  }
  database = {
    instance_class = "db.r8g.large"
    storage_gb     = 100
    max_storage_gb = 1000
    multi_az       = true
    replicas       = 1
    backup_days    = 35

    master_password_version = 1
  }
  cache_node_type = "cache.t4g.small"
  locked_days     = { audit = 731, archives = 365 }
  alarms_told_at  = "https://events.example.com/integration/key/enqueue"
}

run "an_environment_hangs_together" {
  command = plan

  assert {
    condition = jsonencode({
      for workload, rights in local.workloads : workload => sort(flatten([for right in rights : right.actions]))
      }) == jsonencode({
      http       = ["elasticache:Connect"]
      worker     = ["kms:Decrypt", "kms:GenerateDataKey", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:PutObjectRetention"]
      retention  = ["kms:Decrypt", "kms:GenerateDataKey", "s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:PutObjectRetention"]
      migrate    = []
      partitions = []
      probe      = []
    })
    error_message = "Rights of a workload differ from what it needs."
  }
  assert {
    condition     = [local.workloads["worker"].Objects.resources[0], local.workloads["retention"].Objects.resources[0]] == ["arn:aws:s3:::audit/*", "arn:aws:s3:::archives/*"]
    error_message = "The worker keeps the audit log, and retention the archives."
  }
  assert {
    condition     = alltrue([for workload in local.workloads : alltrue([for name, right in workload : try(right.condition != null, name != "Key")])])
    error_message = "A key is used through the service that it is for."
  }
  assert {
    condition     = output.settings["worker"].variables["APP_AUDIT_LOG__EXPORT_URL"] == "s3://${var.service.name}-production-audit" && output.settings["worker"].variables["APP_AUDIT_LOG__RETENTION_DAYS"] == "731"
    error_message = "The worker exports the audit log to its bucket, for as long as that locks."
  }
  assert {
    condition     = output.settings["retention"].variables["APP_RETENTION__ARCHIVE_URL"] == "s3://${var.service.name}-production-archives" && output.settings["retention"].variables["APP_RETENTION__ARCHIVE_DAYS"] == "365"
    error_message = "Archives are written to their bucket, for as long as that locks."
  }
  assert {
    condition     = output.settings["http"].secrets["APP_DATABASE__URL"] == "production/${var.service.name}/database-url" && !contains(keys(output.settings["http"].secrets), "APP_DATABASE__JOBS_URL")
    error_message = "Requests have their login, and no other."
  }
  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_policy.secret_reader.policy).Statement : statement.Action])) == toset(["kms:Decrypt", "secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"])
    error_message = "Who brings secrets to the cluster reads them, and no more."
  }
  assert {
    condition = jsonencode([for key in ["logs", "alarms"] : local.keys[key].used_by[*].condition]) == jsonencode([
      [{ ArnLike = { "kms:EncryptionContext:aws:logs:arn" = [
        for name in ["/${var.service.name}/production/*", "/aws/rds/instance/${var.service.name}-production/*", "aws-waf-logs-${var.service.name}-production"] :
        "arn:aws:logs:eu-central-1:123456789012:log-group:${name}"
      ] } }],
      [{ StringEquals = { "kms:EncryptionContext:aws:sns:topicArn" = ["arn:aws:sns:eu-central-1:123456789012:${var.service.name}-production"] } }],
    ])
    error_message = "CloudWatch uses the keys for the groups and the topic that are here, and for no others."
  }
  assert {
    condition     = length(module.rotation) == 1 && local.rotated == toset(["database-url", "database-jobs-url"])
    error_message = "Logins of the processes must rotate."
  }
  assert {
    condition = toset(keys(local.alarms)) == toset([
      "database-storage-low", "database-cpu-high", "database-memory-low", "database-queue-deep", "database-transaction-ids-low",
      "replica-1-late", "firewall-blocks",
    ])
    error_message = "Each alarm must be there."
  }
  assert {
    condition = alltrue([
      endswith(local.pipeline_roles["drift"].policy_arns.settings, ":policy/SecurityAudit"),
      [for right in local.pipeline_roles["drift"].rights : right.actions if !can(right.effect)] == [
        ["eks:DescribePodIdentityAssociation", "serverlessrepo:GetApplication"], ["s3:GetObject"],
      ],
      alltrue([for resource in local.pipeline_roles["drift"].rights.State.resources : endswith(resource, ".tfstate")]),
    ])
    error_message = "Who looks for drift must not read secrets, lines or objects."
  }
}

run "production_without_a_standby_or_with_an_audit_log_that_goes_too_soon_is_a_mistake" {
  command = plan

  variables {
    database = {
      instance_class = "db.r8g.large"
      storage_gb     = 100
      max_storage_gb = 1000
      multi_az       = false
      replicas       = 1
      backup_days    = 35

      master_password_version = 1
    }
    locked_days = { audit = 365, archives = 365 }
  }

  expect_failures = [var.database, var.locked_days]
}
