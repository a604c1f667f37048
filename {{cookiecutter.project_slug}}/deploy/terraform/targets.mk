.PHONY: terraform plan-guard drift

terraform: .venv/.synced .venv/delivery/.synced ## format, validity, tests and policy of deploy/terraform; needs terraform, and no account
	@$(RUN)/python -m dev.delivery.terraform

plan-guard: .venv/.synced ## plan ENVIRONMENT=production, and refuse what would lose data; `terraform apply checked.tfplan` applies it
	@$(RUN)/python -m dev.delivery.terraform.plan_guard $(ENVIRONMENT)

drift: .venv/.synced ## is ENVIRONMENT=production as it is described? Writes drift.md; ISSUE=yes opens an issue
	@$(RUN)/python -m dev.delivery.terraform.drift $(ENVIRONMENT) $(if $(ISSUE),--open-issue)
