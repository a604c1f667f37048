# PostgreSQL. What protects its data has no variable: it cannot be switched off by a value, only by an edit that
# `make plan-guard` refuses.

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Where ${var.name} listens: in no public subnet."
  subnet_ids  = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "Who may connect to ${var.name}. It calls nobody: no egress."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL, from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-" # a new major version needs another group before the old one can go
  description = "${var.name}: nobody connects without TLS."
  family      = "postgres${var.major_version}"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }
  parameter {
    name  = "log_connections"
    value = "1"
  }
  parameter {
    name  = "log_disconnections"
    value = "1"
  }

  lifecycle {
    create_before_destroy = true
  }
}

# RDS would make them by itself, and keep their lines for ever.
resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_db_instance" "primary" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = var.major_version # minor versions are RDS's, within the maintenance window
  instance_class = var.instance_class
  db_name        = "app"

  allocated_storage     = var.storage_gb
  max_allocated_storage = var.max_storage_gb # a full disk stops the service: it grows by itself up to here
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.key_arn

  # In no state, and sent when the version is raised. RDS would manage it, but makes no replica of a database where it does.
  username                            = "postgres"
  password_wo                         = coalesce(var.master_password, "none") # too short for RDS: it is asked for where it is sent
  password_wo_version                 = var.master_password_version
  iam_database_authentication_enabled = true # people log in as themselves, after GRANT rds_iam

  multi_az               = var.multi_az
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [aws_security_group.this.id]
  publicly_accessible    = false
  parameter_group_name   = aws_db_parameter_group.this.name

  backup_retention_period   = var.backup_days # with a backup, any second of these days can be restored
  backup_window             = "01:00-02:00"
  maintenance_window        = "sun:02:30-sun:03:30"
  copy_tags_to_snapshot     = true
  delete_automated_backups  = false # they outlive the instance
  deletion_protection       = true
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final"

  auto_minor_version_upgrade      = true
  allow_major_version_upgrade     = false
  apply_immediately               = false
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.key_arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  depends_on = [aws_cloudwatch_log_group.this]

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_db_instance" "replica" {
  count = var.replicas

  identifier          = "${var.name}-replica-${count.index + 1}"
  replicate_source_db = aws_db_instance.primary.identifier
  instance_class      = var.instance_class
  storage_type        = "gp3"
  storage_encrypted   = true
  kms_key_id          = var.key_arn

  max_allocated_storage               = var.max_storage_gb
  iam_database_authentication_enabled = true
  vpc_security_group_ids              = [aws_security_group.this.id]
  publicly_accessible                 = false
  parameter_group_name                = aws_db_parameter_group.this.name
  maintenance_window                  = "sun:04:00-sun:05:00" # not together with the primary

  backup_retention_period = 7    # its own, so that it can be used when it is promoted
  skip_final_snapshot     = true # it holds nothing of its own
  deletion_protection     = true

  auto_minor_version_upgrade      = true
  apply_immediately               = false
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.key_arn
}

output "address" {
  description = "Host of the primary."
  value       = aws_db_instance.primary.address
}

output "replica_addresses" {
  description = "Hosts of the replicas."
  value       = aws_db_instance.replica[*].address
}

output "port" {
  description = "Port of each."
  value       = aws_db_instance.primary.port
}

output "database" {
  description = "Name of the database."
  value       = aws_db_instance.primary.db_name
}

output "identifiers" {
  description = "Primary and replicas, as alarms name them."
  value = {
    primary  = aws_db_instance.primary.identifier
    replicas = aws_db_instance.replica[*].identifier
  }
}

output "security_group_id" {
  description = "Of the database."
  value       = aws_security_group.this.id
}
