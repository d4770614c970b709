"""The stream itself: the library's private parts that capture stands on, and starts, rotations and restarts on a live server."""

import inspect
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

import pymysql
import pymysql.connections
import pymysql.err
import pytest
from capturing import SERVER_ID, Capture, here, settings
from pymysqlreplication import BinLogStreamReader, binlogstream

from bisync_topology.topology import Ssl, SslMode
from producers import capture as seam
from producers import events
from producers.capture import BinlogStream, Position
from producers.transactions import Ddl, End, Item, Rows
from sandbox.mysql import MySQLServer


@pytest.fixture
def database(source: MySQLServer) -> Iterator["pymysql.Connection[Any]"]:
    """A session in a fresh database d_seam with a table t."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_seam")
        cursor.execute("CREATE DATABASE d_seam")
        cursor.execute("USE d_seam")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))")
        yield connection
    with source.connect() as connection, connection.cursor() as cursor:  # a test may have restarted the server
        cursor.execute("DROP DATABASE d_seam")


def run(connection: "pymysql.Connection[Any]", *statements: str) -> None:
    """Run statements, each committed by itself."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def insert(*ids: int) -> list[str]:
    """One transaction a row."""
    return [f"INSERT INTO d_seam.t VALUES ({n}, 'v{n}')" for n in ids]


def ids_of(items: Sequence[Item]) -> list[object]:
    """The ids of inserted rows, in order."""
    return [image[0] for item in items if isinstance(item, Rows) for image in item.images]


# --- the library ----------------------------------------------------------------------------------------------------


def test_the_private_seam_is_there() -> None:
    """The names that producers/capture.py uses of the library and of PyMySQL; a new version that moves them fails here."""
    assert callable(BinLogStreamReader._BinLogStreamReader__connect_to_stream)
    source = inspect.getsource(BinLogStreamReader)
    assert "self._stream_connection = self.pymysql_wrapper(**self.__connection_settings)" in source
    assert "_sock" in inspect.getsource(pymysql.connections.Connection)
    for use in ("gtid_set = GtidSet(self.auto_position)", "gtid_set.encoded_length", "prelude += gtid_set.encoded()"):
        assert use in source
    assert binlogstream.GtidSet is seam._DumpedGtids
    wanted = {"connection_settings", "server_id", "blocking", "resume_stream", "log_file", "log_pos", "auto_position"}
    wanted |= {"slave_heartbeat", "enable_logging", "pymysql_wrapper"}
    assert wanted <= inspect.signature(BinLogStreamReader.__init__).parameters.keys()


def test_the_library_is_the_version_that_was_read() -> None:
    """The seam was read in 1.0.x; pyproject.toml pins it, and a newer one must be read again."""
    assert version("mysql-replication").startswith("1.0.")


def test_the_library_leaves_the_socket_alone_once_connected(source: MySQLServer, database: Any) -> None:
    """After connecting, it has read nothing of the stream: the first packet on the raw socket is the made-up rotation."""
    position = here(source, by_gtid=False)
    stream = BinlogStream(settings(source), SERVER_ID, position)
    try:
        assert isinstance(stream._socket, socket.socket)
        first = next(stream.read())
        assert first.type == events.ROTATE
        assert events.rotate_target(first.data) == (position.file, position.pos)
        assert stream.file == position.file
    finally:
        stream.close()


@pytest.mark.parametrize(("mode", "encrypted"), [("disabled", False), ("preferred", True), ("required", True)])
def test_with_and_without_tls(source: MySQLServer, database: Any, mode: str, encrypted: bool) -> None:
    """Raw reads from the library's connection are the stream either way; what TLS has decrypted already is not left waiting."""
    start = here(source)
    rows = ", ".join(f"({n}, REPEAT('x', 40))" for n in range(20_000))
    run(database, f"INSERT INTO d_seam.t VALUES {rows}", *insert(99_999))
    mysql = settings(source).model_copy(update={"ssl": Ssl(mode=SslMode(mode))})
    stream = BinlogStream(mysql, SERVER_ID, start)
    try:
        assert isinstance(stream._socket, ssl.SSLSocket) is encrypted
        found = 0
        while found < 2:
            assert stream.more(5)
            found += sum(event.type == events.XID for event in stream.read())
    finally:
        stream.close()


# --- heartbeat and silence ------------------------------------------------------------------------------------------


