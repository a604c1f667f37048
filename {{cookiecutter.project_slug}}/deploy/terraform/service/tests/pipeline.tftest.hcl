mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name            = "orders-production-deploy"
  description     = "Deploys."
  issuer          = "ci.example.com"
  audience        = "sts"
  subjects        = ["repo:team/orders:environment:production"]
  subject_pattern = "^repo:[^:/]+/[^:/]+:environment:[^:]+$"
  rights          = { Read = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::one/*"] } }
}

run "only_named_jobs_of_one_repository_get_the_role" {
  command = plan

  module {
    source = "../modules/pipeline_role"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.this.assume_role_policy).Statement : [statement.Action, statement.Condition]] == [[
      "sts:AssumeRoleWithWebIdentity",
      { StringEquals = { "ci.example.com:aud" = ["sts"], "ci.example.com:sub" = ["repo:team/orders:environment:production"] } },
    ]]
    error_message = "The role must be for exactly these jobs."
  }
}

run "a_repository_that_is_not_named_is_a_mistake" {
  command = plan

  module {
    source = "../modules/pipeline_role"
  }

  variables {
    subjects = ["repo:*:environment:production"]
  }

  expect_failures = [var.subjects]
}

run "any_environment_is_a_mistake" {
  command = plan

  module {
    source = "../modules/pipeline_role"
  }

  variables {
    subjects = ["repo:team/orders:*"]
  }

  expect_failures = [var.subjects]
}

run "any_action_is_a_mistake" {
  command = plan

  module {
    source = "../modules/pipeline_role"
  }

  variables {
    rights = { Push = { actions = ["ecr:*"], resources = ["arn:aws:ecr:eu-central-1:123456789012:repository/orders"] } }
  }

  expect_failures = [var.rights]
}

run "only_releases_of_one_project_get_the_role" {
  command = plan

  module {
    source = "../modules/pipeline_role"
  }

  variables {
    subjects        = ["project_path:team/orders:ref_type:tag:ref:v*"]
    subject_pattern = "^project_path:[^:]+:ref_type:tag:ref:v[*]$"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.this.assume_role_policy).Statement : statement.Condition] == [
      { StringEquals = { "ci.example.com:aud" = ["sts"] }, StringLike = { "ci.example.com:sub" = ["project_path:team/orders:ref_type:tag:ref:v*"] } },
    ]
    error_message = "The role must be for releases of this project."
  }
}
