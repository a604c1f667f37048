# docs/terraform.md says how to begin.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket, key and region are in state.s3.tfbackend: a key per environment.
  backend "s3" {
    encrypt      = true
    use_lockfile = true # two runs at once are refused
  }
}

locals {
  service = jsondecode(file("${path.module}/../../service.json"))
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Service     = local.service.name
      Environment = "staging"
      Owner       = local.service.owner
      Repository  = local.service.repository
      ManagedBy   = "terraform"
    }
  }
}

module "service" {
  source = "../../service"

  service     = local.service
  telemetry   = jsondecode(file("${path.module}/../../telemetry.json"))
  environment = "staging"
  network     = var.network

  database = {
    instance_class = "db.t4g.medium"
    storage_gb     = 20
    max_storage_gb = 100
    multi_az       = false
    replicas       = 0
    backup_days    = 7

    master_password_version = 1 # raised, it sends TF_VAR_master_password
  }

  # What is written here by mistake has to be paid for until the day comes.
  locked_days = {
    audit    = 1
    archives = 1
  }

  master_password       = var.master_password
  log_reader_principals = var.log_reader_principals
  alarms_told_at        = var.alarms_told_at
}

output "service" {
  description = "All that manifests, pipeline and people need to know."
  value       = module.service
}
