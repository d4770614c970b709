"""Compressed transactions: the events inside come out whole, wherever they are cut; what is damaged stops, and can be skipped."""

import struct
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress

import binlog_encoder as enc
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from test_transactions import APPLIED as APPLIED_COLUMNS
from test_transactions import COLUMNS, FILE, GTID, Log, applied, row, stopped

from producers import events
from producers.events import Event
from producers.payload import inner_events
from producers.transactions import End, Rows

ZSTD, NONE = 0, 255
DAMAGED = (ValueError, IndexError, KeyError, struct.error)


def payload(body: bytes, end: int = 5000) -> Event:
    """A payload's event with this body."""
    return events.read_event(enc.event(events.TRANSACTION_PAYLOAD, body, end=end), checksum=False)


def inserts(*ids: int, db: str = "shop", name: str = "t") -> list[bytes]:
    """A table map and its rows, as they lie inside a payload: without checksums, at positions of their own."""
    body = enc.rows_body([row(n, f"v{n}") for n in ids], 2)
    return [enc.event(19, enc.table_map_body(COLUMNS, db=db, name=name), end=0), enc.event(30, body, end=0)]


BEGIN, XID = enc.event(2, enc.query_body(b"BEGIN"), end=0), enc.event(16, bytes(8), end=0)


def compressed(*inner: bytes, log: Log | None = None, compression: int = ZSTD) -> Log:
    """A compressed transaction of these events, between BEGIN and commit."""
    log = log or Log()
    return log.gtid().write(events.TRANSACTION_PAYLOAD, enc.payload_body([BEGIN, *inner, XID], compression=compression))


# --- the events inside ----------------------------------------------------------------------------------------------

INNER = st.lists(st.tuples(st.integers(1, 60), st.binary(max_size=3000), st.integers(0, 2**32 - 1)), max_size=12)


@given(INNER, st.sampled_from([ZSTD, NONE]), st.binary(max_size=20))
def test_what_went_in_comes_out(inner: list[tuple[int, bytes, int]], compression: int, unknown: bytes) -> None:
    """Any events, compressed or not, in order and byte for byte; fields that later versions add are passed over."""
    raw = [enc.event(code, body, end=end) for code, body, end in inner]
    more = enc.packed(300) + enc.prefixed(unknown, 1)
    found = list(inner_events(payload(enc.payload_body(raw, compression=compression, more=more))))
    assert [event.data for event in found] == raw
    assert [(event.type, event.server_id, event.flags) for event in found] == [(code, 3306, 0) for code, _, _ in inner]
    assert {event.end for event in found} <= {5000}


def test_frames_behind_each_other_are_one_payload() -> None:
    """A compressor may end a frame and begin another one anywhere, as zstd's own tools allow."""
    whole = XID + BEGIN
    pieces = [zstandard.ZstdCompressor().compress(piece) for piece in (whole[:7], whole[7:30], whole[30:])]
    body = enc.payload_body([b"".join(pieces)], compression=NONE).replace(b"\2\3\xfc\xff\0", b"\2\1\0\3\1" + bytes([len(whole)]))
    assert [event.data for event in inner_events(payload(body))] == [XID, BEGIN]


@pytest.mark.parametrize("compression", [ZSTD, NONE])
def test_a_large_event_inside(compression: int) -> None:
    """One of several chunks, between small ones."""
    large = enc.event(30, bytes(5_000_000) + b"end")
    found = list(inner_events(payload(enc.payload_body([BEGIN, large, XID], compression=compression))))
    assert [event.data for event in found] == [BEGIN, large, XID]


def test_a_payload_is_never_held_whole_when_decompressed() -> None:
    """256 MiB of rows: what Python holds while they are read is one event and a chunk."""
    event = enc.event(30, bytes(64 << 10))
    compressor = zstandard.ZstdCompressor().compressobj()
    data = b"".join(compressor.compress(event) for _ in range(4096)) + compressor.flush()
    fields = b"".join(enc.packed(n) + enc.prefixed(enc.packed(v), 1) for n, v in ((2, 0), (3, 4096 * len(event)), (1, len(data))))
    outer = payload(fields + b"\0" + data)
    tracemalloc.start()
    try:
        assert sum(len(inner.data) for inner in inner_events(outer)) == 4096 * len(event)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# --- damage ---------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=200))
