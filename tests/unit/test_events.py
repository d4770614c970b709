"""Events other than rows: headers, checksums, GTIDs, statements with their context."""

import struct

import binlog_encoder as enc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers import events
from producers.tagged_gtid import tagged_gtid_info, varint

STATEMENT = "ALTER TABLE t ADD c INT COMMENT 'é'".encode()
# Status variables by number, with a value each, as the server's statement_events.h describes them.
STATUS: dict[int, bytes] = {
    0: b"\0\0\0\0",  # FLAGS2
    1: struct.pack("<Q", 4 | 1 << 21),  # SQL_MODE
    2: b"\x03std\0",  # CATALOG, MySQL 5.0
    3: b"\1\0\1\0",  # AUTO_INCREMENT
    4: struct.pack("<HHH", 28, 255, 8),  # CHARSET
    5: b"\x0dEurope/Berlin",  # TIME_ZONE
    6: b"\x03std",  # CATALOG_NZ
    7: b"\1\0",  # LC_TIME_NAMES
    8: b"\x21\0",  # CHARSET_DATABASE
    9: bytes(8),  # TABLE_MAP_FOR_UPDATE
    10: bytes(4),  # MASTER_DATA_WRITTEN
    11: b"\x04root\x09localhost",  # INVOKER
    12: b"\x02shop\0crm\0",  # UPDATED_DB_NAMES
    13: b"\1\2\3",  # MICROSECONDS
    16: b"\1",  # EXPLICIT_DEFAULTS_FOR_TIMESTAMP
    17: bytes(8),  # DDL_LOGGED_WITH_XID
    18: b"\xff\0",  # DEFAULT_COLLATION_FOR_UTF8MB4
    19: b"\0",  # SQL_REQUIRE_PRIMARY_KEY
    20: b"\0",  # DEFAULT_TABLE_ENCRYPTION
}
# The order in which Query_log_event::write puts them; by number but for the catalog.
WRITTEN = [0, 1, 2, 6, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20]


def status(codes: list[int]) -> bytes:
    """The status block with these variables."""
    return b"".join(bytes([code]) + STATUS[code] for code in codes)


@given(st.integers(1, 42), st.binary(max_size=200), st.booleans(), st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1))
def test_header_and_body(code: int, body: bytes, checksum: bool, end: int, flags: int) -> None:
    """An event is its header's fields and its bytes without checksum; its start is its end less its size."""
    raw = enc.event(code, body, end=end, checksum=checksum, flags=flags)
    event = events.read_event(raw, checksum=checksum)
    assert (event.type, event.server_id, event.end, event.flags) == (code, 3306, end, flags)
    assert event.data[19:] == body
    assert event.start == end - len(raw)


@given(st.binary(max_size=60), st.data())
def test_a_damaged_event_is_refused(body: bytes, data: st.DataObject) -> None:
    """Any one byte changed, also of the checksum itself, is a mismatch."""
    raw = bytearray(enc.event(30, body, checksum=True))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(events.ChecksumMismatch):
        events.read_event(bytes(raw), checksum=True)
    assert not events.carries_checksum(bytes(raw))


@pytest.mark.parametrize("checksum", [False, True])
def test_the_format_description_says_how_events_are_checked(checksum: bool) -> None:
    """Its algorithm byte lies before its own checksum, which it has in either case."""
    assert events.has_checksum(enc.format_description(checksum=checksum)) is checksum


def test_rotate() -> None:
    """The next file and where it begins."""
    event = events.read_event(enc.event(4, enc.rotate_body("binlog.000042", 157)), checksum=False)
    assert events.rotate_target(event.data) == ("binlog.000042", 157)


TAGS = st.from_regex(r"[a-z_][a-z0-9_]{0,31}", fullmatch=True)
MICROSECONDS = st.integers(1, 2**55 - 1)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 2**63 - 1), MICROSECONDS, st.none() | MICROSECONDS)
def test_gtid(uuid: bytes, number: int, committed_at: int, original: int | None) -> None:
    """UUID, number and the commit time on this server, in microseconds, also where the original server's time follows."""
    event = enc.event(33, enc.gtid_body(number, uuid, committed_at, original))
    assert events.gtid_info(event) == (uuid, number, committed_at)


@given(st.integers(0, 2**64 - 1), st.binary(max_size=3))
def test_varint(number: int, before: bytes) -> None:
    """Any 64-bit number comes back, and the position after it; cut short, it is an error."""
    data = before + enc.varint(number)
    assert varint(data + b"\xff\0", len(before)) == (number, len(data))
    with pytest.raises((ValueError, IndexError)):
        varint(data[:-1], len(before))


