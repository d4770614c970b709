"""The binlog stream: connect with mysql-replication, then read its packets in bulk.

The library owns connection settings, registration, heartbeat, checksum negotiation and the dump command for GTID sets or
file and position. It hands out events one at a time and decodes them itself; here the raw packets are taken from its
connection instead. What of it is private: `_BinLogStreamReader__connect_to_stream`, `_stream_connection`, and PyMySQL's
`_sock`; and its `GtidSet`, which refuses tags, gives way to ours. tests/integration/test_capture_seam.py fails when they change.
No other module imports the library.
"""

import select
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pymysql
import pymysql.err
from pymysqlreplication import BinLogStreamReader, binlogstream

from bisync_topology.errors import CaptureError, Where
from bisync_topology.mysql import DEAD_SECONDS, HEARTBEAT_SECONDS, connection_settings, keep_watch
from bisync_topology.topology import MySQL
from producers import events
from producers.events import Event
from producers.gtids import GtidSet
from producers.long_values import LARGE_BYTES
from producers.payload import inner_events
from producers.tagged_gtid import gtid_name, read_gtid

READ_TIMEOUT = DEAD_SECONDS
_CHUNK = 1 << 20
UNPACKED = frozenset({events.QUERY, events.XA_PREPARE, events.TRANSACTION_PAYLOAD})  # may stand for others
HEARTBEATS = (events.HEARTBEAT, events.HEARTBEAT_V2)
_FILE_BEGINS = 4  # position of a file's first event
_LONGEST = 0xFFFFFF  # a packet of this length goes on in the next one


class Position(NamedTuple):
    """Where to read from: a GTID set, or a binlog file and the position in it."""

    gtid_set: str | None
    file: str
    pos: int


class _DumpedGtids:
    """What the library makes of a GTID set's text for the dump command; its own class knows no tags."""

    def __init__(self, text: str) -> None:
        self._encoded = GtidSet(text).encoded()
        self.encoded_length = len(self._encoded)

    def encoded(self) -> bytes:
        """The set as the command carries it."""
        return self._encoded


binlogstream.GtidSet = _DumpedGtids


class Packets:
    """Bytes as they arrive → payloads (MySQL protocol: 3 bytes of length, a sequence number, then the payload's piece).

    A piece of the greatest length is followed by another of the same payload. Each byte is copied a fixed number of times,
    however large a payload and however small the pieces in which it arrives. A payload of more than LARGE_BYTES is gathered in
    one buffer that grows, and is given as that, so that it is held once.
    """

    def __init__(self) -> None:
        self._arrived: list[bytes] = []
        self._size = 0
        self._needed = 4  # bytes until there is something to cut
        self._large: bytearray | None = None  # a payload whose end has not arrived
        self._left = 0  # bytes of its piece that have not
        self._goes_on = False  # another piece of it follows

    def add(self, data: bytes) -> list[bytes | bytearray]:
        """Take what has arrived; gives the payloads that it made whole."""
        if self._large is None:
            return self._cut(data)
        packets: list[bytes | bytearray] = []
        data = self._fill(data, packets)
        return packets + self._cut(data) if data else packets

    def _fill(self, data: bytes, packets: list[bytes | bytearray]) -> bytes:
        """Put data into the large payload, and that into packets when it is whole; gives what lies behind it."""
        assert self._large is not None
        pos = 0
        while pos < len(data):
            if not self._left:  # another piece's header, which may have come in parts
                self._arrived.append(data[pos : pos + 4 - self._size])
                self._size += len(self._arrived[-1])
                pos += len(self._arrived[-1])
                if self._size < 4:
                    break
                self._left, self._goes_on = _piece(b"".join(self._arrived))
                self._arrived, self._size = [], 0
            else:
                taken = data[pos : pos + self._left]
                self._large += taken
                self._left -= len(taken)
                pos += len(taken)
            if not self._left and not self._goes_on:
                packets.append(self._large)
                self._large = None
                return data[pos:]
        return b""

    def _cut(self, data: bytes) -> list[bytes | bytearray]:
        self._arrived.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return []
        data = data if len(self._arrived) == 1 else b"".join(self._arrived)
        pos, size = 0, len(data)
        packets: list[bytes | bytearray] = []
        from_bytes = int.from_bytes
        while pos + 4 <= size:
            length = from_bytes(data[pos : pos + 3], "little")
            end = pos + 4 + length
            if length > LARGE_BYTES:
                self._left, self._goes_on = _piece(data[pos:])
                self._large = bytearray()
                self._arrived, self._size, self._needed = [], 0, 4
                rest = self._fill(data[pos + 4 :], packets)
                return packets + self._cut(rest) if rest else packets
            if end > size:
                break
            packets.append(data[pos + 4 : end])
            pos = end
        self._needed = 4 if pos + 4 > size else end - pos
        self._arrived = [data[pos:]]
        self._size = size - pos
        return packets


