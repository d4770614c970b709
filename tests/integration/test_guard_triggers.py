"""`ddl guard-triggers` and the precheck of triggers, on real servers: what it makes, keeps, survives and leaves alone."""

import threading
from typing import Any

import pytest
from topologies import World, eventually

from bisync_topology.topology_file import load
from bisync_topology.triggers import PROBE
from sandbox.accounts import all_of, create_accounts, literal

pytestmark = pytest.mark.servers
DONE = "guarded by ddl guard-triggers"


@pytest.fixture
def granted(world: World) -> World:
    """A topology whose account may make triggers again, whoever has made them."""
    for server in world.sides.values():
        with server.connect() as connection:
            create_accounts(connection, world.databases, world.control, world.user, "secret", ddl=True)
            with connection.cursor() as cursor:
                cursor.execute(
                    f"GRANT SET_ANY_DEFINER, SYSTEM_USER, ALLOW_NONEXISTENT_DEFINER ON *.* TO {literal(world.user)}@'%'"
                )
    return world


def triggers(world: World, side: str, columns: str = "TRIGGER_NAME") -> tuple[tuple[Any, ...], ...]:
    """The triggers of a side, in the order in which they run."""
    order = "EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"
    return world.sql(
        side, f"SELECT {columns} FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{world.db}' ORDER BY {order}"
    )


def unguarded(world: World, side: str) -> list[str]:
    """Names of triggers without the guard."""
    return [name for name, body in triggers(world, side, "TRIGGER_NAME, ACTION_STATEMENT") if "@bisync_applying" not in body]


def logged(world: World, side: str) -> tuple[tuple[Any, ...], ...]:
    """What the log of DDL says at a side, in its order."""
    return world.sql(side, f"SELECT source_side, stream, state, why FROM {world.control}.ddl_log ORDER BY id")


def items(world: World, name: str) -> list[dict[str, Any]]:
    """The items of that name that precheck gives."""
    return [item for item in world.json("precheck") if item["item"] == name]


def test_what_a_trigger_writes_is_there_once(granted: World) -> None:
    """The trigger of A writes B, on both sides, guarded while processes run: each row of A has one in B, both sides equal.

    Neither the guarding nor what it leaves in the log is carried, and no direction stops at it.
    """
    world = granted
    a, b = world.table("a"), world.table("b", "id INT PRIMARY KEY, qty INT, fired INT DEFAULT 1")
    for side in world.sides:
        world.sql(
            side,
            f"CREATE TRIGGER {world.db}.copy AFTER INSERT ON {a} FOR EACH ROW "
            f" INSERT INTO {b} (id, qty) VALUES (NEW.id, NEW.qty) ON DUPLICATE KEY UPDATE fired = fired + 1",
        )
    world.up()
    assert [item["result"] for item in items(world, "triggers")] == ["warn", "warn"]
    said = world.run("ddl", "guard-triggers")
    assert said.count("guarded") == 2 and "east: trigger" in said and "west: trigger" in said
    assert unguarded(world, "east") == unguarded(world, "west") == []
    world.sql("east", f"INSERT INTO {a} VALUES (1, 10), (2, 20)", f"UPDATE {a} SET qty = 11 WHERE id = 1")
    world.sql("west", f"INSERT INTO {a} VALUES (3, 30)")
    world.run("wait")
    for side in world.sides:
        assert world.sql(side, f"SELECT id, qty, fired FROM {b} ORDER BY id") == ((1, 10, 1), (2, 20, 1), (3, 30, 1)), side
        assert world.sql(side, f"SELECT id, qty FROM {a} ORDER BY id") == ((1, 11), (2, 20), (3, 30)), side
    assert logged(world, "east") == (("west", "local", "applied", DONE),)
    assert logged(world, "west") == (("east", "local", "applied", DONE),)
    assert {each["state"] for each in world.status()["directions"]} == {"syncing"}
    assert [item["result"] for item in items(world, "triggers")] == ["pass", "pass"]
    assert world.json("ddl", "list", "--to", "west")[0]["state"] == "applied"


