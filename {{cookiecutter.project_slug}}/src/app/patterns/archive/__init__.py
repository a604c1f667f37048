"""Archive: rows of one table as Parquet in object storage, verified, and put back exactly.

Use when: rows leave the database for good, and somebody may still ask for them, or they must be kept for years.
Not when: it is a backup that you need - that is of the whole database, and to a moment.
Costs:    a transaction as long as the writing takes, which holds back vacuum; 10 to 20 microseconds a row to write,
          or to restore; memory for one object and 1 000 rows. The extra `archive`: pyarrow, 165 MB. Integers, booleans,
          texts and bytes have their own types in Parquet; all others are text, which whoever reads casts.
Fails:    cut off -> no manifest, so no archive, and the next attempt goes on as if there had been none; a policy that
          would hide rows -> an error, never fewer rows; an altered, truncated or missing object -> named, and nothing
          is restored; a table with other columns -> refused.
Copy:     this folder, kit/clock.py, kit/errors.py, kit/object_storage.
Origin:   the table formats of data lakes, such as Apache Iceberg (2018): immutable files, and a manifest that is
          written last and makes them count.

    source.py    what is archived: a table's columns and key, of the catalogue
    rows.py      a row's three forms, and the checksum that PostgreSQL computes too
    snapshot.py  the transactions, in which texts have one form and no row is hidden
    parquet.py   rows as Parquet, and back
    manifest.py  what an archive says of itself
    writer.py    writing one
    reading.py   listing, verifying, comparing with the database
    removing.py  deleting from the database what is archived
    restoring.py putting the rows back
"""

from .errors import ArchiveDamaged, ArchiveExists, ColumnsDiffer, ExtraMissing, NotArchivable, RowsDiffer
from .manifest import ArchivedObject, Manifest
from .reading import archives, compare, read_manifest, verify
from .removing import remove
from .restoring import restore
from .rows import Column
from .source import Source, describe
from .writer import write

__all__ = [
    "ArchiveDamaged",
    "ArchiveExists",
    "ArchivedObject",
    "Column",
    "ColumnsDiffer",
    "ExtraMissing",
    "Manifest",
    "NotArchivable",
    "RowsDiffer",
    "Source",
    "archives",
    "compare",
    "describe",
    "read_manifest",
    "remove",
    "restore",
    "verify",
    "write",
]
