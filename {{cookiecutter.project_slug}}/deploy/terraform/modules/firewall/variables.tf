variable "name" {
  description = "Name of the firewall."
  type        = string
}

variable "load_balancer_arn" {
  description = "What it stands in front of; null where the cluster's controller makes the load balancer, and names the firewall there."
  type        = string
  default     = null
}

variable "requests_per_five_minutes" {
  description = "Requests that one address may send."
  type        = number

  validation {
    condition     = var.requests_per_five_minutes >= 100
    error_message = "An office or a mobile network is one address: not below 100."
  }
}

variable "log_retention_days" {
  description = "Days that blocked and counted requests are kept."
  type        = number
}

variable "logs_key_arn" {
  description = "Key of that log."
  type        = string
}
