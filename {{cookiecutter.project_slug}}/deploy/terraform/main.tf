# What the service owns in AWS: the registry of its images, and the key they are encrypted with.
#
#   terraform init -backend-config="bucket=..." -backend-config="key=<service>.tfstate" -backend-config="region=..."
#   terraform plan

terraform {
  required_version = ">= 1.11" # state locking in S3 itself, without a table beside it

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }

  backend "s3" {
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Service    = var.service
      Owner      = var.owner
      Repository = var.repository
      ManagedBy  = "terraform"
    }
  }
}
