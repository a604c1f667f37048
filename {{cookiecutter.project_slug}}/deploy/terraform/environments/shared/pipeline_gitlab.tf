locals {
  gitlab_host = regex("^https?://([^/]+)/", local.service.repository)[0]
}

# An account believes an issuer once. Where another service has it already, take this out: the roles find it by its name.
resource "aws_iam_openid_connect_provider" "gitlab" {
  url            = "https://${local.gitlab_host}"
  client_id_list = ["sts.amazonaws.com"]
}

module "push_gitlab" {
  source = "../../modules/pipeline_role"

  name            = "${local.service.name}-gitlab-push"
  description     = "Pushes images of ${local.service.name}."
  issuer          = local.gitlab_host
  audience        = "sts.amazonaws.com"
  subjects        = ["project_path:${regex("^https?://[^/]+/(.+?)(?:\\.git)?/?$", local.service.repository)[0]}:ref_type:tag:ref:v*"] # protect these tags
  subject_pattern = "^project_path:[^:]+/[^:/]+:ref_type:tag:ref:v[*]$"
  rights          = local.push_rights
}

output "gitlab_push_role_arn" {
  description = "Role of the job in GitLab CI that pushes images."
  value       = module.push_gitlab.arn
}
