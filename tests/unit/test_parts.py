"""An event too large for one record: cut into parts and put together again, at any sizes, with long values or without."""

import json
from io import BytesIO
from itertools import accumulate
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_envelope import SOURCE, encoded, exactly, images, tables

from consumers import long_rows
from consumers.long_rows import Long, LongRow
from schemas.avro_bytes import varint
from schemas.envelope import RowDecoder, RowEncoder, envelope_schema, tail
from schemas.framing import framed_id, peek_sequence
from schemas.parts import PART_BYTES, PART_ID, PART_SCHEMA, Part, cut, decode_part, part_bytes, parts
from schemas.records import Row, RowEvent
from schemas.tables import Column, Table

POSITIVE = st.integers(0, 2**31 - 1)


@given(st.lists(st.binary(max_size=50), max_size=20), st.integers(1, 60))
def test_cuts_are_the_same_bytes(pieces: list[bytes], size: int) -> None:
    """All of one size but the last, which has a byte at least; nothing is lost, whatever the pieces."""
    found = list(cut(pieces, size))
    assert b"".join(found) == b"".join(pieces)
    assert all(len(each) == size for each in found[:-1])
    assert all(0 < len(each) <= size for each in found[-1:])


@given(st.integers(0, 2**63 - 1), POSITIVE, st.lists(st.binary(min_size=1, max_size=90), min_size=1), st.integers(1, 100))
def test_parts_come_back(sequence: int, order: int, pieces: list[bytes], size: int) -> None:
    """Numbered from 0, the last one marked, each with its event's place; fastavro reads the same."""
    records = list(parts(sequence, order, pieces, size))
    found = [decode_part(record) for record in records]
    assert b"".join(part.data for part in found) == b"".join(pieces)
    assert [part.number for part in found] == list(range(len(found)))
    assert [part.last for part in found] == [False] * (len(found) - 1) + [True]
    assert {part[:2] for part in found} == {(sequence, order)}
    assert {framed_id(record) for record in records} == {PART_ID}
    assert {peek_sequence(record) for record in records} == {sequence}
    schema: Any = fastavro.parse_schema(json.loads(json.dumps(PART_SCHEMA)))
    for record, part in zip(records, found, strict=True):
        buffer = BytesIO(record[5:])
        read: Any = fastavro.schemaless_reader(buffer, schema, None)
        assert tuple(read.values()) == (sequence, order, part.number, part.last, bytes(part.data))
        assert buffer.read() == b""


@pytest.mark.parametrize("change", [lambda r: r[:-1], lambda r: r + b"x", lambda r: r[:7], lambda r: r[:8] + b"\2" + r[9:]])
def test_a_damaged_part_is_refused(change: Any) -> None:
    """One that is cut off, has bytes behind it, or a flag that is none."""
    (record,) = parts(1, 2, [b"data"], 10)
    with pytest.raises(ValueError, match="a part of an event"):
        decode_part(change(record))


def test_a_part_leaves_room_in_its_record() -> None:
    """Where Kafka takes less than a part usually has, parts are smaller."""
    assert part_bytes(64 << 20) == PART_BYTES
    assert part_bytes(100_000) == 50_000


def shortened(row: Row | None, table: Table, kept: list[bytes] | None) -> Row | None:
    """A row as it is when values of more than 4 bytes are long; kept: the pieces that were given away."""
    if row is None:
        return None
    found: list[object] = []
    for column, value in zip(table.columns, row, strict=True):
        data = value.encode() if isinstance(value, str) else value
        if column.kind in ("text", "binary") and isinstance(data, bytes) and len(data) > 4:
            found.append(Long(length=len(data), digest=long_rows.sha256(data).hexdigest()))
            if kept is not None:
                kept.append(data)
        else:
            found.append(value)
    return tuple(found)


