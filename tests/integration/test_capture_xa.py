"""XA transactions of a real server: their rows come with their commit, never with their rollback, over restarts too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pymysql
import pytest
from capturing import Capture, here

from bisync_topology.errors import CaptureError
from producers import xa
from producers.capture import Position
from producers.items import End, Item, Rows
from producers.xa import Branch
from sandbox.mysql import MySQLServer


@pytest.fixture
def database(source: MySQLServer) -> Iterator[None]:
    """A fresh database d_xa in scope and d_out out of it, with a table t each; no branch is left prepared."""
    with source.connect() as connection:
        for name in ("d_xa", "d_out"):
            run(connection, f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
            run(connection, f"CREATE TABLE {name}.t (id INT PRIMARY KEY, v VARCHAR(60))")
    yield
    with source.connect() as connection:
        for form, *_, data in run(connection, "XA RECOVER"):
            assert form == 1
            run(connection, f"XA ROLLBACK '{data}'")
        run(connection, "DROP DATABASE d_xa", "DROP DATABASE d_out")


def run(connection: pymysql.Connection[Any], *statements: str) -> list[tuple[Any, ...]]:
    """Run statements; gives the rows of the last one."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def session(source: MySQLServer, *statements: str, database: str = "d_xa", compressed: bool = False) -> None:
    """A session of its own that runs statements and ends: a branch that it has prepared stays."""
    with source.connect(database=database) as connection:
        run(connection, f"SET binlog_transaction_compression = {int(compressed)}", *statements)


def prepared(xid: str, *statements: str) -> list[str]:
    """The statements of a branch up to its prepare."""
    return [f"XA START {xid}", *statements, f"XA END {xid}", f"XA PREPARE {xid}"]


def images(items: Sequence[Item]) -> list[tuple[str, list[tuple[object, ...]]]]:
    """(op, images) of every rows event."""
    return [(item.op, item.images) for item in items if isinstance(item, Rows)]


def listed(items: Sequence[Item]) -> list[bool]:
    """Of each transaction's end, whether it is one that is listed."""
    return [bool(item.head.kind) for item in items if isinstance(item, End)]


@pytest.mark.parametrize("compressed", [False, True])
def test_committed_and_rolled_back(source: MySQLServer, database: None, compressed: bool) -> None:
    """Two branches at once, another transaction between: rows come in the order of the commits, under the commit's GTID."""
    with Capture(source, ["d_xa"]) as capture:
        changes = ["INSERT INTO t VALUES (1, 'a')", "UPDATE t SET v = 'aa' WHERE id = 1"]
        session(source, *prepared("'a'", *changes), compressed=compressed)
        session(source, *prepared("'b'", "INSERT INTO t VALUES (2, 'b')"), compressed=compressed)
        session(source, *prepared("'c'", "INSERT INTO t VALUES (3, 'never')"), compressed=compressed)
        session(source, "INSERT INTO t VALUES (9, 'between')")
        items = capture.items()
        assert images(items) == [("c", [(9, "between")])]
        assert listed(items) == [False, False, False, True]
        session(source, "XA COMMIT 'b'", "XA ROLLBACK 'c'", "XA COMMIT 'a'")
        items = capture.items()
        assert images(items) == [("c", [(2, "b")]), ("c", [(1, "a")]), ("u", [(1, "a"), (1, "aa")])]
        assert listed(items) == [True, False, True]
        (end,) = [item for item in items if isinstance(item, End)][-1:]
        assert end.prepared == {}
        assert {item.head.gtid for item in items if isinstance(item, Rows) and item.op == "u"} == {end.head.gtid}
        assert capture.recalled == 0


@pytest.mark.parametrize("compressed", [False, True])
def test_one_phase(source: MySQLServer, database: None, compressed: bool) -> None:
    """XA COMMIT … ONE PHASE is one transaction, like any other."""
    with Capture(source, ["d_xa"]) as capture:
        statements = ["XA START 'x','y',7", "INSERT INTO t VALUES (1, 'a'), (2, 'b')", "XA END 'x','y',7"]
        session(source, *statements, "XA COMMIT 'x','y',7 ONE PHASE", compressed=compressed)
        session(source, "DELETE FROM t WHERE id = 2")
        items = capture.items()
    assert images(items) == [("c", [(1, "a"), (2, "b")]), ("d", [(2, "b")])]
    assert listed(items) == [True, True]


