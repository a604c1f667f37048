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
      policy_arns     = {}
      of_releases     = true
      session_seconds = 10800 # as long as the job that waits for a canary
    }
    drift = {
      description = "Compares ${var.service.name} in ${var.environment} with what is described. Reads settings, and no data."
      rights = {
        State = { # in whichever bucket; production looks at what all environments share as well
          actions   = ["s3:GetObject"]
          resources = [for name in [var.environment, "shared"] : "arn:${data.aws_partition.current.partition}:s3:::*/${var.service.name}/${name}.tfstate"]
        }
        Settings = { # that SecurityAudit does not know
          actions   = ["eks:DescribePodIdentityAssociation", "serverlessrepo:GetApplication"]
          resources = ["*"]
        }
        NoData = { # of what SecurityAudit can
          effect    = "Deny"
          actions   = ["rds:DownloadCompleteDBLogFile", "rds:DownloadDBLogFilePortion"]
          resources = ["*"]
        }
      }
      policy_arns     = { settings = "arn:${data.aws_partition.current.partition}:iam::aws:policy/SecurityAudit" }
      of_releases     = false
      session_seconds = 3600
    }
  }
}
