variable "name" {
  description = "Identifier."
  type        = string

  validation {
    condition     = length(var.name) <= 40
    error_message = "ElastiCache takes at most 40 characters."
  }
}

variable "vpc_id" {
  description = "Network of the cache."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, in at least two availability zones."
  type        = list(string)
}

variable "client_security_group_ids" {
  description = "Who may connect: security groups, by what they are."
  type        = map(string)
}

variable "node_type" {
  description = "Size of each node."
  type        = string
}

variable "key_arn" {
  description = "Key of what is in it."
  type        = string
}
