"""Which storage the settings name."""

from app.kit import object_storage
from app.kit.clock import Clock
from app.kit.object_storage import Store

from .settings import AuditLogSettings


def open_store(settings: AuditLogSettings, clock: Clock) -> Store | None:
    """Return the storage that the settings name; None when they name none."""
    if settings.export_url is None:
        return None
    return object_storage.open_store(
        settings.export_url,
        clock,
        retention_days=settings.retention_days,
        s3_endpoint_url=settings.s3_endpoint_url,
    )
