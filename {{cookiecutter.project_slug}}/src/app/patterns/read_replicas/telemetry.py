"""Metrics of read replicas; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import counter, gauge

_REASONS = ("", "none", "unknown", "lag", "lost", "promoted", "behind", "failed")
_REPLICAS = 10
READS = counter(
    "read_replicas_reads_total",
    "Reads, by the server that answered, and why it was not a replica.",
    {"server": ("primary", "replica"), "reason": _REASONS},
)
LAG_SECONDS = gauge("read_replicas_lag_seconds", "How late a replica is.", {"replica": _REPLICAS})
IN_USE = gauge("read_replicas_in_use", "Whether a replica gets reads: 1 or 0.", {"replica": _REPLICAS})