def test_heartbeats_arrive(source: MySQLServer, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A quiet server is heard of in the asked interval, and such events make no items."""
    monkeypatch.setattr(seam, "HEARTBEAT_SECONDS", 0.2)
    with Capture(source, ["d_seam"]) as capture:
        began = time.monotonic()
        beats = 0
        while beats < 3:
            for event in capture.stream.read():
                capture.transactions.feed(event)
                beats += event.type in (events.HEARTBEAT, events.HEARTBEAT_V2)
        assert time.monotonic() - began < 10
        capture.stream.check_silence()
        assert capture.transactions.items == []


def test_silence_is_a_dead_link(source: MySQLServer, database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open link without even a heartbeat ends in TimeoutError, whether it is waited for in read or looked at."""
    monkeypatch.setattr(seam, "HEARTBEAT_SECONDS", 60.0)
    monkeypatch.setattr(seam, "READ_TIMEOUT", 1.0)  # the library asks for a heartbeat each half of it
    stream = BinlogStream(settings(source), SERVER_ID, here(source))
    try:
        next(stream.read())
        deaf, speaker = socket.socketpair()
        monkeypatch.setattr(stream, "_socket", deaf)  # a link that nothing comes through
        deaf.settimeout(1.0)
        assert not stream.more(1.1)
        with pytest.raises(TimeoutError, match="silent"):
            stream.check_silence()
        with pytest.raises(TimeoutError):
            next(stream.read())
        deaf.close()
        speaker.close()
    finally:
        stream.close()


# --- starts ---------------------------------------------------------------------------------------------------------


def told(items: Sequence[Item]) -> list[object]:
    """Items as plain values."""
    out: list[object] = []
    for item in items:
        head = item.head
        common = (head.gtid, head.committed_at, head.file, head.pos, head.kind)
        if isinstance(item, Rows):
            out.append((*common, item.table.full_name, item.op, item.images))
        elif isinstance(item, Ddl):
            out.append((*common, item.statement, item.tables))
        else:
            out.append((*common, item.file, item.pos))
    return out


def test_gtid_and_position_starts_give_the_same(source: MySQLServer, database: Any) -> None:
    """From the same point on, either way of asking gives the same items, with the same places."""
    by_gtid, by_position = here(source), here(source, by_gtid=False)
    assert by_gtid.gtid_set and by_position.gtid_set is None
    run(database, *insert(1, 2), "ALTER TABLE d_seam.t ADD w INT", "FLUSH BINARY LOGS", "UPDATE d_seam.t SET v = 'x', w = id")
    found = []
    for position in (by_gtid, by_position):
        with Capture(source, ["d_seam"], position) as capture:
            if position is by_position:
                capture._done = type(capture._done)(by_gtid.gtid_set)
            found.append(told(capture.items()))
    assert found[0] == found[1]
    assert len(found[0]) == 8  # three rows events, a DDL, an end each


def test_an_empty_gtid_set_is_the_beginning(source: MySQLServer) -> None:
    """A server without any transaction has an empty set; what it commits before the stream is connected is not lost."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("RESET BINARY LOGS AND GTIDS")
        position = here(source)
        assert position.gtid_set == ""
        cursor.execute("CREATE DATABASE d_first")
        cursor.execute("DROP DATABASE d_first")
    with Capture(source, ["d_first"], position) as capture:
        assert [item.statement for item in capture.items() if isinstance(item, Ddl)] == [
            "CREATE DATABASE d_first",
            "DROP DATABASE d_first",
        ]


@pytest.mark.parametrize("by_gtid", [True, False])
def test_resuming_gives_exactly_what_follows(source: MySQLServer, database: Any, by_gtid: bool) -> None:
    """From each recorded end of a transaction, the rest follows: nothing twice, nothing left out."""
    start = here(source)
    run(database, *insert(1, 2), "FLUSH BINARY LOGS", *insert(3), "INSERT INTO d_seam.t VALUES (4, 'a'), (5, 'b')")
    with Capture(source, ["d_seam"], start) as capture:
        items = capture.items()
    ends = [item for item in items if isinstance(item, End)]
    assert len(ends) == 4  # FLUSH BINARY LOGS makes no transaction
    done = type(capture._done)(start.gtid_set or "")
    for n, end in enumerate(ends):
        done.add(end.head.tsid, end.head.number)
        position = Position(str(done) if by_gtid else None, end.file, end.pos)
        with Capture(source, ["d_seam"], position) as later:
            later._done = type(done)(str(done))
            assert ids_of(later.items()) == ids_of(items)[[1, 2, 3, 5][n] :]


def test_a_stream_begun_inside_a_transaction_is_refused(source: MySQLServer, database: Any) -> None:
    """A position that is no transaction's end is not read on from in silence (#44)."""
    start = here(source)
    run(database, *insert(1))
    with Capture(source, ["d_seam"], start) as capture:
        capture.items()
        rows = next(event for event in capture.events if event.type == events.WRITE_ROWS)
    with Capture(source, ["d_seam"], Position(None, start.file, rows.start)) as capture:
        capture._done = type(capture._done)(start.gtid_set or "")
        with pytest.raises(Exception, match="outside of a transaction"):
            capture.items()


def test_a_purged_file_is_the_servers_refusal(source: MySQLServer, database: Any) -> None:
    """A file or GTIDs that are no longer there: the server's own error, which the error policy knows."""
    with (
        pytest.raises(pymysql.err.OperationalError) as raised,
        Capture(source, ["d_seam"], Position(None, "binlog.999999", 4)) as capture,
    ):
        capture.items()
    assert raised.value.args[0] == 1236
    before = here(source)
    run(database, *insert(1), "FLUSH BINARY LOGS")
    run(database, f"PURGE BINARY LOGS TO '{here(source).file}'")
    with pytest.raises(pymysql.err.OperationalError) as raised, Capture(source, ["d_seam"], before) as capture:
        capture.items()
    assert raised.value.args[0] == 1236


# --- going on -------------------------------------------------------------------------------------------------------


def test_rotations(source: MySQLServer, database: Any) -> None:
    """New files in the middle of the stream: table numbers and positions begin anew, no row is lost or misread."""
    with Capture(source, ["d_seam"]) as capture:
        for n in range(5):
            run(database, *insert(n), "FLUSH BINARY LOGS", *insert(n + 100))
            items = capture.items()
            assert ids_of(items) == [n, n + 100]
            first, second = (item for item in items if isinstance(item, End))
            assert first.file != second.file
            assert second.file == capture.stream.file == here(source).file
            assert second.pos == here(source).pos


def test_a_transaction_before_a_rotation_that_comes_in_pieces(source: MySQLServer, database: Any) -> None:
    """A transaction of many events, with a rotation right behind it, read while it is written."""
    with Capture(source, ["d_seam"]) as capture:
        rows = ", ".join(f"({n}, REPEAT('x', 40))" for n in range(5000))
        run(database, f"INSERT INTO d_seam.t VALUES {rows}", "FLUSH BINARY LOGS", *insert(9999))
        assert ids_of(capture.items()) == [*range(5000), 9999]


@pytest.mark.parametrize("way", ["NONE", "CRC32"])
def test_checksums_switched_while_reading(source: MySQLServer, database: Any, way: str) -> None:
    """SET GLOBAL binlog_checksum begins a new file in another form; both are read in one stream, and from either start."""
    other = {"NONE": "CRC32", "CRC32": "NONE"}[way]
    try:
        run(database, f"SET GLOBAL binlog_checksum = {other}")
        start = here(source)
        position = here(source, by_gtid=False)
        with Capture(source, ["d_seam"], start) as capture:
            run(database, *insert(1), f"SET GLOBAL binlog_checksum = {way}", *insert(2), "FLUSH BINARY LOGS", *insert(3))
            items = capture.items()
            assert ids_of(items) == [1, 2, 3]
        for again in (start, position):  # the server is set otherwise by now than when the first of these was written
            with Capture(source, ["d_seam"], again) as later:
                later._done = type(later._done)(start.gtid_set or "")
                assert told(later.items()) == told(items)
    finally:
        run(database, "SET GLOBAL binlog_checksum = CRC32")


def test_rows_without_checksums(source: MySQLServer, database: Any) -> None:
    """binlog_checksum=NONE alone: values, names and invisible columns are all there."""
    try:
        run(database, "SET GLOBAL binlog_checksum = NONE")
        with Capture(source, ["d_seam"]) as capture:
            run(
                database,
                "CREATE TABLE d_seam.n (id INT PRIMARY KEY, i INT INVISIBLE DEFAULT 3)",
                "INSERT INTO d_seam.n VALUES (1)",
            )
            rows = [item for item in capture.items() if isinstance(item, Rows)]
        assert [row.images for row in rows] == [[(1, 3)]]
    finally:
        run(database, "SET GLOBAL binlog_checksum = CRC32")


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_a_server_restart(source: MySQLServer, database: Any, how: str) -> None:
    """The link is lost; from the last recorded end everything is read on, in a new file, with new table numbers."""
    start = here(source)
    run(database, *insert(1, 2), "CREATE TABLE d_seam.u (id INT PRIMARY KEY, v VARCHAR(40))")
    with Capture(source, ["d_seam"], start) as capture:
        items = capture.items()
        if how == "restart":
            source.restart()
        else:
            source.kill()
            source.start()
        with pytest.raises((OSError, pymysql.err.OperationalError)):
            while True:
                for event in capture.stream.read():
                    capture.transactions.feed(event)
    last = [item for item in items if isinstance(item, End)][-1]
    with source.connect() as connection:  # numbers are given out anew: u is now numbered first
        run(connection, "INSERT INTO d_seam.u VALUES (7, 'u')", *insert(8))
    for position in (Position(None, last.file, last.pos), Position(str(capture._done), last.file, last.pos)):
        with Capture(source, ["d_seam"], position) as later:
            later._done = type(capture._done)(str(capture._done))
            found = [(item.table.name, item.images) for item in later.items() if isinstance(item, Rows)]
            assert found == [("u", [(7, "u")]), ("t", [(8, "v8")])]


def test_two_streams_of_one_server(source: MySQLServer, database: Any) -> None:
    """A second stream with the same number ends the first one: two producers of a side never read on side by side."""
    with Capture(source, ["d_seam"]) as first:
        run(database, *insert(1))
        assert ids_of(first.items()) == [1]
        with Capture(source, ["d_seam"]) as second:
            run(database, *insert(2))
            assert ids_of(second.items()) == [2]
            with pytest.raises((ConnectionError, pymysql.err.OperationalError)):
                while True:
                    list(first.stream.read())
