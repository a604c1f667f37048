# One registry for all environments: what was tried in staging is what runs in production, byte for byte.

module "key" {
  source      = "../key"
  name        = "${var.service}-registry"
  description = "Images of ${var.service}. ${var.description}"
}

resource "aws_ecr_repository" "service" {
  name                 = var.service
  image_tag_mutability = "IMMUTABLE" # a tag that was tested is the tag that runs

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = module.key.arn
  }

  lifecycle {
    prevent_destroy = true # without images there is no way back
  }
}

resource "aws_ecr_lifecycle_policy" "service" {
  repository = aws_ecr_repository.service.name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Older releases are no longer a way back"
        selection = {
          tagStatus      = "tagged"
          tagPatternList = ["v*"] # signatures have other tags, or none: they go with their image
          countType      = "imageCountMoreThan"
          countNumber    = var.images_kept
        }
        action = { type = "expire" }
      },
    ]
  })
}

output "url" {
  description = "Where images are pushed to."
  value       = aws_ecr_repository.service.repository_url
}

output "arn" {
  description = "Of the registry."
  value       = aws_ecr_repository.service.arn
}
