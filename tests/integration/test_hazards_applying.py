"""Changes written with PyMySQL as its users write them, from what the library gives, beside our applier's statements."""

from collections.abc import Iterator
from datetime import timedelta

import pymysql
import pytest
from appliers import Applier, applied, change
from both_readers import captured, library_changes, library_events
from capturing import here
from pymysql.cursors import Cursor
from pymysqlreplication.event import QueryEvent

from bisync_topology.errors import Repeat
from bisync_topology.topology import Policy
from consumers.conflict import ConflictType, Rules, decide
from consumers.orphans import Orphans, Refusals
from producers.transactions import Ddl, Rows
from sandbox.instances import Sandbox
from sandbox.mysql import MySQLServer
from schemas.envelope import RowEncoder
from schemas.records import Row, RowEvent

pytestmark = pytest.mark.servers


def plain_connection(servers: Sandbox) -> "pymysql.Connection[Cursor]":
    """A connection with PyMySQL's own defaults."""
    return pymysql.connect(host=servers.east.host, port=servers.east.port, user="root", password="", database="guard")


@pytest.fixture
def plain(servers: Sandbox) -> Iterator[Cursor]:
    """A cursor of such a connection; what it wrote is rolled back."""
    with plain_connection(servers) as connection, connection.cursor() as cursor:
        yield cursor
        connection.rollback()


def outcome(cursor: Cursor, statement: str, parameters: object, read: str) -> object:
    """What a statement leaves behind, as `read` reads it, or the number or name of the error that it ends with."""
    try:
        cursor.execute(statement, parameters)
    except pymysql.err.MySQLError as error:
        cursor.connection.rollback()
        return error.args[0]
    except (TypeError, ValueError) as error:
        return type(error).__name__
    cursor.execute(read)
    ((left,),) = cursor.fetchall()
    cursor.connection.rollback()
    return left


# column, the library's value, what that leaves or ends with, the value as it travels here, what is then stored
VALUES: list[tuple[str, object, object, object, str]] = [
    ("varchar(9) CHARACTER SET sjis", "＼", 1366, b"\x81\x5f", "815F"),
    ("varchar(9) CHARACTER SET utf16", "愀\ue900", "6100E900", "aé", "006100E9"),
    ("json", {b"a": 1}, "TypeError", '{"a": 1}', b'{"a": 1}'.hex().upper()),
    ("json", b'{"a": 1}', 3144, '{"a": 1}', b'{"a": 1}'.hex().upper()),
    ("varchar(9) CHARACTER SET latin1", "", "", "\x81", "81"),  # with `ignore_decode_errors`
    ("set('b','a')", {"a", "b"}, 1241, "b,a", b"b,a".hex().upper()),
    ("set('b','a')", None, None, "", ""),
    ("date", None, None, "2024-00-31", b"2024-00-31".hex().upper()),
    ("time(2)", timedelta(seconds=-0.99), b"-00:00:00.99".hex().upper(), "-00:00:00.01", b"-00:00:00.01".hex().upper()),
    ("year", 1900, 1264, 0, b"0000".hex().upper()),
]


@pytest.mark.parametrize(("type_", "library", "left", "value", "stored"), VALUES)
def test_values_as_they_are_written(
    applier: Applier, plain: Cursor, type_: str, library: object, left: object, value: object, stored: str
) -> None:
    """What the library gives is refused, or stored as another value; the applier stores what the source has."""
    made = applier.statements(f"id int PRIMARY KEY, c {type_} NULL")
    name = f"guard.{made.plan.target.name}"
    read = f"SELECT HEX(CONCAT(c)) FROM {name}" if "char" not in type_ else f"SELECT HEX(c) FROM {name}"
    assert outcome(plain, f"INSERT INTO {name} VALUES (1, %s)", (library,), read) == left
    assert applier.run(made.insert([(1, value)])) == 1
    assert applier.fetch(read) == [(stored,)]
    assert applier.run(made.delete([(1, value)])) == 1


