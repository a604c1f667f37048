# What all environments have together: the registry, and whose tokens the account believes. docs/terraform.md says how to begin.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket, key and region are in state.s3.tfbackend.
  backend "s3" {
    encrypt      = true
    use_lockfile = true # two runs at once are refused
  }
}

locals {
  service = jsondecode(file("${path.module}/../../service.json"))

  # Of the job that builds images: it can add to this registry, and neither delete nor replace.
  push_rights = {
    Login = {
      actions   = ["ecr:GetAuthorizationToken"] # it knows no resources
      resources = ["*"]
    }
    Push = {
      actions = [
        "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
        "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
      ]
      resources = [module.registry.arn]
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Service    = local.service.name
      Owner      = local.service.owner
      Repository = local.service.repository
      ManagedBy  = "terraform"
    }
  }
}

variable "region" {
  description = "AWS region of every resource."
  type        = string
  default     = "eu-central-1"
}

module "registry" {
  source = "../../modules/registry"

  service     = local.service.name
  description = local.service.description
}

output "registry_url" {
  description = "Where images are pushed to."
  value       = module.registry.url
}
