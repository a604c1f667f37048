resource "aws_kms_key" "registry" {
  description             = "Images of ${var.service}. ${var.description}"
  enable_key_rotation     = true
  deletion_window_in_days = 30 # images are unreadable without the key: leave time to notice
}

resource "aws_kms_alias" "registry" {
  name          = "alias/${var.service}-registry"
  target_key_id = aws_kms_key.registry.key_id
}

resource "aws_ecr_repository" "service" {
  name                 = var.service
  image_tag_mutability = "IMMUTABLE" # a tag that was tested is the tag that runs

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = aws_kms_key.registry.arn
  }
}

resource "aws_ecr_lifecycle_policy" "service" {
  repository = aws_ecr_repository.service.name

  policy = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Untagged images are left behind by failed pushes"
        selection = {
          tagStatus   = "untagged"
          countType   = "sinceImagePushed"
          countUnit   = "days"
          countNumber = 7
        }
        action = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Older images are no longer a way back"
        selection = {
          tagStatus   = "any"
          countType   = "imageCountMoreThan"
          countNumber = var.images_kept
        }
        action = { type = "expire" }
      },
    ]
  })
}

output "registry_url" {
  description = "Where images are pushed to."
  value       = aws_ecr_repository.service.repository_url
}
