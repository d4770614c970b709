"""The state machine over binlog events: where transactions begin and end, their origin, and every reason to stop."""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import binlog_encoder as enc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bisync_topology.errors import CaptureError
from producers import events, xa
from producers.capture import UNPACKED
from producers.items import Conflict, Running
from producers.tables import Tables
from producers.transactions import Ddl, End, Item, Rows, Transactions
from producers.xa import Branch

GTID = f"{enc.UUID_TEXT}:7"
COLUMNS = [enc.int_col("id"), enc.varchar_col("v", nullable=True)]
FILE = "binlog.000001"


class Scope:
    """Database `shop` as a whole, and the table `crm.customers`."""

    def includes(self, database: str, table: str) -> bool:
        """Whether a table is carried."""
        return database == "shop" or (database, table) == ("crm", "customers")

    def includes_database(self, database: str) -> bool:
        """Whether the database itself is."""
        return database == "shop"

    def reaches(self, database: str) -> bool:
        """Whether any table of it can be."""
        return database in ("shop", "crm")


class Connection:
    """A server that knows its collations and no unique keys."""

    def cursor(self) -> "Connection":
        """The cursor is the connection itself."""
        return self

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str, arguments: object = None) -> None:
        """Remember what was asked."""
        self.sql = sql

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Collations, or the most bytes of a character; no keys."""
        if "COLLATIONS" in self.sql:
            return list(enc.COLLATIONS.items())
        return list(enc.MAX_BYTES.items()) if "CHARACTER_SETS" in self.sql else []


class Log:
    """A binlog that is written event by event, each with its place, and what capture makes of it."""

    def __init__(self, *, seen: int = 0, skips: Sequence[str] = (), running: Mapping[int, Running] | None = None) -> None:
        self.pos = 4
        tables = Tables(topology="shop", side="east", control_schema="bisync", in_scope=Scope(), connection=Connection())  # type: ignore[arg-type]
        self.transactions = Transactions(
            topology="shop",
            side="east",
            target="west",
            control_schema="bisync",
            tables=tables,
            file=FILE,
            seen=seen,
            skips=frozenset(skips),
            prepared={},
            recall=self.recall,
            running=running,
        )
        self.written: dict[str, list[events.Event]] = {}  # by the GTID of their transaction, for `recall`

    def recall(self, branch: Branch) -> Iterator[events.Event]:
        """What the log holds of a branch."""
        return iter(self.written[branch.gtid])

    def write(self, code: int, body: bytes, flags: int = 0) -> "Log":
        """Feed one event."""
        self.pos += 19 + len(body) + 4
        event = events.read_event(enc.event(code, body, end=self.pos, checksum=True, flags=flags), checksum=True)
        for each in self.transactions.unpack(event) if code in UNPACKED else [event]:
            self.transactions.feed(each)
        head = self.transactions._head
        if head is not None and code in (events.TABLE_MAP, *events.ROWS):
            self.written.setdefault(head.gtid, []).append(event)
        return self

    @property
    def items(self) -> list[Item]:
        """What came out so far."""
        return self.transactions.items

    def ends(self) -> list[End]:
        """The transactions that have ended."""
        return [item for item in self.items if isinstance(item, End)]

    def gtid(self, number: int = 7) -> "Log":
        """A transaction's first event."""
        return self.write(events.GTID, enc.gtid_body(number))

    def begin(self, number: int = 7) -> "Log":
        """GTID and BEGIN."""
        return self.gtid(number).query("BEGIN")

    def query(self, statement: str | bytes, db: str = "shop", status: bytes = b"") -> "Log":
        """A statement."""
        text = statement.encode() if isinstance(statement, str) else statement
        return self.write(events.QUERY, enc.query_body(text, db, status))

    def xid(self) -> "Log":
        """A commit."""
        return self.write(events.XID, struct.pack("<Q", 99))

    def map(self, db: str = "shop", name: str = "t", columns: Sequence[enc.Col] = COLUMNS, number: int = 108) -> "Log":
        """A table map."""
        return self.write(events.TABLE_MAP, enc.table_map_body(columns, db=db, name=name, number=number))

    def rows(self, code: int, *images: bytes, columns: int = 2, number: int = 108, **more: Any) -> "Log":
        """A rows event."""
        bitmaps = 2 if code == events.UPDATE_ROWS else 1
        return self.write(code, enc.rows_body(images, columns, bitmaps=bitmaps, number=number, **more))

    def insert(self, *ids: int, **where: Any) -> "Log":
        """Rows (id, 'v<id>') into a table."""
        return self.map(**where).rows(events.WRITE_ROWS, *(row(n, f"v{n}") for n in ids))


def row(number: int, value: str | None = None) -> bytes:
    """An image of (id, v)."""
    return enc.image([number.to_bytes(4, "little"), None if value is None else enc.prefixed(value.encode(), 1)])


# The control tables, as far as capture reads them.
APPLIED = [
    enc.varchar_col("topology", 64, collation=11),
    enc.varchar_col("source_side", 64, collation=11),
    enc.Col(name="sequence", type=8),
    enc.int_col("transactions"),
]
HEARTBEAT = [
    enc.varchar_col("topology", 64, collation=11),
    enc.varchar_col("side", 64, collation=11),
    enc.Col(name="barrier", type=8),
]
CONFLICTS = [
    enc.Col(name="id", type=8),
    enc.varchar_col("topology", 64, collation=11),
    enc.varchar_col("decision", 64, collation=11),
]


DDL_LOG = [
    enc.Col(name="id", type=8),
    enc.varchar_col("topology", 64, collation=11),
    enc.varchar_col("source_side", 64, collation=11),
    enc.varchar_col("state", 16, collation=11),
    enc.varchar_col("stream", 32, collation=11),
    enc.Col(name="sequence", type=8),
    enc.Col(name="connection_id", type=8),
]


def applied(sequence: int, transactions: int = 1, topology: str = "shop", side: str = "west") -> bytes:
    """A progress row."""
    texts = [enc.prefixed(text.encode(), 1) for text in (topology, side)]
    return enc.image([*texts, sequence.to_bytes(8, "little"), transactions.to_bytes(4, "little")])


def marker(log: Log, sequence: int, *, topology: str = "shop", code: int = events.UPDATE_ROWS) -> Log:
    """An applier's progress row: an update, or the insert of the first one, or the delete of a reset."""
    log.write(events.TABLE_MAP, enc.table_map_body(APPLIED, (0, 1), db="bisync", name="applied", number=5))
    images = [applied(sequence, 3, topology)]
    if code == events.UPDATE_ROWS:
        images.insert(0, applied(sequence - 3, 1, topology))
    return log.rows(code, *images, columns=4, number=5)


