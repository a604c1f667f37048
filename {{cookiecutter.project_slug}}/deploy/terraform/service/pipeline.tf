# What jobs of the pipeline may do. None may change what is described here: that is done by a person.

locals {
  pipeline_roles = {
    deploy = {
      description = "Deploys ${var.service.name} to ${var.environment}: what it may do in the cluster is said there."
      rights = {
        Cluster = {
          actions   = ["eks:DescribeCluster"]
          resources = ["arn:${data.aws_partition.current.partition}:eks:${local.region}:${local.account}:cluster/${var.network.cluster_name}"]
        }
        Login = {
          actions   = ["ecr:GetAuthorizationToken"] # it knows no resources
          resources = ["*"]
        }
        Images = { # and their signatures
          actions   = ["ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer"]
          resources = ["arn:${data.aws_partition.current.partition}:ecr:${local.region}:${local.account}:repository/${var.service.name}"]
        }
      }
      policy_arns = {}
      of_releases = true
    }
    drift = {
      description = "Compares ${var.service.name} in ${var.environment} with what is described. Reads settings, and no data."
      rights = {
        NoData = {
          effect    = "Deny"
          resources = ["*"]
          actions = [
            "dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "kms:Decrypt", "logs:FilterLogEvents", "logs:GetLogEvents",
            "logs:StartQuery", "secretsmanager:GetSecretValue", "ssm:GetParameter", "ssm:GetParameters",
          ]
        }
        NoObjects = {
          effect    = "Deny"
          actions   = ["s3:GetObject", "s3:GetObjectVersion"]
          resources = [for bucket in module.bucket : "${bucket.arn}/*"]
        }
      }
      policy_arns = { settings = "arn:${data.aws_partition.current.partition}:iam::aws:policy/ReadOnlyAccess" }
      of_releases = false
    }
  }
}
