variable "name" {
  description = "Name of the role."
  type        = string
}

variable "description" {
  description = "What jobs do with it."
  type        = string
}

variable "issuer" {
  description = "Host of who signs the tokens."
  type        = string
}

variable "audience" {
  description = "Whom the tokens are for."
  type        = string
}

variable "subjects" {
  description = "Which jobs: the `sub` of their tokens. Only the tags of releases may be left open, `:ref:v*`."
  type        = list(string)

  validation {
    condition     = length(var.subjects) > 0 && alltrue([for subject in var.subjects : can(regex(var.subject_pattern, subject)) && !can(regex("[*?]", trimsuffix(subject, ":ref:v*")))])
    error_message = "Each subject must name the repository, and the environment or branch: otherwise any job anywhere may take the role."
  }
}

variable "subject_pattern" {
  description = "What a subject looks like that names both."
  type        = string
}

variable "session_seconds" {
  description = "How long a job may have the role: at least an hour."
  type        = number
  default     = 3600
}

variable "rights" {
  description = "By name, what jobs may do, or must not. A `*` in an action is refused."
  type = map(object({
    effect    = optional(string, "Allow")
    actions   = list(string)
    resources = list(string)
  }))

  validation {
    condition     = !anytrue(flatten([for right in var.rights : [for action in right.actions : strcontains(action, "*")]]))
    error_message = "The rights of a job name each action."
  }
}

variable "policy_arns" {
  description = "Policies of AWS beside these rights, by name."
  type        = map(string)
  default     = {}
}
