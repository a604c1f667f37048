# Who a workload is in AWS: the pods of one service account get this role, and no key is ever given out. A workload
# without rights has a role as well: without one it would be the node.

data "aws_caller_identity" "current" {}

resource "aws_iam_role" "this" {
  name                 = "${var.service}-${var.environment}-${var.workload}"
  description          = "What ${var.workload} of ${var.service} may do in ${var.environment}."
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:SourceAccount"                         = data.aws_caller_identity.current.account_id
            "aws:RequestTag/kubernetes-namespace"       = var.namespace
            "aws:RequestTag/kubernetes-service-account" = var.service_account
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  count = length(var.rights) > 0 ? 1 : 0

  name = "rights"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for name, right in var.rights : {
        Sid       = name
        Effect    = "Allow"
        Action    = right.actions
        Resource  = right.resources
        Condition = right.condition
      }
    ]
  })
}

resource "aws_eks_pod_identity_association" "this" {
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.this.arn
}

output "role_arn" {
  description = "Of the workload."
  value       = aws_iam_role.this.arn
}
