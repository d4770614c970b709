"""DDL that is not plainly carried: at the wrong side, refused by the target, of kinds that are not carried, of clients in other
character sets; and what people then do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from faults.compare import rows
from faults.harness import SIDES, Cluster, until

from ddl.schema_differences import read_schema, schema_differences
from ddl.stage_ddl import as_app, logged, open_topology, pass_failures, play, play_unlogged, settle
from ddl.ticking import Ticking
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

DB, TABLES_DB = "ddl_odd", "ddl_odd_tables"


@pytest.fixture(scope="module")
def running_odd(ddl_servers: Sandbox) -> Iterator[Cluster]:
    """DDL goes from east to west: of database ddl_odd, of tables of ddl_odd_tables, and of databases that are made later."""
    objects = [DB, f"{TABLES_DB}.kept_*", f"{TABLES_DB}.exact", f"{TABLES_DB}.ticking", "ddl_doomed*"]
    settings = {"ddl": True, "events": "enabled"}
    databases = {"databases": [DB, TABLES_DB], "made_later": ["ddl_doomed"]}
    with open_topology(ddl_servers, "odd", "east", [], objects, **databases, settings=settings) as cluster:
        yield cluster


@pytest.fixture
def odd(running_odd: Cluster) -> Iterator[Cluster]:
    """The topology; where a test leaves a direction stopped, it is led on, and that is an error."""
    yield running_odd
    assert not list(pass_failures(running_odd))


def entries(cluster: Cluster, side: str = "west") -> list[dict[str, Any]]:
    """`ddl list -o json` of what has come to a side, newest first."""
    found: list[dict[str, Any]] = json.loads(cluster.command("ddl", "list", "-o", "json").stdout)
    return [entry for entry in found if entry["id"].startswith(f"{side}-")]


def newest(cluster: Cluster, part: str, state: str, side: str = "west") -> dict[str, Any]:
    """The newest record of a statement that has this text in it, once it is in this state."""

    def found() -> dict[str, Any] | None:
        return next((each for each in entries(cluster, side) if part in each["statement"]), None)

    entry = until(lambda: (each := found()) and each["state"] == state and each, f"{part} is {state}", 30, logs=cluster.logs)
    assert isinstance(entry, dict)
    return entry


def app(cluster: Cluster, side: str, script: str, database: str = DB) -> None:
    """Run a script as a client."""
    play(as_app(cluster, side, database), script)


def stopped(cluster: Cluster, source: str = "east", target: str = "west") -> dict[str, Any]:
    """The error of a direction, once it has one."""
    error = until(lambda: cluster.error(source, target), f"{source} to {target} stops", 30, logs=cluster.logs)
    assert error is not None
    return error


def goes_on(cluster: Cluster, source: str = "east", target: str = "west") -> None:
    """`resume`, and everything arrives."""
    cluster.command("resume", source, target)
    settle(cluster)


def assert_same(cluster: Cluster, *tables: str) -> None:
    """These tables are the same on both sides, in structure and rows."""
    east, west = (read_schema(cluster, side, [DB], lambda _, table: table in tables) for side in SIDES)
    assert len(east) == len(tables)
    assert not (lines := schema_differences(east, west)), "\n".join(lines)
    for table in tables:
        assert rows(cluster, "east", DB, table) == rows(cluster, "west", DB, table), table


def test_wrong_side(odd: Cluster) -> None:
    """A change of structure at the side whose DDL is not carried is drift: recorded with a warning, and rows go on both ways.

    Rows of the changed table go on too as long as they fit: from the side that has more columns none is lost in silence.
    """
    play_unlogged(odd, DB, "CREATE TABLE drifting (id INT PRIMARY KEY, v INT); INSERT INTO drifting VALUES (1, 1)")
    with Ticking(odd, DB) as ticking:
        app(odd, "west", "CREATE INDEX by_v ON drifting (v); INSERT INTO drifting VALUES (2, 2)")
        app(odd, "west", "ALTER TABLE drifting ADD more INT DEFAULT 5")
        ticking.wait_for(3)
        settle(odd)
        app(odd, "east", "INSERT INTO drifting VALUES (3, 3); UPDATE drifting SET v = 10 WHERE id = 2")
        ticking.wait_for(3)
    settle(odd)
    ticking.check()
    for statement in ("CREATE INDEX by_v", "ALTER TABLE drifting ADD more"):
        entry = newest(odd, statement, "drift", side="east")
        assert entry["origin"] == "west"
        assert entry["why"]
    assert "drift" in odd["applier east"].log(whole=True)
    assert odd.sql("west", f"SELECT * FROM {DB}.drifting ORDER BY id") == [(1, 1, 5), (2, 10, 5), (3, 3, 5)]
    assert odd.sql("east", f"SELECT * FROM {DB}.drifting ORDER BY id") == [(1, 1), (2, 10), (3, 3)]
    with odd.connect("east", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE drifting ADD KEY by_v (v), ADD more INT DEFAULT 5")
    app(odd, "west", "INSERT INTO drifting VALUES (4, 4, 44)")
    settle(odd)
    assert_same(odd, "drifting")


def test_drifted_column_with_a_value(odd: Cluster) -> None:
    """A value of a column that the other side lacks, since DDL is not carried there, is not left out: the direction stops, and
    goes on once both have the column."""
    play_unlogged(odd, DB, "CREATE TABLE ahead (id INT PRIMARY KEY, v INT)")
    app(odd, "west", "ALTER TABLE ahead ADD more INT; INSERT INTO ahead VALUES (1, 1, 77)")
    error = stopped(odd, "west", "east")
    assert "ahead" in error["message"]
    with odd.connect("east", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE ahead ADD more INT")
    goes_on(odd, "west", "east")
    assert odd.sql("east", f"SELECT more FROM {DB}.ahead") == [(77,)]
    assert_same(odd, "ahead")


def test_skipped_conflict(odd: Cluster) -> None:
    """A statement that the target refuses is held; other tables go on; the first row of its table stops the direction with a
    question. `ddl skip` and `resume` go on with the table as it is at the target."""
    play_unlogged(odd, DB, "CREATE TABLE clashing (id INT PRIMARY KEY, v INT); CREATE TABLE beside (id INT PRIMARY KEY, v INT)")
    with odd.connect("west", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE clashing ADD c VARCHAR(20) DEFAULT 'by hand'")
    app(odd, "east", "ALTER TABLE clashing ADD c VARCHAR(20) NOT NULL DEFAULT 'carried'; INSERT INTO beside VALUES (1, 1)")
    settle(odd)
    assert odd.sql("west", f"SELECT COUNT(*) FROM {DB}.beside") == [(1,)]
    entry = newest(odd, "ALTER TABLE clashing", "held")
    assert "1060" in entry["why"] or "c" in entry["why"]
    app(odd, "east", "INSERT INTO beside VALUES (2, 2); INSERT INTO clashing VALUES (1, 1, 'x')")
    error = stopped(odd)
    assert error["code"] == "ddl_held"
    assert f"ddl skip {entry['id']}" in error["hint"] and f"ddl approve {entry['id']}" in error["hint"]
    assert odd.sql("west", f"SELECT COUNT(*) FROM {DB}.beside") == [(2,)]
    odd.command("ddl", "skip", entry["id"], "--reason", "it has one")
    goes_on(odd)
    assert newest(odd, "ALTER TABLE clashing", "skipped")["id"] == entry["id"]
    assert odd.sql("west", f"SELECT c FROM {DB}.clashing") == [("x",)]
    assert odd.command("ddl", "skip", entry["id"], check=None).returncode == 2, "it is held no more"


def test_approved_conflict(odd: Cluster) -> None:
    """A held statement that is approved, once nothing is in its way, is run as it would have been, and rows behind it arrive."""
    play_unlogged(odd, DB, "CREATE TABLE mended (id INT PRIMARY KEY, v INT); INSERT INTO mended VALUES (1, 1)")
    with odd.connect("west", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE mended ADD KEY by_v (id, v)")
    app(odd, "east", "CREATE INDEX by_v ON mended (v); ALTER TABLE mended ADD w INT DEFAULT 4")
    app(odd, "east", "INSERT INTO mended VALUES (2, 2, 2)")
    stopped(odd)
    entry = newest(odd, "CREATE INDEX by_v ON mended", "held")
    with odd.connect("west", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE mended DROP KEY by_v")
    odd.command("ddl", "approve", entry["id"])
    goes_on(odd)
    assert newest(odd, "CREATE INDEX by_v ON mended", "applied")["id"] == entry["id"]
    assert newest(odd, "ALTER TABLE mended", "applied")
    app(odd, "west", "INSERT INTO mended VALUES (3, 3, 3)")
    settle(odd)
    assert_same(odd, "mended")


def test_kind_that_is_not_carried(odd: Cluster) -> None:
    """A library is held with its question, and holds back no table; `ddl show` has it whole."""
    text = 'CREATE LIBRARY js LANGUAGE JAVASCRIPT AS $$ export function f(n) { return n + "it\'s; DROP TABLE x" } $$'
    app(odd, "east", f"{text}; CREATE TABLE behind (id INT PRIMARY KEY); INSERT INTO behind VALUES (1)")
    settle(odd)
    entry = newest(odd, "LIBRARY", "held")
    shown = json.loads(odd.command("ddl", "show", entry["id"], "-o", "json").stdout)
    assert "it's; DROP TABLE x" in shown["statement"]
    assert_same(odd, "behind")
    odd.command("ddl", "skip", entry["id"])
    until(lambda: next(each for each in entries(odd) if each["id"] == entry["id"])["state"] == "skipped", "it is skipped", 30)


def test_dropped_database(odd: Cluster) -> None:
    """A database that is dropped stays at the target, with all its rows, and the record says so."""
    app(odd, "east", "CREATE DATABASE ddl_doomed; CREATE TABLE ddl_doomed.t (id INT PRIMARY KEY)")
    app(odd, "east", "INSERT INTO ddl_doomed.t VALUES (1)")
    settle(odd)
    app(odd, "east", "DROP DATABASE ddl_doomed; CREATE TABLE after_dropped (id INT PRIMARY KEY)")
    settle(odd)
    assert newest(odd, "DROP DATABASE ddl_doomed", "ignored")["why"]
    assert odd.sql("west", "SELECT COUNT(*) FROM ddl_doomed.t") == [(1,)]
    assert_same(odd, "after_dropped")


def test_renamed_into_scope(odd: Cluster) -> None:
    """A table that is renamed into the scope of tables is unknown to the target: the rename is held, and its rows stop the
    direction; made by hand there, they arrive."""
    app(odd, "east", "CREATE TABLE came (id INT PRIMARY KEY); INSERT INTO came VALUES (1)", TABLES_DB)
    app(odd, "east", "RENAME TABLE came TO kept_1", TABLES_DB)
    entry = newest(odd, "RENAME TABLE came", "held")
    app(odd, "east", "INSERT INTO kept_1 VALUES (2)", TABLES_DB)
    assert stopped(odd)["code"] == "ddl_held"
    with odd.connect("west", database=TABLES_DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("CREATE TABLE kept_1 (id INT PRIMARY KEY)")
        cursor.execute("INSERT INTO kept_1 VALUES (1)")
    odd.command("ddl", "skip", entry["id"])
    goes_on(odd)
    assert rows(odd, "west", TABLES_DB, "kept_1") == rows(odd, "east", TABLES_DB, "kept_1")


def test_created_by_its_name(odd: Cluster) -> None:
    """A table that is an object by its name means one that is there: its CREATE is ignored, and the record says so."""
    app(odd, "east", "CREATE TABLE exact (id INT PRIMARY KEY)", TABLES_DB)
    settle(odd)
    assert newest(odd, "CREATE TABLE exact", "ignored")["why"]
    assert odd.sql("west", "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'exact'") == [(0,)]


def test_definer_that_is_refused(odd: Cluster) -> None:
    """A view of root, whom the applier's account must not name, arrives as the account's own, and the record says so."""
    with odd.connect("east", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE VIEW of_root AS SELECT 1 AS one")
        cursor.execute("CREATE PROCEDURE of_root_too() SELECT 'DEFINER=root'")
        cursor.execute("CREATE TABLE seen_by_root (id INT PRIMARY KEY)")
        cursor.execute("CREATE TRIGGER of_root BEFORE INSERT ON seen_by_root FOR EACH ROW SET NEW.id = NEW.id")
    settle(odd)
    kinds = {
        "VIEWS": "SELECT DEFINER FROM information_schema.VIEWS WHERE TABLE_NAME = 'of_root'",
        "ROUTINES": "SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_NAME = 'of_root_too'",
        "TRIGGERS": "SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_NAME = 'of_root'",
    }
    for kind, query in kinds.items():
        assert odd.sql("east", query)[0][0].startswith("root@"), kind
        assert odd.sql("west", query) == [("bisync@%",)], kind
    of_root = [(state, why) for state, statement, why in logged(odd, "west") if "of_root" in statement]
    assert len(of_root) == len(kinds)
    assert all(state == "applied" and "definer" in why.lower() for state, why in of_root), of_root


def test_enabled_events(odd: Cluster) -> None:
    """With `events: enabled` an event arrives as it is at its source."""
    app(odd, "east", "CREATE EVENT on_both ON SCHEDULE EVERY 1 YEAR STARTS '2050-01-01 00:00:00' DO SELECT 1")
    app(odd, "east", "CREATE EVENT on_none ON SCHEDULE EVERY 1 YEAR STARTS '2050-01-01 00:00:00' DISABLE DO SELECT 1")
    settle(odd)
    query = f"SELECT EVENT_NAME, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{DB}' ORDER BY 1"
    assert odd.sql("west", query) == odd.sql("east", query) == [("on_both", "ENABLED"), ("on_none", "DISABLED")]


def test_invisible_keys_of_the_target(odd: Cluster) -> None:
    """A target that gives every table without a primary key an invisible one, and demands one, gives none to what is carried."""
    odd.sql("west", "SET GLOBAL sql_generate_invisible_primary_key = ON")
    try:
        app(odd, "east", "CREATE TABLE uniquely (v INT NOT NULL, UNIQUE KEY (v)); INSERT INTO uniquely VALUES (1)")
        app(odd, "east", "CREATE TABLE keyed (id INT PRIMARY KEY); ALTER TABLE keyed DROP PRIMARY KEY, ADD UNIQUE KEY (id)")
        settle(odd)
    finally:
        odd.sql("west", "SET GLOBAL sql_generate_invisible_primary_key = OFF")
    assert_same(odd, "uniquely", "keyed")


CLIENTS = (
    ("latin1", "é", "größe; café"),
    ("gbk", "縗", "縗中文縗"),  # 0xBF 0x5C: its second byte is a backslash where it is read byte by byte
    ("sjis", "表", "表示ソース"),  # 0x95 0x5C
    ("cp1251", "ключ", "привет"),
    ("big5", "功", "功許蓋"),  # 0xA5 0x5C
    ("euckr", "가", "안녕"),
)


@pytest.mark.parametrize(("charset", "column", "text"), CLIENTS, ids=[charset for charset, *_ in CLIENTS])
def test_character_set_of_the_client(odd: Cluster, charset: str, column: str, text: str) -> None:
    """Names, defaults, comments and bodies of a client of another character set arrive as it meant them.

    The names of views, triggers and routines alone are plain here: a server logs those of views and routines in its own character
    set amidst the client's text, and cannot read a trigger's own name again from a client's gbk.
    """
    table = f"client_{charset}"
    with as_app(odd, "east", DB, charset=charset) as connection, connection.cursor() as cursor:
        for statement in (
            f"CREATE TABLE {table} (id INT PRIMARY KEY, `{column}` VARCHAR(50) DEFAULT '{text}') COMMENT '{text}'",
            f"INSERT INTO {table} (id) VALUES (1)",
            f"ALTER TABLE {table} RENAME COLUMN `{column}` TO `x{column}`,"
            f" ADD `y{column}` ENUM('{text}', '{column}') NOT NULL DEFAULT '{column}' COMMENT '{text}'",
            f"INSERT INTO {table} (id) VALUES (2)",
            f"CREATE VIEW {table}_v AS SELECT '{text}' AS `{column}`",
            f"CREATE TRIGGER {table}_t BEFORE INSERT ON {table} FOR EACH ROW SET NEW.`x{column}` = '{text}{column}'",
            f"CREATE FUNCTION {table}() RETURNS VARCHAR(50) CHARACTER SET utf8mb4 DETERMINISTIC RETURN '{text}'",
            f"INSERT INTO {table} (id) VALUES (3)",
        ):
            cursor.execute(statement)
    settle(odd)
    east, west = (read_schema(odd, side, [DB]) for side in SIDES)
    ours, theirs = ({name: shown for name, shown in schema.items() if table in name} for schema in (east, west))
    assert len(ours) == 4
    assert not (lines := schema_differences(ours, theirs)), "\n".join(lines)
    assert rows(odd, "east", DB, table) == rows(odd, "west", DB, table)
    for side in SIDES:
        assert odd.sql(side, f"SELECT {DB}.{table}()") == [(text,)]
        assert odd.sql(side, f"SELECT `x{column}` FROM {DB}.{table} ORDER BY id") == [(text,), (text,), (text + column,)]


def test_lower_case_and_ansi_quotes(odd: Cluster) -> None:
    """Keywords in lower case and names in double quotes are read as their sql_mode says."""
    app(
        odd,
        "east",
        """set session sql_mode = 'ANSI_QUOTES';
        create table "a ""quoted"" one" ("id" int primary key, "a;b" int default 3);
        alter table "ddl_odd"."a ""quoted"" one" rename column "a;b" to "c", add "it's" int default 4;
        insert into "a ""quoted"" one" (id) values (1);
        set session sql_mode = '';
        alter table `a "quoted" one` alter column c set default "5", comment "it's";
        insert into `a "quoted" one` (id) values (2);""",
    )
    settle(odd)
    assert_same(odd, 'a "quoted" one')
    assert odd.sql("west", f'SELECT c FROM {DB}.`a "quoted" one` ORDER BY id') == [(3,), (5,)]
