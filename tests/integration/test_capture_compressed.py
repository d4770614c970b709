"""Compressed transactions of a real server: the same rows as uncompressed, at places that can be resumed from."""

from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
import pytest
from capturing import Capture, here

from bisync_topology.errors import CaptureError
from producers.capture import Position
from producers.gtids import GtidSet
from producers.transactions import End, Item, Rows
from sandbox.mysql import MySQLServer


@pytest.fixture
def plain(source: MySQLServer) -> Iterator["pymysql.Connection[Any]"]:
    """A session in a fresh database d_zip with tables t and u, which does not compress."""
    with source.connect() as connection:
        run(connection, "DROP DATABASE IF EXISTS d_zip", "CREATE DATABASE d_zip", "USE d_zip")
        run(connection, *(f"CREATE TABLE {name} (id INT PRIMARY KEY, v VARCHAR(60))" for name in ("t", "u")))
        yield connection
        run(connection, "DROP DATABASE d_zip")


@pytest.fixture
def session(source: MySQLServer, plain: Any) -> Iterator["pymysql.Connection[Any]"]:
    """A session that compresses."""
    with source.connect(database="d_zip") as connection:
        run(connection, "SET SESSION binlog_transaction_compression = ON")
        yield connection


def run(connection: "pymysql.Connection[Any]", *statements: str) -> None:
    """Run statements."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def images(items: Sequence[Item]) -> list[tuple[str, str, list[tuple[object, ...]]]]:
    """(table, op, images) of every rows event."""
    return [(item.table.name, item.op, item.images) for item in items if isinstance(item, Rows)]


def ends(items: Sequence[Item]) -> list[End]:
    """The transactions' ends."""
    return [item for item in items if isinstance(item, End)]


def payloads(source: MySQLServer, start: Position) -> int:
    """How many compressed transactions the server lists from a place on."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW BINLOG EVENTS IN '{start.file}' FROM {start.pos}")
        return sum(row[2] == "Transaction_payload" for row in cursor.fetchall())


def test_transactions_of_several_tables(source: MySQLServer, plain: Any, session: Any) -> None:
    """Insert, update and delete in one compressed transaction: every image, one end, at the server's own position."""
    with Capture(source, ["d_zip"]) as capture:
        run(session, "BEGIN", "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO u VALUES (1, 'ü')")
        run(session, "UPDATE t SET v = 'c' WHERE id = 1", "DELETE FROM t WHERE id = 2", "COMMIT")
        items = capture.items()
        assert images(items) == [
            ("t", "c", [(1, "a"), (2, "b")]),
            ("u", "c", [(1, "ü")]),
            ("t", "u", [(1, "a"), (1, "c")]),
            ("t", "d", [(2, "b")]),
        ]
        (end,) = ends(items)
        assert (end.file, end.pos) == (here(source).file, here(source).pos)


@pytest.mark.parametrize("level", [1, 22])
def test_a_large_transaction(source: MySQLServer, plain: Any, session: Any, level: int) -> None:
    """50,000 rows in one payload, at zstd's lowest and highest level, and what follows."""
    run(session, f"SET SESSION binlog_transaction_compression_level_zstd = {level}")
    start = here(source)
    with Capture(source, ["d_zip"], start) as capture:
        rows = ", ".join(f"({n}, REPEAT('x{n}', 5))" for n in range(50_000))
        run(session, "BEGIN", f"INSERT INTO t VALUES {rows}", "COMMIT", "INSERT INTO u VALUES (1, 'later')")
        items = capture.items()
    assert payloads(source, start) == 2
    found = [image for _, _, some in images(items) for image in some]
    assert found == [*((n, f"x{n}" * 5) for n in range(50_000)), (1, "later")]
    assert len(ends(items)) == 2


def test_mixed_with_uncompressed_and_resumed_at_each_end(source: MySQLServer, plain: Any, session: Any) -> None:
    """From every recorded end, by GTID and by position, exactly the rest follows."""
    start = here(source)
    for n in range(0, 12, 2):
        run(session, f"INSERT INTO t VALUES ({n}, 'compressed')")
        run(plain, f"INSERT INTO t VALUES ({n + 1}, 'plain')", *["FLUSH BINARY LOGS"] * (n == 6))
    with Capture(source, ["d_zip"], start) as capture:
        items = capture.items()
    found = images(items)
    assert found == [("t", "c", [(n, "plain" if n % 2 else "compressed")]) for n in range(12)]
    done = GtidSet(start.gtid_set or "")
    for n, end in enumerate(ends(items), 1):
        done.add(end.head.tsid, end.head.number)
        for position in (Position(str(done), end.file, end.pos), Position(None, end.file, end.pos)):
            with Capture(source, ["d_zip"], position) as later:
                later._done = GtidSet(str(done))
                assert images(later.items()) == found[n:]


