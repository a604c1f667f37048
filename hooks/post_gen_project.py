"""Delete what was declined, and say what to do next. Makes nothing, downloads nothing."""

import shlex
import shutil
from pathlib import Path

# What stays only if the answer is one of these; cookiecutter cannot leave out whole folders by itself.
KEPT_FOR = {
    ".github": ("{{ cookiecutter.ci }}", ("github", "both")),
    ".gitlab-ci.yml": ("{{ cookiecutter.ci }}", ("gitlab", "both")),
    "deploy/terraform": ("{{ cookiecutter.cloud }}", ("aws",)),
}
# What tools leave behind in a template that was worked on.
LEFTOVERS = (".*_cache", ".dev", ".hypothesis", ".terraform", ".tools", ".venv", "__pycache__")

# dev/environment.py of the service has the same.
UNANSWERED_REPOSITORY = "https://git.example.com/repository"


def delete(path: Path) -> None:
    """Delete a file or a whole folder, and the folders that held nothing else."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    for parent in list(path.parents)[:-1]:
        if parent.is_dir() and not any(parent.iterdir()):
            parent.rmdir()


def name_repository() -> None:
    """Put the repository's address where alerts say how their runbooks are found."""
    for path in Path("ops/generated").rglob("*.yaml"):
        text = path.read_text()
        if UNANSWERED_REPOSITORY in text:
            path.write_text(text.replace(UNANSWERED_REPOSITORY, "{{ cookiecutter.repository_url }}"))


def main() -> None:
    """Delete, fill in, then print the next steps."""
    for name, (answer, accepted) in KEPT_FOR.items():
        if answer not in accepted:
            delete(Path(name))
    for pattern in LEFTOVERS:
        for path in sorted(Path().rglob(pattern)):
            delete(path)
    name_repository()
    print(f"cd {shlex.quote(str(Path.cwd()))}")
    print("make up       # starts the service, PostgreSQL and NATS here; Ctrl-C stops them")
    print("make check    # what CI runs: style, types, contracts, tests")


if __name__ == "__main__":
    main()
