"""What both ends know of a table: its columns in order, and the keys that identify a row.

The producer makes a `Table` from a binlog table map (full metadata), the applier from
information_schema of its own server. They are matched by column name and kind.
"""

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Source: TABLE_MAP_EVENT with binlog_row_metadata=FULL (MySQL internals,
    "Table_map_event: optional metadata"), or information_schema.COLUMNS.
    """

    name: str
    kind: str  # a key of schemas.values.KINDS
    sql_type: str  # as MySQL prints it where known: "bigint unsigned", "decimal(10,2)"
    nullable: bool = True
    charset: str | None = None  # of text, enum and set: "utf8mb4", "latin1"
    collation: str | None = None  # known at the applier only
    generated: bool = False  # filled by the server: never written by us (error 3105)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table's columns in their order, and the key that names a row.

    `key`: column positions of the primary key in key order, else of the first unique key whose columns are
    all NOT NULL; empty when there is neither, which no direction accepts.
    `unique_keys`: every unique key incl. the primary one, as column positions. The producer knows `key` alone.
    """

    db: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...]
    unique_keys: tuple[tuple[int, ...], ...] = ()

    @property
    def full_name(self) -> str:
        """`db.table`, as messages and the configuration write it."""
        return f"{self.db}.{self.name}"

    @cached_property
    def positions(self) -> dict[str, int]:
        """Column name → position."""
        return {column.name: n for n, column in enumerate(self.columns)}
