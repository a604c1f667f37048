variable "name" {
  description = "Name of the secret."
  type        = string
}

variable "description" {
  description = "What is in it."
  type        = string
}

variable "key_arn" {
  description = "Key of the value."
  type        = string
}

variable "rotated_by" {
  description = "Function that rotates it; none for what is rotated by hand."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.rotated_by) <= 1
    error_message = "One function rotates a secret."
  }
}
