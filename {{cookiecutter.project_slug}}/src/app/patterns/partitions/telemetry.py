"""Metrics of partitions; each name is spelled here and nowhere else in the code."""

from app.kit.instruments import gauge

MONTHS_AHEAD = gauge(
    "partition_ahead_months",
    "Months after this one that have a partition, without a gap; -1 if this one has none.",
    {"table": 20},
)
MONTHS_WANTED = gauge("partition_wanted_months", "Months after this one that should have a partition.")
DEFAULT_ROWS = gauge(
    "partition_default_rows", "Rows for whose month no partition was there, as PostgreSQL estimates.", {"table": 20}
)
