"""Delete what was declined, and say what to do next. Makes nothing, downloads nothing."""

import shlex
import shutil
from pathlib import Path

CLOUD = "{{ cookiecutter.cloud }}"
# What stays only if the answer is one of these; cookiecutter cannot leave out whole folders by itself.
KEPT_FOR = {
    ".github": ("{{ cookiecutter.ci }}", ("github", "both")),
    "dev/delivery/ci/github.py": ("{{ cookiecutter.ci }}", ("github", "both")),
    "tests/delivery/test_github.py": ("{{ cookiecutter.ci }}", ("github", "both")),
    ".gitlab": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    ".gitlab-ci.yml": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    "dev/delivery/ci/gitlab.py": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    "renovate.json": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    "tests/delivery/test_gitlab.py": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    ".github/workflows/terraform.yml": (CLOUD, ("aws",)),
    ".gitlab/terraform.yml": (CLOUD, ("aws",)),
    "deploy/terraform": (CLOUD, ("aws",)),
    "deploy/terraform/environments/shared/pipeline_github.tf": ("{{ cookiecutter.ci }}", ("github", "both")),
    "deploy/terraform/environments/shared/pipeline_gitlab.tf": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    "deploy/terraform/service/pipeline_github.tf": ("{{ cookiecutter.ci }}", ("github", "both")),
    "deploy/terraform/service/pipeline_gitlab.tf": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    "dev/delivery/terraform": (CLOUD, ("aws",)),
    "docs/terraform.md": (CLOUD, ("aws",)),
    "tests/delivery/terraform": (CLOUD, ("aws",)),
}
# Lines of files that stay, which end with this mark: they point to what stays only if the answer is one of these.
MARKED_FILES = ("readiness.toml",)
MARKED = {
    "  # cloud: aws": (CLOUD, ("aws",)),
}
# What tools leave behind in a template that was worked on.
LEFTOVERS = (".*_cache", ".dev", ".hypothesis", ".terraform", ".tools", ".venv", "__pycache__")

# Where names are filled in: what is copied raw, and has to have them all the same.
FILLED_IN = ("deploy/k8s", "ops/generated")
# dev/environment.py of the service has the same.
ANSWERS = {
    "https://git.example.com/repository": "{{ cookiecutter.repository_url }}",
    "unanswered-name": "{{ cookiecutter.project_slug }}",
}


def delete(path: Path) -> None:
    """Delete a file or a whole folder, and the folders that held nothing else."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    for parent in list(path.parents)[:-1]:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def choose() -> None:
    """Let `x.aws.yml` take the place of `x.yml` where that was the answer."""
    for path in sorted(Path().rglob("*.aws.yml")):
        if CLOUD == "aws":
            path.replace(path.with_name(path.name.replace(".aws.", ".")))
        else:
            path.unlink()


def unmark() -> None:
    """Delete the lines that point to what was declined."""
    for path in map(Path, MARKED_FILES):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        for mark, (answer, accepted) in MARKED.items():
            if answer not in accepted:
                lines = [line for line in lines if not line.rstrip("\n").endswith(mark)]
        path.write_text("".join(lines), encoding="utf-8")


def fill_in() -> None:
    """Put the project's name and address where they could not be written."""
    for path in (path for folder in FILLED_IN for path in Path(folder).rglob("*") if path.is_file()):
        text = path.read_text(encoding="utf-8")
        for unanswered, answer in ANSWERS.items():
            text = text.replace(unanswered, answer)
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """Delete, choose, fill in, then print the next steps."""
    for name, (answer, accepted) in KEPT_FOR.items():
        if answer not in accepted:
            delete(Path(name))
    choose()
    for pattern in LEFTOVERS:
        for path in sorted(Path().rglob(pattern)):
            delete(path)
    unmark()
    fill_in()
    print(f"cd {shlex.quote(str(Path.cwd()))}")
    print("make up       # starts the service, PostgreSQL and NATS here; Ctrl-C stops them")
    print("make check    # what CI runs: style, types, contracts, tests")


if __name__ == "__main__":
    main()
