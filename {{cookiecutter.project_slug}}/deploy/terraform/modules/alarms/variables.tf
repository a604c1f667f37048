variable "name" {
  description = "First part of each alarm's name."
  type        = string
}

variable "key_arn" {
  description = "Key of what is told."
  type        = string
}

variable "told_at" {
  description = "Address that is told; empty for nobody yet."
  type        = string
  nullable    = false
  sensitive   = true # it holds the integration's key

  validation {
    condition     = var.told_at == "" || startswith(var.told_at, "https://")
    error_message = "Alarms are told over https only."
  }
}

variable "alarms" {
  description = "By name: which metric, when it is bad for so many minutes, and what to do first."
  type = map(object({
    namespace      = string
    metric         = string
    dimensions     = map(string)
    statistic      = optional(string, "Average")
    below          = optional(number)
    above          = optional(number)
    minutes        = number
    silence_is_bad = optional(bool, false)
    first_step     = string
  }))

  validation {
    condition     = alltrue([for alarm in var.alarms : (alarm.below == null) != (alarm.above == null)])
    error_message = "An alarm has a bound: below, or above."
  }
}
