locals {
  # Where a repository's tokens name the ids too, who takes over its name does not take over its roles.
  github_names      = split("/", regex("^https?://[^/]+/(.+?)(?:\\.git)?/?$", local.service.repository)[0])
  github_repository = join("/", [for place, name in local.github_names : length(local.service.github_ids) == 0 ? name : "${name}@${local.service.github_ids[place]}"])
}

# An account believes an issuer once. Where another service has it already, take this out: the roles find it by its name.
resource "aws_iam_openid_connect_provider" "github" {
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

module "push_github" {
  source = "../../modules/pipeline_role"

  name            = "${local.service.name}-github-push"
  description     = "Pushes images of ${local.service.name}."
  issuer          = "token.actions.githubusercontent.com"
  audience        = "sts.amazonaws.com"
  subjects        = ["repo:${local.github_repository}:environment:registry"]
  subject_pattern = "^repo:[^:/]+/[^:/]+:environment:registry$"
  rights          = local.push_rights
}

output "github_push_role_arn" {
  description = "Role of the job in GitHub Actions that pushes images."
  value       = module.push_github.arn
}
