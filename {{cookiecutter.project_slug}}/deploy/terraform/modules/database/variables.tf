variable "name" {
  description = "Identifier of the primary."
  type        = string
}

variable "vpc_id" {
  description = "Network of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in at least two availability zones."
  type        = list(string)

  validation {
    condition     = length(toset(var.subnet_ids)) >= 2
    error_message = "A database needs subnets in two availability zones."
  }
}

variable "client_security_group_ids" {
  description = "Who may connect: security groups, by what they are."
  type        = map(string)
}

variable "major_version" {
  description = "Major version of PostgreSQL."
  type        = string
  default     = "17"
}

variable "instance_class" {
  description = "Size of each instance."
  type        = string
}

variable "storage_gb" {
  description = "Storage to begin with."
  type        = number
}

variable "max_storage_gb" {
  description = "Storage that it may grow to."
  type        = number

  validation {
    condition     = var.max_storage_gb > var.storage_gb
    error_message = "Storage must be able to grow: a full disk stops the service."
  }
}

variable "multi_az" {
  description = "A standby in another availability zone, to which RDS switches by itself."
  type        = bool
}

variable "replicas" {
  description = "Replicas to read from."
  type        = number

  validation {
    condition     = var.replicas >= 0 && var.replicas <= 5
    error_message = "From none to five replicas."
  }
}

variable "backup_days" {
  description = "Days back to which the database can be restored, to the second."
  type        = number

  validation {
    condition     = var.backup_days >= 7 && var.backup_days <= 35
    error_message = "Backups are kept for 7 to 35 days: a mistake of Friday is found on Monday."
  }
}

variable "log_retention_days" {
  description = "Days that the database's own log is kept."
  type        = number
}

variable "master_password" {
  description = "Of the master login; null where its version stays."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = can(regex("^[^/\"@ ]{24,128}$", coalesce(var.master_password, "nothing-is-sent-to-anybody")))
    error_message = "The master password has 24 to 128 characters, and RDS takes no slash, quote, at sign or space."
  }
}

variable "master_password_version" {
  description = "Raised, the password is sent."
  type        = number
}

variable "key_arn" {
  description = "Key of storage, backups and performance insights."
  type        = string
}

variable "logs_key_arn" {
  description = "Key of its log."
  type        = string
}
