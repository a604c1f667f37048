# AWS's own function for logins of PostgreSQL. It alternates between two logins, `service` and `service_clone`, and the
# second has all roles of the first: whoever still uses the old password can, until the next rotation.

data "aws_partition" "current" {}

data "aws_serverlessapplicationrepository_application" "this" {
  application_id = "arn:aws:serverlessrepo:us-east-1:297356227824:applications/SecretsManagerRDSPostgreSQLRotationMultiUser"
}

resource "aws_security_group" "this" {
  name        = "${var.name}-rotation"
  description = "The function that changes passwords of ${var.name}."
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "database" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL"
  referenced_security_group_id = var.database_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
}

resource "aws_vpc_security_group_egress_rule" "endpoint" {
  security_group_id            = aws_security_group.this.id
  description                  = "Secrets Manager, in this network"
  referenced_security_group_id = var.endpoint_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_serverlessapplicationrepository_cloudformation_stack" "this" {
  name             = "${var.name}-rotation"
  application_id   = data.aws_serverlessapplicationrepository_application.this.application_id
  semantic_version = data.aws_serverlessapplicationrepository_application.this.semantic_version
  capabilities     = data.aws_serverlessapplicationrepository_application.this.required_capabilities

  parameters = {
    endpoint            = "https://secretsmanager.${var.region}.${data.aws_partition.current.dns_suffix}"
    functionName        = "${var.name}-rotation"
    superuserSecretArn  = var.master_secret_arn
    kmsKeyArn           = var.key_arn
    excludeCharacters   = ":/@\"'\\%#?&+= " # it becomes part of an address
    vpcSubnetIds        = join(",", var.subnet_ids)
    vpcSecurityGroupIds = aws_security_group.this.id
  }
}

output "function_arn" {
  description = "What rotates."
  value       = aws_serverlessapplicationrepository_cloudformation_stack.this.outputs["RotationLambdaARN"]
}

output "security_group_id" {
  description = "From where it connects."
  value       = aws_security_group.this.id
}