def barrier(log: Log, number: int, *, topology: str = "shop", side: str = "east") -> Log:
    """The row that `wait` writes."""
    log.write(events.TABLE_MAP, enc.table_map_body(HEARTBEAT, (0, 1), db="bisync", name="heartbeat", number=6))
    texts = [enc.prefixed(text.encode(), 1) for text in (topology, side)]
    images = [enc.image([*texts, n.to_bytes(8, "little")]) for n in (number - 1, number)]
    return log.rows(events.UPDATE_ROWS, *images, columns=3, number=6)


def conflicts(log: Log, code: int, *decisions: str, topology: str = "shop") -> Log:
    """Rows of the table of conflicts, by their decisions: for an update before and after."""
    log.write(events.TABLE_MAP, enc.table_map_body(CONFLICTS, (0,), db="bisync", name="conflicts", number=9))
    texts = [[enc.prefixed(text.encode(), 1) for text in (topology, decision)] for decision in decisions]
    return log.rows(code, *(enc.image([(17).to_bytes(8, "little"), *each]) for each in texts), columns=3, number=9)


def stopped(step: Any, *arguments: Any, code: str = "not_captured", gtid: str | None = GTID) -> CaptureError:
    """The error that feeding an event led to: with its place, and the command that leads past it."""
    with pytest.raises(CaptureError) as raised:
        step(*arguments)
    error = raised.value
    assert error.code == code, error
    assert (error.where.side, error.where.gtid, error.where.log_file) == ("east", gtid, FILE)
    assert error.where.log_pos is not None
    assert "bisync-topology skip east west" in (error.hint or "")
    assert gtid is None or gtid in (error.hint or "")
    return error


# --- whole transactions ---------------------------------------------------------------------------------------------


def test_rows_of_a_transaction_and_its_end() -> None:
    """Insert, update and delete in one transaction: three items with their images, then the end with the place after it."""
    log = Log(seen=40).begin().insert(1, 2)
    log.rows(events.UPDATE_ROWS, row(1, "v1"), row(1, None)).map(name="u").rows(events.DELETE_ROWS, row(3, "x")).xid()
    insert, update, delete, end = log.items
    assert isinstance(insert, Rows) and isinstance(update, Rows) and isinstance(delete, Rows) and isinstance(end, End)
    assert (insert.op, insert.table.full_name, insert.images) == ("c", "shop.t", [(1, "v1"), (2, "v2")])
    assert (update.op, update.images) == ("u", [(1, "v1"), (1, None)])
    assert (delete.op, delete.table.full_name, delete.images) == ("d", "shop.u", [(3, "x")])
    assert end.head is insert.head is delete.head
    assert (end.file, end.pos) == (FILE, log.pos)
    head = end.head
    assert (head.gtid, head.tsid, head.number, head.committed_at) == (GTID, enc.UUID_TEXT, 7, 1_700_000_000_123_456)
    assert (head.kind, head.origin, head.seen, head.file, head.pos, head.server_id) == ("rows", None, 40, FILE, 4, 3306)


def test_rows_are_handed_on_before_the_end() -> None:
    """A huge transaction is never held whole: each event's rows are there as soon as it was fed."""
    log = Log().begin()
    for n in range(5):
        log.insert(n)
        assert len(log.items) == n + 1


def test_transactions_without_gtids() -> None:
    """With gtid_mode OFF a transaction is known by the file and position at which it begins."""
    log = Log().write(events.ANONYMOUS_GTID, enc.gtid_body(0)).query("BEGIN").insert(1).xid()
    (end,) = log.ends()
    assert (end.head.gtid, end.head.tsid) == (f"{FILE}:4", "")


def test_a_tagged_transaction() -> None:
    """Its GTID has the tag between UUID and number, and it is skipped by that name."""
    log = Log(skips=[f"{enc.UUID_TEXT}:nightly:8"])
    for number in (7, 8):
        log.write(events.GTID_TAGGED, enc.tagged_gtid_body(number, "nightly")).query("BEGIN").insert(number).xid()
    first, second = log.begin(7).insert(9).xid().ends()[:2]
    head = first.head
    assert (head.gtid, head.tsid, head.number) == (f"{enc.UUID_TEXT}:nightly:7", f"{enc.UUID_TEXT}:nightly", 7)
    assert (head.committed_at, head.pos, head.skipped, second.head.skipped) == (1_700_000_000_123_456, 4, False, True)
    assert log.ends()[2].head.gtid == GTID


def test_a_tagged_gtid_that_cannot_be_read_stops() -> None:
    """Its name is not known, its place is."""
    stopped(Log().write, events.GTID_TAGGED, bytes(20), code="undecodable", gtid=None)


def test_a_transaction_out_of_scope_has_an_end_alone() -> None:
    """Its position moves, and nothing is listed; its rows are not even decoded."""
    log = Log().begin().map("other", "t").rows(events.WRITE_ROWS, b"broken", columns=2).xid()
    (end,) = log.items
    assert isinstance(end, End)
    assert end.head.kind == ""


def test_control_tables_alone_are_never_listed() -> None:
    """Progress rows would answer each other for ever."""
    log = marker(Log().begin(), 9).xid()
    (end,) = log.items
    assert isinstance(end, End)
    assert (end.head.kind, end.head.origin) == ("", "west")


def test_conflicts_are_handed_on_and_not_listed() -> None:
    """Each row as it is put and as it is changed, of this topology alone; one that is deleted for its age is nothing."""
    log = conflicts(conflicts(Log().begin(), events.WRITE_ROWS, "pending"), events.UPDATE_ROWS, "pending", "source")
    conflicts(conflicts(log, events.DELETE_ROWS, "source"), events.WRITE_ROWS, "pending", topology="other").xid()
    first, second, end = log.items
    assert isinstance(first, Conflict) and isinstance(second, Conflict) and isinstance(end, End)
    assert first.row == {"id": 17, "topology": "shop", "decision": "pending"}
    assert second.row["decision"] == "source" and end.head.kind == ""


