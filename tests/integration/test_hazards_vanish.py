"""Changes that the library passes over, or hands on in part, without an error; capture carries them whole or stops.

Rows are asked for as its users do, with `only_events` of the rows events.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pymysql
import pytest
from both_readers import OPS, Ours, captured, library_changes, library_events, ours
from capturing import Capture, here
from pymysqlreplication.event import QueryEvent, XidEvent
from pymysqlreplication.json_binary import JsonDiff
from pymysqlreplication.row_event import WriteRowsEvent

from bisync_topology.errors import CaptureError
from producers import events
from producers.capture import Position
from producers.server import read_server
from producers.transactions import End, Rows
from sandbox.mysql import MySQLServer

OBJECTS = ["d_vanish"]
DOCUMENT = '{"a": 1, "b": 2, "c": "text that makes the document longer than its differences"}'


@pytest.fixture
def session(source: MySQLServer) -> Iterator["pymysql.Connection[Any]"]:
    """A session in a fresh database d_vanish with a table t."""
    with source.connect() as connection:
        run(connection, "DROP DATABASE IF EXISTS d_vanish", "CREATE DATABASE d_vanish", "USE d_vanish")
        run(connection, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))", "CREATE TABLE j (id INT PRIMARY KEY, v JSON)")
        run(connection, "INSERT INTO t VALUES (1, 'a')", "CREATE TABLE m (id INT PRIMARY KEY, v LONGTEXT) ENGINE=MyISAM")
        run(connection, f"INSERT INTO j VALUES (1, '{DOCUMENT}')")
        yield connection
    with source.connect() as connection:
        run(connection, "DROP DATABASE d_vanish")


def run(connection: "pymysql.Connection[Any]", *statements: str) -> None:
    """Run statements."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def incident(source: MySQLServer, session: Any) -> None:
    """A change of a table without transactions that is made and cannot be logged."""
    run(session, "SET GLOBAL max_binlog_stmt_cache_size = 4096, GLOBAL binlog_stmt_cache_size = 4096")
    try:
        with source.connect(database="d_vanish") as other, pytest.raises(pymysql.err.MySQLError, match="stmt_cache_size"):
            run(other, "INSERT INTO m VALUES (1, REPEAT('x', 100000))")
    finally:
        run(session, "SET GLOBAL max_binlog_stmt_cache_size = DEFAULT, GLOBAL binlog_stmt_cache_size = DEFAULT")


@pytest.mark.parametrize(
    ("setting", "change", "capture"),
    [
        ("binlog_transaction_compression = ON", "INSERT INTO t VALUES (2, 'b')", [("t", "c", [(2, "b")])]),
        ("binlog_format = STATEMENT", "INSERT INTO t VALUES (2, 'b')", "not_captured"),
        ("binlog_format = STATEMENT", "UPDATE t SET v = 'b'", "not_captured"),
        ("binlog_format = STATEMENT", "DELETE FROM t", "not_captured"),
    ],
)
def test_sessions_whose_rows_do_not_come(source: MySQLServer, session: Any, setting: str, change: str, capture: Ours) -> None:
    """What any client may set takes its rows out of the library's stream, without a word; they are carried, or it stops."""
    position = here(source)
    run(session, f"SET {setting}", change)
    assert library_changes(source, position) == []
    assert ours(source, position, OBJECTS) == capture


def test_an_incident(source: MySQLServer, session: Any) -> None:
    """Rows that the server could not log leave an incident in the binlog: nothing to the library, a stop to capture."""
    position = here(source)
    incident(source, session)
    with session.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM m")
        assert cursor.fetchall() == ((1,),), "it is stored, and was not logged"
    assert library_events(source, position, only_events=[QueryEvent, *OPS]) == []
    assert ours(source, position, OBJECTS) == "not_captured"


def test_a_skipped_incident(source: MySQLServer, session: Any) -> None:
    """`skip` leads past an incident: its end is told, so that it is in the checkpoint's set and the skip is used up."""
    position = here(source)
    incident(source, session)
    run(session, "INSERT INTO t VALUES (2, 'later')")
    with pytest.raises(CaptureError, match="INCIDENT") as raised:
        captured(source, position, OBJECTS)
    gtid = raised.value.where.gtid
    assert gtid is not None
    with Capture(source, OBJECTS, position, skips=[gtid]) as capture:
        items = capture.transactions.items
        while not any(isinstance(item, Rows) for item in items):  # `capture.items()` would wait for the end for ever
            for event in capture.stream.read(capture.transactions.unpack):
                capture.transactions.feed(event)
        assert [(item.head.gtid, item.head.skipped) for item in items[:1] if isinstance(item, End)] == [(gtid, True)]


