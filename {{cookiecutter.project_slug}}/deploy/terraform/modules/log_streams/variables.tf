variable "service" {
  description = "Name of the service."
  type        = string
}

variable "environment" {
  description = "Which environment this is."
  type        = string
}

variable "key_arn" {
  description = "Key that lines are encrypted with."
  type        = string
}

variable "retention_days" {
  description = "Days that each stream is kept: the telemetry policy's."
  type        = map(number)

  validation {
    condition     = toset(keys(var.retention_days)) == toset(["app", "security", "audit"])
    error_message = "The streams are app, security and audit."
  }
}
