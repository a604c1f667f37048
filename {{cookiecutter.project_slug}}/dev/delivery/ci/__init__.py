"""What runs pipelines: a module for each, with the jobs of a repository and what its own linters say of them."""
