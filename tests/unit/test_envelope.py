"""The wire: what one end encodes the other decodes exactly, and any Avro reader with the schema agrees."""

import json
import math
import struct
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.avro_bytes import varint
from schemas.envelope import RowDecoder, RowEncoder, avro_name, envelope_schema, key_schema, table_of, tail
from schemas.framing import frame, framed_id, peek_sequence
from schemas.list_records import DDL_SCHEMA, TRANSACTION_SCHEMA, decode_ddl, encode_ddl, transaction_decoder, transaction_encoder
from schemas.records import DdlEvent, EventCount, Row, RowEvent, TransactionRecord
from schemas.registry import schema_id, schema_text
from schemas.tables import Column, Table
from schemas.values import DATA_TYPE_KINDS, KINDS, decode_latin1, kind_of

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
LONGS = st.integers(-(2**63), 2**63 - 1)
POSITIVE = st.integers(0, 2**63 - 1)
FLOAT32 = st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES: dict[str, st.SearchStrategy[object]] = {
    **dict.fromkeys(KINDS, TEXT),
    "int": LONGS,
    "uint64": st.integers(0, 2**64 - 1).map(str),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False).map(str),
    "float": FLOAT32,
    "double": st.floats(allow_nan=False, allow_infinity=False),
    **dict.fromkeys(("binary", "geometry", "vector"), st.binary(max_size=30)),
    "encoded": TEXT | st.binary(max_size=30),
}
COLUMN_NAMES = st.text(st.characters(codec="utf-8", min_codepoint=1, max_codepoint=0xFFFF), min_size=1, max_size=12)
SOURCE = {
    "version": "0.1.0",
    "connector": "bisync",
    "name": "shop.east",
    "ts_ms": 1_700_000_000_123,
    "ts_us": 1_700_000_000_123_456,
    "db": "shop",
    "table": "t",
    "server_id": 2**32 - 1,
    "gtid": "3e11fa47-71ca-11e1-9e33-c80aa9429562:23",
    "file": "binlog.000001",
    "pos": 2**40,
    "origin": "west",
}


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """A table of any columns, keyed by some of them."""
    names = draw(st.lists(COLUMN_NAMES, min_size=1, max_size=6, unique=True))
    kinds = [draw(st.sampled_from(sorted(KINDS))) for _ in names]
    columns = tuple(
        Column(name=name, kind=kind, sql_type="x", charset="gbk" if kind == "encoded" else None)
        for name, kind in zip(names, kinds, strict=True)
    )
    key = draw(st.lists(st.integers(0, len(names) - 1), min_size=1, max_size=len(names), unique=True))
    return Table(db=draw(COLUMN_NAMES), name=draw(COLUMN_NAMES), columns=columns, key=tuple(key))


def rows_of(table: Table) -> st.SearchStrategy[Row]:
    """Rows of a table, with NULLs."""
    return st.tuples(*(st.none() | VALUES[column.kind] for column in table.columns))


def exactly(row: Row | None) -> object:
    """A row that is equal only to its very self: the sign of zero and kinds of values told apart."""
    if row is None:
        return None
    return [(type(v), struct.pack("<d", v) if isinstance(v, float) else v) for v in row]


def images(table: Table) -> st.SearchStrategy[tuple[str, Row | None, Row | None]]:
    """(op, before, after) of an event."""
    rows = rows_of(table)
    return (
        st.tuples(st.just("c"), st.none(), rows) | st.tuples(st.just("u"), rows, rows) | st.tuples(st.just("d"), rows, st.none())
    )


def encoded(table: Table, sequence: int, order: int, before: Row | None, after: Row | None, moved: bool) -> bytes:
    """A framed event as the producer makes it."""
    encoder = RowEncoder(table)
    ends = tail(1_700_000_000_999, "3e11:23")
    return encoder.value(varint(sequence), order, before, after, encoder.source(dict(SOURCE)), ends, moved)


def read(schema: dict[str, Any], value: bytes) -> Any:
    """A framed value read by fastavro alone, to its last byte."""
    buffer = BytesIO(value[5:])
    record = fastavro.schemaless_reader(buffer, fastavro.parse_schema(json.loads(json.dumps(schema))), None)
    assert buffer.read() == b""
    return record


