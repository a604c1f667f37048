# Where rows, objects and secrets are.

module "database" {
  source = "../modules/database"

  name       = local.name
  vpc_id     = var.network.vpc_id
  subnet_ids = var.network.private_subnet_ids
  client_security_group_ids = merge(
    { pods = var.network.pod_security_group_id },
    { for rotation in module.rotation : "rotation" => rotation.security_group_id },
  )

  instance_class     = var.database.instance_class
  storage_gb         = var.database.storage_gb
  max_storage_gb     = var.database.max_storage_gb
  multi_az           = var.database.multi_az
  replicas           = var.database.replicas
  backup_days        = var.database.backup_days
  log_retention_days = var.telemetry.log_retention_days["security"] # who connected, and when
  key_arn            = module.key["database"].arn
  logs_key_arn       = module.key["logs"].arn

  master_password         = var.master_password
  master_password_version = var.database.master_password_version
}

# Not among the secrets of the cluster: who brings those there must not read this one.
module "master_login" {
  source = "../modules/secret"

  name        = "${var.environment}/${var.service.name}/database-master-login"
  description = "Login of who makes the other logins"
  key_arn     = module.key["secrets"].arn
}

module "cache" {
  count  = var.cache_node_type == null ? 0 : 1
  source = "../modules/cache"

  name                      = substr(local.name, 0, 40)
  vpc_id                    = var.network.vpc_id
  subnet_ids                = var.network.private_subnet_ids
  client_security_group_ids = { pods = var.network.pod_security_group_id }
  node_type                 = var.cache_node_type
  key_arn                   = module.key["cache"].arn
}

# Two buckets: the worker has no right to archives, nor retention to the audit log.
module "bucket" {
  for_each = var.locked_days
  source   = "../modules/locked_bucket"

  name        = "${local.name}-${each.key}"
  locked_days = each.value
  key_arn     = module.key["archives"].arn
}

locals {
  # By name, as deploy/k8s/base/secrets.yaml has it: the settings that are made of it, and who gets them.
  secrets = {
    database-url = {
      description = "Login of requests, a member of app_user"
      settings    = ["APP_DATABASE__URL", "APP_REPLICAS__URLS"]
      workloads   = ["http", "worker", "migrate", "partitions", "retention"]
    }
    database-jobs-url = {
      description = "Login of work across tenants, a member of app_jobs"
      settings    = ["APP_DATABASE__JOBS_URL"]
      workloads   = ["worker"]
    }
    migrations-database-url = {
      description = "Login of who owns the tables"
      settings    = ["APP_MIGRATIONS__DATABASE_URL"]
      workloads   = ["migrate", "partitions", "retention"]
    }
    broker-url = {
      description = "Address of NATS, with its login"
      settings    = ["APP_BROKER__URL"]
      workloads   = ["http", "worker", "migrate", "partitions", "retention"]
    }
    audit-signing-key = {
      description = "Ed25519 key that signs checkpoints of the audit log"
      settings    = ["APP_AUDIT_LOG__SIGNING_KEY"]
      workloads   = ["worker"]
    }
    pseudonym-key = {
      description = "Key that makes pseudonyms of the names in tokens"
      settings    = ["APP_AUTHENTICATION__PSEUDONYM_KEY"]
      workloads   = ["http"]
    }
    feature-flags-token = {
      description = "Token of the flag server, for programs that only read"
      settings    = ["APP_FEATURE_FLAGS__TOKEN"]
      workloads   = ["http", "worker"]
    }
    probe-client-secret = {
      description = "Secret of the client that tries a customer's steps"
      settings    = ["APP_PROBE__CLIENT_SECRET_FILE"]
      workloads   = ["probe"]
    }
  }
  rotated = toset(["database-url", "database-jobs-url"]) # who owns tables must not become somebody else
}

module "rotation" {
  count  = var.network.endpoint_security_group_id == null ? 0 : 1
  source = "../modules/rotation"

  name                       = local.name
  region                     = local.region
  vpc_id                     = var.network.vpc_id
  subnet_ids                 = var.network.private_subnet_ids
  database_security_group_id = module.database.security_group_id
  endpoint_security_group_id = var.network.endpoint_security_group_id
  master_secret_arn          = module.master_login.arn
  key_arn                    = module.key["secrets"].arn
}

module "secret" {
  for_each = local.secrets
  source   = "../modules/secret"

  name        = "${var.environment}/${var.service.name}/${each.key}" # the store of a cluster has the environment as its prefix
  description = each.value.description
  key_arn     = module.key["secrets"].arn
  rotated_by  = contains(local.rotated, each.key) ? module.rotation[*].function_arn : []
}
