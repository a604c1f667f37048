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
