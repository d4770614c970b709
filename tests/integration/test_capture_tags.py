"""Tagged GTIDs (`SET gtid_next = 'AUTOMATIC:tag'`) of a real server: named, resumed from, skipped, compared."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import pymysql
import pytest
from capturing import Capture, here

from bisync_topology.errors import CaptureError
from producers.capture import Position
from producers.checkpoint import Checkpoint
from producers.gtids import GtidSet
from producers.server import check_server, read_server
from producers.transactions import Ddl, End, Item, Rows
from sandbox.mysql import MySQLServer

OTHER = "aaaaaaaa-0000-0000-0000-00000000ffff"  # a server's UUID that is not this one's
LAST = 2**63 - 2  # the greatest number that there is


@pytest.fixture
def session(source: MySQLServer) -> Iterator["pymysql.Connection[Any]"]:
    """A session in a fresh database d_tags with a table t; afterwards the server's set has no tags again."""
    with source.connect() as connection:
        run(connection, "DROP DATABASE IF EXISTS d_tags", "CREATE DATABASE d_tags", "CREATE TABLE d_tags.t (id INT PRIMARY KEY)")
        yield connection
        run(connection, "SET gtid_next = 'AUTOMATIC'", "DROP DATABASE d_tags", "RESET BINARY LOGS AND GTIDS")


def run(connection: "pymysql.Connection[Any]", *statements: str) -> None:
    """Run statements, each committed by itself."""
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def mixed(session: Any) -> None:
    """Ten transactions: rows 0 to 9 (but 6, which is a DDL), under tags, none, and another server's UUID, in three files."""
    own = [f"AUTOMATIC{tag}" for tag in ("", ":nightly", ":nightly", ":_a", "", ":nightly", ":z9")]
    for n, gtid in enumerate([*own, f"{OTHER}:x:{LAST}", f"{OTHER}:5", "AUTOMATIC:_a"]):
        change = "CREATE TABLE d_tags.u (i INT)" if n == 6 else f"INSERT INTO d_tags.t VALUES ({n})"
        run(session, f"SET gtid_next = '{gtid}'", change)
        run(session, "SET gtid_next = 'AUTOMATIC'", *["FLUSH BINARY LOGS"] * (n in (4, 7)))


def told(items: Sequence[Item]) -> list[tuple[object, ...]]:
    """Items as plain values with their GTIDs and places."""
    out: list[tuple[object, ...]] = []
    for item in items:
        if isinstance(item, End):
            out.append((item.head.gtid, item.file, item.pos))
        else:
            out.append((item.head.gtid, item.statement if isinstance(item, Ddl) else item.images))
    return out


def ends(items: Sequence[Item]) -> list[End]:
    """The transactions' ends."""
    return [item for item in items if isinstance(item, End)]


def ids(items: Sequence[Item]) -> list[object]:
    """Ids of the inserted rows."""
    return [image[0] for item in items if isinstance(item, Rows) for image in item.images]


def test_mixed_and_resumed_at_each_end(source: MySQLServer, session: Any) -> None:
    """From every recorded set, and every place, exactly the rest follows; the set at the end is the server's own."""
    start = here(source)
    mixed(session)
    with Capture(source, ["d_tags"], start) as capture:
        items = capture.items()
        assert GtidSet(here(source).gtid_set or "").minus(capture._done) == ""
        assert str(capture._done) == here(source).gtid_set
    names = [end.head.gtid.split(":", 1)[1] for end in ends(items)]
    first = int(names[0])
    assert names == [f"{first}", "nightly:1", "nightly:2", "_a:1", f"{first + 1}", "nightly:3", "z9:1", f"x:{LAST}", "5", "_a:2"]
    assert ids(items) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    done = GtidSet(start.gtid_set or "")
    for n, end in enumerate(ends(items)):
        done.add(end.head.tsid, end.head.number)
        rest = told(items)[2 * n + 2 :]
        for position in (Position(str(done), end.file, end.pos), Position(None, end.file, end.pos)):
            with Capture(source, ["d_tags"], position) as later:
                later._done = GtidSet(str(done))
                assert told(later.items()) == rest


def test_a_file_from_its_start(source: MySQLServer, session: Any) -> None:
    """Tags in the PREVIOUS_GTIDS event at a file's head mean nothing."""
    mixed(session)
    run(session, "FLUSH BINARY LOGS")
    position = here(source)
    run(session, "INSERT INTO d_tags.t VALUES (100)")
    with Capture(source, ["d_tags"], Position(None, position.file, 4)) as capture:
        capture._done = GtidSet(position.gtid_set or "")
        assert ids(capture.items()) == [100]


