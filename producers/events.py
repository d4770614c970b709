"""Binlog events other than rows: header, checksum, and the few fields that capture needs.

Layouts: MySQL internals, `binary_log::*_event` (control_events.h, statement_events.h). They are parsed here and not by the
library because its QueryEvent forces the statement to UTF-8 and fails on status variables that it does not know.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

QUERY, STOP, ROTATE, FORMAT_DESCRIPTION, XID, TABLE_MAP, INCIDENT, HEARTBEAT = 2, 3, 4, 15, 16, 19, 26, 27
ROWS_QUERY, WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS, GTID, ANONYMOUS_GTID, PREVIOUS_GTIDS = 29, 30, 31, 32, 33, 34, 35
TRANSACTION_CONTEXT, VIEW_CHANGE, XA_PREPARE, PARTIAL_UPDATE_ROWS, TRANSACTION_PAYLOAD, HEARTBEAT_V2, GTID_TAGGED = range(36, 43)
NO_FOREIGN_KEY_CHECKS = 2  # Rows_event::NO_FOREIGN_KEY_CHECKS_F; what a cascade changes has it too
IGNORABLE_FLAG = 0x80  # LOG_EVENT_IGNORABLE_F

GTIDS = (GTID, ANONYMOUS_GTID, GTID_TAGGED)
ROWS = (WRITE_ROWS, UPDATE_ROWS, DELETE_ROWS, PARTIAL_UPDATE_ROWS)

STATEMENT_VALUES = (5, 13, 14)  # INTVAR, RAND, USER_VAR: values for the statement that follows them
WITHOUT_CONTENT = frozenset(  # the statement that STATEMENT_VALUES belong to follows, and decides
    {STOP, HEARTBEAT, HEARTBEAT_V2, ROWS_QUERY, PREVIOUS_GTIDS, TRANSACTION_CONTEXT, VIEW_CHANGE, *STATEMENT_VALUES}
)
OTHER_ROWS = (23, 24, 25)  # rows in forms that are not decoded
NAMES = {  # in messages
    QUERY: "QUERY",
    ROTATE: "ROTATE",
    TABLE_MAP: "TABLE_MAP",
    WRITE_ROWS: "WRITE_ROWS",
    UPDATE_ROWS: "UPDATE_ROWS",
    DELETE_ROWS: "DELETE_ROWS",
    GTID: "GTID",
    ANONYMOUS_GTID: "ANONYMOUS_GTID",
    INCIDENT: "INCIDENT",
    XA_PREPARE: "XA_PREPARE",
    PARTIAL_UPDATE_ROWS: "PARTIAL_UPDATE_ROWS",
    TRANSACTION_PAYLOAD: "TRANSACTION_PAYLOAD",
    GTID_TAGGED: "GTID_TAGGED",
    23: "WRITE_ROWS_V1",
    24: "UPDATE_ROWS_V1",
    25: "DELETE_ROWS_V1",
    9: "APPEND_BLOCK",
    17: "BEGIN_LOAD_QUERY",
    18: "EXECUTE_LOAD_QUERY",
}

HEADER = struct.Struct("<IBIIIH")  # timestamp, type, server id, size, position after it, flags
HEADER_BYTES = HEADER.size
_GTID = struct.Struct("<B16sq")
_QUERY = struct.Struct("<IIBHH")  # thread id, seconds, length of the database, error code, length of status variables


class Event(NamedTuple):
    """One event without its checksum. data includes the 19-byte header; end is the position after it in its file."""

    type: int
    server_id: int
    end: int
    flags: int
    data: bytes  # bytearray for one of many MB, which is held once

    @property
    def start(self) -> int:
        """Its position in its file: the end less the size that its header gives."""
        return self.end - int.from_bytes(self.data[9:13], "little")

    @property
    def written(self) -> int:
        """When it was written, in seconds since 1970; of a FORMAT_DESCRIPTION_EVENT: when its file was begun."""
        return int.from_bytes(self.data[:4], "little")


class ChecksumMismatch(ValueError):
    """An event's CRC-32 is not that of its bytes: it was damaged on the way or on disk."""