def _piece(header: bytes) -> tuple[int, bool]:
    """(length of a payload's piece, whether another one follows)."""
    length = int.from_bytes(header[:3], "little")
    return length, length == _LONGEST


class BinlogStream:
    """The events of one server from a position on, in chunks: all that has arrived at each read."""

    def __init__(
        self,
        mysql: MySQL,
        server_id: int,
        position: Position,
        *,
        on_new_file: Callable[[], None] = lambda: None,
        blocking: bool = True,
    ) -> None:
        """on_new_file: called where the stream goes on in another file, before any event of it. blocking: go on at the end."""
        settings = connection_settings(mysql)
        settings["read_timeout"] = READ_TIMEOUT
        by_gtid = bool(position.gtid_set)  # the library takes an empty set for none at all, and would begin at the server's end
        self._reader: Any = BinLogStreamReader(
            connection_settings=settings,
            server_id=server_id,
            blocking=blocking,
            resume_stream=True,
            log_file=None if by_gtid else position.file,
            log_pos=None if by_gtid else position.pos,
            auto_position=position.gtid_set or None,
            slave_heartbeat=HEARTBEAT_SECONDS,
            enable_logging=False,
            pymysql_wrapper=_connect,
        )
        self._reader._BinLogStreamReader__connect_to_stream()
        self._socket = self._reader._stream_connection._sock
        self._socket.settimeout(READ_TIMEOUT)
        self._checksum: bool | None = None
        self._packets = Packets()
        self._heard = time.monotonic()
        self._on_new_file = on_new_file
        self.quiet = False  # the last event was a heartbeat: the server says that it has no more
        self.file = position.file
        self._pos = position.pos  # after the last event

    def close(self) -> None:
        """Close the stream's connection."""
        self._reader.close()

    def fileno(self) -> int:
        """The socket, for select."""
        return int(self._socket.fileno())

    @property
    def place(self) -> tuple[int, int]:
        """Number of the file and position in it, behind the last event: grows with what is read."""
        return int(self.file.rpartition(".")[2]), self._pos

    def more(self, timeout: float = 0.0) -> bool:
        """Whether another chunk can be had within timeout seconds, or before the silence has lasted too long."""
        timeout = max(0.0, min(timeout, self._heard + READ_TIMEOUT - time.monotonic()))
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return bool(select.select([self._socket], [], [], timeout)[0])

    def check_silence(self) -> None:
        """Raise TimeoutError when not even a heartbeat has come for READ_TIMEOUT: the link is dead though open."""
        if time.monotonic() - self._heard >= READ_TIMEOUT:
            raise TimeoutError(f"the server has been silent for {READ_TIMEOUT:.0f} s")

    def read(self, unpack: Callable[[Event], Iterable[Event]] | None = None) -> Iterator[Event]:
        """Wait for data, then give every whole event that has arrived.

        unpack: what to give in place of an event of UNPACKED; it is called when the events before have been taken.
        Raises OSError when the link is lost or silent, pymysql.err.OperationalError for the server's refusal,
        CaptureError for a damaged event.
        """
        packets: list[bytes | bytearray] = []
        while not packets:
            data = self._socket.recv(_CHUNK)
            if not data:
                raise ConnectionResetError("the server closed the binlog stream")
            self._heard = time.monotonic()
            packets = self._packets.add(data)
        data = b""
        for n in range(len(packets)):
            event = self._event(packets[n])
            packets[n] = b""  # a large one is to be held by its event alone
            if unpack is not None and event.type in UNPACKED:
                yield from unpack(event)
            else:
                yield event
            del event

    def _event(self, packet: bytes | bytearray) -> Event:
        if packet[0]:  # 0 is before an event
            self._check_refusal(packet)
        code = packet[5]
        try:
            self.quiet = code in HEARTBEATS
            if code == events.FORMAT_DESCRIPTION:
                if self._checksum is not None:
                    self._on_new_file()
                self._checksum = events.has_checksum(bytes(packet))
            checksum = self._checksum
            if checksum is None:  # a made-up ROTATE_EVENT comes before the first format description
                checksum = events.carries_checksum(bytes(packet[1:]))
            if isinstance(packet, bytes):
                event = events.read_event(packet[1:], checksum=checksum)
            else:
                event = events.read_large_event(packet, checksum=checksum)
        except events.ChecksumMismatch as error:
            raise CaptureError(
                f"a binlog event is damaged: {error}",
                code="checksum",
                hint="check the server's disk and network; `resume` reads it again",
                where=Where(log_file=self.file, log_pos=self._pos),
            ) from error
        if code == events.ROTATE:
            self.file, self._pos = events.rotate_target(event.data)
        elif event.end:
            self._pos = event.end
        return event

    @staticmethod
    def _check_refusal(packet: bytes | bytearray) -> None:
        if packet[0] == 0xFF:
            number = int.from_bytes(packet[1:3], "little")
            raise pymysql.err.OperationalError(number, packet[9:].decode("utf-8", "replace"))
        if packet[0] == 0xFE:
            raise ConnectionResetError("the server ended the binlog stream")


