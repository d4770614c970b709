"""Edited statements on a real server: edited as that server logs them, and run as they would be at the other side."""

import re
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest

from bisync_topology.ddl import read_statement
from bisync_topology.ddl_columns import column_changes
from bisync_topology.ddl_edits import definer_of, with_current_user, with_event_disabled, without_start_transaction
from bisync_topology.ddl_names import only_renames, only_tables, renames
from bisync_topology.ddl_triggers import guarded, is_guarded
from sandbox.mysql import MySQLServer

pytestmark = pytest.mark.servers


class Client:
    """One session in the database `edits`."""

    def __init__(self, connection: "pymysql.Connection[Any]") -> None:
        self.connection = connection

    def run(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Run each, and give the rows of the last."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return tuple(cursor.fetchall())

    def logged(self, statement: str) -> str:
        """Run it and give the text that the server wrote to its binlog for it."""
        file, position = self.run("SHOW BINARY LOG STATUS")[0][:2]
        self.run(statement)
        events = self.run(f"SHOW BINLOG EVENTS IN '{file}' FROM {position}")
        texts = [row[5] for row in events if row[2] == "Query" and row[5] not in ("BEGIN", "COMMIT")]
        assert len(texts) == 1
        text = texts[0].removeprefix("use `edits`; ")
        return re.sub(r" /\* xid=\d+ \*/$", "", text)  # SHOW puts it there


@pytest.fixture
def client(source: MySQLServer) -> Iterator[Client]:
    """A session in an empty database."""
    with source.connect() as connection:
        client = Client(connection)
        client.run("CREATE DATABASE edits", "USE edits")
        yield client
        client.run("DROP DATABASE edits")


SCHEDULE = "ON SCHEDULE EVERY 1 DAY"


@pytest.mark.parametrize(
    "tail",
    [
        f"e {SCHEDULE} DO SET @a = 'ENABLE'",
        f"IF NOT EXISTS e {SCHEDULE} ENABLE DO SET @enable = 1",
        f"e {SCHEDULE} STARTS @do + INTERVAL 1 DAY DISABLE COMMENT 'DO ENABLE' DO BEGIN SET @a = 1; SET @b = 2; END",
        f"e {SCHEDULE} ON COMPLETION PRESERVE COMMENT 'x' DO DO 1",
        "e ON SCHEDULE AT '2035-01-01 00:00:00'/* DO */DO SET @a = 1 -- ENABLE",
        f"e /*!50106 {SCHEDULE} ENABLE */ DO SET @a = 1",
        f"e {SCHEDULE} DISABLE ON SLAVE DO SET @a = 1;",
    ],
)
def test_event_arrives_disabled(client: Client, tail: str) -> None:
    """It has the status of a replica's events, and is otherwise what it was at its source."""
    client.run("SET @do = '2035-01-01'")
    columns = (
        "EVENT_DEFINITION, EVENT_COMMENT, ON_COMPLETION, EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE, INTERVAL_FIELD, ENDS, DEFINER"
    )
    details = f"SELECT {columns} FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'edits'"
    text = client.logged(f"CREATE EVENT {tail}")
    before = client.run(details)
    client.run("DROP EVENT e", with_event_disabled(text))
    assert client.run("SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'edits'") == (
        ("REPLICA_SIDE_DISABLED",),
    )
    assert len(before) == 1
    assert client.run(details) == before


@pytest.mark.parametrize(
    "tail",
    [
        "COMMENT 'ENABLE'",
        "ON SCHEDULE EVERY 2 DAY",
        "ON COMPLETION PRESERVE",
        "DO SET @a = 'ENABLE'",
        "RENAME TO enable",
        "RENAME TO do ENABLE",
        "ENABLE",
        "DISABLE COMMENT 'x' DO SET @a = 2",
        "ON SCHEDULE EVERY 2 DAY ENABLE;",
    ],
)
def test_altered_event_stays_disabled(client: Client, tail: str) -> None:
    """What is changed at the source never enables it here: neither a clause, nor its absence."""
    event = f"CREATE EVENT e {SCHEDULE} DO SET @a = 1"
    client.run(event)
    text = client.logged(f"ALTER EVENT e {tail}")
    ((name,),) = client.run("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'edits'")
    client.run(f"DROP EVENT `{name}`", with_event_disabled(event), with_event_disabled(text))
    rows = client.run("SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = 'edits'")
    assert rows == ((name, "REPLICA_SIDE_DISABLED"),)


@pytest.mark.parametrize(
    "body",
    [
        "SET NEW.b = 1",
        "SET NEW.b = 1; -- trailing",
        "SET NEW.b = 1 # trailing",
        "SET NEW.b = 1 /* trailing */ ;",
        "SET NEW.b = 0 /*!50000 + 1 */",
        "FOLLOWS other SET NEW.b = 1",
        "PRECEDES `other`SET NEW.b = 1",
        "FOLLOWS 'other' BEGIN SET NEW.b = 1; END;",
        "lbl: BEGIN SET NEW.b = 1; LEAVE lbl; SET NEW.b = 2; END lbl",
        "BEGIN DECLARE x INT; DECLARE EXIT HANDLER FOR NOT FOUND SET NEW.b = 1; SELECT 1 INTO x FROM t WHERE a < 0; END",
        "IF NEW.a > 0 THEN SET NEW.b = 1; END IF",
        "CASE NEW.a WHEN 1 THEN SET NEW.b = 1; ELSE BEGIN END; END CASE",
        "BEGIN IF @bisync_applying IS NULL THEN SET NEW.b = 1; END IF; SET @other = 1; END",
    ],
)
def test_trigger_fires_for_clients_only(client: Client, body: str) -> None:
    """Its body runs for a client, and not in a session that has the applier's variable; guarded twice is guarded once."""
    client.run("CREATE TABLE t (a INT, b INT)")
    other = "CREATE TRIGGER other BEFORE INSERT ON t FOR EACH ROW SET @other = 1"
    client.run(other)
    text = client.logged(f"CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW {body}")
    client.run("DROP TRIGGER tr", guarded(text), "SET @bisync_applying = 1", "INSERT INTO t (a) VALUES (1)")
    assert client.run("SELECT a, b FROM t") == ((1, None),)
    client.run("SET @bisync_applying = NULL", "DELETE FROM t", "INSERT INTO t (a) VALUES (1)")
    assert client.run("SELECT a, b FROM t") == ((1, 1),)
    shown = client.run("SHOW CREATE TRIGGER tr")[0][2]
    assert is_guarded(shown)
    assert guarded(shown) == shown


@pytest.fixture
def limited(source: MySQLServer, client: Client) -> Iterator[Client]:
    """A session of an account that may make objects, but not in the name of another account."""
    client.run(
        "CREATE USER owner@'%', limited@'127.0.0.1' IDENTIFIED BY 'limited'",
        "GRANT ALL ON edits.* TO limited@'127.0.0.1'",
        "SET @trusted = @@GLOBAL.log_bin_trust_function_creators",
        "SET GLOBAL log_bin_trust_function_creators = ON",
    )
    with source.connect("limited", "limited", database="edits") as connection:
        yield Client(connection)
    client.run("SET GLOBAL log_bin_trust_function_creators = @trusted", "DROP USER owner@'%', limited@'127.0.0.1'")


@pytest.mark.parametrize(
    ("before", "statement", "after", "definer"),
    [
        ("", "CREATE DEFINER=owner@'%' SQL SECURITY DEFINER VIEW v AS SELECT 'DEFINER=x'", "DROP VIEW v", "VIEWS"),
        (
            "CREATE VIEW v AS SELECT 1",
            "ALTER DEFINER = owner VIEW v AS SELECT 2",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
            "VIEWS",
        ),
        (
            "",
            "CREATE /*!50017 DEFINER=`owner`@`%`*/ TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
            "DROP TRIGGER tr",
            "TRIGGERS",
        ),
        ("", "CREATE DEFINER = 'owner'@'%' PROCEDURE p() SELECT 1", "DROP PROCEDURE p", "ROUTINES"),
        ("", "CREATE DEFINER='owner'@'%'FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1", "DROP FUNCTION f", "ROUTINES"),
        ("", f"CREATE DEFINER=owner@'%' EVENT e {SCHEDULE} DO SET @a = 1", "DROP EVENT e", "EVENTS"),
        (f"CREATE EVENT e {SCHEDULE} DO SET @a = 1", "ALTER DEFINER=owner EVENT e COMMENT 'x'", "SELECT 1", "EVENTS"),
    ],
)
def test_definer(client: Client, limited: Client, before: str, statement: str, after: str, definer: str) -> None:
    """What the server refuses because of its definer it takes with the current user, as written and as logged."""
    client.run("CREATE TABLE t (a INT)", *filter(None, [before]))
    text = client.logged(statement)
    client.run(after)
    for form in (statement, text):
        assert (definer_of(form) or "").replace("'", "`").startswith(("owner", "`owner`"))
        with pytest.raises(pymysql.OperationalError, match="Access denied; you need") as refused:
            limited.run(form)
        assert refused.value.args[0] == 1227
        limited.run(with_current_user(form))
        column = {"TRIGGERS": "TRIGGER_SCHEMA", "ROUTINES": "ROUTINE_SCHEMA", "EVENTS": "EVENT_SCHEMA"}.get(
            definer, "TABLE_SCHEMA"
        )
        assert client.run(f"SELECT DEFINER FROM information_schema.{definer} WHERE {column} = 'edits'") == (
            ("limited@127.0.0.1",),
        )
        client.run(after)


@pytest.mark.parametrize(
    "actions",
    [
        "ADD d INT, ADD COLUMN `e` ENUM('x,y', 'ADD z INT') AFTER a, ADD INDEX (b)",
        "ADD (d DECIMAL(3,2), e INT, KEY (d, e), CONSTRAINT k CHECK (e > 0), `index` INT), DROP b",
        "ADD COLUMN (d INT), ADD UNIQUE (a, b), ADD CONSTRAINT u UNIQUE (b), ADD CHECK (a < b)",
        "DROP PRIMARY KEY, DROP KEY k1, DROP COLUMN c RESTRICT, DROP CHECK c1",
        "DROP INDEX k1, DROP CONSTRAINT c1, DROP `key`",
        "RENAME COLUMN a TO d, RENAME KEY k1 TO k2, RENAME TO u",
        "CHANGE a `d` BIGINT NOT NULL, CHANGE COLUMN b B INT, RENAME COLUMN c TO C",
        "CHANGE a b INT NOT NULL, CHANGE b a INT NOT NULL",
        "DROP c, ADD C BIGINT, ADD vector VECTOR(3), ADD COLUMN period INT",
        "MODIFY c INT DEFAULT 5, ALTER b SET DEFAULT 6, ORDER BY b, c",
        "ADD d INT /* , ADD e INT */ /*!50000 , ADD f INT */ -- , ADD g INT",
        "ADD d INT PARTITION BY RANGE COLUMNS (id) (PARTITION p VALUES LESS THAN (5), PARTITION q VALUES LESS THAN (9))",
    ],
)
def test_column_changes(client: Client, actions: str) -> None:
    """The columns that a table has afterwards are those it had, with the changes that were read."""
    columns = "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'edits'"
    client.run("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT, `key` INT, KEY k1 (b), CONSTRAINT c1 CHECK (c > 0))")
    before = {name for (name,) in client.run(columns)}
    text = client.logged(f"ALTER TABLE t {actions}")
    changes = column_changes(text, "edits")
    gone = {change.old for change in changes}
    case = {name.lower() for name in before - gone} | {change.new.lower() for change in changes if change.new}
    assert {name.lower() for (name,) in client.run(columns)} == case
    assert all(change.old in before for change in changes if change.old)


def test_names_are_cut_out(client: Client) -> None:
    """What is left of DROP and RENAME does for the kept names what the whole would have done, and nothing to the others."""

    def tables() -> set[str]:
        return {name for (name,) in client.run("SHOW TABLES")}

    def make(kind: str) -> None:
        client.run(*(f"CREATE {kind} {name} AS SELECT 1 AS i" for name in "abc"))

    make("TABLE")
    text = client.logged("DROP TABLE a, `b` /*!50000 , c */")
    make("TABLE")
    client.run(only_tables(text, "edits", lambda _, name: name != "b"))
    assert tables() == {"b"}
    client.run("DROP TABLE b")
    make("TABLE")
    text = client.logged("RENAME TABLE a TO x, edits.`b`TO`a`, x TO b, c TO d")
    client.run("DROP TABLE a, b, d")
    make("TABLE")
    client.run(only_renames(text, "edits", lambda _, new: new[1] == "d"))
    assert tables() == {"a", "b", "d"}
    text = client.logged("ALTER TABLE a RENAME COLUMN i TO j, RENAME AS x, RENAME = y")
    assert renames(text, "edits") == ((("edits", "a"), ("edits", "y")),)
    assert tables() == {"y", "b", "d"}
    client.run("DROP TABLE y, b, d")
    make("VIEW")
    text = client.logged("DROP VIEW IF EXISTS a,`b`,`c`CASCADE")
    make("VIEW")
    client.run(only_tables(text, "edits", lambda _, name: name == "a"))
    assert tables() == {"b", "c"}


def test_table_without_rows(client: Client) -> None:
    """CREATE TABLE … SELECT as logged makes an empty table of the same form, and no transaction waits for its rows."""
    text = client.logged("CREATE TABLE t (`start transaction` INT COMMENT 'START TRANSACTION') SELECT 1 AS a, 'x' AS b")
    shown = client.run("SHOW CREATE TABLE t")
    client.run("DROP TABLE t")
    edited = without_start_transaction(text, read_statement(text, "edits"))
    client.run(edited, "CREATE TABLE u (a INT)")  # refused, did it wait for rows
    assert client.run("SHOW CREATE TABLE t") == shown
    assert client.run("SELECT COUNT(*) FROM t") == ((0,),)
    client.run("DROP TABLE t", text)
    with pytest.raises(pymysql.OperationalError):
        client.run("CREATE TABLE v (a INT)")
    client.run("ROLLBACK")