@given(tables(), POSITIVE, st.integers(0, 2**31 - 1), st.booleans(), st.data())
@settings(max_examples=80)
def test_an_event_comes_back_exactly(table: Table, sequence: int, order: int, moved: bool, data: st.DataObject) -> None:
    """The applier's prefix decode gives sequence, order, op, both images and the flag as the producer had them."""
    op, before, after = data.draw(images(table))
    value = encoded(table, sequence, order, before, after, moved)
    event = RowDecoder(envelope_schema(table)).decode(value)
    assert event[:3] == (sequence, order, op)
    assert (exactly(event.before), exactly(event.after), event.moved) == (exactly(before), exactly(after), moved)
    assert peek_sequence(value) == sequence


@given(tables(), POSITIVE, st.integers(0, 2**31 - 1), st.booleans(), st.data())
@settings(max_examples=80)
def test_any_reader_with_the_schema_agrees(table: Table, sequence: int, order: int, moved: bool, data: st.DataObject) -> None:
    """The whole envelope, source and transaction blocks too, is plain Avro of the published schema, to the last byte."""
    op, before, after = data.draw(images(table))
    value = encoded(table, sequence, order, before, after, moved)
    schema = envelope_schema(table)
    assert framed_id(value) == schema_id(schema) == RowEncoder(table).value_id
    record = read(schema, value)
    names = [avro_name(column.name) for column in table.columns]
    assert record["source"] == SOURCE
    assert record["transaction"] == {"id": "3e11:23", "total_order": order, "data_collection_order": order}
    assert (record["sequence"], record["order"], record["op"], record["moved"]) == (sequence, order, op, moved)
    assert record["ts_ms"] == 1_700_000_000_999
    for image, row in ((record["before"], before), (record["after"], after)):
        assert (image is None) == (row is None)
        assert row is None or exactly(tuple(image[name] for name in names)) == exactly(row)


@given(tables(), st.data())
@settings(max_examples=60)
def test_keys_are_the_key_columns(table: Table, data: st.DataObject) -> None:
    """A framed key holds the key columns in key order; rows with the same key have the same bytes, others have not."""
    encoder = RowEncoder(table)
    one, other = data.draw(rows_of(table)), data.draw(rows_of(table))
    record = read(key_schema(table), encoder.key(one))
    assert exactly(tuple(record.values())) == exactly(tuple(one[n] for n in table.key))
    same = exactly(tuple(one[n] for n in table.key)) == exactly(tuple(other[n] for n in table.key))
    assert (encoder.key(one) == encoder.key(other)) == same


@given(tables())
@settings(max_examples=60)
def test_the_schema_tells_the_table(table: Table) -> None:
    """From the published text alone an applier knows database, table, columns, kinds and SQL types."""
    found = table_of(json.loads(schema_text(envelope_schema(table))))
    assert (found.db, found.name) == (table.db, table.name)
    assert found.columns == table.columns


@given(COLUMN_NAMES, COLUMN_NAMES)
@settings(max_examples=400)
@example("a_x62", "a_x5fx62")
@example("_x41", "A")
@example("1", "_x31")
@example("é", "_xc3_xa9")
@example("a b", "a_x20b")
def test_field_names_are_injective(one: str, other: str) -> None:
    """Any column name makes a field name that Avro takes, and two names never make the same one."""
    assume(one != other)
    assert avro_name(one) != avro_name(other)
    for name in (one, other):
        fastavro.parse_schema({"type": "record", "name": "R", "fields": [{"name": avro_name(name), "type": "long"}]})


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("id", "id"),
        ("order_id", "order_id"),
        ("_x", "_x5fx"),
        ("a-b", "a_x2db"),
        ("2nd", "_x32nd"),
        ("größe", "gr_xc3_xb6_xc3_x9fe"),
    ],
)
def test_ordinary_names_stay_as_they_are(name: str, field: str) -> None:
    """Only what Avro does not take, or what looks like an escape, is escaped."""
    assert avro_name(name) == field


def test_schemas_and_records_that_are_not_ours_are_refused() -> None:
    """A kind of a later version, a schema without images, and list records cut short are errors that say so."""
    unknown = json.loads(json.dumps(envelope_schema(ORDERS)).replace('"int"', '"inet6"'))
    for schema in (unknown, key_schema(ORDERS)):
        with pytest.raises(ValueError, match="this version"):
            RowDecoder(schema)
    record = TransactionRecord(1, 0, True, "rows", "s", "u:1", 0, None, 0, 0, 0, False, 0, (EventCount("t", 0, 1),))
    whole = transaction_encoder()(record)
    for end in range(len(whole) - 1):
        with pytest.raises(ValueError, match=r"schema id|no record"):
            transaction_decoder()(whole[:end])


