"""A secret is found wherever it is in the repository: in any file, and in what was committed once."""

import subprocess
from pathlib import Path

import pytest

from dev.delivery import secrets
from dev.environment import ROOT

# Put together here, or this file would be found itself.
AWS = "AKIA" + "Q3EGRJX7NXWLZT2B"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
PASSWORD = "postgresql+asyncpg://app:" + "correct-horse@db.internal:5432/app"
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA7bq\n" * 12 + "-----END RSA PRIVATE KEY-----\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path, "README.md", "A service.\n")
    return tmp_path


def git(repository: Path, *words: str) -> str:
    """Run git as somebody, and return what it says."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    return subprocess.run(["git", *who, *words], cwd=repository, capture_output=True, text=True, check=True).stdout


def commit(repository: Path, path: str, text: str) -> str:
    """Commit a file with this text, and return the commit."""
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text(text)
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", path)
    return git(repository, "rev-parse", "--short", "HEAD").strip()


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        pytest.param("src/app/x.py", f'KEY = "{AWS}"', "aws-access-key-id", id="code"),
        pytest.param("tests/test_x.py", f'TOKEN = "{GITHUB}"', "github-pat", id="test"),
        pytest.param("docs/notes.md", f"use {GITHUB}", "github-pat", id="Markdown"),
        pytest.param("deploy/key.pem", KEY, "private-key", id="private key"),
        pytest.param(".env", f"APP_DATABASE__URL={PASSWORD}", "password-in-address", id="address"),
        pytest.param("x.py", "redis://:" + "correct-horse@cache:6379", "password-in-address", id="address of nobody"),
        pytest.param(".npmrc", "_authToken=npm_" + GITHUB[4:], "npm-token", id="token of npm"),
        pytest.param("package-lock.json", f'{{"x": "{GITHUB}"}}', "github-pat", id="lock"),
        pytest.param("docs/caf\udce9.svg", f"<!-- {GITHUB} -->", "github-pat", id="picture"),
        pytest.param("src/node_modules/x.js", f"// {GITHUB}", "github-pat", id="copied in"),
        pytest.param(".pipeline.yml", f"env: {{T: {GITHUB}}}", "github-pat", id="pipeline"),
    ],
)
def test_a_secret_is_found_before_it_is_committed(repository: Path, path: str, text: str, rule: str) -> None:
    """Whatever kind of file it is in."""
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text(text)

    (found,) = secrets.look(repository)

    assert (found.path, found.rule, found.commit) == (path, rule, "")
    assert str(found).encode()


def test_a_secret_that_was_removed_is_still_known(repository: Path) -> None:
    """Its commit is named."""
    guilty = commit(repository, "src/x.py", f'KEY = "{AWS}"\n')
    later = commit(repository, "src/x.py", "KEY = None\n")

    assert [str(secret) for secret in secrets.look(repository)] == [f"src/x.py:1: aws-access-key-id (since {guilty})"]
    assert secrets.look(repository, since=later) == []
    assert len(secrets.look(repository, since=f"{guilty}~1")) == 1


def test_a_secret_on_another_branch_is_found(repository: Path) -> None:
    """Whoever clones has it, too."""
    git(repository, "switch", "--quiet", "--create", "other")
    guilty = commit(repository, "x.txt", GITHUB)
    git(repository, "switch", "--quiet", "main")

    assert [secret.commit for secret in secrets.look(repository)] == [guilty]


def test_a_secret_that_never_reached_the_main_branch_is_found(repository: Path) -> None:
    """Added and taken back on a branch that was merged, so that the merge changes nothing; and only in a merge."""
    git(repository, "switch", "--quiet", "--create", "other")
    guilty = commit(repository, "src/x.py", f'KEY = "{AWS}"')
    (repository / "src/x.py").unlink()
    commit(repository, "README.md", "A service.\n")
    git(repository, "switch", "--quiet", "main")
    git(repository, "merge", "--quiet", "--no-ff", "--message", "merged", "other")
    git(repository, "branch", "--quiet", "--delete", "other")
    git(repository, "switch", "--quiet", "--create", "third")
    commit(repository, "README.md", "Ours.\n")
    git(repository, "switch", "--quiet", "main")
    commit(repository, "README.md", "Theirs.\n")
    git(repository, "merge", "--quiet", "--strategy", "ours", "--no-commit", "third")
    merge = commit(repository, "README.md", GITHUB)

    found = {(secret.path, secret.commit) for secret in secrets.look(repository)}

    assert found == {("src/x.py", guilty), ("README.md", merge)}


def test_what_tests_use_for_an_example_is_none(repository: Path) -> None:
    """The keys of Amazon's documentation, and passwords that say that they are none."""
    commit(repository, "tests/x.py", "AKIAIOSFODNN7EXAMPLE nats://app:hunter2@host postgresql://u:development@h/d")

    assert secrets.look(repository) == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param([], "not a git repository", id="no repository"),
        pytest.param(["--since", "nowhere"], "not a git repository", id="no commit"),
    ],
)
def test_what_could_not_be_looked_at_is_not_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    """The exit status says neither yes nor no."""
    monkeypatch.setattr(secrets, "ROOT", tmp_path)

    assert secrets.main(words) == 2
    assert why in capsys.readouterr().err


def test_a_clone_without_history_is_not_clean(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A pipeline fetches the last commit alone, unless it is told otherwise."""
    commit(repository, "x.py", f'KEY = "{AWS}"')
    commit(repository, "x.py", "KEY = None")
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "--quiet", "--depth", "1", f"file://{repository}", ".")

    with pytest.raises(secrets.NotLooked, match="no history"):
        secrets.look(clone)


def test_rules_that_cannot_be_read_are_not_clean(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in deploy/scan/secrets.yaml is not taken for a repository without secrets."""
    broken = tmp_path / "rules.yaml"
    broken.write_text("rules: [{id: x, regex: '('}]")
    monkeypatch.setattr(secrets, "RULES", broken)

    with pytest.raises(secrets.NotLooked, match="secret"):
        secrets.look(repository)


def test_there_is_none_in_the_files_of_this_service(tmp_path: Path) -> None:
    """Its history is `make secrets`'; what is here, or would be, is looked at in each check."""
    git(tmp_path, "init", "--quiet")
    for path in filter(Path.is_file, (ROOT / "tests").rglob("*.py")):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())

    assert secrets.look(tmp_path) == []