def test_holes_between_tags(source: MySQLServer, session: Any) -> None:
    """A set that lacks some transactions of each tag is given exactly those."""
    start = here(source)
    mixed(session)
    with Capture(source, ["d_tags"], start) as capture:
        items = capture.items()
    random = Random(4)
    for _ in range(12):
        kept = GtidSet(start.gtid_set or "")
        missing = []
        for end in ends(items):
            if random.random() < 0.5:
                kept.add(end.head.tsid, end.head.number)
            else:
                missing.append(end.head.gtid)
        if missing:
            with Capture(source, ["d_tags"], Position(str(kept), start.file, 4)) as later:
                assert [end.head.gtid for end in ends(later.items())] == missing


def test_a_compressed_transaction_with_a_tag(source: MySQLServer, session: Any) -> None:
    """Both at once, then it is skipped by its name."""
    start = here(source)
    run(session, "SET SESSION binlog_transaction_compression = ON", "SET gtid_next = 'AUTOMATIC:zip'")
    run(session, "INSERT INTO d_tags.t VALUES (1)", "INSERT INTO d_tags.t VALUES (2)")
    with Capture(source, ["d_tags"], start) as capture:
        items = capture.items()
    assert ids(items) == [1, 2]
    first = ends(items)[0].head.gtid
    assert first.endswith(":zip:1")
    with Capture(source, ["d_tags"], start, skips=[first]) as capture:
        items = capture.items()
    assert ids(items) == [2]
    assert [(end.head.skipped, end.tables) for end in ends(items)] == [(True, ("d_tags.t",)), (False, ())]


def test_what_stops_names_the_tag(source: MySQLServer, session: Any) -> None:
    """An error's GTID is what `skip` takes."""
    start = here(source)
    run(session, "SET gtid_next = 'AUTOMATIC:bad'", "SET binlog_format = STATEMENT", "INSERT INTO d_tags.t VALUES (1)")
    run(session, "SET binlog_format = ROW", "INSERT INTO d_tags.t VALUES (2)")
    with Capture(source, ["d_tags"], start) as capture, pytest.raises(CaptureError) as raised:
        capture.items()
    gtid = raised.value.where.gtid or ""
    assert gtid.endswith(":bad:1")
    assert f"--gtid {gtid} " in (raised.value.hint or "")
    with Capture(source, ["d_tags"], start, skips=[gtid]) as capture:
        assert ids(capture.items()) == [2]


def test_sets_are_compared_as_the_server_does(source: MySQLServer, session: Any) -> None:
    """Random sets, printed and subtracted: the server's own text each time."""
    random = Random(1)
    tsids = [f"{uuid}{tag}" for uuid in (OTHER, OTHER.replace("f", "e")) for tag in ("", ":b", ":_1", ":b1", ":nightly_run_2")]

    def some() -> GtidSet:
        gtids = GtidSet()
        for _ in range(random.randrange(30)):
            gtids.add(random.choice(tsids), random.randrange(1, 20))
        return gtids

    with session.cursor() as cursor:
        for _ in range(200):
            a, b = some(), some()
            cursor.execute("SELECT GTID_SUBTRACT(%s, ''), GTID_SUBTRACT(%s, %s)", (str(a), str(a), str(b)))
            ((printed, difference),) = cursor.fetchall()
            assert str(a) == printed.replace("\n", "")
            assert a.minus(b) == difference.replace("\n", "")


def test_the_checkpoint_against_the_server(source: MySQLServer, session: Any) -> None:
    """A server that lacks tagged transactions was restored; one that has purged them cannot be gone on from."""

    def checked(gtids: str) -> CaptureError | None:
        with source.connect() as connection:
            server = read_server(connection)
        checkpoint = Checkpoint(
            stream="s", sequence=1, seen=0, gtid_executed=gtids, file=server.file, pos=server.pos, server_uuid=server.uuid
        )
        try:
            check_server("east", "west", checkpoint, server, lambda _: 0)
        except CaptureError as error:
            return error
        return None

    start = here(source)
    mixed(session)
    now = here(source)
    assert checked(now.gtid_set or "") is None
    assert checked(start.gtid_set or "") is None
    lacking = checked(f"{now.gtid_set},{OTHER}:gone:1-3")
    assert lacking is not None
    assert (lacking.code, f"{OTHER}:gone:1-3;" in lacking.message) == ("server_restored", True)
    run(session, "FLUSH BINARY LOGS", f"PURGE BINARY LOGS TO '{here(source).file}'")
    purged = checked(start.gtid_set or "")
    assert purged is not None
    assert (purged.code, "nightly:1-3" in purged.message) == ("binlog_purged", True)
    assert checked(now.gtid_set or "") is None
