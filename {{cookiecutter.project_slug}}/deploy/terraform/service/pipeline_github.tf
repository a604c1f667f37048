# Jobs of GitHub Actions that run for this environment; who may run such jobs is said in the repository's settings. The one
# that looks for drift has an environment of its own, such as `production-drift`, as nobody approves it each night.

locals {
  # Where a repository's tokens name the ids too, who takes over its name does not take over its roles.
  github_names      = split("/", regex("^https?://[^/]+/(.+?)(?:\\.git)?/?$", var.service.repository)[0])
  github_repository = join("/", [for place, name in local.github_names : length(var.service.github_ids) == 0 ? name : "${name}@${var.service.github_ids[place]}"])
}

module "pipeline_github" {
  for_each = local.pipeline_roles
  source   = "../modules/pipeline_role"

  name            = "${local.name}-github-${each.key}"
  description     = each.value.description
  issuer          = "token.actions.githubusercontent.com"
  audience        = "sts.amazonaws.com"
  subjects        = ["repo:${local.github_repository}:environment:${var.environment}${each.value.of_releases ? "" : "-drift"}"]
  subject_pattern = "^repo:[^:/]+/[^:/]+:environment:[^:]+$"
  rights          = each.value.rights
  policy_arns     = each.value.policy_arns
  session_seconds = each.value.session_seconds
}

output "github_role_arns" {
  description = "Roles of jobs in GitHub Actions."
  value       = { for name, role in module.pipeline_github : name => role.arn }
}