def test_conflicts_beside_the_rows_of_an_applied_transaction() -> None:
    """They do not make it begin: the progress row before them still names its origin, and rows after them list it."""
    log = conflicts(marker(Log().begin(), 9), events.WRITE_ROWS, "source").insert(1).xid()
    conflict, rows, end = log.items
    assert isinstance(conflict, Conflict) and isinstance(rows, Rows) and isinstance(end, End)
    assert (end.head.kind, end.head.origin) == ("rows", "west")


@pytest.mark.parametrize("end", ["XID", "COMMIT"])
def test_ends_of_a_transaction(end: str) -> None:
    """XID; COMMIT of an engine without two-phase commit."""
    log = Log().begin().insert(1)
    _ = log.xid() if end == "XID" else log.query(end)
    assert [type(item) for item in log.items] == [Rows, End]


def test_a_rollback_without_rows_in_scope() -> None:
    """What cannot be undone is logged with a ROLLBACK behind it (MySQL 9.7: statements, where gtid_mode is OFF); others' pass."""
    log = Log().begin().map("other").rows(events.WRITE_ROWS, row(1)).query("CREATE TEMPORARY TABLE tmp (id INT)")
    log.query("INSERT INTO other.t VALUES (1)", "other", databases("other")).query("ROLLBACK").begin(8).insert(1).xid()
    assert [type(item) for item in log.items] == [End, Rows, End]
    assert [(end.head.number, end.head.kind) for end in log.ends()] == [(7, ""), (8, "rows")]


@pytest.mark.parametrize("statement", ["ROLLBACK", "ROLLBACK TO SAVEPOINT", "ROLLBACK TO `a`"])
def test_a_rollback_behind_rows_is_refused(statement: str) -> None:
    """Of an engine with transactions they were undone, of another one not, and the log does not tell which it is of."""
    log = Log().begin().query("SAVEPOINT `a`").insert(1)
    assert "ROLLBACK" in stopped(log.query, statement).message
    assert not log.ends()


def test_skip_of_rows_that_were_rolled_back() -> None:
    """It ends with its ROLLBACK, and names the table."""
    log = Log(skips=[GTID]).begin().insert(1).query("ROLLBACK")
    assert log.ends()[0].tables == ("shop.t",)
    _skipped(log)


def test_savepoints_are_passed_over() -> None:
    """SAVEPOINT inside a transaction means nothing: what it took back is not in the binlog."""
    log = Log().begin().query("SAVEPOINT `a b`").insert(1).xid()
    assert [type(item) for item in log.items] == [Rows, End]


def test_a_rotation_changes_the_file_and_forgets_table_numbers() -> None:
    """After it, positions are in the next file, and a number without a new map is not the old table."""
    log = Log().begin().insert(1).xid()
    log.write(events.ROTATE, enc.rotate_body("binlog.000002")).write(events.FORMAT_DESCRIPTION, bytes(98))
    log.begin(8)
    with pytest.raises(CaptureError) as raised:
        log.rows(events.WRITE_ROWS, row(1))
    assert raised.value.code == "table_map_missing"
    assert (raised.value.where.gtid, raised.value.where.log_file) == (f"{enc.UUID_TEXT}:8", "binlog.000002")
    log.insert(2).xid()
    assert log.ends()[-1].file == "binlog.000002"


def test_a_number_that_is_used_again_means_the_newer_table() -> None:
    """A table map binds its number anew each time."""
    log = Log().begin().insert(1, name="a").insert(2, name="b").insert(3, name="a").xid()
    assert [item.table.name for item in log.items if isinstance(item, Rows)] == ["a", "b", "a"]


def test_a_changed_table_under_the_same_name() -> None:
    """After an ALTER its map differs, and rows decode by the map that they came with."""
    log = Log().begin().insert(1)
    log.map(columns=[enc.int_col("id")]).rows(events.WRITE_ROWS, enc.image([b"\2\0\0\0"]), columns=1).xid()
    assert [item.images for item in log.items if isinstance(item, Rows)] == [[(1, "v1")], [(2,)]]


def test_many_columns() -> None:
    """A rows event's count of columns takes three bytes beyond 250; extra data before it is passed over."""
    columns = [enc.int_col(f"c{n}") for n in range(251)]
    image = enc.image([n.to_bytes(4, "little") for n in range(251)])
    log = Log().begin().map(columns=columns).rows(events.WRITE_ROWS, image, columns=251, extra=b"\0\7abcde").xid()
    assert isinstance(log.items[0], Rows)
    assert log.items[0].images == [tuple(range(251))]


def test_utf8_is_utf8mb3_on_older_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """MySQL before 8.0.30 calls the character set utf8; a column in it is text as on later ones."""
    monkeypatch.setitem(enc.COLLATIONS, 33, "utf8")
    monkeypatch.setitem(enc.MAX_BYTES, "utf8", 3)
    log = Log().begin().insert(1, columns=[enc.int_col("id"), enc.varchar_col("v", 30, collation=33, nullable=True)])
    (rows,) = log.items
    assert isinstance(rows, Rows) and rows.table.table is not None
    column = rows.table.table.columns[1]
    assert (column.kind, column.charset, column.sql_type) == ("text", "utf8mb3", "varchar(10)")


# --- origin, seen, barrier ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [events.UPDATE_ROWS, events.WRITE_ROWS])
def test_the_marker_gives_the_origin(code: int) -> None:
    """An applier's progress row at the head tags the whole transaction: side, last sequence, number of transactions."""
    log = marker(Log().begin(), 12, code=code).insert(1).xid()
    head = log.ends()[0].head
    assert (head.origin, head.origin_sequence, head.origin_transactions, head.kind) == ("west", 12, 3, "rows")


def test_seen_is_what_was_applied_before() -> None:
    """A transaction has seen what appliers committed before it in this binlog, not what they commit in it or after."""
    log = Log(seen=5).begin(1).insert(1).xid()
    marker(log.begin(2), 9).insert(2).xid()
    log.begin(3).insert(3).xid()
    marker(log.begin(4), 11).xid()
    log.begin(5).insert(4).xid()
    assert [end.head.seen for end in log.ends()] == [5, 5, 9, 9, 11]


def test_another_topologys_marker_is_nothing() -> None:
    """Two topologies may share a control schema: what the other one applied began here as far as this one knows."""
    log = marker(Log(seen=5).begin(), 12, topology="other").insert(1).xid()
    head = log.ends()[0].head
    assert (head.origin, head.kind) == (None, "rows")
    assert log.begin(8).insert(1).xid().ends()[1].head.seen == 5


