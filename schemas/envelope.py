"""Row events: a table's Avro schemas, and events written and read by them.

Debezium's envelope (`before, after, source, op, ts_ms, transaction`) is a record whose fields are found by name, so their
order is free: ours puts first what an applier needs (`sequence, order, op, moved, before, after`), which reads no further.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import Any

from schemas.avro_bytes import (
    NULL,
    SOME,
    SOME_OF,
    bad_branch,
    compile_reader,
    compile_writer,
    nullable_text,
    read_varint,
    repeated_text,
    text,
    varint,
)
from schemas.framing import HEADER_BYTES, frame
from schemas.parts import Buffer
from schemas.records import Row, RowEvent
from schemas.registry import schema_id
from schemas.tables import Column, Table
from schemas.values import KINDS

Schema = dict[str, Any]

_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_SOURCE_FIELDS: list[Schema] = [
    {"name": "version", "type": "string"},
    {"name": "connector", "type": "string"},
    {"name": "name", "type": "string", "doc": "<topology>.<side>"},
    {"name": "ts_ms", "type": "long"},
    {"name": "ts_us", "type": "long", "doc": "commit time at the source"},
    {"name": "db", "type": "string"},
    {"name": "table", "type": "string"},
    {"name": "server_id", "type": "long"},
    {"name": "gtid", "type": ["null", "string"]},
    {"name": "file", "type": "string"},
    {"name": "pos", "type": "long"},
    {"name": "origin", "type": "string", "doc": "the side at which the change began"},
]
_FIELD_WRITERS: dict[str, Callable[[Any], bytes]] = {"string": repeated_text, "long": varint}
_SOURCE_WRITERS = {str(field["name"]): _FIELD_WRITERS.get(str(field["type"]), nullable_text) for field in _SOURCE_FIELDS}
_TRANSACTION_FIELDS = [
    {"name": "id", "type": "string"},
    {"name": "total_order", "type": "long"},
    {"name": "data_collection_order", "type": "long"},
]


def avro_name(name: str) -> str:
    """A column's name as an Avro field: bytes outside `[A-Za-z0-9]` become `_xhh`, where it is not one already."""
    if _AVRO_NAME.fullmatch(name) and "_x" not in name:
        return name
    escaped = "".join(c if c.isascii() and c.isalnum() else "".join(f"_x{b:02x}" for b in c.encode()) for c in name)
    return escaped if not escaped[:1].isdigit() else f"_x{ord(escaped[0]):02x}{escaped[1:]}"


def row_schema(table: Table) -> Schema:
    """The record of a row image; a field's `mysql` property holds what the name and the Avro type cannot."""
    return {
        "type": "record",
        "name": "Row",
        "fields": [
            {
                "name": avro_name(column.name),
                "type": KINDS[column.kind].avro_union,
                "mysql": _mysql(column),
            }
            for column in table.columns
        ],
    }


def _mysql(column: Column) -> dict[str, str | None]:
    facts: dict[str, str | None] = {"name": column.name, "kind": column.kind, "type": column.sql_type}
    return facts | {"charset": column.charset} if column.kind == "encoded" else facts


def envelope_schema(table: Table) -> Schema:
    """The value schema of a table's topic."""
    return {
        "type": "record",
        "name": "Envelope",
        "mysql": {"db": table.db, "table": table.name},
        "fields": [
            *_needed_fields(row_schema(table)),
            {"name": "source", "type": {"type": "record", "name": "Source", "fields": _SOURCE_FIELDS}},
            {"name": "ts_ms", "type": "long", "doc": "when it was captured"},
            {
                "name": "transaction",
                "type": {"type": "record", "name": "TransactionOrder", "fields": _TRANSACTION_FIELDS},
            },
        ],
    }


_NEEDED = ("sequence", "order", "op", "moved", "before", "after")
CREATED, REFRESHED = text("c"), text("r")  # the op of an event without a before image
OPS = {text(op): op for op in "cudr"}


def _needed_fields(row: Schema) -> list[Schema]:
    return [
        {"name": "sequence", "type": "long", "doc": "of its transaction in the side's list"},
        {"name": "order", "type": "int", "doc": "position in its transaction"},
        {"name": "op", "type": "string", "doc": "c insert, u update, d delete, r the row as it is, sent after a conflict"},
        {"name": "moved", "type": "boolean", "doc": "half of an update that changed the key: d of the old, c of the new"},
        {"name": "before", "type": ["null", row]},
        {"name": "after", "type": ["null", row["name"]]},
    ]


def key_schema(table: Table) -> Schema:
    """The key schema of a table's topic: the key columns in key order."""
    columns = [table.columns[n] for n in table.key]
    fields = [{"name": avro_name(c.name), "type": KINDS[c.kind].avro_union} for c in columns]
    return {"type": "record", "name": "Key", "mysql": {"db": table.db, "table": table.name}, "fields": fields}


def table_of(schema: Schema) -> Table:
    """The source table that an envelope schema describes; its key is not part of it."""
    image = next(field for field in schema["fields"] if field["name"] == "before")["type"][1]
    columns = tuple(
        Column(
            name=field["mysql"]["name"],
            kind=field["mysql"]["kind"],
            sql_type=field["mysql"]["type"],
            charset=field["mysql"].get("charset"),
        )
        for field in image["fields"]
    )
    return Table(db=schema["mysql"]["db"], name=schema["mysql"]["table"], columns=columns, key=())


