"""Metrics of the audit log; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter, gauge

ENTRIES_SEALED = counter("audit_entries_sealed_total", "Entries that a seal holds.")
SEAL_FAILURES = counter("audit_seal_failures_total", "Passes of the sealer that were rolled back.")
OLDEST_UNSEALED_SECONDS = gauge("audit_oldest_unsealed_seconds", "Age of the oldest unsealed entry; 0 without one.")
SEGMENTS_EXPORTED = counter("audit_segments_exported_total", "Segments that the write-once storage holds.")
EXPORT_FAILURES = counter(
    "audit_export_failures_total",
    "Exports that failed.",
    {"reason": ("storage", "database", "damaged")},
)