def test_a_large_branch_is_read_once_more(source: MySQLServer, database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too much to keep is read from the server again, in both ways of committing, beside rows of other tables."""
    monkeypatch.setattr(xa, "KEPT_BYTES", 2000)
    rows = ", ".join(f"({n}, '{'x' * 50}')" for n in range(200))
    with Capture(source, ["d_xa"]) as capture:
        session(source, *prepared("'big'", f"INSERT INTO t VALUES {rows}"))
        session(source, *prepared("'small'", "INSERT INTO t VALUES (300, 'small')"))
        session(source, "INSERT INTO d_out.t VALUES (1, 'out')", "FLUSH BINARY LOGS")
        session(source, "XA COMMIT 'big'", "XA COMMIT 'small'", "INSERT INTO t VALUES (400, 'later')")
        rows = ", ".join(f"({n}, '{'y' * 50}')" for n in range(500, 700))
        session(source, "XA START 'one'", f"INSERT INTO t VALUES {rows}", "XA END 'one'", "XA COMMIT 'one' ONE PHASE")
        items = capture.items()
        assert capture.recalled == 2
    counts = [len(item.images) for item in items if isinstance(item, Rows)]
    assert sum(counts) == 402
    found = [image[0] for item in items if isinstance(item, Rows) for image in item.images]
    assert found == [*range(200), 300, 400, *range(500, 700)]


def test_over_restarts(source: MySQLServer, database: None) -> None:
    """A branch outlives a restart of the server and of the producer, whose checkpoint names it; a rollback too."""
    with Capture(source, ["d_xa"]) as capture:
        session(source, *prepared("'a'", "INSERT INTO t VALUES (1, 'a')"))
        session(source, *prepared("'b'", "INSERT INTO t VALUES (2, 'b')"))
        session(source, *prepared("'out'", "INSERT INTO d_out.t VALUES (3, 'out')"))
        *_, end = capture.items()
    assert isinstance(end, End) and end.prepared is not None
    kept = {xid: Branch(*list(branch)) for xid, branch in end.prepared.items()}
    assert [branch.in_scope for branch in kept.values()] == [True, True, False]
    place = here(source)
    source.restart()
    session(source, "INSERT INTO t VALUES (9, 'first')", "XA COMMIT 'b'", "XA ROLLBACK 'a'", "XA COMMIT 'out'")
    with Capture(source, ["d_xa"], place, prepared=kept) as capture:
        items = capture.items()
        assert capture.recalled == 1
    assert images(items) == [("c", [(9, "first")]), ("c", [(2, "b")])]
    assert [item.prepared for item in items if isinstance(item, End)][-1] == {}


def test_without_gtids_it_is_found_by_its_place(source: MySQLServer, database: None) -> None:
    """File and position of the branch are enough to read it once more."""
    with Capture(source, ["d_xa"]) as capture:
        session(source, "INSERT INTO t VALUES (5, 'x')", *prepared("'a'", "INSERT INTO t VALUES (1, 'a')"))
        *_, end = capture.items()
    assert end.prepared
    place = here(source)
    session(source, "XA COMMIT 'a'")
    (branch,) = end.prepared.values()

    class ByPlace(Capture):
        def _recall(self, branch: Branch) -> Any:
            from capturing import SERVER_ID, settings

            from producers.capture import recall

            return recall(settings(self.server), SERVER_ID + 1, Position(None, branch.file, branch.pos), branch.gtid)

    with ByPlace(source, ["d_xa"], place, prepared=end.prepared) as capture:
        assert images(capture.items()) == [("c", [(1, "a")])]
    with (
        ByPlace(source, ["d_xa"], place, prepared={xid: branch._replace(gtid="other:1") for xid in end.prepared}) as capture,
        pytest.raises(CaptureError, match="other:1") as caught,
    ):
        capture.items()
    assert caught.value.code == "binlog_purged"


def test_prepared_before_capture_began(source: MySQLServer, database: None) -> None:
    """Its rows were never read: it stops with a way past it, and a rollback of such a branch is nothing."""
    session(source, *prepared("'old'", "INSERT INTO t VALUES (1, 'a')"))
    session(source, *prepared("'gone'", "INSERT INTO t VALUES (2, 'a')"))
    with Capture(source, ["d_xa"]) as capture:
        start = here(source)
        session(source, "XA ROLLBACK 'gone'", "XA COMMIT 'old'", "INSERT INTO t VALUES (3, 'later')")
        with pytest.raises(CaptureError, match="prepared before capture began") as caught:
            capture.items()
    assert caught.value.code == "not_captured"
    gtid = caught.value.where.gtid
    assert gtid is not None and f"skip east west --gtid {gtid}" in str(caught.value)
    with Capture(source, ["d_xa"], start, skips=[gtid]) as capture:
        assert images(capture.items()) == [("c", [(3, "later")])]


def test_rows_that_are_refused_name_the_commit(source: MySQLServer, database: None) -> None:
    """A row that cannot be decoded stops at the commit, which is what `skip` passes; the prepare went by."""
    session(source, "SET sql_log_bin = 0", "CREATE TABLE n (id INT)")
    with Capture(source, ["d_xa"]) as capture:
        session(source, *prepared("'a'", "INSERT INTO n VALUES (1)"))
        capture.items()
        start = here(source)
        kept = capture.transactions._branches.prepared
        session(source, "XA COMMIT 'a'", "INSERT INTO t VALUES (3, 'later')")
        with pytest.raises(CaptureError) as caught:
            capture.items()
    assert caught.value.code == "no_key"
    assert caught.value.where.gtid is not None
    with Capture(source, ["d_xa"], start, prepared=kept, skips=[caught.value.where.gtid]) as capture:
        items = capture.items()
    assert images(items) == [("c", [(3, "later")])]
    assert [item.head.skipped for item in items if isinstance(item, End)] == [True, False]
