mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  service         = "orders"
  environment     = "production"
  workload        = "worker"
  cluster_name    = "main"
  namespace       = "orders"
  service_account = "worker"

  rights = { Read = { actions = ["s3:GetObject"], resources = ["arn:aws:s3:::one/*"] } }
}

run "only_the_pods_of_one_service_account_get_the_role" {
  command = plan

  module {
    source = "../modules/workload"
  }

  assert {
    condition = [for statement in jsondecode(aws_iam_role.this.assume_role_policy).Statement : {
      who     = statement.Principal.Service
      what    = join(" ", statement.Action)
      owner   = statement.Condition.StringEquals["aws:SourceAccount"]
      where   = statement.Condition.StringEquals["aws:RequestTag/kubernetes-namespace"]
      account = statement.Condition.StringEquals["aws:RequestTag/kubernetes-service-account"]
      }] == [{
      who     = "pods.eks.amazonaws.com"
      what    = "sts:AssumeRole sts:TagSession"
      owner   = "123456789012"
      where   = "orders"
      account = "worker"
    }]
    error_message = "The role must be for the pods of this service account in this namespace."
  }
  assert {
    condition     = aws_eks_pod_identity_association.this.namespace == "orders" && aws_eks_pod_identity_association.this.service_account == "worker"
    error_message = "The service account must get this role."
  }
}

run "a_workload_without_rights_has_a_role_without_rights" {
  command = plan

  module {
    source = "../modules/workload"
  }

  variables {
    rights = {}
  }

  assert {
    condition     = length(aws_iam_role_policy.this) == 0 && aws_eks_pod_identity_association.this.role_arn == aws_iam_role.this.arn
    error_message = "It must have its own role, and no rights."
  }
}

run "any_action_is_a_mistake" {
  command = plan

  module {
    source = "../modules/workload"
  }

  variables {
    rights = { All = { actions = ["s3:*"], resources = ["arn:aws:s3:::one/*"] } }
  }

  expect_failures = [var.rights]
}

run "any_resource_is_a_mistake" {
  command = plan

  module {
    source = "../modules/workload"
  }

  variables {
    rights = { All = { actions = ["s3:GetObject"], resources = ["*"] } }
  }

  expect_failures = [var.rights]
}
