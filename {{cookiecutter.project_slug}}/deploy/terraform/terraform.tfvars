service     = "{{ cookiecutter.project_slug }}"
description = "{{ cookiecutter.__description_hcl }}"
owner       = "{{ cookiecutter.owner_team }}"
repository  = "{{ cookiecutter.repository_url }}"
