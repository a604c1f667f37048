# Values are in terraform.tfvars, which is written once: docs/terraform.md.

variable "region" {
  description = "AWS region of every resource."
  type        = string
  default     = "eu-central-1"
}

variable "network" {
  description = "What is there already."
  type = object({
    vpc_id                     = string
    private_subnet_ids         = list(string)
    cluster_name               = string
    pod_security_group_id      = string
    load_balancer_arn          = optional(string)
    endpoint_security_group_id = optional(string)
  })
}

variable "master_password" {
  description = "Of the database's master login: TF_VAR_master_password, where its version is raised."
  type        = string
  default     = null
  ephemeral   = true
  sensitive   = true
}

variable "log_reader_principals" {
  description = "By role of the telemetry policy, the ARNs of who may take it."
  type        = map(list(string))
  default     = {}
}

variable "alarms_told_at" {
  description = "Address that alarms are told: TF_VAR_alarms_told_at, since it holds a key; empty for nobody yet."
  type        = string
  sensitive   = true # and without a default: who forgets it would silence all alarms
}