@given(tables(), POSITIVE, POSITIVE, st.booleans(), st.integers(1, 40), st.data())
@settings(max_examples=150)
def test_a_row_in_parts_is_the_row(table: Table, sequence: int, order: int, moved: bool, size: int, data: st.DataObject) -> None:
    """Read part by part, however they are cut, it is what the whole event gives; long values of the after image are handed on."""
    _, before, after = data.draw(images(table))
    value = encoded(table, sequence, order, before, after, moved)
    given_away: list[list[bytes]] = []

    def keep(column: Column, length: int) -> Any:
        given_away.append([])
        assert length > 4
        return lambda piece: given_away[-1].append(piece) or f"@v{len(given_away)}"

    expected: list[bytes] = []
    wanted = RowDecoder(envelope_schema(table)).decode(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_rows, "LONG_BYTES", 4)
        row = LongRow(RowDecoder(envelope_schema(table)), lambda event: keep)
        found = [row.add(decode_part(record)) for record in parts(sequence, order, [value], size)]
    assert found[:-1] == [None] * (len(found) - 1)
    event = found[-1]
    assert event is not None
    assert event[:3] == wanted[:3]
    assert event.moved == wanted.moved
    for image, row_wanted in ((event.before, shortened(before, table, None)), (event.after, shortened(after, table, expected))):
        assert exactly(image) == exactly(row_wanted)
    assert [b"".join(pieces) for pieces in given_away] == expected


@given(tables(), st.integers(1, 40), st.data())
@settings(max_examples=60)
def test_an_event_that_ends_too_early_is_refused(table: Table, size: int, data: st.DataObject) -> None:
    """However an event is cut off inside its images, its last part raises ValueError; so does damage that shows."""
    _, before, after = data.draw(images(table))
    encoder = RowEncoder(table)
    ends = tail(1, "g")
    source = encoder.source(dict(SOURCE))
    value = encoder.value(varint(1), 0, before, after, source, ends)
    rows = len(value) - len(source) - len(ends) - 2
    end = data.draw(st.integers(1, rows - 1))
    row = LongRow(RowDecoder(envelope_schema(table)), lambda event: None)
    with pytest.raises(ValueError, match="ends inside its row"):
        for record in parts(1, 0, [value[:end]], size):
            row.add(decode_part(record))


def test_a_part_that_is_missing_is_noticed() -> None:
    """Parts are numbered, so that one that is left out is no shorter value."""
    table = Table(db="d", name="t", columns=(Column(name="v", kind="text", sql_type="text"),), key=(0,))
    value = encoded(table, 1, 0, None, ("x" * 100,), False)
    first, _, third, *_ = (decode_part(record) for record in parts(1, 0, [value], 20))
    row = LongRow(RowDecoder(envelope_schema(table)), lambda event: None)
    row.add(first)
    with pytest.raises(ValueError, match=r"part 2 of an event of d\.t where part 1 belongs"):
        row.add(third)


@given(tables(), st.data())
@settings(max_examples=60)
def test_pieces_are_the_value(table: Table, data: st.DataObject) -> None:
    """An event that is not put together is the same bytes, also where text and bytes are given as views of a buffer."""
    _, before, after = data.draw(images(table))
    encoder = RowEncoder(table)
    source, ends = encoder.source(dict(SOURCE)), tail(1, "g")

    def viewed(row: Row | None) -> Row | None:
        if row is None:
            return None
        views = {"text": lambda v: memoryview(v.encode()), "binary": memoryview}
        return tuple(
            views[c.kind](v) if c.kind in views and v is not None else v for c, v in zip(table.columns, row, strict=True)
        )

    pieces = encoder.pieces(varint(9), 3, viewed(before), viewed(after), source, ends, True)
    assert b"".join(pieces) == encoder.value(varint(9), 3, before, after, source, ends, True)
    lengths = list(accumulate(map(len, pieces)))
    assert lengths[-1] == len(b"".join(pieces))


def test_what_is_not_carried_gives_nothing_away() -> None:
    """An event that the direction leaves out is read, and nothing of it goes to the target."""
    table = Table(db="d", name="t", columns=(Column(name="v", kind="text", sql_type="longtext"),), key=(0,))
    value = encoded(table, 1, 0, None, ("x" * 100_000,), False)
    asked: list[RowEvent] = []
    row = LongRow(RowDecoder(envelope_schema(table)), asked.append)  # type: ignore[arg-type]
    found = row.add(Part(1, 0, 0, True, memoryview(value)))
    assert asked == [RowEvent(1, 0, "c", None, None)]
    assert found is not None
    assert found.after == (Long(length=100_000, digest=long_rows.sha256(b"x" * 100_000).hexdigest()),)
