"""A row as one string of bytes, by its own server: equal for equal values, and different otherwise. Pure.

Each side's expression is made beside the other side's column: where both are alike, the value goes in as it is stored or printed;
where they are not (INT and BIGINT, DECIMAL(10,2) and DECIMAL(12,4), latin1 and utf8mb4), both get a form that they share.

    FLOAT, DOUBLE       + 0e0: all digits, and no sign of zero, which no comparison sees
    ENUM, SET           the number, where the labels are the same; else the labels
    text                its bytes, converted where the character sets differ: a collation holds 'a' and 'A' equal
    JSON                its text, in which the server has put the names in order; that 1 and 1.0 are equal is seen later (rows.py)
    long columns        their SHA-256: a string beyond max_allowed_packet would be NULL, which no checksum sees

A string of several bytes' length goes in behind its length, so that no two rows are the same string, and
all of it behind a byte for each NULL. Columns that the server generates follow from the others, and are left out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from consumers.target import quote_name
from schemas.tables import Column

_LONG = ("mediumtext", "longtext", "mediumblob", "longblob", "json")
_MIDDLE = ("text", "blob", "vector")
_VARIABLE = ("text", "encoded", "binary", "geometry", "vector", "json")
_WHOLE = 8  # columns of up to 64 KiB that go in as they are: more of them may be too long together
_ROUNDED = {"time": "TIME(6)", "datetime": "DATETIME(6)", "timestamp": "DATETIME(6)"}
_PLAIN = re.compile(r"CAST\((`(?:[^`]|``)+`) AS BINARY\)")
Both = tuple[Column, Column]  # the same column, here and on the other side


def digest(columns: Sequence[Both]) -> str:
    """The SHA-256 of a row, hexadecimal. columns: in the same order on both sides."""
    return f"SHA2({row_bytes(columns)}, 256)"


def row_bytes(columns: Sequence[Both]) -> str:
    """The row as a string."""
    long = {n for n, both in enumerate(columns) if any(_base(c) in _LONG or c.kind == "geometry" for c in both)}
    middle = [n for n, both in enumerate(columns) if n not in long and any(_base(c) in _MIDDLE for c in both)]
    long |= set(middle[_WHOLE:])
    fixed, variable = [], []
    for n, (mine, other) in enumerate(columns):
        expression = _value(mine, other)
        if n in long:
            fixed.append(f"SHA2({expression}, 256)")
        elif mine.kind in _VARIABLE or other.kind in _VARIABLE or _by_label(mine, other):
            variable.append(expression)
        else:
            fixed.append(expression)
    lengths = [f"LENGTH({_PLAIN.sub(lambda found: found[1], each)})" for each in variable[:-1]]  # the last one ends with the row
    return f"CONCAT_WS('#', {', '.join([*_nulls(columns), *fixed, *lengths, *variable])})"


def _nulls(columns: Sequence[Both]) -> list[str]:
    """Which values are NULL, a byte each: CONCAT_WS leaves them out. A sum of bits, or IFNULL, takes longer."""
    names = [quote_name(mine.name) for mine, other in columns if mine.nullable or other.nullable]
    return [f"CHAR({', '.join(f'ISNULL({name})' for name in names)})"] if names else []


def _value(mine: Column, other: Column) -> str:
    name = quote_name(mine.name)
    same = mine.sql_type == other.sql_type and mine.charset == other.charset
    match mine.kind:
        case "int" | "uint64":
            return name if same else f"{name} + 0"  # ZEROFILL prints zeros
        case "decimal":
            scale = max(_scale(mine), _scale(other))
            return name if same or other.kind != "decimal" else f"CAST({name} AS DECIMAL(65,{scale}))"
        case "float" | "double":
            return f"{name} + 0e0"
        case "time" | "datetime" | "timestamp":
            return name if same else f"CAST({name} AS {_ROUNDED[mine.kind]})"
        case "bit":
            return f"CAST({name} AS UNSIGNED)"
        case "enum" | "set" if not _by_label(mine, other):
            return f"CAST({name} AS UNSIGNED)"
        case "text" if mine.charset == other.charset == "utf8mb4":
            return name  # as the numbers beside it are: its bytes go in as they are, and a cast of each costs a tenth of all
        case "text" | "encoded" | "enum" | "set":
            return f"CAST({name if mine.charset == other.charset else f'CONVERT({name} USING utf8mb4)'} AS BINARY)"
        case "json":
            return f"CAST({name} AS CHAR)"
        case "binary" | "geometry" | "vector":
            return f"CAST({name} AS BINARY)"
        case _:
            return name


def _by_label(mine: Column, other: Column) -> bool:
    return mine.kind in ("enum", "set") and (mine.sql_type != other.sql_type or mine.charset != other.charset)


def _base(column: Column) -> str:
    return column.sql_type.lower().partition("(")[0]


def _scale(column: Column) -> int:
    numbers = re.findall(r"\d+", column.sql_type)
    return int(numbers[1]) if len(numbers) > 1 else 0