def test_columns_called_like_our_fields() -> None:
    """Columns named before, after, op or source do not get in the envelope's way."""
    names = ("op", "before", "after", "source", "Row", "Envelope", "sequence")
    table = Table(db="d", name="t", columns=tuple(Column(name=n, kind="int", sql_type="int") for n in names), key=(0,))
    row = tuple(range(len(names)))
    assert RowDecoder(envelope_schema(table)).decode(encoded(table, 1, 0, row, row, False)) == RowEvent(1, 0, "u", row, row)


def test_three_hundred_columns() -> None:
    """Wide tables."""
    columns = tuple(Column(name=f"c{n}", kind="int", sql_type="int") for n in range(300))
    table = Table(db="d", name="t", columns=columns, key=(299, 0))
    row = tuple(None if n % 3 == 1 else n for n in range(300))
    assert RowDecoder(envelope_schema(table)).decode(encoded(table, 1, 0, None, row, False)).after == row


ORDERS = Table(
    db="shop",
    name="orders",
    columns=tuple(Column(name=n, kind=k, sql_type=k) for n, k in (("id", "int"), ("t", "text"))),
    key=(0,),
)


def test_an_event_that_is_damaged_is_refused() -> None:
    """A value that ends too early, or whose first fields are of another kind, is an error that names the table."""
    decoder = RowDecoder(envelope_schema(ORDERS))
    whole = encoded(ORDERS, 70, 0, None, (1, "four"), False)
    row_ends = whole.index(b"four") + 4
    for end in range(5, row_ends):
        with pytest.raises(ValueError, match=r"shop\.orders|nullable|no sequence"):
            decoder.decode(whole[:end])
    with pytest.raises(ValueError, match=r"no event of shop\.orders"):
        decoder.decode(whole.replace(b"\x02c", b"\x02x", 1))


def test_an_envelope_of_another_version_is_refused() -> None:
    """A schema whose first fields are others is refused when it is met, not read in the wrong places."""
    schema = envelope_schema(ORDERS)
    schema["fields"] = [schema["fields"][1], schema["fields"][0], *schema["fields"][2:]]
    with pytest.raises(ValueError, match="do not begin with sequence, order"):
        RowDecoder(schema)


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, 1.7976931348623157e308, 1.401298464324817e-45, 3.4028234663852886e38])
def test_floats_at_their_borders(value: float) -> None:
    """Signs of zero, denormals and the greatest numbers travel unchanged."""
    kinds = ("double", "float") if abs(value) in (0, 1.401298464324817e-45, 3.4028234663852886e38) else ("double",)
    for kind in kinds:
        table = Table(db="d", name="t", columns=(Column(name="v", kind=kind, sql_type=kind),), key=(0,))
        after = RowDecoder(envelope_schema(table)).decode(encoded(table, 1, 0, None, (value,), False)).after
        assert after is not None
        assert isinstance(after[0], float)
        assert (after[0], math.copysign(1, after[0])) == (value, math.copysign(1, value))


@given(POSITIVE)
@example(0)
@example(63)
@example(64)
@example(2**63 - 1)
def test_varint_is_avros(value: int) -> None:
    """Our varint is what fastavro writes for a long; the sequence is read back from it."""
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, {"type": "long"}, value)
    assert varint(value) == buffer.getvalue()
    assert peek_sequence(frame(1) + varint(value)) == value


@pytest.mark.parametrize("value", [b"", b"\0\0\0", frame(1), frame(1) + b"\x80" * 4])
def test_peek_refuses_what_has_no_sequence(value: bytes) -> None:
    """An event without a whole first field is an error."""
    with pytest.raises(ValueError, match="no sequence"):
        peek_sequence(value)


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0", b"\1\0\0\0\1rest", b'{"a": 1}'])
def test_framing_that_is_not_ours_is_refused(value: bytes) -> None:
    """A value without Confluent framing, or shorter than it, is an error, not some schema's id."""
    with pytest.raises((ValueError, struct.error)):
        framed_id(value)