def test_text_that_is_none(plain: Cursor) -> None:
    """Invalid UTF-8 that is said to be utf8mb4 is refused by the server: it cannot be written as text by mistake."""
    assert outcome(plain, "DO _utf8mb4 X'ff'", None, "") == 1300


def test_a_key_without_its_zeros(applier: Applier, plain: Cursor) -> None:
    """A BINARY key as the library gives it, its zeros cut off, finds no row; the applier's finds it."""
    made = applier.statements("id binary(4) PRIMARY KEY, n int")
    applier.as_admin(f"INSERT INTO guard.{made.plan.target.name} VALUES (X'61000000', 0)")
    assert plain.execute(f"DELETE FROM {made.plan.target.name} WHERE id = %s", (b"a",)) == 0
    plain.connection.rollback()
    assert applier.run(made.delete([(b"a\0\0\0", 0)])) == 1


def test_generated_columns(applier: Applier, plain: Cursor) -> None:
    """A row as it comes, all columns in it, is refused; the applier leaves out what the server computes."""
    made = applier.statements("id int PRIMARY KEY, g int AS (id + 1)")
    insert = f"INSERT INTO {made.plan.target.name} VALUES (%s, %s)"
    assert outcome(plain, insert, (1, 2), "") == 3105
    assert applier.run(made.insert([(1, 2)])) == 1


@pytest.mark.parametrize(
    ("definition", "value", "left", "stored"),
    [
        ("id int AUTO_INCREMENT PRIMARY KEY", 0, "1", "0"),
        ("id date PRIMARY KEY", "2024-02-31", "0000-00-00", "2024-02-31"),
        ("id timestamp PRIMARY KEY", "2024-01-01 12:00:00", "2024-01-01 10:00:00", "2024-01-01 12:00:00"),
        ("id varchar(3) PRIMARY KEY", "abcdef", "abc", 1406),
        ("id tinyint PRIMARY KEY", 1000, "127", 1264),
    ],
)
def test_sessions(servers: Sandbox, applier: Applier, definition: str, value: object, left: str, stored: str | int) -> None:
    """A plain session has what the server is set to, here two hours ahead and not strict; the applier sets its own.

    Zero, dates that are none and times come as they are; what does not fit is refused, not cut.
    """
    made = applier.statements(definition)
    read = f"SELECT CAST(CONVERT_TZ(id, @@time_zone, '+00:00') AS CHAR) FROM guard.{made.plan.target.name}"
    if "timestamp" not in definition:
        read = f"SELECT CAST(id AS CHAR) FROM guard.{made.plan.target.name}"
    with servers.east.connect() as admin, admin.cursor() as setting:
        setting.execute("SET GLOBAL time_zone = '+02:00', GLOBAL sql_mode = ''")
        try:
            with plain_connection(servers) as connection, connection.cursor() as cursor:
                assert outcome(cursor, f"INSERT INTO {made.plan.target.name} VALUES (%s)", (value,), read) == left
            other = Applier(servers)
            try:
                if isinstance(stored, int):
                    with pytest.raises(pymysql.err.MySQLError) as raised:
                        other.run(made.insert([(value,)]))
                    assert raised.value.args[0] == stored
                else:
                    other.run(made.insert([(value,)]))
                    assert other.fetch(read) == [(stored,)]
            finally:
                other.cursor.connection.close()
                other.admin.close()
        finally:
            setting.execute("SET GLOBAL time_zone = DEFAULT, GLOBAL sql_mode = DEFAULT")


def test_rows_that_are_found_and_not_changed(applier: Applier, plain: Cursor) -> None:
    """A plain session counts changed rows, so that an equal row seems to be missing; the applier's counts found ones."""
    made = applier.statements("id int PRIMARY KEY, n int")
    applier.as_admin(f"INSERT INTO guard.{made.plan.target.name} VALUES (1, 5)")
    assert plain.execute(f"UPDATE {made.plan.target.name} SET n = %s WHERE id = %s", (5, 1)) == 0
    plain.connection.rollback()
    assert applier.run(made.update([((1, 5), (1, 5))])) == 1


