"""How patiently migrations run."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class MigrationSettings(BaseModel):
    """How patiently migrations run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    database_url: SecretStr | None = Field(
        None, description="Login of the tables' owner; by default the service's own, which should own nothing."
    )
    folder: Path = Field(Path("migrations"), description="Where the migrations are.")
    lock_timeout_seconds: float = Field(
        1.0, gt=0, description="Longest wait for a table lock; everybody else queues behind that wait."
    )
    statement_timeout_seconds: float = Field(
        600.0, gt=0, description="Longest single statement, and longest wait for another runner to finish."
    )
    attempts: int = Field(20, ge=1, description="Tries for a migration that does not get its locks.")

    @property
    def timeouts(self) -> dict[str, str]:
        """Return what the runner sets for its session, so that no migration has to."""
        seconds = {"lock_timeout": self.lock_timeout_seconds, "statement_timeout": self.statement_timeout_seconds}
        return {name: f"{int(value * 1000)}ms" for name, value in seconds.items()}