def test_an_appliers_own_transactions(source: MySQLServer, plain: Any, session: Any) -> None:
    """The progress row inside of a payload tells the origin: an applier whose server compresses does not make a loop."""
    columns = "topology VARCHAR(64), source_side VARCHAR(64), sequence BIGINT, transactions INT"
    run(plain, "CREATE DATABASE bisync", f"CREATE TABLE bisync.applied ({columns}, PRIMARY KEY (topology, source_side))")
    try:
        with Capture(source, ["d_zip"]) as capture:
            run(session, "BEGIN", "INSERT INTO bisync.applied VALUES ('shop', 'west', 12, 3)", "INSERT INTO t VALUES (1, 'a')")
            run(session, "COMMIT", "INSERT INTO t VALUES (2, 'own')")
            applied, own = ends(capture.items())
        assert (applied.head.origin, applied.head.origin_sequence, applied.head.origin_transactions) == ("west", 12, 3)
        assert (own.head.origin, own.head.seen) == (None, 12)
    finally:
        run(plain, "DROP DATABASE bisync")


def test_what_a_compressed_transaction_may_hold_besides(source: MySQLServer, plain: Any, session: Any) -> None:
    """Savepoints, the statement's text, tables out of scope; and without checksums."""
    run(session, "SET SESSION binlog_rows_query_log_events = ON")
    for checksum in ("NONE", "CRC32"):
        run(plain, f"SET GLOBAL binlog_checksum = {checksum}")
        with Capture(source, ["d_zip.t"]) as capture:
            run(session, "BEGIN", "INSERT INTO u VALUES (1, 'out')", "SAVEPOINT s", "INSERT INTO t VALUES (1, 'a')")
            run(session, "SAVEPOINT s2", "INSERT INTO t VALUES (2, 'gone')", "ROLLBACK TO s2", "COMMIT")
            items = capture.items()
        assert images(items) == [("t", "c", [(1, "a")])]
        assert len(ends(items)) == 1
        run(session, "DELETE FROM t", "DELETE FROM u")


def test_partial_json_inside(source: MySQLServer, plain: Any, session: Any) -> None:
    """What is captured outside is captured inside."""
    run(plain, "CREATE TABLE j (id INT PRIMARY KEY, j JSON)")
    run(plain, """INSERT INTO j VALUES (1, '{"a": 1, "b": "some text that makes the document longer"}')""")
    run(session, "SET SESSION binlog_row_value_options = PARTIAL_JSON")
    with Capture(source, ["d_zip"]) as capture:
        run(session, "UPDATE j SET j = JSON_SET(j, '$.a', 2)")
        ((_, _, (_, after)),) = images(capture.items())
    assert after == (1, '{"a": 2, "b": "some text that makes the document longer"}')


def test_what_is_refused_inside_is_skipped(source: MySQLServer, plain: Any, session: Any) -> None:
    """What is not captured outside is not captured inside; `skip` passes the transaction and names its tables."""
    run(plain, "CREATE TABLE j (id INT PRIMARY KEY, v INT)", "INSERT INTO j VALUES (1, 1)")
    start = here(source)
    run(session, "BEGIN", "INSERT INTO t VALUES (1, 'a')", "SET SESSION binlog_row_image = MINIMAL")
    run(session, "UPDATE j SET v = 2", "SET SESSION binlog_row_image = FULL", "COMMIT", "INSERT INTO t VALUES (2, 'later')")
    with Capture(source, ["d_zip"], start) as capture, pytest.raises(CaptureError, match="lacks columns") as raised:
        capture.items()
    assert raised.value.code == "row_image"
    assert raised.value.where.log_file == start.file
    assert raised.value.where.gtid is not None
    with Capture(source, ["d_zip"], start, skips=[raised.value.where.gtid]) as capture:
        items = capture.items()
    assert images(items) == [("t", "c", [(2, "later")])]
    assert [(end.head.skipped, end.tables) for end in ends(items)] == [(True, ("d_zip.t", "d_zip.j")), (False, ())]
