mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name                      = "orders-production"
  vpc_id                    = "vpc-1"
  subnet_ids                = ["subnet-1", "subnet-2"]
  client_security_group_ids = { pods = "sg-1" }
  instance_class            = "db.r8g.large"
  storage_gb                = 100
  max_storage_gb            = 1000
  multi_az                  = true
  replicas                  = 1
  backup_days               = 35
  master_password           = "an-example-of-a-password"
  master_password_version   = 1
  log_retention_days        = 400
  key_arn                   = "arn:aws:kms:eu-central-1:123456789012:key/database"
  logs_key_arn              = "arn:aws:kms:eu-central-1:123456789012:key/logs"
}

run "what_is_in_the_database_survives_a_mistake_and_is_read_by_nobody" {
  command = plan

  module {
    source = "../modules/database"
  }

  assert {
    condition     = alltrue([for instance in concat([aws_db_instance.primary], aws_db_instance.replica) : instance.deletion_protection])
    error_message = "Every instance must have deletion protection."
  }
  assert {
    condition     = !aws_db_instance.primary.skip_final_snapshot && !aws_db_instance.primary.delete_automated_backups
    error_message = "A last snapshot and the backups must outlive the database."
  }
  assert {
    condition     = aws_db_instance.primary.backup_retention_period == 35 && alltrue([for replica in aws_db_instance.replica : replica.backup_retention_period > 0])
    error_message = "Backups must be kept."
  }
  assert {
    condition     = aws_db_instance.primary.multi_az
    error_message = "There must be a standby."
  }
  assert {
    condition     = !aws_db_instance.primary.allow_major_version_upgrade && !aws_db_instance.primary.apply_immediately
    error_message = "Nothing may happen to the database in the middle of the day."
  }
  assert {
    condition     = alltrue([for instance in concat([aws_db_instance.primary], aws_db_instance.replica) : instance.storage_encrypted && instance.kms_key_id == var.key_arn])
    error_message = "Storage must be encrypted with our own key."
  }
  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "Connections without TLS must be refused."
  }
  assert {
    condition     = alltrue([for instance in concat([aws_db_instance.primary], aws_db_instance.replica) : !instance.publicly_accessible])
    error_message = "No instance may be reached from the internet."
  }
  assert {
    condition     = aws_db_instance.primary.password == null && aws_db_instance.primary.password_wo_version == 1
    error_message = "The master's password must not be in the state."
  }
  assert {
    condition     = length(aws_db_instance.replica) == 0 || aws_db_instance.primary.manage_master_user_password != true
    error_message = "RDS makes no replica of a database whose password it manages."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_ingress_rule.clients : "${rule.referenced_security_group_id}:${rule.from_port}-${rule.to_port}"] == ["sg-1:5432-5432"]
    error_message = "Only clients may connect, and only to PostgreSQL."
  }
  assert {
    condition     = alltrue([for group in aws_cloudwatch_log_group.this : group.retention_in_days == 400 && group.kms_key_id == var.logs_key_arn])
    error_message = "The database's log must have a retention and our own key."
  }
  assert {
    condition     = [for replica in aws_db_instance.replica : replica.replicate_source_db] == ["orders-production"]
    error_message = "The replica must follow the primary."
  }
}

run "no_backup_no_room_one_zone_and_a_short_password_are_mistakes" {
  command = plan

  module {
    source = "../modules/database"
  }

  variables {
    backup_days    = 0
    max_storage_gb = 100
    subnet_ids     = ["subnet-1", "subnet-1"]

    master_password = "postgres"
  }

  expect_failures = [var.backup_days, var.max_storage_gb, var.subnet_ids, var.master_password]
}

run "a_cache_is_encrypted_and_has_a_copy" {
  command = plan

  module {
    source = "../modules/cache"
  }

  variables {
    node_type = "cache.t4g.small"
  }

  assert {
    condition     = aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_mode == "required"
    error_message = "Connections without TLS must be refused."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled == "true" && aws_elasticache_replication_group.this.kms_key_id == var.key_arn
    error_message = "What is in it must be encrypted with our own key."
  }
  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "It must survive the loss of a zone."
  }
  assert {
    condition     = aws_elasticache_user.service.authentication_mode[0].type == "iam"
    error_message = "Nobody may connect by password."
  }
}
