variable "service" {
  description = "Name of the service."
  type        = string
}

variable "environment" {
  description = "Which environment this is."
  type        = string
}

variable "workload" {
  description = "Which of the service's processes."
  type        = string
}

variable "cluster_name" {
  description = "EKS cluster that it runs in."
  type        = string
}

variable "namespace" {
  description = "Namespace that it runs in."
  type        = string
}

variable "service_account" {
  description = "Its service account."
  type        = string
}

variable "rights" {
  description = "By name, what it may do with what. A `*` is refused, but for the objects in a bucket."
  type = map(object({
    actions   = list(string)
    resources = list(string)
    condition = optional(map(map(string)), {})
  }))
  default = {}

  validation {
    condition = alltrue(flatten([
      for right in var.rights : concat(
        [for action in right.actions : !strcontains(action, "*")],
        [for resource in right.resources : can(regex("^arn:[^*]+(/\\*)?$", resource))],
      )
    ]))
    error_message = "A workload's rights name each action and each resource."
  }
}