RECORDS = st.builds(
    TransactionRecord,
    sequence=POSITIVE,
    piece=st.integers(0, 2**31 - 1),
    last=st.booleans(),
    kind=st.sampled_from(["rows", "ddl", "barrier"]),
    stream=TEXT,
    gtid=TEXT,
    committed_at=POSITIVE,
    origin=st.none() | TEXT,
    origin_sequence=POSITIVE,
    origin_transactions=st.integers(0, 2**31 - 1),
    seen=POSITIVE,
    fk_checks=st.booleans(),
    barrier=POSITIVE,
    held=st.lists(POSITIVE, max_size=3).map(tuple),
    events=st.lists(st.builds(EventCount, TEXT, st.integers(0, 2**31 - 1), POSITIVE), max_size=4).map(tuple),
)


@given(RECORDS)
@settings(max_examples=100)
def test_transaction_records_come_back(record: TransactionRecord) -> None:
    """A list record is itself after its way, and plain Avro of the published schema."""
    value = transaction_encoder()(record)
    assert transaction_decoder()(value) == record
    assert framed_id(value) == schema_id(TRANSACTION_SCHEMA)
    assert read(TRANSACTION_SCHEMA, value)["events"] == [event._asdict() for event in record.events]


DDLS = st.builds(
    DdlEvent,
    sequence=POSITIVE,
    order=st.integers(0, 2**31 - 1),
    statement=TEXT,
    default_db=TEXT,
    sql_mode=POSITIVE,
    time_zone=TEXT,
    charset=st.tuples(*[st.integers(0, 65535)] * 3),
    tables=st.lists(TEXT, max_size=3).map(tuple),
    raw=st.none() | st.binary(),
    flags=st.integers(0, 2**32 - 1),
    origin=st.none() | TEXT,
    lower_case=st.booleans(),
    utf8mb4_collation=st.integers(0, 65535),
    explicit_timestamp=st.none() | st.booleans(),
    executed_at=POSITIVE,
    invoker=st.none() | TEXT,
    auto_increment=st.tuples(*[st.integers(0, 65535)] * 2),
    stream=TEXT,
)


@given(DDLS)
def test_ddl_events_come_back(event: DdlEvent) -> None:
    """A statement with its context is itself after its way."""
    assert decode_ddl(encode_ddl(event)) == event


def test_records_of_another_schema_are_refused() -> None:
    """A record that a later version wrote is an error that names both schemas, never read by the wrong one."""
    ddl = encode_ddl(DdlEvent(1, 0, "x", "d", 0, "", (0, 0, 0), ()))
    with pytest.raises(ValueError, match="this version reads"):
        transaction_decoder()(ddl)
    with pytest.raises(ValueError, match="this version reads"):
        decode_ddl(frame(schema_id(DDL_SCHEMA) ^ 1) + ddl[5:])


@given(tables(), tables())
@settings(max_examples=60)
def test_schema_ids(one: Table, other: Table) -> None:
    """The same table has the same id in every process; another table has another; all fit a positive 32-bit integer."""
    a, b = schema_id(envelope_schema(one)), schema_id(envelope_schema(other))
    assert a == schema_id(json.loads(schema_text(envelope_schema(one))))
    assert 1 <= a < 2**31
    key_free = [Table(db=t.db, name=t.name, columns=t.columns, key=()) for t in (one, other)]
    assert (a == b) == (key_free[0] == key_free[1])


def test_every_kind_has_its_avro_type() -> None:
    """The table of kinds and the published schema agree, and every SQL type leads to a kind of that table."""
    columns = tuple(Column(name=kind, kind=kind, sql_type=kind) for kind in KINDS)
    image = next(
        f for f in envelope_schema(Table(db="d", name="t", columns=columns, key=(0,)))["fields"] if f["name"] == "before"
    )
    assert [field["type"] for field in image["type"][1]["fields"]] == [["null", *kind.avro.split("|")] for kind in KINDS.values()]
    assert set(DATA_TYPE_KINDS.values()) | {"uint64", "encoded"} == set(KINDS)
    assert (kind_of("bigint", "bigint unsigned"), kind_of("bigint", "bigint"), kind_of("varchar", "varchar(9)", "x")) == (
        "uint64",
        "int",
        None,
    )


def test_latin1_is_windows_1252_without_loss() -> None:
    """All 256 bytes are different characters; the five without one are the C1 controls of their number."""
    text = decode_latin1(bytes(range(256)))
    assert len(set(text)) == 256
    assert text[0x80] == "€"
    assert [ord(text[n]) for n in (0x81, 0x8D, 0x8F, 0x90, 0x9D)] == [0x81, 0x8D, 0x8F, 0x90, 0x9D]