def read_event(packet: bytes, *, checksum: bool) -> Event:
    """An event from a dump packet's payload after its OK byte; the checksum is verified and cut off."""
    _, code, server_id, _, end, flags = HEADER.unpack_from(packet)
    if checksum:
        body = packet[:-4]
        if zlib.crc32(body) != int.from_bytes(packet[-4:], "little"):
            raise ChecksumMismatch(f"the checksum of the event that ends at {end} is wrong")
        return Event(code, server_id, end, flags, body)
    return Event(code, server_id, end, flags, packet)


def read_large_event(packet: bytearray, *, checksum: bool) -> Event:
    """The same from a whole payload. Of an event of rows its buffer becomes the data: nothing is copied."""
    del packet[:1]
    if checksum:
        with memoryview(packet) as view, view[:-4] as body:
            wrong = zlib.crc32(body) != int.from_bytes(view[-4:], "little")
        del packet[-4:]
    _, code, server_id, _, end, flags = HEADER.unpack_from(packet)
    if checksum and wrong:
        raise ChecksumMismatch(f"the checksum of the event that ends at {end} is wrong")
    data: Any = packet if code in (*ROWS, TRANSACTION_PAYLOAD) else bytes(packet)
    return Event(code, server_id, end, flags, data)


def has_checksum(format_description: bytes) -> bool:
    """Whether the events after a FORMAT_DESCRIPTION_EVENT carry one: its algorithm byte lies before its own checksum."""
    return format_description[-5] == 1


def carries_checksum(event: bytes) -> bool:
    """Whether an event's last four bytes are its CRC-32."""
    return zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little")


def rotate_target(data: bytes) -> tuple[str, int]:
    """(next file, position) of a ROTATE_EVENT."""
    position = struct.unpack_from("<Q", data, HEADER_BYTES)[0]
    return data[HEADER_BYTES + 8 :].decode(), position


class GtidInfo(NamedTuple):
    """A GTID event. tsid: the UUID's 16 bytes, then the tag's. committed_at: microseconds since 1970, on this server."""

    tsid: bytes
    number: int
    committed_at: int


def gtid_info(data: bytes) -> GtidInfo:
    """Layout: flags, uuid (16), number (8), logical clock (1 + 16), then the commit time (7 bytes, top bit: another follows)."""
    _, uuid, number = _GTID.unpack_from(data, HEADER_BYTES)
    at = HEADER_BYTES + _GTID.size + 17
    committed_at = int.from_bytes(data[at : at + 7], "little") & ((1 << 55) - 1)
    if not committed_at:
        committed_at = HEADER.unpack_from(data)[0] * 1_000_000
    return GtidInfo(uuid, number, committed_at)


def tsid_text(tsid: bytes) -> str:
    """`uuid` or `uuid:tag`; the UUID's 16 bytes as 8-4-4-4-12 hex digits."""
    text, tag = tsid[:16].hex(), tsid[16:].decode("ascii")
    uuid = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return f"{uuid}:{tag}" if tag else uuid


@dataclass(frozen=True, kw_only=True)
class Query:
    """A QUERY_EVENT. statement stays bytes: its character set is the client's."""

    db: str
    statement: bytes
    sql_mode: int = 0
    charset: tuple[int, int, int] = (0, 0, 0)
    time_zone: str = ""
    thread_id: int = 0  # CONNECTION_ID() of its session
    flags: int = 0  # flags2
    utf8mb4_collation: int = 0  # id of default_collation_for_utf8mb4; 0: the event does not say
    explicit_timestamp: bool | None = None  # explicit_defaults_for_timestamp
    executed_at: int = 0  # what the statement calls now, microseconds since 1970
    invoker: str | None = None  # `user`@`host`, quoted
    auto_increment: tuple[int, int] = (1, 1)  # auto_increment_increment, auto_increment_offset
    databases: tuple[str, ...] | None = None  # of which it opened tables, also in triggers, functions and views; None: not told