def test_a_deleted_marker_is_no_marker() -> None:
    """`init --reset` deletes progress rows: that is not an applied transaction, and nothing was seen by it."""
    log = marker(Log(seen=5).begin(), 12, code=events.DELETE_ROWS).insert(1).xid()
    assert log.ends()[0].head.origin is None
    assert log.begin(8).insert(1).xid().ends()[1].head.seen == 5


def test_a_marker_that_is_not_first_is_refused() -> None:
    """Rows before the marker would be tagged wrongly, and then loop or be lost."""
    log = Log().begin().insert(1)
    error = stopped(marker, log, 12)
    assert "not the first row" in error.message


def test_the_same_marker_again_is_no_harm() -> None:
    """An applier may count conflicts in its progress row at the end of the transaction: same origin, same sequence."""
    log = marker(Log().begin(), 12).insert(1)
    assert marker(log, 12).xid().ends()[0].head.origin == "west"


def test_another_marker_behind_rows_is_refused() -> None:
    """A second, different progress in one transaction is none that an applier writes."""
    stopped(marker, marker(Log().begin(), 12).insert(1), 13)


def test_our_marker_among_other_rows_of_one_statement() -> None:
    """One event may hold progress rows of two topologies; ours is found wherever it is in it."""
    log = Log().begin()
    log.write(events.TABLE_MAP, enc.table_map_body(APPLIED, (0, 1), db="bisync", name="applied", number=5))
    images = [applied(1, 1), applied(12, 3), applied(1, 1, "other"), applied(2, 1, "other")]
    log.rows(events.UPDATE_ROWS, *images, columns=4, number=5).insert(1).xid()
    assert (log.ends()[0].head.origin, log.ends()[0].head.origin_sequence) == ("west", 12)


def test_a_barrier_is_listed() -> None:
    """The row that `wait` wrote makes its transaction one to list, with the barrier's number."""
    head = barrier(Log().begin(), 3).xid().ends()[0].head
    assert (head.kind, head.barrier) == ("barrier", 3)


@pytest.mark.parametrize("other", [{"topology": "other"}, {"side": "west"}])
def test_another_barrier_is_not(other: dict[str, str]) -> None:
    """Barriers of another topology, or the row of another side, are not ours."""
    assert barrier(Log().begin(), 3, **other).xid().ends()[0].head.kind == ""


# --- statements -----------------------------------------------------------------------------------------------------

SQL_MODE = b"\1" + struct.pack("<Q", 4)  # ANSI_QUOTES


def test_ddl_in_scope() -> None:
    """A statement is an item with its text, its context and the tables in scope that it names; it ends its transaction."""
    log = Log().gtid().query("RENAME TABLE t TO crm.customers, crm.x TO crm.y", status=b"\4" + struct.pack("<HHH", 255, 255, 8))
    ddl, end = log.items
    assert isinstance(ddl, Ddl) and isinstance(end, End)
    assert ddl.statement == "RENAME TABLE t TO crm.customers, crm.x TO crm.y"
    assert ddl.tables == ("shop.t", "crm.customers")
    assert (ddl.query.db, ddl.query.charset) == ("shop", (255, 255, 8))
    assert (end.head.kind, end.head is ddl.head, end.pos) == ("ddl", True, log.pos)


@pytest.mark.parametrize(
    ("statement", "db", "tables"),
    [
        ("CREATE TABLE t (id INT PRIMARY KEY)", "shop", ("shop.t",)),
        ("CREATE TABLE shop.t (id INT PRIMARY KEY)", "other", ("shop.t",)),
        ("DROP TABLE `t`,`u` /* generated by server */", "shop", ("shop.t", "shop.u")),
        ("TRUNCATE TABLE crm.customers", "", ("crm.customers",)),
        ("CREATE DATABASE shop", "", ()),
        ("DROP DATABASE IF EXISTS shop", "other", ()),
        ("CREATE VIEW shop.v AS SELECT 1", "other", ("shop.v",)),
        ("CREATE PROCEDURE shop.p() SELECT 1", "other", ()),
        ("DROP PROCEDURE shop.p", "other", ()),
        ("CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @a = 1", "shop", ("shop.t",)),
        ("DROP TRIGGER shop.g", "other", ()),
        ("DROP EVENT e", "shop", ()),
    ],
)
def test_statements_in_scope(statement: str, db: str, tables: tuple[str, ...]) -> None:
    """What names a table, database, routine, trigger or event in scope is carried, whatever database is the default."""
    ddl = Log().gtid().query(statement, db).items[0]
    assert isinstance(ddl, Ddl)
    assert ddl.tables == tables


@pytest.mark.parametrize(
    ("statement", "db"),
    [
        ("ALTER TABLE t ADD c INT", "other"),
        ("ALTER TABLE other.t ADD c INT", "shop"),
        ("CREATE DATABASE other", "shop"),
        ("CREATE PROCEDURE other.p() SELECT 1", "shop"),
        ("DROP FUNCTION f", "other"),
        ("ANALYZE TABLE other.t", "shop"),
        ("DROP TEMPORARY TABLE IF EXISTS t", "shop"),
        ("DROP TABLE crm.x", "shop"),
        ("CREATE TABLE bisync.x (id INT)", "shop"),
    ],
)
def test_statements_out_of_scope(statement: str, db: str) -> None:
    """What concerns no object in scope moves the position alone."""
    log = Log().gtid().query(statement, db)
    (end,) = log.items
    assert isinstance(end, End)
    assert end.head.kind == ""


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ("CREATE USER a@b IDENTIFIED BY 'x'", "CREATE USER"),
        ("SET PASSWORD FOR a@b = 'x'", "SET PASSWORD"),
        ("GRANT ALL ON *.* TO a@b", "GRANT ALL"),
        ("CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (PASSWORD 'x')", "CREATE SERVER"),
        ("FLUSH TABLES", "FLUSH TABLES"),
        ("ANALYZE TABLE t", "ANALYZE TABLE shop.t"),
    ],
)
def test_statements_about_accounts_and_the_server(statement: str, text: str) -> None:
    """They are told, to be recorded, without what may be a secret."""
    ddl = Log().gtid().query(statement).items[0]
    assert isinstance(ddl, Ddl)
    assert ddl.statement == text or ddl.statement.startswith(text.split(maxsplit=1)[0])
    assert "'x'" not in ddl.statement
    assert ddl.raw is None


