# Jobs of GitLab CI. A token's `sub` names no environment, as long as the project is not told otherwise
# (`ci_id_token_sub_claim_components`): releases are deployed by their tags, drift is looked for on the main branch. Protect
# both, and the environments: that says who may deploy where.

locals {
  gitlab_host    = regex("^https?://([^/]+)/", var.service.repository)[0]
  gitlab_project = regex("^https?://[^/]+/(.+?)(?:\\.git)?/?$", var.service.repository)[0]
}

module "pipeline_gitlab" {
  for_each = local.pipeline_roles
  source   = "../modules/pipeline_role"

  name            = "${local.name}-gitlab-${each.key}"
  description     = each.value.description
  issuer          = local.gitlab_host
  audience        = "sts.amazonaws.com"
  subjects        = ["project_path:${local.gitlab_project}:ref_type:${each.value.of_releases ? "tag:ref:v*" : "branch:ref:main"}"]
  subject_pattern = "^project_path:[^:]+/[^:/]+:ref_type:(branch:ref:main|tag:ref:v[*])$"
  rights          = each.value.rights
  policy_arns     = each.value.policy_arns
  session_seconds = each.value.session_seconds
}

output "gitlab_role_arns" {
  description = "Roles of jobs in GitLab CI."
  value       = { for name, role in module.pipeline_gitlab : name => role.arn }
}