@pytest.mark.parametrize(
    ("number", "data"), [(0, "00"), (127, "fe"), (128, "0102"), (65535, "fbff07"), (1 << 56, "ff00000000000000" + "01")]
)
def test_varint_as_documented(number: int, data: str) -> None:
    """Bytes of the format's own description (65535), and where the next size begins."""
    assert varint(bytes.fromhex(data), 0) == (number, len(data) // 2)


@given(st.binary(min_size=16, max_size=16), st.integers(1, 2**63 - 2), TAGS, MICROSECONDS, st.booleans())
def test_tagged_gtid(uuid: bytes, number: int, tag: str, committed_at: int, more: bool) -> None:
    """UUID, tag, number and time; fields behind them, also ones that nobody knows, are passed over."""
    unknown = enc.varint(10) + enc.varint(80400) + enc.varint(77) + b"\xff\xff" if more else b""
    body = enc.tagged_gtid_body(number, tag, uuid=uuid, committed_at=committed_at, more=unknown)
    assert tagged_gtid_info(enc.event(42, body)) == (uuid + tag.encode(), number, committed_at)


def test_tagged_gtids_of_a_server() -> None:
    """Bodies as MySQL 9.7 wrote them."""
    first = (
        "027800000002ba9672de9d03b622c5031102a90304f10300000002040406126e696768746c795f3108080a0c0c7f8ee40421f460061061041283120b"
    )
    info = tagged_gtid_info(enc.event(42, bytes.fromhex(first)))
    assert events.tsid_text(info.tsid) == "5d4b396f-e75b-11f1-84ea-02fc00000001:nightly_1"
    assert (info.number, info.committed_at // 1_000_000) == (1, 1_795_451_502)
    last = (
        "027c00000002a902a902a902a90200000000000000000000fd03fd0304"
        "fffcffffffffffffff06047a7a08080a1c0c7f72f00421f460061069041283120b"
    )
    info = tagged_gtid_info(enc.event(42, bytes.fromhex(last)))
    assert (events.tsid_text(info.tsid), info.number) == ("aaaaaaaa-0000-0000-0000-00000000ffff:zz", 2**63 - 2)


def test_a_tagged_gtid_without_its_time() -> None:
    """The header's second stands in."""
    body = enc.tagged_gtid_body(7, "a", committed_at=0)
    assert tagged_gtid_info(enc.event(42, body, seconds=1_600_000_000)).committed_at == 1_600_000_000_000_000


@given(st.data())
def test_a_tagged_gtid_in_another_form_is_refused(data: st.DataObject) -> None:
    """Cut anywhere, of another version, with a field that must be known: an error, never another transaction's name."""
    body = enc.tagged_gtid_body(7, "nightly")
    cut = data.draw(st.integers(0, len(body) - 1))
    for broken in (body[:cut], enc.varint(2) + body[1:], body + b"x", enc.tagged_gtid_body(7, "a", must_know=13)):
        with pytest.raises((ValueError, IndexError)):
            tagged_gtid_info(enc.event(42, broken))
    for wrong in (enc.tagged_gtid_body(0, "a"), enc.tagged_gtid_body(7, ""), enc.tagged_gtid_body(7, "a", uuid=b"short")):
        with pytest.raises((ValueError, IndexError)):
            tagged_gtid_info(enc.event(42, wrong))


def test_gtid_of_mysql_57() -> None:
    """Without commit times (MySQL 5.7) the time is the header's second; without a logical clock (5.6) too."""
    body = enc.gtid_body(7)[:42]
    assert events.gtid_info(enc.event(33, body, seconds=1_600_000_000)) == (enc.UUID, 7, 1_600_000_000_000_000)
    assert events.gtid_info(enc.event(33, body[:25], seconds=1_600_000_000)) == (enc.UUID, 7, 1_600_000_000_000_000)


def test_tsid_text() -> None:
    """16 bytes as MySQL writes them, and the tag."""
    assert events.tsid_text(enc.UUID) == enc.UUID_TEXT
    assert events.tsid_text(enc.UUID + b"nightly_1") == f"{enc.UUID_TEXT}:nightly_1"


@given(st.sets(st.sampled_from(WRITTEN)), st.text(max_size=20))
@settings(max_examples=300)
def test_statement_and_its_context(codes: set[int], db: str) -> None:
    """Whatever status variables an event has, those that give a statement its meaning are found, and the statement whole."""
    body = enc.query_body(STATEMENT, db, status([code for code in WRITTEN if code in codes]))
    query = events.query(enc.event(2, body))
    assert (query.db, query.statement) == (db, STATEMENT)
    assert query.sql_mode == (4 | 1 << 21 if 1 in codes else 0)
    assert query.charset == ((28, 255, 8) if 4 in codes else (0, 0, 0))
    assert query.time_zone == ("Europe/Berlin" if 5 in codes else "")
    assert query.databases == (("shop", "crm") if 12 in codes else None)


@given(st.integers(21, 255), st.binary(max_size=30))
def test_unknown_status_variables(code: int, value: bytes) -> None:
    """A variable of a later version, whose length nobody knows, hides neither what came before nor the statement (#632)."""
    body = enc.query_body(STATEMENT, "shop", status([1, 6, 4, 5]) + bytes([code]) + value)
    query = events.query(enc.event(2, body))
    assert (query.statement, query.db, query.charset) == (STATEMENT, "shop", (28, 255, 8))
    assert query.time_zone == "Europe/Berlin"


def test_too_many_databases() -> None:
    """254 in place of a count means that no names follow, and the databases are not known."""
    body = enc.query_body(STATEMENT, "shop", status([1]) + b"\x0c\xfe" + bytes([13]) + STATUS[13])
    query = events.query(enc.event(2, body))
    assert (query.statement, query.databases, query.executed_at % 1_000_000) == (STATEMENT, None, 0x030201)


def test_a_statement_in_another_character_set() -> None:
    """A statement of a latin1 or gbk client is kept as its bytes; nothing forces it to UTF-8 (#318)."""
    statement = "ALTER TABLE t COMMENT 'é'".encode("latin-1")
    assert events.query(enc.event(2, enc.query_body(statement))).statement == statement


def test_begin_is_told_without_parsing() -> None:
    """BEGIN, and not a statement that merely ends like it."""
    assert events.is_begin(enc.event(2, enc.query_body(b"BEGIN", status=status([0, 1, 4]))))
    assert not events.is_begin(enc.event(2, enc.query_body(b"-- BEGIN")))
    assert not events.is_begin(enc.event(2, enc.query_body(b"begin ")))