def test_bytes_that_are_no_payload(body: bytes) -> None:
    """Anything else is an error that says so, or events whose sizes fit; never another error."""
    with suppress(*DAMAGED):
        for event in inner_events(payload(body)):
            assert len(event.data) >= events.HEADER_BYTES


@given(st.sampled_from([ZSTD, NONE]), st.data())
def test_a_payload_that_is_cut_short(compression: int, data: st.DataObject) -> None:
    """Wherever it ends too early, it is refused."""
    body = enc.payload_body([BEGIN, *inserts(1, 2), XID], compression=compression)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    with pytest.raises(DAMAGED):
        list(inner_events(payload(cut)))


@given(st.data())
def test_a_changed_byte_is_no_other_error(data: st.DataObject) -> None:
    """A changed byte leads to an error of ours or to other bytes (the event's checksum is what finds those)."""
    body = bytearray(enc.payload_body([BEGIN, *inserts(1, 2), XID]))
    body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(*DAMAGED):
        list(inner_events(payload(bytes(body))))


@pytest.mark.parametrize("size", [-19, -1, 1, 19, 1 << 40])
def test_a_wrong_size_is_refused(size: int) -> None:
    """More or fewer bytes than the header says: the transaction is not what the server wrote."""
    inner = [BEGIN, *inserts(1), XID]
    body = enc.payload_body(inner, size=sum(map(len, inner)) + size)
    with pytest.raises(ValueError, match=r"missing|left|more than"):
        list(inner_events(payload(body)))


@pytest.mark.parametrize("size", [0, 18, 1 << 31])
def test_an_event_inside_with_a_wrong_size(size: int) -> None:
    """Its header says less than a header, or more than there is."""
    broken = bytearray(XID)
    broken[9:13] = size.to_bytes(4, "little")
    with pytest.raises(ValueError, match="inside"):
        list(inner_events(payload(enc.payload_body([BEGIN, bytes(broken)]))))


def test_an_unknown_compression_and_missing_fields() -> None:
    """Each is said."""
    for body, words in (
        (enc.payload_body([XID], compression=1), "way 1"),
        (enc.payload_body([XID], compression=None), "not said"),
        (b"\2\1\0\0", "not said"),
        (b"\2\1\0\1\1\1\0x", "uncompressed size"),
        (b"\2\3\xfc\xff\0\1\1\5\0x", "its header says 5"),
    ):
        with pytest.raises(ValueError, match=words):
            list(inner_events(payload(body)))


# --- as transactions ------------------------------------------------------------------------------------------------

CHANGES = st.lists(st.tuples(st.sampled_from(["shop", "other"]), st.sampled_from("ab"), st.sets(st.integers(0, 99))), max_size=5)


@given(CHANGES, st.sampled_from([ZSTD, NONE]))
def test_compressed_or_not_gives_the_same(changes: list[tuple[str, str, set[int]]], compression: int) -> None:
    """The items of a transaction are those that it has uncompressed; its place is that of the payload."""
    plain = Log().begin()
    for db, name, ids in changes:
        plain.insert(*ids, db=db, name=name)
    log = compressed(*(raw for db, name, ids in changes for raw in inserts(*ids, db=db, name=name)), compression=compression)
    assert told(log) == told(plain.xid())
    assert [(end.file, end.pos, end.head.pos) for end in log.ends()] == [(FILE, log.pos, 4)]
    assert told(log.begin(8).insert(1).xid())[-1] == f"{enc.UUID_TEXT}:8"  # what follows is read as ever


def told(log: Log) -> Sequence[object]:
    """Items as plain values, without places."""
    return [(i.head.gtid, i.table.full_name, i.op, i.images) if isinstance(i, Rows) else i.head.gtid for i in log.items]