@pytest.mark.parametrize("statement", ["WHAT IS THIS", "ALTER TABLE t; DROP TABLE u"])
def test_statements_that_are_not_understood(statement: str) -> None:
    """They are carried as they are, and name no table: what they concern is not known."""
    ddl = Log().gtid().query(statement).items[0]
    assert isinstance(ddl, Ddl)
    assert (ddl.statement, ddl.tables) == (statement, ())


def test_ansi_quotes_change_what_a_name_is() -> None:
    """In ANSI_QUOTES mode "t" is a table."""
    ddl = Log().gtid().query('ALTER TABLE "t" ADD c INT', status=SQL_MODE).items[0]
    assert isinstance(ddl, Ddl)
    assert ddl.tables == ("shop.t",)


def test_backslashes_where_they_are_no_escapes() -> None:
    """In NO_BACKSLASH_ESCAPES mode a backslash ends nothing and hides no quote: the table renamed to is seen."""
    status = b"\1" + struct.pack("<Q", 1 << 20)
    statement = r"ALTER TABLE other.t COMMENT 'a\', RENAME TO t, ADD v VARCHAR(9) DEFAULT 'b\'"
    ddl = Log().gtid().query(statement, status=status).items[0]
    assert isinstance(ddl, Ddl)
    assert ddl.tables == ("shop.t",)


LATIN1 = b"\4" + struct.pack("<HHH", 8, 8, 8)


@pytest.mark.parametrize(
    ("raw", "status", "text"),
    [
        ("ALTER TABLE t COMMENT 'é€'".encode("cp1252"), LATIN1, "ALTER TABLE t COMMENT 'é€'"),
        (b"ALTER TABLE t COMMENT '\xe9'", b"", "ALTER TABLE t COMMENT '\ufffd'"),
        ("ALTER TABLE t COMMENT 'é'".encode(), b"", "ALTER TABLE t COMMENT 'é'"),
    ],
)
def test_the_text_of_a_client_of_any_character_set(raw: bytes, status: bytes, text: str) -> None:
    """It is read as its client meant it, and its bytes are kept where they are not UTF-8 (#318)."""
    ddl = Log().gtid().query(raw, status=status).items[0]
    assert isinstance(ddl, Ddl)
    assert (ddl.statement, ddl.tables) == (text, ("shop.t",))
    assert (ddl.raw or ddl.statement.encode()) == raw


def begun(log: Log, number: int, state: str, thread_id: int = 77, *, stream: str = "s", topology: str = "shop") -> Log:
    """A row of `ddl_log` as an applier writes it."""
    log.write(events.TABLE_MAP, enc.table_map_body(DDL_LOG, (0,), db="bisync", name="ddl_log", number=8))
    texts = [enc.prefixed(text.encode(), 1) for text in (topology, "west", state, stream)]
    numbers = [n.to_bytes(8, "little") for n in (41, thread_id)]
    return log.rows(events.WRITE_ROWS, enc.image([number.to_bytes(8, "little"), *texts, *numbers]), columns=7, number=8)


def test_the_origin_of_a_statement_is_that_of_its_session() -> None:
    """What an applier runs has the origin of its row; before it, behind it, and of another session or topology it has none."""
    for log, origin in (
        (begun(Log().begin(1), 3, "running").xid(), "west"),
        (begun(begun(Log().begin(1), 3, "running").xid().begin(2), 3, "applied").xid(), None),
        (begun(Log().begin(1), 3, "running", 78).xid(), None),
        (begun(Log().begin(1), 3, "running", topology="crm").xid(), None),
        (Log(), None),
    ):
        log.gtid(7).query("DROP TABLE t").begin(8).insert(1).xid()
        ddl = next(item for item in log.items if isinstance(item, Ddl))
        assert ddl.head.origin == origin
        assert ddl.head.origin_sequence == (41 if origin else 0)
        assert log.ends()[-1].head.seen == (41 if origin else 0)


def test_statements_that_are_begun_are_kept_with_the_position() -> None:
    """A producer that starts between an applier's row and its statement knows of it by the checkpoint."""
    log = begun(Log().begin(1), 3, "running").xid()
    assert log.ends()[-1].running == {3: Running(77, "west", 41, FILE)}
    later = Log(running=log.ends()[-1].running).gtid(7).query("DROP TABLE t")
    assert later.ends()[-1].head.origin == "west"
    assert begun(later.begin(8), 3, "applied").xid().ends()[-1].running == {}


def test_sessions_end_with_their_server() -> None:
    """In a file that a server began with, the numbers of sessions mean others; one that was rotated to changes nothing."""
    log = begun(Log().begin(1), 3, "running").xid()
    for created, origin in ((0, "west"), (1, None)):
        body = bytes(2 + 50) + struct.pack("<I", created) + bytes(20)
        log.write(events.ROTATE, enc.rotate_body(f"binlog.00009{created}")).write(events.FORMAT_DESCRIPTION, body)
        log.gtid(7).query("DROP TABLE t")
        assert log.ends()[-1].head.origin == origin


def test_a_statement_that_was_approved_late() -> None:
    """It is an older one than what this side has come to since: that does not go back."""
    log = begun(Log(seen=50).begin(1), 3, "running").xid().gtid(7).query("DROP TABLE t")
    assert begun(log.begin(8), 3, "applied").xid().begin(9).insert(1).xid().ends()[-1].head.seen == 50


@pytest.mark.parametrize(("then", "held"), [("held", {41}), ("skipped", set()), ("applied", set()), ("running", {41})])
def test_statements_that_are_held_are_not_known_to_rows(then: str, held: set[int]) -> None:
    """Progress is beyond a held statement, and rows do not know it, until it is run or somebody says that it is not to be."""
    log = begun(begun(Log().begin(1), 3, "held").xid().begin(2), 3, then).xid()
    assert log.ends()[-1].held == held
    assert log.begin(8).insert(1).xid().ends()[-1].head.held == held
    assert log.gtid(9).query("DROP TABLE t").begin(10).insert(2).xid().ends()[-1].head.held == (held if then == "held" else set())


