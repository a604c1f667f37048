variable "name" {
  description = "Alias of the key."
  type        = string
}

variable "description" {
  description = "What is encrypted with it."
  type        = string
}

variable "used_by" {
  description = "Services of AWS that use it themselves, each under a condition that says what for."
  type = list(object({
    sid       = string
    service   = string
    condition = map(map(list(string)))
  }))
  default = []

  validation {
    condition     = alltrue([for statement in var.used_by : length(statement.condition) > 0])
    error_message = "A service uses a key under a condition, or it could be made to use it for others."
  }
}
