# Valkey, for what may be lost: it has a copy in another zone, and no backup is ever restored.

resource "aws_elasticache_subnet_group" "this" {
  name        = var.name
  description = "Where ${var.name} listens: in no public subnet."
  subnet_ids  = var.subnet_ids
}

resource "aws_security_group" "this" {
  name        = "${var.name}-cache"
  description = "Who may connect to ${var.name}. It calls nobody: no egress."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = "Valkey, from ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 6379
  to_port                      = 6379
}

# No password anywhere: who has the role gets a token for fifteen minutes.
resource "aws_elasticache_user" "service" {
  user_id       = var.name
  user_name     = var.name # IAM demands that both are equal
  engine        = "valkey"
  access_string = "on ~* +@all -@dangerous"

  authentication_mode {
    type = "iam"
  }
}

resource "aws_elasticache_user_group" "this" {
  user_group_id = var.name
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.service.user_id]
}

resource "aws_elasticache_replication_group" "this" {
  replication_group_id = var.name
  description          = "Cache of ${var.name}"
  engine               = "valkey"
  engine_version       = "8.0"
  node_type            = var.node_type

  num_cache_clusters         = 2
  multi_az_enabled           = true
  automatic_failover_enabled = true
  subnet_group_name          = aws_elasticache_subnet_group.this.name
  security_group_ids         = [aws_security_group.this.id]
  user_group_ids             = [aws_elasticache_user_group.this.user_group_id]

  at_rest_encryption_enabled = true
  kms_key_id                 = var.key_arn
  transit_encryption_enabled = true
  transit_encryption_mode    = "required"

  snapshot_retention_limit   = 1 # for a look at what was in it
  maintenance_window         = "sun:02:30-sun:03:30"
  auto_minor_version_upgrade = true
  apply_immediately          = false
}

output "address" {
  description = "Host to connect to, with TLS."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "connect_arns" {
  description = "What a role must be allowed to connect to."
  value       = [aws_elasticache_replication_group.this.arn, aws_elasticache_user.service.arn]
}

output "id" {
  description = "As alarms name it."
  value       = aws_elasticache_replication_group.this.id
}
