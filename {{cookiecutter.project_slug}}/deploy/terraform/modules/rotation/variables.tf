variable "name" {
  description = "Of the database."
  type        = string
}

variable "region" {
  description = "Where Secrets Manager is."
  type        = string
}

variable "vpc_id" {
  description = "Network of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets to run in."
  type        = list(string)
}

variable "database_security_group_id" {
  description = "Of the database."
  type        = string
}

variable "endpoint_security_group_id" {
  description = "Of the network's endpoint for Secrets Manager."
  type        = string
}

variable "master_secret_arn" {
  description = "Login that may change others."
  type        = string
}

variable "key_arn" {
  description = "Key of the secrets."
  type        = string
}