_STATUS_SIZES = {0: 4, 1: 8, 3: 4, 4: 6, 7: 2, 8: 2, 9: 8, 10: 4, 13: 3, 16: 1, 17: 8, 18: 2, 19: 1, 20: 1}


def is_begin(data: bytes) -> bool:
    """Whether a QUERY_EVENT is BEGIN, the usual start of a transaction, without parsing it."""
    return data.endswith(b"\0BEGIN")


def server_began(format_description: bytes) -> bool:
    """Whether the server started with the file of this FORMAT_DESCRIPTION_EVENT: no session of before is left.

    Layout: version (2), server version (50), when it was created (4), which is 0 in the files that come later.
    """
    return format_description[HEADER_BYTES + 52 : HEADER_BYTES + 56] != bytes(4)


def rows_flags(data: bytes) -> int:
    """The flags of a rows event: 2 bytes behind its table number (6)."""
    return int.from_bytes(data[HEADER_BYTES + 6 : HEADER_BYTES + 8], "little")


def _invoker(data: bytes) -> str | None:
    """Q_INVOKER: user and host, each with its length in a byte."""
    if not data or not data[0]:
        return None
    user, host = data[1 : 1 + data[0]], data[2 + data[0] :]
    parts = (part.decode("utf-8", "replace").replace("`", "``") for part in (user, host))
    return "@".join(f"`{part}`" for part in parts)


def _databases(data: bytes) -> tuple[str, ...] | None:
    """Q_UPDATED_DB_NAMES: their number, then each ended by 0; 254 where they are too many, or another table refers to one by a
    foreign key (MySQL 9.7; others may have an empty name for that).
    """
    names = data[1:].split(b"\0")[:-1]
    if not data or len(names) != data[0] or b"" in names:
        return None
    return tuple(name.decode("utf-8", "surrogateescape") for name in names)


def query(data: bytes) -> Query:
    """Parse a QUERY_EVENT; status variables after one that is not known are left unread (new ones are written last)."""
    thread_id, _, db_length, _, status_length = _QUERY.unpack_from(data, HEADER_BYTES)
    start = pos = HEADER_BYTES + _QUERY.size
    end = start + status_length
    found: dict[int, bytes] = {}
    while pos < end:
        code = data[pos]
        pos += 1
        if code in _STATUS_SIZES:
            size = _STATUS_SIZES[code]
        elif code in (5, 6):  # Q_TIME_ZONE_CODE, Q_CATALOG_NZ_CODE: length and text
            size = data[pos]
            pos += 1
        elif code == 2:  # Q_CATALOG_CODE: length, text, 0
            size = data[pos] + 2
        elif code == 11:  # Q_INVOKER: user and host, each with its length
            size = 1 + data[pos]
            size += 1 + data[pos + size]
        elif code == 12:  # Q_UPDATED_DB_NAMES: count, then names ended by 0; 254 means too many
            names, size = data[pos], 1
            for _ in range(0 if names == 254 else names):
                size = data.index(b"\0", pos + size) - pos + 1
        else:
            break
        found[code] = data[pos : pos + size]
        pos += size
    client, connection, server = struct.unpack("<HHH", found.get(4, bytes(6)))
    return Query(
        db=data[end : end + db_length].decode("utf-8", "surrogateescape"),
        statement=data[end + db_length + 1 :],
        sql_mode=int.from_bytes(found.get(1, b""), "little"),
        charset=(client, connection, server),
        time_zone=found.get(5, b"").decode(),
        thread_id=thread_id,
        flags=int.from_bytes(found.get(0, b""), "little"),
        utf8mb4_collation=int.from_bytes(found.get(18, b""), "little"),
        explicit_timestamp=bool(found[16][0]) if 16 in found else None,
        executed_at=int.from_bytes(data[:4], "little") * 1_000_000 + int.from_bytes(found.get(13, b""), "little"),
        invoker=_invoker(found.get(11, b"")),
        auto_increment=struct.unpack("<HH", found.get(3, b"\1\0\1\0")),
        databases=_databases(found.get(12, b"")),
    )