@pytest.mark.parametrize("name", ["50%", "%d", "%s", "a`b%%"])
def test_percent_signs_and_backticks_in_names(applier: Applier, plain: Cursor, name: str) -> None:
    """A name is taken for a place of a parameter where there are any; the applier's statements have none."""
    quoted = "`" + name.replace("`", "``") + "`"
    made = applier.statements(f"id int PRIMARY KEY, {quoted} int")
    applier.as_admin(f"INSERT INTO guard.{made.plan.target.name} VALUES (1, 5)")
    assert outcome(plain, f"UPDATE {made.plan.target.name} SET {quoted} = 6 WHERE id = %s", (1,), "SELECT 'done'") != "done"
    assert applier.run(made.update([((1, 5), (1, 6))])) == 1


def test_keys_that_are_equal_to_the_server(applier: Applier) -> None:
    """One row under two keys of a topic, thus maybe in two partitions: in the wrong order it is refused.

    The applier has them in the list's order, and no batch holds both.
    """
    made = applier.statements("id varchar(9) PRIMARY KEY, n int")
    encoder = RowEncoder(made.plan.source)
    assert encoder.key(("abc", 0)) != encoder.key(("ABC", 1))
    applier.run(made.insert([("abc", 0)]))
    with pytest.raises(pymysql.err.IntegrityError):
        applier.run(made.insert([("ABC", 1)]))
    applier.run(made.delete([("abc", 0)]))
    applier.run(made.insert([("ABC", 1)]))
    pairs: list[tuple[Row, Row]] = [(("ABC", 1), ("x", 1)), (("y", 0), ("äbc", 0))]
    assert [len(part) for part, _ in made.update_batches(pairs)] == [1, 1]


