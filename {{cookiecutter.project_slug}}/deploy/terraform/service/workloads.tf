# What each process may do in AWS. Who is not named here has no role: the node's is not for pods.

locals {
  may_keep = {
    for name, bucket in module.bucket : name => {
      Objects = {
        actions   = ["s3:GetObject", "s3:PutObject", "s3:PutObjectRetention"]
        resources = ["${bucket.arn}/*"]
      }
      Names = {
        actions   = ["s3:ListBucket"]
        resources = [bucket.arn]
      }
      Key = {
        actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
        resources = [module.key["archives"].arn]
        condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.${data.aws_partition.current.dns_suffix}" } }
      }
    }
  }

  workloads = {
    http       = { for cache in module.cache : "Cache" => { actions = ["elasticache:Connect"], resources = cache.connect_arns } }
    worker     = local.may_keep["audit"]    # exports the audit log
    migrate    = {}                         # needs the database alone
    partitions = {}                         # the same
    retention  = local.may_keep["archives"] # archives months before it drops them
    probe      = {}                         # a customer has no rights here
  }
}

# For the operator that puts secrets into the cluster: it reads those of this service in this environment.
resource "aws_iam_policy" "secret_reader" {
  name        = "${local.name}-secret-reader"
  description = "Reads the secrets of ${var.service.name} in ${var.environment}."

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = [for secret in module.secret : secret.arn]
      },
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [module.key["secrets"].arn]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.${data.aws_partition.current.dns_suffix}" } }
      },
    ]
  })
}

module "workload" {
  for_each = local.workloads
  source   = "../modules/workload"

  service         = var.service.name
  environment     = var.environment
  workload        = each.key
  cluster_name    = var.network.cluster_name
  namespace       = local.namespace
  service_account = each.key
  rights          = { for name, right in each.value : name => merge({ condition = {} }, right) }
}