def test_a_statement_without_a_stream_moves_nothing() -> None:
    """A command's own statement goes nowhere either, and says nothing of what was applied."""
    log = begun(Log(seen=40).begin(1), 3, "running", stream="local").xid().gtid(7).query("DROP TRIGGER g")
    head = log.ends()[-1].head
    assert (head.origin, head.origin_sequence) == ("west", 0)
    assert begun(log.begin(8), 3, "applied").xid().ends()[-1].head.seen == 40


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)",
        "UPDATE crm.x JOIN crm.customers USING (id) SET a = 1",
        "DELETE FROM t",
        "REPLACE t SELECT 1",
        "LOAD DATA INFILE 'x' INTO TABLE t",
        "CALL p()",
    ],
)
@pytest.mark.parametrize("begun", [True, False])
def test_statements_in_place_of_rows_are_refused(statement: str, begun: bool) -> None:
    """DML as a statement in scope and what cannot be read stop, with the verb and names but no values in the message."""
    log = Log().gtid()
    if begun:
        log.query("BEGIN")
    error = stopped(log.query, statement)
    assert "VALUES" not in error.message
    assert not log.ends()


def databases(*names: str) -> bytes:
    """The status variable that lists the databases whose tables a statement has opened."""
    return bytes([12, len(names)]) + b"".join(name.encode() + b"\0" for name in names)


@pytest.mark.parametrize("statement", ["INSERT INTO other.t VALUES (RAND(), @a)", "SELECT `other`.`f`()"])
def test_dml_statements_out_of_scope_pass(statement: str) -> None:
    """Statement-based DML in other databases does not stop, with the events that belong to it; later rows are still seen."""
    log = Log().begin().write(5, bytes(9)).write(13, bytes(16)).write(14, b"\1\0\0\0a\1")
    log.query(statement, "other", databases("mysql", "other")).insert(1).xid()
    assert [type(item) for item in log.items] == [Rows, End]


@pytest.mark.parametrize(
    "status",
    [
        databases("other", "shop"),
        databases("other", "crm"),  # of which a table is carried
        databases("shop"),  # of a view, say
        databases("other", ""),  # another table refers to one by a foreign key
        databases(),
        b"\x0c\xfe",  # likewise, or they are too many
        b"",
    ],
)
def test_dml_statements_that_may_reach_into_scope_are_refused(status: bytes) -> None:
    """What triggers, functions, views and cascades change is not in the text: only the databases that it opened rule it out."""
    error = stopped(Log().begin().query, "INSERT INTO other.t VALUES (1)", "other", status)
    assert "INSERT other.t in place of rows" in error.message


def test_dml_statements_beside_a_table_in_scope_are_refused() -> None:
    """Where a database is in scope in part, a trigger of any table of it may change the part that is."""
    assert "crm" in stopped(Log().begin().query, "INSERT INTO x VALUES (1)", "crm", databases("crm")).message


def test_databases_are_in_lower_case_where_all_names_are() -> None:
    """As the tables' names are, however the log has them."""
    log = Log().begin()
    log.transactions._tables.lower_case = True
    stopped(log.query, "INSERT INTO t VALUES (1)", "other", databases("other", "Shop"))


def test_dml_statements_after_their_values_are_still_refused() -> None:
    """The values of @a and LAST_INSERT_ID() say nothing by themselves; the statement behind them decides."""
    log = Log().begin().write(5, bytes(9)).write(14, b"\1\0\0\0a\1")
    stopped(log.query, "INSERT INTO t VALUES (@a)")


def test_temporary_tables_do_not_end_a_transaction() -> None:
    """Between BEGIN and COMMIT a temporary table comes and goes without a commit: what follows is the same transaction."""
    log = Log().begin().query("CREATE TEMPORARY TABLE tmp (id INT)").insert(1)
    log.query("DROP TEMPORARY TABLE IF EXISTS `shop`.`tmp`").insert(2)
    assert not log.ends()
    log.xid()
    assert [type(item) for item in log.items] == [Rows, Rows, End]


CREATE_SELECT = "CREATE TABLE `c` (`id` int) START TRANSACTION"


def test_create_select_is_a_statement_and_rows() -> None:
    """Both are handed on before the one end that they have."""
    log = Log().begin().query(CREATE_SELECT).insert(1).xid()
    ddl, rows, end = log.items
    assert isinstance(ddl, Ddl) and isinstance(rows, Rows) and isinstance(end, End)
    assert (ddl.tables, end.head.kind, end.pos) == (("shop.c",), "rows", log.pos)


def test_create_select_of_no_rows() -> None:
    """The statement is listed, its transaction is not."""
    log = Log().begin().query(CREATE_SELECT).xid()
    assert [type(item) for item in log.items] == [Ddl, End]
    assert log.ends()[0].head.kind == ""


def test_other_statements_inside_of_a_transaction_are_refused() -> None:
    """None is known that could be there."""
    stopped(Log().begin().query, "ALTER TABLE t ADD c INT")


def test_create_select_out_of_scope_passes_as_one_transaction() -> None:
    """Statement and rows end together."""
    log = Log().begin().query(CREATE_SELECT, "other").insert(1, db="other").xid()
    (end,) = log.items
    assert isinstance(end, End)
    assert end.pos == log.pos


# --- what stops -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name"),
    [(26, "INCIDENT"), (17, "BEGIN_LOAD_QUERY"), (18, "EXECUTE_LOAD_QUERY"), (43, "43"), (160, "160")],
)
def test_events_that_are_not_captured(code: int, name: str) -> None:
    """What may hold rows in another form, and what nobody knows, stops with its name."""
    assert f"type {name}," in stopped(Log().begin().write, code, bytes(20)).message
    stopped(Log().write, code, bytes(20), gtid=None)


def test_an_unknown_event_that_says_it_can_be_ignored() -> None:
    """The server sets a flag on events that a reader may pass over."""
    log = Log().write(43, bytes(20), flags=events.IGNORABLE_FLAG).begin().write(200, b"x" * 9, flags=events.IGNORABLE_FLAG)
    assert log.insert(1).xid().ends()


def test_events_without_content_are_passed_over() -> None:
    """Heartbeats, the statement's text beside its rows, group replication's notes."""
    log = Log()
    for code in (3, 27, 41, 29, 35, 36, 37):
        log.write(code, bytes(30))
    log.begin().write(29, b"\x09SELECT 1").insert(1).xid()
    assert [type(item) for item in log.items] == [Rows, End]


@pytest.mark.parametrize("code", [23, 24, 25])
def test_other_forms_of_rows(code: int) -> None:
    """MySQL 5.5's rows stop where the table is in scope, and pass where it is not."""
    stopped(Log().begin().map().write, code, enc.rows_body([row(1)], 2))
    assert Log().begin().map("other").write(code, enc.rows_body([row(1)], 2)).xid().ends()