def test_a_key_that_changes(source: MySQLServer, applier: Applier, plain: Cursor) -> None:
    """The library's update, written by its new key alone as sinks do, leaves the old row; the applier moves it."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_apply")
        cursor.execute("CREATE DATABASE d_apply")
        cursor.execute("CREATE TABLE d_apply.t (id int PRIMARY KEY, n int)")
        cursor.execute("INSERT INTO d_apply.t VALUES (1, 0)")
        position = here(source)
        cursor.execute("UPDATE d_apply.t SET id = 2")
        ((_, op, (_, after)),) = library_changes(source, position)
        (rows, _) = captured(source, position, ["d_apply"])
        cursor.execute("DROP DATABASE d_apply")
    assert isinstance(rows, Rows)
    made = applier.statements("id int PRIMARY KEY, n int")
    name = made.plan.target.name
    applier.as_admin(f"INSERT INTO guard.{name} VALUES (1, 0)")
    assert (op, after) == ("u", {"id": 2, "n": 0})
    assert outcome(plain, f"REPLACE INTO {name} VALUES (%s, %s)", (2, 0), f"SELECT COUNT(*) FROM {name}") == 2
    before, after = rows.images
    encoder = RowEncoder(made.plan.source)
    assert encoder.key(before) != encoder.key(after)
    assert applier.run(made.update([(before, after)])) == 1
    assert applier.rows(made) == [(2, 0)]


def test_an_upsert_by_another_unique_key(applier: Applier, plain: Cursor) -> None:
    """An upsert changes another row where a unique value is taken, and says nothing; the applier stops at the conflict."""
    made = applier.statements("id int PRIMARY KEY, code varchar(9) UNIQUE, n int")
    name = made.plan.target.name
    applier.as_admin(f"INSERT INTO guard.{name} VALUES (1, 'a', 0)")
    upsert = f"INSERT INTO {name} VALUES (%s, %s, %s) ON DUPLICATE KEY UPDATE n = %s"
    assert outcome(plain, upsert, (2, "a", 9, 9), f"SELECT n FROM {name} WHERE id = 1") == 9
    with pytest.raises(pymysql.err.IntegrityError):
        applier.run(made.insert([(2, "a", 9)]))
    local = applier.found(made, None, (2, "a", 9))
    decision = decide(RowEvent(1, 0, "c", None, (2, "a", 9)), local, Rules(Policy.TASK_FAILED))
    assert (decision.type, decision.decision, decision.actions) == (ConflictType.INSERT_UNIQUE, "pending", ())
    assert applier.rows(made) == [(1, "a", 0)]


def test_a_child_without_its_parent(applier: Applier, plain: Cursor) -> None:
    """What a source cascades cannot be applied with foreign keys checked; unchecked, a child without a parent goes in unseen.

    The applier looks before its commit.
    """
    parent = applier.statements("id int PRIMARY KEY")
    name = parent.plan.target.name
    applier.cursor.connection.commit()  # a table that is in use cannot be referred to by a new one
    child = applier.statements(f"id int PRIMARY KEY, p int, FOREIGN KEY (p) REFERENCES {name} (id) ON UPDATE CASCADE")
    applier.as_admin(f"INSERT INTO guard.{name} VALUES (1)")
    applier.as_admin(f"INSERT INTO guard.{child.plan.target.name} VALUES (10, 1)")
    cascaded = f"UPDATE {child.plan.target.name} SET p = 2"
    assert outcome(plain, cascaded, (), "") == 1452
    plain.execute("SET foreign_key_checks = 0")
    assert outcome(plain, cascaded, (), f"SELECT p FROM {child.plan.target.name}") == 2
    applier.run("SET SESSION foreign_key_checks = 0")
    try:
        look = Orphans(applier.cursor.connection, lambda sql: None, Refusals())
        look.begin(1, fk_checks=False)
        assert applier.run(child.update([((10, 1), (10, 2))])) == 1
        look.applied([change(applied(child), (10, 1), (10, 2))])
        with pytest.raises(Repeat):
            look.check()
    finally:
        applier.run("SET SESSION foreign_key_checks = 1")


def test_triggers_fire_again(applier: Applier) -> None:
    """What a target's trigger writes is written by the source's too: an equal row is no conflict, another one is found.

    A trigger that adds to a row cannot be seen so: `precheck` names those without a guard.
    """
    orders = applier.statements("id int PRIMARY KEY, n int")
    totals = applier.statements("id int PRIMARY KEY, n int")
    body = f"INSERT INTO guard.{totals.plan.target.name} VALUES (NEW.id, 2 * NEW.n)"
    applier.cursor.connection.commit()  # a table that is in use cannot be given a trigger
    applier.as_admin(f"CREATE TRIGGER guard.g AFTER INSERT ON guard.{orders.plan.target.name} FOR EACH ROW {body}")
    applier.run(orders.insert([(1, 5)]))
    for row, conflict in (((1, 10), None), ((1, 11), ConflictType.INSERT_EXISTS)):
        with pytest.raises(pymysql.err.IntegrityError):
            applier.run(totals.insert([row]))
        found = applier.found(totals, None, row)
        assert decide(RowEvent(1, 0, "c", None, row), found, Rules(Policy.TASK_FAILED)).type == conflict


@pytest.mark.parametrize(("function", "error"), [("MD5", 1305), ("SHA1", 1305), ("CRC32", None)])
def test_functions_for_checksums(plain: Cursor, function: str, error: int | None) -> None:
    """This server has two of the usual functions no more; tables are compared with those that it has."""
    assert outcome(plain, f"SELECT {function}('a')", None, "SELECT NULL") == error


def test_comments_of_a_drop(source: MySQLServer) -> None:
    """The server logs DROP TABLE in its own words: a comment cannot say where a change began, and none is asked here."""
    with source.connect() as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS d_apply")
        cursor.execute("CREATE DATABASE d_apply")
        cursor.execute("CREATE TABLE d_apply.t (id int PRIMARY KEY)")
        position = here(source)
        cursor.execute("DROP TABLE /* from west */ d_apply.t")
        (event,) = library_events(source, position, only_events=[QueryEvent])
        (ddl, _) = captured(source, position, ["d_apply"])
        cursor.execute("DROP DATABASE d_apply")
    assert isinstance(ddl, Ddl)
    assert event.query == ddl.statement == "DROP TABLE `d_apply`.`t` /* generated by server */"
    assert ddl.head.origin is None