def test_triggers_are_made_again_as_they_were(granted: World) -> None:
    """Order, definer, sql_mode, character sets and body stay; what is guarded, or out of scope, is not touched."""
    world = granted
    world.topology["directions"][1]["objects"] = [f"{world.db}.item"]  # into east
    item, other = world.table(), world.table("other")
    log = world.table("log", "n INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(99) CHARACTER SET utf8mb4, hex VARCHAR(99)")
    on = f"BEFORE INSERT ON {item} FOR EACH ROW"
    server, body = world.sides["east"], r"""BEGIN SET @seen = '\'; SET NEW."qty" = NEW.qty + 1; END"""
    with server.connect(charset="latin1") as latin, latin.cursor() as cursor:
        cursor.execute(f"CREATE TRIGGER {world.db}.t1 {on} INSERT INTO log (what, hex) VALUES ('é', HEX(_latin1'é')) -- the end")
    world.sql(
        "east",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        rf"""CREATE DEFINER='no"`body'@'%' TRIGGER {world.db}."t 2" {on} {body}""",
        "SET sql_mode = DEFAULT",
        f"CREATE TRIGGER {world.db}.t3 {on} BEGIN IF @bisync_applying IS NULL THEN\nSET @third = @seen\n; END IF; END",
        f"CREATE TRIGGER {world.db}.t4 {on} SET @fourth = 4",
        f"CREATE TRIGGER {world.db}.other {on.replace(item, other)} SET @other = 1",
    )
    kept = "TRIGGER_NAME, ACTION_ORDER, DEFINER, SQL_MODE, CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION"
    before, made = triggers(world, "east", kept), triggers(world, "east", "TRIGGER_NAME, CREATED")
    assert [row[0] for row in before] == ["t1", "t 2", "t3", "t4", "other"]
    assert "would be" in world.run("ddl", "guard-triggers", "--dry-run")
    assert triggers(world, "east", "TRIGGER_NAME, CREATED") == made
    assert not world.sql("east", f"SHOW DATABASES LIKE '{world.control}'"), "a dry run makes nothing"
    world.run("ddl", "guard-triggers")
    assert triggers(world, "east", kept) == before
    assert body in dict(triggers(world, "east", "TRIGGER_NAME, ACTION_STATEMENT"))["t 2"]
    assert unguarded(world, "east") == ["other"]
    assert dict(triggers(world, "east", "TRIGGER_NAME, CREATED"))["t3"] == dict(made)["t3"]
    with server.connect(database=world.db) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER `t 2`")  # its definer is nobody
        cursor.execute("INSERT INTO item VALUES (1, 1)")
        cursor.execute("SET @bisync_applying = 1, @third = 0, @fourth = 0")
        cursor.execute("INSERT INTO item VALUES (2, 2)")
        cursor.execute("SELECT @third, @fourth")
        assert cursor.fetchone() == (0, 0)
    assert world.sql("east", f"SELECT what, hex FROM {log}") == (("é", "E9"),)
    assert "is guarded" in world.run("ddl", "guard-triggers")


def test_no_row_is_written_without_its_trigger(granted: World) -> None:
    """Writers go on while triggers are made again: each row has run the trigger once."""
    world = granted
    item, log = world.table(), world.table("log", "n INT AUTO_INCREMENT PRIMARY KEY, id INT")
    world.sql(
        "east",
        *(
            f"CREATE TRIGGER {world.db}.t{n} AFTER INSERT ON {item} FOR EACH ROW INSERT INTO {log} (id) VALUES (NEW.id)"
            for n in range(5)
        ),
    )
    ended, errors = threading.Event(), []
    written = 0

    def write() -> None:
        nonlocal written
        with world.sides["east"].connect() as connection, connection.cursor() as cursor:
            while not ended.is_set():
                try:
                    cursor.execute(f"INSERT INTO {item} VALUES ({written + 1}, 0)")
                except Exception as error:  # noqa: BLE001  shown by the test's own thread
                    errors.append(error)
                    return
                written += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        eventually(lambda: written > 10)
        world.run("ddl", "guard-triggers")
        reached = written
        eventually(lambda: written > reached)
    finally:
        ended.set()
        writer.join()
    assert not errors and not unguarded(world, "east")
    assert world.sql("east", f"SELECT COUNT(*), COUNT(DISTINCT id) FROM {log}") == ((5 * written, written),)


@pytest.mark.parametrize(
    "point",
    [pytest.param("before_drop", marks=pytest.mark.long), "after_drop", pytest.param("after_create", marks=pytest.mark.long)],
)
def test_a_killed_run_loses_no_trigger(granted: World, point: str) -> None:
    """The next run makes what was dropped, in its place, and guards what is left; rows of the log are all ended."""
    world = granted
    item = world.table()
    names = ["a", "b", "c"]
    world.sql(
        "east",
        *(f"CREATE TRIGGER {world.db}.{name} BEFORE UPDATE ON {item} FOR EACH ROW SET @{name} = NEW.qty" for name in names),
    )
    world.up()
    world.run("ddl", "guard-triggers", expect=-9, BISYNC_FAILPOINT=f"guard_triggers.{point}:2")
    there = [name for (name,) in triggers(world, "east")]
    assert there == (["a", "c"] if point == "after_drop" else names)
    assert [row[2] for row in logged(world, "east")] == ["applied", "running"]
    assert "held" in world.run("ddl", "list")
    world.run("ddl", "guard-triggers")
    assert [name for (name,) in triggers(world, "east")] == names and not unguarded(world, "east")
    assert {row[2] for row in logged(world, "east")} <= {"applied", "skipped"}
    world.sql("east", f"INSERT INTO {item} VALUES (1, 1)")
    world.run("wait")
    assert triggers(world, "west") == ()
    assert {each["state"] for each in world.status()["directions"]} == {"syncing"}


