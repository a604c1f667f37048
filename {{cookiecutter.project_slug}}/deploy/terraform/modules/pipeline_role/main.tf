# A role that jobs of one repository take with the token that their CI signs for them: no key is ever stored there.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  # StringLike only where the subject is any release: elsewhere a repository with a longer name would match.
  exact = !anytrue([for subject in var.subjects : endswith(subject, "*")])
  claims = {
    StringEquals = merge({ aud = [var.audience] }, local.exact ? { sub = var.subjects } : {})
    StringLike   = local.exact ? {} : { sub = var.subjects }
  }
}

resource "aws_iam_role" "this" {
  name                 = var.name
  description          = var.description
  max_session_duration = var.session_seconds

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Federated = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:oidc-provider/${var.issuer}" }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          for operator, claims in local.claims : operator => { for claim, values in claims : "${var.issuer}:${claim}" => values }
          if length(claims) > 0
        }
      },
    ]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "rights"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for name, right in var.rights : { Sid = name, Effect = right.effect, Action = right.actions, Resource = right.resources }
    ]
  })
}

resource "aws_iam_role_policy_attachment" "this" {
  for_each = var.policy_arns

  role       = aws_iam_role.this.name
  policy_arn = each.value
}

output "arn" {
  description = "Role to take."
  value       = aws_iam_role.this.arn
}
