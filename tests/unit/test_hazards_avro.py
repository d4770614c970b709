"""What fastavro does with values and bytes that changes carry, beside the writer and reader of our own."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO
from typing import Any

import fastavro
import pytest

from schemas.avro_bytes import compile_reader, compile_writer, varint
from schemas.list_records import decode_ddl, encode_ddl, transaction_decoder, transaction_encoder
from schemas.records import DdlEvent, TransactionRecord
from schemas.values import KINDS


def written(schema: Any, value: Any) -> bytes:
    """A value's bytes, by fastavro."""
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema), value)
    return buffer.getvalue()


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose time zone is five hours ahead."""
    monkeypatch.setitem(os.environ, "TZ", "XXX-5")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_times_without_a_zone(far_away: None) -> None:
    """fastavro takes a time for one of the process's own zone; ours travels as the text that the server holds."""
    schema = {"type": "long", "logicalType": "timestamp-micros"}
    body = written(schema, datetime(2024, 1, 1))
    assert fastavro.schemaless_reader(BytesIO(body), fastavro.parse_schema(schema)).hour == 19  # type: ignore[union-attr,call-arg]
    assert {KINDS[kind].avro for kind in ("date", "time", "datetime", "timestamp")} == {"string"}
    assert compile_reader(["string"])(compile_writer(["string"])(("2024-01-01 00:00:00",)), 0)[0] == ("2024-01-01 00:00:00",)


def test_the_greatest_unsigned_number() -> None:
    """fastavro fails at 2^64-1, which no Avro number holds; it travels as text here."""
    with pytest.raises((OverflowError, ValueError)):
        written("long", 2**64 - 1)
    avro = KINDS["uint64"].avro
    assert compile_reader([avro])(compile_writer([avro])(("18446744073709551615",)), 0)[0] == ("18446744073709551615",)
    with pytest.raises(OverflowError):
        compile_writer(["long"])((2**64 - 1,))


def test_an_array_of_nothing() -> None:
    """Five bytes are a million NULLs to fastavro; events of ours have no array, and an image's number of columns is fixed."""
    schema = fastavro.parse_schema({"type": "array", "items": "null"})
    body = varint(1_000_000) + b"\0"
    assert len(body) <= 5
    assert len(fastavro.schemaless_reader(BytesIO(body), schema)) == 1_000_000  # type: ignore[arg-type,call-arg]
    assert all("array" not in kind.avro for kind in KINDS.values())
    assert len(compile_reader(["long"] * 3)(bytes(1000), 0)[0]) == 3


def test_bytes_behind_a_value() -> None:
    """fastavro takes what is left over without a word; our reader says where a row ended, and a longer list record is refused."""
    schema = fastavro.parse_schema({"type": "record", "name": "R", "fields": [{"name": "a", "type": "long"}]})
    assert fastavro.schemaless_reader(BytesIO(b"\x02left over"), schema) == {"a": 1}  # type: ignore[call-arg]
    row, end = compile_reader(["long"])(b"\x02\x02left over", 0)
    assert (row, end) == ((1,), 2)
    ddl = DdlEvent(1, 0, "DROP TABLE t", "d", 0, "", (255, 255, 255), ("d.t",))
    with pytest.raises(ValueError, match="bytes behind"):
        decode_ddl(encode_ddl(ddl) + b"\0")
    record = TransactionRecord(
        sequence=1, piece=0, last=True, kind="rows", stream="s", gtid="u:1", committed_at=0, origin=None, origin_sequence=0,
        origin_transactions=0, seen=0, fk_checks=False, barrier=0, events=(),
    )  # fmt: skip
    with pytest.raises(ValueError, match="bytes behind"):
        transaction_decoder()(transaction_encoder()(record) + b"\0")