def file_begun(mysql: MySQL, server_id: int, file: str) -> int:
    """When the server began a binlog file, in seconds since 1970: its FORMAT_DESCRIPTION_EVENT says so.

    server_id: not that of a stream that is open. Raises as BinlogStream does.
    """
    stream = BinlogStream(mysql, server_id, Position(None, file, _FILE_BEGINS), blocking=False)
    try:
        while True:
            for event in stream.read():
                if event.type == events.FORMAT_DESCRIPTION:
                    return event.written
    finally:
        stream.close()


def recall(mysql: MySQL, server_id: int, position: Position, gtid: str) -> Iterator[Event]:
    """The table maps and rows of one transaction that was read before. position: from where it is the first.

    server_id: not that of a stream that is open, which would end it. Raises as BinlogStream does, and CaptureError where
    another transaction stands there.
    """
    stream = BinlogStream(mysql, server_id, position)
    try:
        inside = False
        while True:
            for outer in stream.read():
                for event in inner_events(outer) if outer.type == events.TRANSACTION_PAYLOAD else (outer,):
                    if event.type in events.GTIDS:
                        found = gtid_name(event, read_gtid(event), stream.file)
                        if found != gtid:
                            raise CaptureError(
                                f"the transaction {found} stands where {gtid} was read before",
                                code="binlog_purged",
                            )
                        inside = True
                    elif inside and (event.type == events.TABLE_MAP or event.type in events.ROWS):
                        yield event
                    elif inside and event.type == events.XA_PREPARE:
                        return
    finally:
        stream.close()


def _connect(**settings: Any) -> Any:
    """A connection that takes events with checksums and without.

    The library says so only where the server's present setting is to write them, and is then refused older files (1236).
    """
    connection: Any = pymysql.connect(**settings)
    keep_watch(connection._sock)
    with connection.cursor() as cursor:
        cursor.execute("SET @source_binlog_checksum = 'CRC32', @master_binlog_checksum = 'CRC32'")
    return connection
