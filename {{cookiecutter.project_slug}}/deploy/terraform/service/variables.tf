variable "service" {
  description = "Who the service is: service.json."
  type = object({
    name        = string
    description = string
    owner       = string
    repository  = string
    github_ids  = optional(list(number), [])
  })

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.service.name)) && length(var.service.name) <= 32
    error_message = "The service must be lower-case letters, digits and single hyphens, at most 32."
  }
}

variable "telemetry" {
  description = "What follows from the telemetry policy: telemetry.json."
  type = object({
    log_retention_days = map(number)
    log_access = map(object({
      environments = set(string)
      streams      = set(string)
    }))
  })
}

variable "environment" {
  description = "Which environment this is."
  type        = string

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "The environment must be staging or production."
  }
}

variable "network" {
  description = "What is there already: network, private subnets, cluster, and who may connect to database and cache."
  type = object({
    vpc_id                     = string
    private_subnet_ids         = list(string)
    cluster_name               = string
    pod_security_group_id      = string
    load_balancer_arn          = optional(string)
    endpoint_security_group_id = optional(string) # of Secrets Manager's endpoint: without it no password is rotated
  })
}

variable "database" {
  description = "Sizes of PostgreSQL."
  type = object({
    instance_class = string
    storage_gb     = number
    max_storage_gb = number
    multi_az       = bool
    replicas       = number
    backup_days    = number

    master_password_version = number
  })

  validation {
    condition     = var.environment != "production" || (var.database.multi_az && var.database.replicas >= 1 && var.database.backup_days >= 30)
    error_message = "Production has a standby, a replica, and thirty days to go back to."
  }
}

variable "master_password" {
  description = "Of the database's master login: TF_VAR_master_password, where its version is raised."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "cache_node_type" {
  description = "Size of the cache's nodes; null for no cache."
  type        = string
  default     = null
}

variable "locked_days" {
  description = "Days that nobody can delete what was exported of the audit log, and archives. It cannot be taken back."
  type = object({
    audit    = number
    archives = number
  })

  validation {
    condition     = var.environment != "production" || var.locked_days.audit >= var.telemetry.log_retention_days["audit"]
    error_message = "In production the export of the audit log is locked for as long as the telemetry policy keeps audit lines."
  }
}

variable "requests_per_five_minutes" {
  description = "Requests that one address may send."
  type        = number
  default     = 2000
}

variable "log_reader_principals" {
  description = "By role, the ARNs of who may take it: roles of your single sign-on, for example. By default nobody."
  type        = map(list(string))
  default     = {}
}

variable "alarms_told_at" {
  description = "Address that alarms are told; empty for nobody yet."
  type        = string
  sensitive   = true
}
