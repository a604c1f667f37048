"""What can be wrong with an archive."""


class ExtraMissing(ImportError):
    """The library that reads and writes Parquet is not installed."""


class NotArchivable(Exception):
    """There is no such table, or nothing says in which order its rows are read."""


class ArchiveExists(Exception):
    """There is an archive of that name; it stays as it is."""


class ArchiveDamaged(Exception):
    """An object of an archive is not what was written."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place} {what}")
        self.place = place
        """The name of the object in the storage."""


class ColumnsDiffer(Exception):
    """A table has not the columns that an archive has."""


class RowsDiffer(Exception):
    """What the database holds is not what is, or goes, into the archive."""
