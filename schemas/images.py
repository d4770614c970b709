"""A row image by itself, as in an event: what travels in the control table `refreshes`."""

from collections.abc import Callable
from functools import cache

from schemas.avro_bytes import compile_reader, compile_writer
from schemas.records import Row
from schemas.tables import Table
from schemas.values import KINDS

MARK, DOCUMENT, PRESENT, ABSENT, WILD = "mark", "document", "present", "absent", "wild"  # roles: consumers/refresh.py


@cache
def image_writer(kinds: tuple[str, ...]) -> Callable[[Row], bytes]:
    """The writer of rows whose columns are of these kinds."""
    return compile_writer([KINDS[kind].avro for kind in kinds])


@cache
def _reader(kinds: tuple[str, ...]) -> Callable[[bytes, int], tuple[Row, int]]:
    return compile_reader([KINDS[kind].avro for kind in kinds])


def read_image(table: Table, value: bytes) -> Row:
    """The row that was written. Raises ValueError for bytes that are none."""
    row, end = _reader(tuple(column.kind for column in table.columns))(value, 0)
    if end != len(value):
        raise ValueError(f"the image of a row of {table.full_name} has {len(value)} bytes, and ends at {end}")
    return row
