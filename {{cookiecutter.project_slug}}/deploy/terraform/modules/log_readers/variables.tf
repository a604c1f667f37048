variable "service" {
  description = "Name of the service."
  type        = string
}

variable "environment" {
  description = "Which environment this is."
  type        = string
}

variable "stream_arns" {
  description = "By stream, its log group."
  type        = map(string)
}

variable "access" {
  description = "By role, the streams that it may read, and in which environments: the telemetry policy's."
  type = map(object({
    environments = set(string)
    streams      = set(string)
  }))

  validation {
    condition     = length(setsubtract(flatten([for access in var.access : access.streams]), keys(var.stream_arns))) == 0
    error_message = "A role can only read streams that exist."
  }
}

variable "principals" {
  description = "By role, the ARNs of who may take it: roles of your single sign-on, for example. By default nobody."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.principals), keys(var.access))) == 0
    error_message = "Each role must be one of the telemetry policy's."
  }
}
