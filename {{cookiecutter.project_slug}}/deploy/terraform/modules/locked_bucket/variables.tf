variable "name" {
  description = "Name of the bucket: unique in all of AWS."
  type        = string
}

variable "locked_days" {
  description = "Days that nobody can delete an object."
  type        = number

  validation {
    condition     = var.locked_days >= 1
    error_message = "An object is locked for at least a day."
  }
}

variable "key_arn" {
  description = "Key of the objects."
  type        = string
}
