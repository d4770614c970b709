"""The tables a stream speaks of: what each is to capture, found once per table map.

A server numbers its table maps anew after a restart, so numbers are forgotten at every rotation; the bytes of a map are what
a table's decoder is remembered by.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from pymysql.connections import Connection

from bisync_topology.errors import CaptureError, Where
from producers.events import HEADER_BYTES
from producers.long_values import LARGE_BYTES
from producers.map_fields import packed_int
from producers.rows import ImagesDecoder, compile_decoder
from producers.table_map import parse_table_map, table_name
from schemas.envelope import RowEncoder
from schemas.key_values import KeyPart, Keys
from schemas.parts import LONG_BYTES
from schemas.records import Row
from schemas.tables import Column, Table
from schemas.topics import table_topic

ROWS, APPLIED, HEARTBEAT, REFRESHES, CONFLICTS = "rows", "applied", "heartbeat", "refreshes", "conflicts"
DDL_LOG, INITIALIZATION, IGNORED = "ddl_log", "initialization", "ignored"
_CONTROL = (APPLIED, HEARTBEAT, REFRESHES, CONFLICTS, DDL_LOG, INITIALIZATION)  # whose rows capture reads
_MAP_KEY_AT = HEADER_BYTES + 6  # a table map's bytes after its table number
_KEYS_SECONDS = 10.0  # how old what is known of keys may be: one that is added unlogged is in no table map
_KEYS = """\
SELECT s.INDEX_NAME, s.COLUMN_NAME, s.SUB_PART, c.COLLATION_NAME FROM information_schema.STATISTICS AS s
LEFT JOIN information_schema.COLUMNS AS c USING (TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME)
WHERE s.TABLE_SCHEMA = %s AND s.TABLE_NAME = %s AND s.NON_UNIQUE = 0 ORDER BY s.INDEX_NAME, s.SEQ_IN_INDEX"""


class InScope(Protocol):
    """What all directions from a side carry together."""

    def includes(self, database: str, table: str) -> bool:
        """Whether a table is carried."""

    def includes_database(self, database: str) -> bool:
        """Whether the database itself is."""

    def reaches(self, database: str) -> bool:
        """Whether any table of it can be."""


@dataclass(kw_only=True)
class CapturedTable:
    """One version of a table as the binlog describes it."""

    role: str  # rows: published; applied, heartbeat, refreshes, conflicts …: control rows that capture reads; ignored
    db: str
    name: str
    topic: str = ""
    table: Table | None = None
    images: ImagesDecoder | None = None
    other_images: Callable[[bool, bool], ImagesDecoder] | None = None  # (partial, large) → generated when the first one comes
    encoder: RowEncoder | None = None
    judged: bool = False  # this side is the arbiter of the table's policy
    keys: Keys | None = None  # where rows may have to be sent back: it is judged, or somebody has decided for rows of this side

    def __post_init__(self) -> None:
        self.keys_read = time.monotonic()
        self._prefixes: dict[tuple[bytes, int], int] = {}

    @property
    def full_name(self) -> str:
        """`db.table`."""
        return f"{self.db}.{self.name}"

    def rows(self, data: bytes, bitmaps: int, *, partial: bool = False) -> list[Row]:
        """Row images of a rows event (version 2), in their order.

        bitmaps: 1 for WRITE and DELETE, 2 for UPDATE, whose images alternate before, after. partial: of PARTIAL_UPDATE_ROWS.
        Of an event of more than LARGE_BYTES long values are views of it. Raises CaptureError where one is part of the key.
        Layout: table id (6), flags (2), extra data (length of itself and what follows, 2), column count, bitmaps, images.
        """
        assert self.images is not None and self.table is not None
        start = HEADER_BYTES + 8 + int.from_bytes(data[HEADER_BYTES + 8 : HEADER_BYTES + 10], "little")
        count = len(self.table.columns)
        length = (3 if count > 250 else 1) + bitmaps * ((count + 7) // 8)
        prefix = (bytes(data[start : start + length]), bitmaps)
        if prefix not in self._prefixes:
            self._check_bitmaps(*prefix)
            self._prefixes[prefix] = start
        large = len(data) > LARGE_BYTES
        if not (partial or large):
            return self.images(data, start + length, len(data))
        assert self.other_images is not None
        rows = self.other_images(partial, large)(data, start + length, len(data))
        if large:
            self._check_keys(rows)
        return rows

    def _check_keys(self, rows: list[Row]) -> None:
        assert self.table is not None
        for row in rows:
            for n in self.table.key:
                value = row[n]
                if isinstance(value, memoryview):
                    raise CaptureError(
                        f"column {self.table.columns[n].name} is part of the key, and its value has {len(value)} bytes:"
                        f" no more than {LONG_BYTES} can be told apart",
                        code="record_too_large",
                        hint="make a key of shorter values, on both sides",
                        where=Where(table=self.full_name),
                    )

    def _check_bitmaps(self, prefix: bytes, bitmaps: int) -> None:
        assert self.table is not None
        count, pos = packed_int(prefix, 0)
        if count != len(self.table.columns):
            raise ValueError(f"the event has {count} columns, its table map {len(self.table.columns)}")
        size, full = (count + 7) // 8, (1 << count) - 1
        for n in range(bitmaps):
            present = int.from_bytes(prefix[pos + n * size : pos + (n + 1) * size], "little") & full
            if present != full:
                raise CaptureError(
                    "a row event lacks columns: it was written with binlog_row_image other than FULL",
                    code="row_image",
                    hint="SET PERSIST binlog_row_image = FULL on this server and reconnect its clients; then "
                    "`skip` this transaction and `verify` the table",
                    where=Where(table=self.full_name),
                )


class Tables:
    """All table maps of a stream."""

    def __init__(
        self,
        *,
        topology: str,
        side: str,
        control_schema: str,
        in_scope: InScope,
        connection: Connection[Any],
        judged: Callable[[str, str], bool] = lambda db, table: False,
        repaired: Iterable[str] = (),
    ) -> None:
        """judged: whether this side is the arbiter of a table's policy. repaired: see Checkpoint."""
        self._topology = topology
        self._side = side
        self._control = {(control_schema, name): name for name in _CONTROL}
        self._judged = judged
        self._repaired = set(repaired)
        self._refreshed: dict[tuple[str, str, str], CapturedTable] = {}
        self._control_schema = control_schema
        self._in_scope = in_scope
        self._connection = connection
        self._charsets, self._mbmaxlen = _charsets(connection)
        self.lower_case = _lower_case(connection)
        self._by_map: dict[bytes, CapturedTable] = {}
        self._by_number: dict[bytes, CapturedTable] = {}

    def in_scope(self, db: str, table: str) -> bool:
        """Whether any direction from this side carries the table."""
        return self._in_scope.includes(db, table)

    def database_in_scope(self, db: str) -> bool:
        """Whether any direction from this side carries the database as a whole."""
        return self._in_scope.includes_database(db)

    def reaches(self, db: str) -> bool:
        """Whether any direction from this side can carry a table of the database."""
        return self._in_scope.reaches(db)

    def charset_name(self, collation: int) -> str:
        """The character set of a collation's id; utf8mb4 where the event has none."""
        return self._charsets.get(collation, "utf8mb4")

    def forget(self) -> None:
        """After a change of structure keys may be others, of which a table map says nothing."""
        self._by_map.clear()
        self._refreshed.clear()

    def refreshed(self, db: str, name: str, columns: str) -> CapturedTable:
        """The table of a row of `refreshes`, by the description in it."""
        table = self._refreshed.get((db, name, columns))
        if table is None:
            facts = json.loads(columns)
            described = tuple(Column(name=n, kind=k, sql_type=t, charset=c) for n, k, t, c in facts["columns"])
            found = Table(db=db, name=name, columns=described, key=tuple(facts["key"]))
            table = self._refreshed[db, name, columns] = CapturedTable(
                role=ROWS,
                db=db,
                name=name,
                topic=table_topic(self._topology, self._side, db, name),
                table=found,
                encoder=RowEncoder(found),
                judged=self._judged(db, name),
                keys=self._keys(found),
            )
            self._repaired.add(found.full_name)
        return table

    def _keys(self, table: Table) -> Keys:
        """The unique keys as they are now."""
        found: dict[str, list[KeyPart]] = {}
        with self._connection.cursor() as cursor:
            cursor.execute(_KEYS, (table.db, table.name))
            for index, *part in cursor.fetchall():
                found.setdefault(index, []).append(KeyPart(*part))
        return Keys(table.full_name, found.values(), table.columns)

    def forget_numbers(self) -> None:
        """After a rotation a number may mean another table."""
        self._by_number.clear()

    @contextmanager
    def other_numbers(self) -> Iterator[None]:
        """Events of another place in the log are read meanwhile, where numbers mean other tables."""
        kept, self._by_number = self._by_number, {}
        try:
            yield
        finally:
            self._by_number = kept

    def map(self, data: bytes) -> CapturedTable:
        """Take a TABLE_MAP_EVENT; gives its table."""
        key = data[_MAP_KEY_AT:]
        table = self._by_map.get(key)
        if table is None:
            table = self._by_map[key] = self._describe(data[HEADER_BYTES:])
        keyed = table.judged or (bool(self._repaired) and table.full_name in self._repaired)
        if keyed and table.table is not None and (table.keys is None or time.monotonic() - table.keys_read > _KEYS_SECONDS):
            table.keys, table.keys_read = self._keys(table.table), time.monotonic()
        self._by_number[data[HEADER_BYTES:_MAP_KEY_AT]] = table
        return table

    def of_rows(self, data: bytes) -> CapturedTable:
        """The table of a rows event.

        Raises CaptureError where no table map came before: the stream was begun inside a transaction.
        """
        table = self._by_number.get(bytes(data[HEADER_BYTES:_MAP_KEY_AT]))
        if table is None:
            raise CaptureError(
                "a row event came without its table map",
                code="table_map_missing",
                hint="`resume` reads the transaction again from its beginning",
            )
        return table

    def _describe(self, body: bytes) -> CapturedTable:
        db, name = table_name(body)
        role = self._control.get((db, name)) or (ROWS if self.in_scope(db, name) else IGNORED)
        if role == IGNORED or (db == self._control_schema and role == ROWS):
            return CapturedTable(role=IGNORED, db=db, name=name)
        parsed = parse_table_map(body, self._charsets, self._mbmaxlen, self._unique_key)
        return CapturedTable(
            role=role,
            db=db,
            name=name,
            topic=table_topic(self._topology, self._side, db, name),
            table=parsed.table,
            images=compile_decoder(parsed),
            other_images=cache(lambda partial, large: compile_decoder(parsed, partial=partial, large=large)),
            encoder=RowEncoder(parsed.table) if role == ROWS else None,
            judged=role == ROWS and self._judged(db, name),
        )

    def _unique_key(self, db: str, name: str) -> tuple[str, ...]:
        """Columns of the first unique key, by name, whose columns are all NOT NULL; the server's key as it is now."""
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT INDEX_NAME, COLUMN_NAME, NULLABLE = 'YES' OR COLUMN_NAME IS NULL"
                " FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND NON_UNIQUE = 0"
                " ORDER BY INDEX_NAME, SEQ_IN_INDEX",
                (db, name),
            )
            keys: dict[str, list[tuple[str, bool]]] = {}
            for index, column, unusable in cursor.fetchall():
                keys.setdefault(index, []).append((column, bool(unusable)))
        usable = (tuple(column for column, _ in columns) for columns in keys.values() if not any(bad for _, bad in columns))
        return next(usable, ())


def _lower_case(connection: Connection[Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@lower_case_table_names")
        return any(int(row[0]) for row in cursor.fetchall())


def _charsets(connection: Connection[Any]) -> tuple[Mapping[int, str], Mapping[str, int]]:
    """(collation id → character set, character set → most bytes a character has)."""
    older = {"utf8": "utf8mb3"}  # what MySQL before 8.0.30 calls it
    with connection.cursor() as cursor:
        cursor.execute("SELECT ID, CHARACTER_SET_NAME FROM information_schema.COLLATIONS WHERE ID IS NOT NULL")
        charsets = {int(number): older.get(name, str(name)) for number, name in cursor.fetchall()}
        cursor.execute("SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS")
        return charsets, {older.get(name, str(name)): int(length) for name, length in cursor.fetchall()}
