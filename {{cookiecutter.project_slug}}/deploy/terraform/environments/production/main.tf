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
  service   = jsondecode(file("${path.module}/../../service.json"))
  telemetry = jsondecode(file("${path.module}/../../telemetry.json"))
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Service     = local.service.name
      Environment = "production"
      Owner       = local.service.owner
      Repository  = local.service.repository
      ManagedBy   = "terraform"
    }
  }
}

module "service" {
  source = "../../service"

  service     = local.service
  telemetry   = local.telemetry
  environment = "production"
  network     = var.network

  database = {
    instance_class = "db.r8g.large"
    storage_gb     = 100
    max_storage_gb = 1000
    multi_az       = true
    replicas       = 1
    backup_days    = 35 # the most that RDS can

    master_password_version = 1 # raised, it sends TF_VAR_master_password
  }

  locked_days = {
    audit    = local.telemetry.log_retention_days["audit"]
    archives = 365
  }

  master_password       = var.master_password
  log_reader_principals = var.log_reader_principals
  alarms_told_at        = var.alarms_told_at
}

output "service" {
  description = "All that manifests, pipeline and people need to know."
  value       = module.service
}