def test_rows_are_handed_on_as_they_are_decompressed() -> None:
    """A transaction of any size: an event's rows are there before the next event is even decompressed."""
    log = Log().gtid()
    body = enc.payload_body([BEGIN, *(raw for n in range(5) for raw in inserts(n)), XID])
    counts = []
    for event in log.transactions.unpack(payload(body)):
        log.transactions.feed(event)
        counts.append(len(log.items))
    assert counts == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6]


def test_the_marker_inside_gives_the_origin() -> None:
    """An applier's session may compress too; what it wrote is known for its own, or it would go round for ever."""
    marker = [
        enc.event(19, enc.table_map_body(APPLIED_COLUMNS, (0, 1), db="bisync", name="applied", number=5)),
        enc.event(31, enc.rows_body([applied(9), applied(12, 3)], 4, bitmaps=2, number=5)),
    ]
    log = compressed(*marker, *inserts(1))
    head = log.ends()[0].head
    assert (head.origin, head.origin_sequence, head.origin_transactions, head.kind) == ("west", 12, 3, "rows")


@pytest.mark.parametrize("code", [26, 43, 40, 160])
def test_an_event_inside_that_is_not_captured(code: int) -> None:
    """It stops as it would outside, with the payload's place."""
    error = stopped(lambda: compressed(*inserts(1), enc.event(code, bytes(20))))
    assert f"type {events.NAMES.get(code, code)}," in error.message
    assert error.where.log_pos == 4 + 19 + 4 + len(enc.gtid_body(7))


def test_rows_inside_that_cannot_be_decoded() -> None:
    """The table is named, and the payload's place."""
    error = stopped(lambda: compressed(inserts(1)[0], enc.event(30, enc.rows_body([b"\0\1"], 2))), code="undecodable")
    assert error.where.table == "shop.t"
    assert error.where.log_pos == 4 + 19 + 4 + len(enc.gtid_body(7))


def damaged(what: str) -> bytes:
    """A payload's body that cannot be read to its end."""
    inner = [BEGIN, *inserts(1), XID]
    return {
        "size": enc.payload_body(inner, size=77),
        "zstd": enc.payload_body(inner)[:-9] + bytes(9),
        "event": enc.payload_body([*inner[:-1], XID[:-1]]),
        "header": bytes(20),
    }[what]


@pytest.mark.parametrize("what", ["size", "zstd", "event", "header"])
def test_a_damaged_payload_stops(what: str) -> None:
    """With its GTID and place, and the way past it, which leads past it."""
    log = Log().gtid()
    before = log.pos
    error = stopped(lambda: log.write(events.TRANSACTION_PAYLOAD, damaged(what)), code="undecodable")
    assert error.where.log_pos == before
    assert "TRANSACTION_PAYLOAD" in error.message
    log = Log(skips=[GTID]).gtid().write(events.TRANSACTION_PAYLOAD, damaged(what)).begin(8).insert(1).xid()
    assert [(end.head.number, end.head.skipped) for end in log.ends()] == [(7, True), (8, False)]


def test_skip_names_the_tables_inside() -> None:
    """What is passed is told, for its rows to be compared; rows that cannot be decoded are in nobody's way."""
    log = Log(skips=[GTID])
    compressed(*inserts(1), enc.event(30, b"broken"), *inserts(2, db="other", name="x"), enc.event(160, b""), log=log)
    end, *rest = log.begin(8).insert(1).xid().items
    assert isinstance(end, End)
    assert (end.head.gtid, end.head.skipped, end.tables, end.pos > 0, len(rest)) == (GTID, True, ("shop.t", "other.x"), True, 2)


def test_a_payload_without_a_commit_is_refused() -> None:
    """Its rows must not become part of what follows."""
    log = Log().gtid().write(events.TRANSACTION_PAYLOAD, enc.payload_body([BEGIN, *inserts(1)]))
    stopped(log.gtid, 8)
