# Who the service is; the values are in terraform.tfvars.

variable "service" {
  description = "Name of the service: the first part of every resource's name."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.service)) && length(var.service) <= 32
    error_message = "The service must be lower-case letters, digits and single hyphens, at most 32."
  }
}

variable "description" {
  description = "What the service does, in one sentence."
  type        = string
}

variable "owner" {
  description = "Team that owns the service and is paged for it."
  type        = string
}

variable "repository" {
  description = "Address of the source."
  type        = string
}

# Where and how much; chosen per environment.

variable "region" {
  description = "AWS region of every resource."
  type        = string
  default     = "eu-central-1"
}

variable "images_kept" {
  description = "Images kept in the registry: how far back a rollback can go."
  type        = number
  default     = 100

  validation {
    condition     = var.images_kept >= 10
    error_message = "Keep at least 10 images: a rollback needs them."
  }
}

variable "environment" {
  description = "Which environment this is: part of the names of log groups and of who may read them."
  type        = string
  default     = "production"

  validation {
    condition     = contains(["staging", "production"], var.environment)
    error_message = "The environment must be staging or production."
  }
}

variable "log_reader_principals" {
  description = "By role, the ARNs of who may take it: roles of your single sign-on, for example. By default nobody."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.log_reader_principals), keys(var.log_access))) == 0
    error_message = "Each role must be one of the telemetry policy's."
  }
}

# Written from the telemetry policy into telemetry.auto.tfvars.json: change them there.

variable "log_retention_days" {
  description = "Days that each stream of log lines is kept."
  type        = map(number)

  validation {
    condition     = toset(keys(var.log_retention_days)) == toset(["app", "security", "audit"])
    error_message = "The streams are app, security and audit."
  }
}

variable "log_access" {
  description = "By role, the streams that it may read, and in which environments."
  type = map(object({
    environments = set(string)
    streams      = set(string)
  }))

  validation {
    condition     = length(setsubtract(flatten([for access in var.log_access : access.streams]), keys(var.log_retention_days))) == 0
    error_message = "A role can only read streams that exist."
  }
}
