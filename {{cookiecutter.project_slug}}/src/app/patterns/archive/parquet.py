"""Rows as Parquet, and back. The one module that needs the extra `archive`; the others import it where they use it."""

from collections.abc import Iterator, Sequence
from io import BytesIO

from .errors import ExtraMissing
from .rows import Column, Row

try:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet
except ModuleNotFoundError as exc:
    raise ExtraMissing("archives need pyarrow: install the service with its extra `archive`") from exc

_ROWS_PER_GROUP = 10_000


class NotParquet(Exception):
    """The bytes are no Parquet, or hold other columns."""


class Draft:
    """A Parquet file that grows in memory, compressed."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.rows = 0
        self.size = 0
        """Bytes of the values, before they were compressed."""
        self._schema = _schema(columns)
        self._buffer = BytesIO()
        self._writer = parquet.ParquetWriter(self._buffer, self._schema, compression="zstd")

    def add(self, rows: Sequence[Row]) -> None:
        """Append rows."""
        values = [
            pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), self._schema.types, strict=True)
        ]
        batch = pa.record_batch(values, schema=self._schema)
        self._writer.write_batch(batch, row_group_size=_ROWS_PER_GROUP)
        self.rows += batch.num_rows
        self.size += batch.nbytes

    def finish(self) -> bytes:
        """Return the file."""
        self._writer.close()
        return self._buffer.getvalue()


def decode(body: bytes, columns: Sequence[Column], *, batch_rows: int) -> Iterator[list[Row]]:
    """Yield the rows of a file, some at a time.

    Raises:
        NotParquet: it holds something else than `columns`.
    """
    try:
        file = parquet.ParquetFile(BytesIO(body))
        if not file.schema_arrow.equals(_schema(columns)):
            raise NotParquet("holds other columns than the manifest says")
        for batch in file.iter_batches(batch_size=batch_rows):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
    except (pa.ArrowException, OSError) as exc:
        raise NotParquet(f"cannot be read as Parquet ({type(exc).__name__})") from exc


def _schema(columns: Sequence[Column]) -> pa.Schema:
    kinds = {"bool": pa.bool_(), "string": pa.string(), "binary": pa.binary()}
    integers = {"int16": pa.int16(), "int32": pa.int32(), "int64": pa.int64()}
    return pa.schema([(column.name, (kinds | integers)[column.stored]) for column in columns])
