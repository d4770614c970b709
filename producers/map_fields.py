"""How the fields of a table map are packed: length-encoded integers, strings with their length before them, bitmaps.

Layout: MySQL internals, "Integer encoding" and `binary_log::Table_map_event::Optional_metadata_fields` (rows_event.h).
"""

from collections.abc import Callable
from typing import TypeVar

_Value = TypeVar("_Value")


def packed_int(data: bytes, pos: int) -> tuple[int, int]:
    """A length-encoded integer and the position after it."""
    first = data[pos]
    if first < 251:
        return first, pos + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[pos + 1 : pos + 1 + size], "little"), pos + 1 + size


def optional_fields(data: bytes, pos: int) -> dict[int, bytes]:
    """Optional metadata from pos on: type of the field → its bytes."""
    fields = {}
    while pos < len(data):
        code = data[pos]
        fields[code], pos = sized(data, pos + 1)
    return fields


def collations_of(columns: list[int], fields: dict[int, bytes], default_field: int, column_field: int) -> dict[int, int]:
    """Column → collation id; logged as one id a column, or as a default with exceptions, whichever is shorter."""
    if column_field in fields:
        return dict(zip(columns, ints(fields[column_field]), strict=True))
    if not columns:
        return {}
    default, *pairs = ints(fields.get(default_field, b""))
    exceptions = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return {column: exceptions.get(n, default) for n, column in enumerate(columns)}


def ints(data: bytes) -> list[int]:
    """Length-encoded integers to the end of the data."""
    return _to_the_end(data, packed_int)


def sized(data: bytes, pos: int) -> tuple[bytes, int]:
    """Bytes with their length before them, and the position after them."""
    length, pos = packed_int(data, pos)
    if pos + length > len(data):
        raise ValueError(f"a field of {length} bytes has {len(data) - pos}")
    return data[pos : pos + length], pos + length


def sized_strings(data: bytes) -> list[bytes]:
    """Strings with their length before them, to the end of the data."""
    return _to_the_end(data, sized)


def lists_of_strings(data: bytes) -> list[list[bytes]]:
    """Lists of strings, each with its number before it, to the end of the data."""
    return _to_the_end(data, _list_of_strings)


def _list_of_strings(data: bytes, pos: int) -> tuple[list[bytes], int]:
    count, pos = packed_int(data, pos)
    values = []
    for _ in range(count):
        value, pos = sized(data, pos)
        values.append(value)
    return values, pos


def _to_the_end(data: bytes, read: Callable[[bytes, int], tuple[_Value, int]]) -> list[_Value]:
    values, pos = [], 0
    while pos < len(data):
        value, pos = read(data, pos)
        values.append(value)
    return values


def bits_low_first(data: bytes, count: int) -> list[bool]:
    """The first bits of a bitmap whose bytes begin with their lowest bit."""
    return [bool(data[n >> 3] >> (n & 7) & 1) for n in range(count)]


def bits_high_first(data: bytes, count: int) -> list[bool]:
    """The same of one whose bytes begin with their highest bit."""
    return [bool(data[n >> 3] >> (7 - (n & 7)) & 1) for n in range(count)]