def test_a_table_that_is_gone_is_not_waited_for(granted: World) -> None:
    """What a killed run had dropped cannot come back where its table was dropped since: said once, and done with."""
    world = granted
    item = world.table()
    world.sql("east", f"CREATE TRIGGER {world.db}.t BEFORE UPDATE ON {item} FOR EACH ROW SET @t = NEW.qty")
    world.run("ddl", "guard-triggers", expect=-9, BISYNC_FAILPOINT="guard_triggers.after_drop")
    world.sql("east", f"DROP TABLE {item}")
    assert "its table is gone" in world.run("ddl", "guard-triggers")
    assert [row[2:] for row in logged(world, "east")] == [("skipped", "its table is gone")]
    assert "its table is gone" not in world.run("ddl", "guard-triggers")


def test_what_the_account_may_not_do_is_left_as_it_is(world: World) -> None:
    """Without LOCK TABLES, or for a definer that it may not set, nothing is dropped, the GRANT is said; others are guarded."""
    item = world.table()
    account = f"{literal(world.user)}@'%'"
    on = f"BEFORE UPDATE ON {item} FOR EACH ROW"
    world.sql("east", f"CREATE DEFINER=root@'127.0.0.1' TRIGGER {world.db}.theirs {on} SET @t = NEW.qty")
    world.sql("east", f"CREATE DEFINER={account} TRIGGER {world.db}.own {on} SET @t = NEW.qty")
    said = world.run("ddl", "guard-triggers", expect=1)
    assert said.count(f"GRANT LOCK TABLES, TRIGGER ON {all_of(world.db)}") == 2
    assert unguarded(world, "east") == ["theirs", "own"]
    world.sql("east", f"GRANT LOCK TABLES ON {all_of(world.db)} TO {account}")
    said = world.run("ddl", "guard-triggers", expect=1)
    assert "GRANT SET_ANY_DEFINER ON *.*" in said or "GRANT SYSTEM_USER ON *.*" in said
    assert [name for (name,) in triggers(world, "east")] == ["theirs", "own"] and unguarded(world, "east") == ["theirs"]
    assert {row[2] for row in logged(world, "east")} == {"applied", "skipped"}
    world.sql("east", f"REVOKE TRIGGER ON {all_of(world.db)} FROM {account}")
    said = world.run("ddl", "guard-triggers", expect=1)
    assert "cannot be seen" in said and "GRANT TRIGGER ON" in said
    assert [item["result"] for item in items(world, "triggers")] == ["warn", "pass"]


def test_what_cannot_be_done_now_is_left_as_it_is(granted: World) -> None:
    """A table in use is waited for, for some seconds; a trigger whose variables would change their collation is for people."""
    world = granted
    item, other = world.table(), world.table("other")
    world.sql("east", f"CREATE TRIGGER {world.db}.b BEFORE UPDATE ON {other} FOR EACH ROW SET @t = NEW.qty")
    world.sql("east", f"ALTER DATABASE {world.db} COLLATE latin1_bin")
    world.sql("east", f"CREATE TRIGGER {world.db}.a BEFORE UPDATE ON {item} FOR EACH ROW SET @t = NEW.qty")
    made = triggers(world, "east", "TRIGGER_NAME, CREATED")
    with world.sides["east"].connect(autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {item}")
        said = world.run("ddl", "guard-triggers", expect=1)
        connection.rollback()
    assert "was in use for more than 10 s" in said and "had collation utf8mb4_0900_ai_ci" in said
    assert triggers(world, "east", "TRIGGER_NAME, CREATED") == made
    assert [row[2] for row in logged(world, "east")] == ["skipped"]
    world.run("ddl", "guard-triggers", expect=1)
    assert unguarded(world, "east") == ["b"]


def test_precheck_names_triggers_and_how_they_are_guarded(granted: World) -> None:
    """What is not guarded, on tables that are written there, with the command and a statement that the server takes."""
    world = granted
    world.topology["directions"] = world.topology["directions"][:1]  # into west
    item = world.table()
    for side in world.sides:
        world.sql(side, f"CREATE TRIGGER {world.db}.t BEFORE UPDATE ON {item} FOR EACH ROW SET @t = NEW.qty")
    (found,) = items(world, "triggers")
    assert (found["side"], found["result"]) == ("west", "warn")
    assert f"{world.db}.t (BEFORE UPDATE ON item)" in found["seen"]
    command, _, statement = found["fix"].partition("\n")
    assert command.startswith("bisync-topology ddl guard-triggers")
    world.sql("west", f"DROP TRIGGER {world.db}.t", statement)
    assert [each["result"] for each in items(world, "triggers")] == ["pass"]
    assert load(world.file, {}).directions_into("east") == () and unguarded(world, "east") == ["t"]
    assert PROBE not in str(triggers(world, "west"))
