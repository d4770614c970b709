"""How the library holds its connection, verifies and spends time, each beside what capture does in its place."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pymysql
import pytest
from both_readers import OPS, library, library_changes, ours
from capturing import SERVER_ID, Capture, here, settings
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.json_binary import parse_json

from producers import capture as seam
from producers.capture import BinlogStream, Position
from producers.json_binary import json_value
from producers.transactions import End, Rows
from sandbox.mysql import MySQLServer

OBJECTS = ["d_link"]
ROWS = {"blocking": True, "only_events": list(OPS)}


@pytest.fixture
def cursor(source: MySQLServer) -> Iterator[Any]:
    """A session in a fresh database d_link with a table t."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_link")
        cursor.execute("CREATE DATABASE d_link")
        cursor.execute("USE d_link")
        cursor.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))")
        yield cursor
        cursor.execute("DROP DATABASE d_link")


def ids(reader: Any, count: int) -> list[int]:
    """The ids of the next inserted rows that the library gives."""
    return [event.rows[0]["values"]["id"] for event in islice(reader, count)]


def cut(cursor: Any) -> None:
    """End the server's side of every stream."""
    cursor.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
    for (number,) in cursor.fetchall():
        cursor.execute(f"KILL {number}")


@pytest.mark.parametrize(("options", "read"), [({}, [1, 2]), ({"resume_stream": False, "auto_position": None}, [0, 1, 2])])
def test_after_a_lost_link(source: MySQLServer, cursor: Any, options: dict[str, Any], read: list[int]) -> None:
    """The library connects again by itself, at its first GTID set or the file's start, and gives the same rows once more.

    Capture raises, and goes on where its caller tells it to: behind the last transaction that it has.
    """
    cursor.execute("FLUSH BINARY LOGS")
    cursor.execute("INSERT INTO t VALUES (0, 'before')")
    position = here(source)
    with library(source, position, **options, **ROWS) as reader, Capture(source, OBJECTS, position) as capture:
        cursor.execute("INSERT INTO t VALUES (1, 'a')")
        cursor.execute("INSERT INTO t VALUES (2, 'b')")
        assert ids(reader, len(read)) == read
        *_, end = capture.items()
        assert isinstance(end, End)
        cut(cursor)
        assert ids(reader, len(read)) == read
        with pytest.raises((OSError, pymysql.err.OperationalError)):
            while True:
                list(capture.stream.read())
        done = str(capture._done)
    cursor.execute("INSERT INTO t VALUES (3, 'c')")
    assert ours(source, Position(done, end.file, end.pos), OBJECTS) == [("t", "c", [(3, "c")])]


def test_a_dead_link(source: MySQLServer, cursor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is frozen keeps its links open: the library waits without end, capture for a known time."""
    monkeypatch.setattr(seam, "READ_TIMEOUT", 1.0)
    position = here(source)
    stream = BinlogStream(settings(source), SERVER_ID, position)
    with library(source, position, **ROWS) as reader:
        found: list[int] = []
        waiting = threading.Thread(target=lambda: found.extend(ids(reader, 1)), daemon=True)
        try:
            cursor.execute("INSERT INTO t VALUES (1, 'a')")
            assert ids(reader, 1) == [1]
            waiting.start()
            assert source.pid is not None
            os.kill(source.pid, signal.SIGSTOP)
            with pytest.raises(TimeoutError):
                while True:
                    list(stream.read())
            waiting.join(1.0)
            assert waiting.is_alive() and not found
        finally:
            os.kill(source.pid or 0, signal.SIGCONT)
            stream.close()
        cursor.execute("INSERT INTO t VALUES (2, 'b')")
        waiting.join(30)
        assert found == [2]


def test_a_time_out_without_a_heartbeat(source: MySQLServer, cursor: Any) -> None:
    """With a time-out alone the library takes a quiet server for a lost one, and reads again; capture asks for heartbeats."""
    position = here(source)
    cursor.execute("INSERT INTO t VALUES (1, 'a')")
    quiet = {"host": source.host, "port": source.port, "user": "root", "password": "", "read_timeout": 1}
    with library(source, position, connection_settings=quiet, **ROWS) as reader:
        assert ids(reader, 2) == [1, 1]
    assert seam.READ_TIMEOUT > 1.5 * seam.HEARTBEAT_SECONDS


def test_what_is_logged_and_written_to(source: MySQLServer, caplog: pytest.LogCaptureFixture) -> None:
    """The library logs a password, and changes the settings that it is given; capture gives it its own, and silence."""
    mysql = settings(source).model_copy()
    given = {"host": source.host, "port": source.port, "user": "root", "password": "hunter2"}
    with caplog.at_level(logging.DEBUG):
        BinLogStreamReader(connection_settings=given, server_id=1, ctl_connection_settings=dict(given)).close()
        assert "hunter2" in caplog.text
        assert "charset" in given
        caplog.clear()
        before = mysql.model_dump()
        BinlogStream(mysql, SERVER_ID, here(source)).close()
        assert not caplog.records
        assert mysql.model_dump() == before


def test_a_damaged_event(source: MySQLServer, cursor: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A row's byte is changed on the server's disk: the library, told to verify, logs it and gives the value; capture stops."""
    cursor.execute("FLUSH BINARY LOGS")
    position = here(source)
    cursor.execute("INSERT INTO t VALUES (1, 'correct')")
    file = source.datadir / position.file
    data = bytearray(file.read_bytes())
    data[data.index(b"correct")] ^= 1
    with file.open("r+b") as handle:
        handle.write(data)
    try:
        assert library_changes(source, position, verify_checksum=True) == [("t", "c", {"id": 1, "v": "borrect"})]
        assert "CRC32 has failed" in caplog.text
        assert ours(source, position, OBJECTS) == "checksum"
    finally:
        cursor.execute("FLUSH BINARY LOGS")
        cursor.execute(f"PURGE BINARY LOGS TO '{here(source).file}'")


class Sliced(bytes):
    """Bytes that count how many of them are copied by slicing."""

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, int):
            return found
        Sliced.copied += len(found)
        return Sliced(found)


def test_the_cost_of_documents(source: MySQLServer, cursor: Any) -> None:
    """The library copies the rest of a document for each of its values: four times as many are sixteen times the work.

    Ours copies each byte a fixed number of times.
    """
    cursor.execute("SET cte_max_recursion_depth = 10000")
    cursor.execute("CREATE TABLE j (id INT PRIMARY KEY, v JSON)")
    documents = {}
    for count in (1000, 4000):
        with Capture(source, OBJECTS) as capture:
            cursor.execute(
                f"INSERT INTO j WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
                f" SELECT {count}, JSON_ARRAYAGG(CONCAT('some text ', i)) FROM n"
            )
            (rows, _) = capture.items()
            assert isinstance(rows, Rows) and rows.images[0][1]
            (event,) = (event for event in capture.events if event.type == 30)
        cursor.execute(f"SELECT JSON_STORAGE_SIZE(v) FROM j WHERE id = {count}")
        documents[count] = event.data[-cursor.fetchall()[0][0] :]

    def copied(decode: Any) -> list[int]:
        costs = []
        for document in documents.values():
            Sliced.copied = 0
            assert decode(Sliced(document))
            costs.append(Sliced.copied)
        return costs

    few, many = copied(lambda document: parse_json(document[0], document[1:]))
    assert many > 12 * few
    few, many = copied(json_value)
    assert many < 6 * few