class RowEncoder:
    """Row events of one table → framed keys and values.

    A value is concatenated from parts that are encoded apart, as Avro has no padding between fields: the source block
    is the same for all rows of a transaction and is encoded once.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self.value_schema = envelope_schema(table)
        self.key_schema = key_schema(table)
        self.value_id = schema_id(self.value_schema)
        self.key_id = schema_id(self.key_schema)
        types = [KINDS[column.kind].avro for column in table.columns]
        self._image = compile_writer(types)
        self._writers = [SOME_OF[avro] for avro in types]
        self._key = compile_writer([types[n] for n in table.key], table.key)
        self._value_frame = frame(self.value_id)
        self._key_frame = frame(self.key_id)

    def source(self, values: dict[str, Any]) -> bytes:
        """The encoded source block of one transaction."""
        return b"".join([_SOURCE_WRITERS[name](values[name]) for name in _SOURCE_WRITERS])

    def key(self, row: Row) -> bytes:
        """The framed key of a row image."""
        return self._key_frame + self._key(row)

    def value(
        self,
        sequence: bytes,
        order: int,
        before: Row | None,
        after: Row | None,
        source: bytes,
        tail: bytes,
        moved: bool = False,
        created: bytes = CREATED,
    ) -> bytes:
        """One framed event; sequence, source and tail (ts_ms and the transaction's id) come encoded, as they repeat.

        created: the op of an event without a before image.
        """
        position = varint(order)
        flag = b"\x01" if moved else b"\x00"
        if before is None:
            assert after is not None
            images = created + flag + b"\x00\x02" + self._image(after)
        elif after is None:
            images = b"\x02d" + flag + b"\x02" + self._image(before) + b"\x00"
        else:
            images = b"\x02u" + flag + b"\x02" + self._image(before) + b"\x02" + self._image(after)
        return b"".join((self._value_frame, sequence, position, images, source, tail, position, position))

    def pieces(
        self,
        sequence: bytes,
        order: int,
        before: Row | None,
        after: Row | None,
        source: bytes,
        tail: bytes,
        moved: bool = False,
        created: bytes = CREATED,
    ) -> list[Buffer]:
        """The same event in pieces that are not put together: values that are views stay views."""
        op = created if before is None else b"\x02d" if after is None else b"\x02u"
        position = varint(order)
        head = b"".join((self._value_frame, sequence, position, op, b"\x01" if moved else b"\x00"))
        images = [piece for image in (before, after) for piece in self._image_pieces(image)]
        return [head, *images, source, tail, position, position]

    def _image_pieces(self, image: Row | None) -> Iterator[Buffer]:
        if image is None:
            yield NULL
            return
        yield SOME
        for value, write in zip(image, self._writers, strict=True):
            if isinstance(value, memoryview):
                yield SOME + varint(len(value))
                yield value
            else:
                yield NULL if value is None else write(value)


class RowDecoder:
    """Framed values of one envelope schema → RowEvent."""

    def __init__(self, schema: Schema) -> None:
        """schema: as `envelope_schema` makes it. Raises ValueError for one that begins otherwise."""
        try:
            self.table = table_of(schema)
            self.types = [KINDS[column.kind].avro for column in self.table.columns]
        except (LookupError, StopIteration, TypeError) as error:
            raise ValueError(f"the schema of an event is not one that this version knows: {error!r}") from error
        found = [(field["name"], field["type"]) for field in schema["fields"][: len(_NEEDED)]]
        if found != [(field["name"], field["type"]) for field in _needed_fields(row_schema(self.table))]:
            raise ValueError(f"events of {self.table.full_name} do not begin with {', '.join(_NEEDED)}, as this version wants")
        self._image = compile_reader(self.types)

    def decode(self, value: bytes) -> RowEvent:
        """Decode what an applier needs; the source block and what follows it stay unread.

        Raises ValueError for a value that is no event of this schema.
        """
        try:
            sequence, at = read_varint(value, HEADER_BYTES)
            order, at = read_varint(value, at)
            op = OPS[value[at : at + 2]]
            moved = value[at + 2] == 1
            before, at = self._nullable(value, at + 3)
            after, at = self._nullable(value, at)
        except (IndexError, KeyError, struct.error) as error:
            raise ValueError(f"the bytes are no event of {self.table.full_name}: {error!r}") from error
        if at > len(value):
            raise ValueError(f"the event of {self.table.full_name} ends inside its row")
        return RowEvent(sequence >> 1, order >> 1, op, before, after, moved)

    def _nullable(self, value: bytes, at: int) -> tuple[Row | None, int]:
        branch = value[at]
        if branch == 2:
            return self._image(value, at + 1)
        if branch:
            raise bad_branch(branch)
        return None, at + 1


def tail(ts_ms: int, transaction_id: str) -> bytes:
    """The encoded end of an envelope up to the transaction's two order fields."""
    return varint(ts_ms) + text(transaction_id)