@pytest.mark.parametrize("present", [b"\1", b"\2", b"\0"])
def test_a_row_image_that_lacks_columns_is_refused(present: bytes) -> None:
    """binlog_row_image MINIMAL or NOBLOB: the table is named, and the setting."""
    log = Log().begin().map()
    error = stopped(lambda: log.rows(events.WRITE_ROWS, row(1), present=present), code="row_image")
    assert error.where.table == "shop.t"
    assert "binlog_row_image = FULL" in (error.hint or "")


def test_table_errors_have_their_place() -> None:
    """An error of the table map gets gtid, position and the way past it beside its own hint."""
    log = Log().begin()
    error = stopped(lambda: log.map(columns=[enc.int_col("a"), enc.Col(name="g", type=11)]), code="unsupported_type")
    assert error.where.table == "shop.t"
    assert '"!shop.t"' in (error.hint or "")


def test_undecodable_rows_have_their_place() -> None:
    """Broken rows, an ENUM's error value, opaque JSON: the table is named."""
    log = Log().begin().map()
    assert "shop.t" in stopped(lambda: log.rows(events.WRITE_ROWS, b"\0\1"), code="undecodable").message
    columns = [enc.int_col("id"), enc.Col(name="j", type=245, meta=b"\4")]
    log = Log().begin().map(columns=columns)
    image = enc.image([b"\1\0\0\0", enc.prefixed(b"\x0f\xfd\1x", 4)])
    error = stopped(lambda: log.rows(events.WRITE_ROWS, image), code="unsupported_type")
    assert error.where.table == "shop.t"


@pytest.mark.parametrize("code", [events.WRITE_ROWS, events.UPDATE_ROWS, events.DELETE_ROWS])
def test_rows_without_their_table_map_are_refused(code: int) -> None:
    """A stream that began inside a transaction is not read on (#44)."""
    log = Log().begin()
    error = stopped(lambda: log.rows(code, row(1), row(1)), code="table_map_missing")
    assert "resume" in (error.hint or "")


@pytest.mark.parametrize("step", ["rows", "xid", "statement"])
def test_nothing_is_taken_outside_of_a_transaction(step: str) -> None:
    """Rows, a commit or a statement without a GTID event before it."""
    log = Log().map()
    feed = {"rows": lambda: log.rows(events.WRITE_ROWS, row(1)), "xid": log.xid, "statement": lambda: log.query("DROP TABLE t")}
    stopped(feed[step], gtid=None)


@pytest.mark.parametrize("code", [events.GTID, events.QUERY, events.TABLE_MAP, events.WRITE_ROWS, events.ROTATE])
def test_cut_events_are_errors_of_ours(code: int) -> None:
    """An event that is too short for its kind is a CaptureError with its place, not an IndexError somewhere."""
    for size in range(3):
        log = Log().begin().map()
        with pytest.raises(CaptureError):
            log.write(code, bytes([0xFE] * size))


def test_a_crash_before_any_row_leaves_nothing() -> None:
    """A new file's format description where a transaction was open: what it had not committed is no change, nor seen."""
    log = marker(Log(seen=5).begin(), 9).map("other").rows(events.WRITE_ROWS, b"x").write(events.FORMAT_DESCRIPTION, bytes(98))
    log.begin(8).insert(1).xid()
    assert [(end.head.number, end.head.seen) for end in log.ends()] == [(8, 5)]


@pytest.mark.parametrize("code", [events.FORMAT_DESCRIPTION, events.GTID])
def test_rows_without_an_end_are_refused(code: int) -> None:
    """Rows that were handed on, and then another transaction begins: they must not become part of that one."""
    log = Log().begin().insert(1)
    stopped(log.write, code, enc.gtid_body(8) + bytes(60))


# --- skip -----------------------------------------------------------------------------------------------------------


def test_a_skipped_transaction_gives_what_it_touched() -> None:
    """Rows that cannot be decoded are led past; its end names the tables, for `verify`; the next one is read again."""
    log = Log(skips=[GTID]).begin().map().rows(events.WRITE_ROWS, b"broken").map("other", "x")
    log.map(name="u", columns=[enc.Col(name="g", type=255, meta=b"\4")]).rows(39, b"").xid().begin(8).insert(1).xid()
    first, rows, second = log.items
    assert isinstance(first, End) and isinstance(rows, Rows) and isinstance(second, End)
    assert (first.head.skipped, first.head.kind, first.tables) == (True, "", ("shop.t", "other.x", "shop.u"))
    assert (second.head.skipped, second.tables) == (False, ())


def _skipped(log: Log) -> None:
    log.begin(8).insert(1).xid()
    first, rows, second = log.items
    assert isinstance(first, End) and isinstance(rows, Rows) and isinstance(second, End)
    assert (first.head.gtid, first.head.skipped, second.head.skipped) == (GTID, True, False)


def test_skip_by_file_and_position() -> None:
    """Without GTIDs a transaction is skipped by its place."""
    log = Log(skips=[f"{FILE}:4"]).write(events.ANONYMOUS_GTID, enc.gtid_body(0)).query("BEGIN").map().rows(30, b"broken").xid()
    assert log.ends()[0].head.skipped


def test_skip_of_a_statement() -> None:
    """A DDL in scope is passed, and named."""
    log = Log(skips=[GTID]).gtid().query("DROP TABLE t, other.u")
    assert log.ends()[0].tables == ("shop.t", "other.u")
    _skipped(log)


def test_skip_of_statements_in_place_of_rows() -> None:
    """Several statements in one transaction are one skip, and end at the commit."""
    log = Log(skips=[GTID]).begin().write(5, bytes(9)).query("INSERT INTO t VALUES (1)").query("CREATE TEMPORARY TABLE x (i INT)")
    log.query("UPDATE u SET a = 1").xid()
    assert log.ends()[0].tables == ("shop.t", "shop.x", "shop.u")
    _skipped(log)


def test_skip_of_create_select() -> None:
    """The statement and its rows."""
    _skipped(Log(skips=[GTID]).begin().query(CREATE_SELECT).insert(1, name="c").xid())


def test_skip_of_a_prepared_xa_transaction() -> None:
    """From XA START to its XA_PREPARE event; XA COMMIT is a transaction of its own."""
    log = Log(skips=[GTID]).gtid().query("XA START X'61',X'',1").map().rows(events.WRITE_ROWS, row(1))
    log.query("XA END X'61',X'',1").write(events.XA_PREPARE, prepare_body("a"))
    _skipped(log)
    before = inserted(log)
    log.gtid(9).query("XA COMMIT X'61',X'',1")
    assert inserted(log) == before


