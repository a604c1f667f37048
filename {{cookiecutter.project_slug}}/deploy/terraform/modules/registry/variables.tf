variable "service" {
  description = "Name of the service."
  type        = string
}

variable "description" {
  description = "What the service does, in one sentence."
  type        = string
}

variable "images_kept" {
  description = "Releases kept: how far back a rollback can go."
  type        = number
  default     = 100

  validation {
    condition     = var.images_kept >= 10
    error_message = "Keep at least 10 releases: a rollback needs them."
  }
}
