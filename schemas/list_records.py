"""Records of the transaction list and of the DDL topic, framed Avro of transaction.avsc and ddl.avsc."""

import json
import struct
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

from schemas.avro_bytes import NULL, SOME, repeated_text, text, varint
from schemas.framing import HEADER_BYTES, frame, framed_id
from schemas.records import DdlEvent, EventCount, TransactionRecord
from schemas.registry import schema_id

TRANSACTION_SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "transaction.avsc").read_text())
DDL_SCHEMA: dict[str, Any] = json.loads((Path(__file__).parent / "ddl.avsc").read_text())


def transaction_encoder() -> Callable[[TransactionRecord], bytes]:
    """Framed transaction records."""
    head = frame(schema_id(TRANSACTION_SCHEMA))

    def encode(record: TransactionRecord) -> bytes:
        origin, events = record.origin, record.events
        parts = [
            head,
            varint(record.sequence),
            varint(record.piece),
            b"\x01" if record.last else b"\x00",
            repeated_text(record.kind),
            repeated_text(record.stream),
            text(record.gtid),
            varint(record.committed_at),
            NULL if origin is None else SOME + repeated_text(origin),
            varint(record.origin_sequence),
            varint(record.origin_transactions),
            varint(record.seen),
            b"\x01" if record.fk_checks else b"\x00",
            varint(record.barrier),
        ]
        if events:  # one block: their number, then each
            parts.append(varint(len(events)))
            for event in events:
                parts += repeated_text(event.topic), varint(event.partition), varint(event.number)
        parts += b"\x00", b"\x01" if record.unchecked else b"\x00"
        if record.held:
            parts += varint(len(record.held)), *map(varint, record.held)
        parts.append(b"\x00")
        return b"".join(parts)

    return encode


@cache
def transaction_decoder() -> Callable[[bytes], TransactionRecord]:
    """The inverse; a record with another schema id is a ValueError."""
    parsed = fastavro.parse_schema(TRANSACTION_SCHEMA)
    expected = schema_id(TRANSACTION_SCHEMA)

    def decode(value: bytes) -> TransactionRecord:
        if framed_id(value) != expected:
            raise ValueError(f"transaction record has schema {framed_id(value)}, this version reads {expected}")
        fields: Any = _read(parsed, value)
        fields["events"] = tuple(EventCount(*event.values()) for event in fields["events"])
        fields["held"] = tuple(fields["held"])
        return TransactionRecord(*fields.values())

    return decode


@cache
def _ddl() -> tuple[Any, int]:
    return fastavro.parse_schema(DDL_SCHEMA), schema_id(DDL_SCHEMA)


def encode_ddl(event: DdlEvent) -> bytes:
    """A framed DDL event."""
    parsed, identity = _ddl()
    values = event._asdict()
    values["charset"] = list(event.charset)
    values["tables"] = list(event.tables)
    values["auto_increment"] = list(event.auto_increment)
    return frame(identity) + _avro(parsed, values)


def decode_ddl(value: bytes) -> DdlEvent:
    """The inverse; a record with another schema id is a ValueError."""
    parsed, identity = _ddl()
    if framed_id(value) != identity:
        raise ValueError(f"DDL record has schema {framed_id(value)}, this version reads {identity}")
    fields: Any = _read(parsed, value)
    fields["charset"] = tuple(fields["charset"])
    fields["tables"] = tuple(fields["tables"])
    fields["auto_increment"] = tuple(fields["auto_increment"])
    return DdlEvent(**fields)


def _avro(schema: Any, value: object) -> bytes:
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, schema, value)
    return buffer.getvalue()


def _read(schema: Any, value: bytes) -> Any:
    """Raises ValueError for bytes that are no such record."""
    buffer = BytesIO(value)
    buffer.seek(HEADER_BYTES)
    try:
        fields = fastavro.schemaless_reader(buffer, schema, None)
    except (EOFError, LookupError, struct.error) as error:
        raise ValueError(f"the bytes are no record of the list: {error!r}") from error
    if buffer.tell() != len(value):  # fastavro passes over them
        raise ValueError(f"the bytes are no record of the list: {len(value) - buffer.tell()} bytes behind it")
    return fields