def test_skip_of_xa_commit() -> None:
    """One event, ended by itself."""
    _skipped(Log(skips=[GTID]).gtid().query("XA COMMIT X'61',X'',1"))


def test_skip_of_an_incident() -> None:
    """It is the end of its transaction: a rotation follows, behind which nothing would be left of it."""
    _skipped(Log(skips=[GTID]).gtid().write(events.INCIDENT, bytes(4)))


# --- XA ---------------------------------------------------------------------------------------------------------------


def prepare_body(xid: str, *, one_phase: bool = False) -> bytes:
    """An XA_PREPARE_LOG_EVENT's body of format 1, without a qualifier."""
    return struct.pack("<BIII", one_phase, 1, len(xid), 0) + xid.encode()


def name_of(xid: str) -> str:
    """The XID as the server writes it in statements."""
    return f"X'{xid.encode().hex()}',X'',1"


def branch(log: Log, number: int, xid: str, *ids: int, one_phase: bool = False, **where: Any) -> Log:
    """A transaction that prepares a branch with rows, or commits it in one phase."""
    log.gtid(number).query(f"XA START {name_of(xid)}").insert(*ids, **where).query(f"XA END {name_of(xid)}")
    return log.write(events.XA_PREPARE, prepare_body(xid, one_phase=one_phase))


def inserted(log: Log) -> list[tuple[str, object]]:
    """(GTID's number, id) of each row that came out."""
    return [(item.head.gtid[-1], image[0]) for item in log.items if isinstance(item, Rows) for image in item.images]


@given(st.permutations("abc"), st.sets(st.sampled_from("abc")), st.booleans())
def test_branches_end_in_any_order(order: list[str], rolled_back: set[str], kept: bool) -> None:
    """Rows of three branches come with their commits, in the commits' order; of those that were rolled back none come."""
    log = Log()
    log.transactions._branches._kept_bytes = 0 if kept else xa.KEPT_BYTES  # too much is kept already: read once more
    for number, xid in enumerate("abc", 1):
        branch(log, number, xid, 10 * number, 10 * number + 1)
    assert not inserted(log) and all(not end.head.kind for end in log.ends())
    for number, xid in enumerate(order, 4):
        log.gtid(number).query(f"XA {'ROLLBACK' if xid in rolled_back else 'COMMIT'} {name_of(xid)}")
    expected = []
    for number, xid in enumerate(order, 4):
        if xid not in rolled_back:
            first = 10 * ("abc".index(xid) + 1)
            expected += [(str(number), first), (str(number), first + 1)]
    assert inserted(log) == expected
    ends = log.ends()[3:]
    assert [bool(end.head.kind) for end in ends] == [xid not in rolled_back for xid in order]
    assert [len(end.prepared or {}) for end in ends] == [2, 1, 0]


def test_one_phase_is_one_transaction() -> None:
    """Its XA_PREPARE_LOG_EVENT is its commit; nothing is left to wait for."""
    log = branch(Log(), 7, "a", 1, 2, one_phase=True)
    assert inserted(log) == [("7", 1), ("7", 2)]
    (end,) = log.ends()
    assert (end.head.kind, end.prepared) == ("rows", None)


def test_a_branch_out_of_scope_is_known_all_the_same() -> None:
    """Its commit is no surprise, and carries nothing."""
    log = branch(Log(), 7, "a", 1, db="other")
    log.gtid(8).query(f"XA COMMIT {name_of('a')}")
    assert not inserted(log)
    assert [end.head.kind for end in log.ends()] == ["", ""]


def test_a_commit_of_an_unknown_branch_is_refused() -> None:
    """It was prepared before the stream began; its rollback is nothing."""
    assert Log().gtid().query(f"XA ROLLBACK {name_of('z')}").ends()
    stopped(Log().gtid().query, f"XA COMMIT {name_of('z')}")


def test_a_server_that_crashed_before_the_prepare() -> None:
    """What was of an open branch is no change, and what comes then is no part of it."""
    log = Log().gtid(1).query(f"XA START {name_of('a')}").insert(1)
    log.write(events.FORMAT_DESCRIPTION, bytes(80)).begin(2).insert(2).xid()
    assert inserted(log) == [("2", 2)]


# --- any history ----------------------------------------------------------------------------------------------------

CHANGES = st.lists(
    st.tuples(st.sampled_from(["shop", "other"]), st.sampled_from("ab"), st.lists(st.integers(0, 99), min_size=1, max_size=3)),
    max_size=4,
)
HISTORY = st.lists(
    st.one_of(
        st.tuples(st.just("rows"), CHANGES),
        st.tuples(st.just("applied"), CHANGES),
        st.tuples(st.just("ddl"), st.sampled_from(["shop", "other"])),
        st.tuples(st.just("skip"), CHANGES),
        st.tuples(st.just("rotate"), st.none()),
    ),
    max_size=12,
)


@given(HISTORY)
@settings(max_examples=80)
def test_any_history_comes_out_as_it_went_in(history: list[tuple[str, Any]]) -> None:
    """Random transactions: every row in scope in order under its own head, one end each, origin and seen as a model says."""
    log = Log(skips=[f"{enc.UUID_TEXT}:{n}" for n, (what, _) in enumerate(history, 1) if what == "skip"])
    expected: list[object] = []
    seen = 0
    for n, (what, detail) in enumerate(history, 1):
        origin = None
        before = seen
        if what == "rotate":
            log.write(events.ROTATE, enc.rotate_body(f"binlog.{n:06d}")).write(events.FORMAT_DESCRIPTION, bytes(98))
            continue
        if what == "ddl":
            log.gtid(n).query("CREATE TABLE n (i INT)", detail)
            expected += [("ddl", n)] * (detail == "shop")
        else:
            log.begin(n)
            if what == "applied":
                marker(log, n * 10)
                seen, origin = n * 10, "west"
            for db, name, ids in detail:
                log.insert(*ids, db=db, name=name)
                if db == "shop" and what != "skip":
                    expected.append((n, name, ids))
            log.xid()
        expected.append(("end", n, origin, before))
    found: list[object] = []
    for item in log.items:
        if isinstance(item, Rows):
            found.append((item.head.number, item.table.name, [image[0] for image in item.images]))
        elif isinstance(item, Ddl):
            found.append(("ddl", item.head.number))
        else:
            found.append(("end", item.head.number, item.head.origin, item.head.seen))
    assert found == expected