def test_a_start_behind_the_table_map(source: MySQLServer, session: Any) -> None:
    """Begun between a table map and its rows, the library leaves the rows out; capture does not go on from there."""
    start = here(source)
    run(session, "INSERT INTO t VALUES (2, 'b')")
    with Capture(source, OBJECTS, start) as capture:
        (*_, end) = capture.items()
        (rows,) = (event for event in capture.events if event.type == events.WRITE_ROWS)
    inside = Position(None, start.file, rows.start)
    assert [type(event) for event in library_events(source, inside, only_events=[WriteRowsEvent, XidEvent])] == [XidEvent]
    assert ours(source, inside, OBJECTS, start.gtid_set) == "not_captured"
    assert isinstance(end, End)
    assert ours(source, Position(None, end.file, end.pos), OBJECTS, here(source).gtid_set) == [], "only ends are recorded"


def test_cascades(source: MySQLServer, session: Any) -> None:
    """This server logs what a cascade changes, the child first: as the library gives it, it is refused where keys are checked.

    The list of transactions says so (`fk_checks` is false), and the applier's session does not check then.
    """
    run(session, "CREATE TABLE p (id INT PRIMARY KEY)", "INSERT INTO p VALUES (1)")
    run(session, "CREATE TABLE c (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON UPDATE CASCADE)")
    run(session, "INSERT INTO c VALUES (1, 1)")
    position = here(source)
    run(session, "UPDATE p SET id = 2")
    assert library_changes(source, position) == [
        ("c", "u", ({"id": 1, "p": 1}, {"id": 1, "p": 2})),
        ("p", "u", ({"id": 1}, {"id": 2})),
    ]
    assert ours(source, position, OBJECTS) == [("c", "u", [(1, 1), (1, 2)]), ("p", "u", [(1,), (2,)])]
    run(session, "UPDATE p SET id = 1")
    with pytest.raises(pymysql.err.IntegrityError) as raised:
        run(session, "UPDATE c SET p = 2")
    assert raised.value.args[0] == 1452
    assert read_server(session).logs_cascades
    run(session, "SET foreign_key_checks = 0", "UPDATE c SET p = 2", "UPDATE p SET id = 2")


XA = ("XA START 'x'", "INSERT INTO t VALUES (2, 'b')", "XA END 'x'", "XA PREPARE 'x'")
PARTIAL_JSON = ("SET binlog_row_value_options = PARTIAL_JSON", "UPDATE j SET v = JSON_SET(v, '$.a', 10, '$.b', 20)")
CHANGED = DOCUMENT.replace("1", "10").replace("2", "20")


def one_difference(found: Sequence[Any]) -> bool:
    """Whether the new document is there as the first of two differences alone."""
    ((table, op, (before, after)),) = found
    assert (table, op, before["v"][b"b"]) == ("j", "u", 2)
    return isinstance(after["v"], JsonDiff) and after["v"].path == b"$.a"


def whole_row(found: Sequence[Any]) -> bool:
    """Whether a row is told as inserted."""
    return list(found) == [("t", "c", {"id": 2, "v": "b"})]


@pytest.mark.parametrize(
    ("statements", "library", "capture"),
    [
        pytest.param(PARTIAL_JSON, one_difference, [("j", "u", [(1, DOCUMENT), (1, CHANGED)])], id="partial JSON"),
        pytest.param((*XA, "XA ROLLBACK 'x'"), whole_row, [], id="XA rolled back"),
        pytest.param((*XA, "XA COMMIT 'x'"), whole_row, [("t", "c", [(2, "b")])], id="XA committed"),
    ],
)
def test_changes_in_parts(
    source: MySQLServer, session: Any, statements: Sequence[str], library: Callable[[Sequence[Any]], bool], capture: Ours
) -> None:
    """The library gives one of two differences, and rows that are rolled back; capture gives what there is at the end."""
    position = here(source)
    run(session, *statements)
    assert library(library_changes(source, position))
    assert ours(source, position, OBJECTS) == capture


def test_prepared_is_not_committed(source: MySQLServer, session: Any) -> None:
    """The library gives the rows of an XA transaction that is only prepared; capture waits until it is decided about."""
    with Capture(source, OBJECTS) as capture:
        position = here(source)
        run(session, *XA)
        try:
            assert whole_row(library_changes(source, position))
            assert [type(item) for item in capture.items()] == [End]
        finally:
            run(session, "XA COMMIT 'x'")
        rows, end = capture.items()
        assert isinstance(rows, Rows) and isinstance(end, End)
        assert rows.images == [(2, "b")]
