"""Ranges of a table's key, as conditions that mean the same rows on both sides. Pure.

A key's values are canonical ones, as the server read them; only ENUM and SET go by number, as their index does. A range begins
behind one key and ends with another. An index finds its rows, but for a key over prefixes, and one that begins with ENUM or SET.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from consumers.row_identity import TEXTUAL
from consumers.statements import match_literal, read_value, value_read
from consumers.target import quote_name
from schemas.tables import Column
from schemas.values import literal_of

KeyValues = tuple[Any, ...]
_NUMBERED = ("enum", "set", "bit")


@dataclass(frozen=True, kw_only=True)
class Key:
    """The key of a table on one side. index: its name there. whole: it is not over prefixes."""

    columns: tuple[Column, ...]
    index: str
    whole: bool = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Its columns' names, quoted."""
        return tuple(quote_name(column.name) for column in self.columns)

    @property
    def order(self) -> str:
        """What follows ORDER BY."""
        return ", ".join(self.names)

    @cached_property
    def read(self) -> tuple[str, ...]:
        """Expressions of its values."""
        return tuple(_read(column, name) for column, name in zip(self.columns, self.names, strict=True))

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """Expressions of what tells a row apart: its values, of a text what its collation makes of it."""
        return tuple(
            f"HEX(WEIGHT_STRING({name}))" if column.kind in ("text", "encoded") else read
            for column, name, read in zip(self.columns, self.names, self.read, strict=True)
        )

    def values(self, fetched: Sequence[Any]) -> KeyValues:
        """What `read` gave → canonical values."""
        return tuple(map(value_read, self.columns, fetched))

    def within(self, low: KeyValues | None, high: KeyValues | None) -> str:
        """The rows behind `low`, up to and with `high`; None: from the first, to the last."""
        parts = [self._beside(low, ">", "")] if low is not None else []
        parts += [self._beside(high, "<", "=")] if high is not None else []
        return " AND ".join(f"({part})" for part in parts) or "TRUE"

    def among(self, keys: Iterable[KeyValues]) -> str:
        """The rows of these keys."""
        return " OR ".join("(" + " AND ".join(self._equal(n, value) for n, value in enumerate(key)) + ")" for key in keys)

    def _beside(self, key: KeyValues, sign: str, last: str) -> str:
        """`a > 1 OR (a = 1 AND b > 2)`: of this form a server makes ranges of its index; of (a, b) > (1, 2) it does not."""
        parts = []
        for n, value in enumerate(key):
            end = last if n + 1 == len(key) else ""
            equal = [self._equal(m, key[m]) for m in range(n)]
            parts.append(" AND ".join([*equal, f"{self.names[n]} {sign}{end} {_operand(self.columns[n], value)}"]))
        return " OR ".join(f"({part})" for part in parts) if len(parts) > 1 else parts[0]

    def _equal(self, n: int, value: object) -> str:
        column = self.columns[n]
        if column.kind in _NUMBERED:
            return f"{self.names[n]} = {value}"
        return match_literal(column, self.names[n], literal_of(column)(value))


def _read(column: Column, name: str) -> str:
    if column.kind in ("enum", "set"):
        return f"CAST(CAST({name} AS UNSIGNED) AS CHAR)"
    return read_value(column, name)


def _operand(column: Column, value: object) -> str:
    """The value as what the column's own order is asked of."""
    if column.kind in _NUMBERED:
        return str(value)
    literal = literal_of(column)(value)
    if column.kind == "float":
        return f"CAST({literal} AS FLOAT)"
    if column.kind not in TEXTUAL:
        return literal
    if column.kind != "encoded" and column.charset != "utf8mb4":
        literal = f"CONVERT({literal} USING {column.charset})"
    return f"{literal} COLLATE {column.collation}"
