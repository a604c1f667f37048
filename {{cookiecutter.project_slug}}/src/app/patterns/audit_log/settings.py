"""How often the audit log is sealed and exported, and where to."""

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class AuditLogSettings(BaseModel):
    """How soon an entry can no longer be changed without a trace, and where that is proved from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seal_seconds: float = Field(1.0, gt=0, description="Pause between two passes of the sealer.")
    entries_per_pass: int = Field(10_000, ge=1, description="Most entries that one pass seals, of all tenants.")
    export_seconds: float = Field(60.0, gt=0, description="Pause between two exports; each makes two objects a tenant.")
    export_url: str | None = Field(
        None,
        pattern=r"^(s3://[^/]+(/.*)?|file:///.+)$",
        description="`s3://bucket/prefix`, a bucket with Object Lock, or, for development, `file:///folder`.",
    )
    s3_endpoint_url: str | None = Field(None, description="Another server that speaks S3.")
    retention_days: int = Field(
        365, ge=1, description="How long nobody can delete an exported object, not even the account's owner."
    )
    signing_key: SecretStr | None = Field(
        None, description="Ed25519 private key, 32 bytes in hexadecimal, that signs checkpoints."
    )
    public_key: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="Its public key, where checkpoints are verified and not signed."
    )
