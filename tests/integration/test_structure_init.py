"""The structure of one side made at the other: every kind of object, what is there already, definers, statements meanwhile."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from ddl.schema_differences import carried_unguarded, enabled_events, read_schema, schema_differences
from faults.harness import Cluster
from sakila.sakila_like import TABLES, Shown, make
from topologies import World, eventually

from bisync_topology.control import Control
from bisync_topology.errors import ApplyError
from bisync_topology.mysql import connect
from bisync_topology.ownership import Ownership
from bisync_topology.scope import Scope
from bisync_topology.topology_file import load
from consumers.target_rows import TargetRows
from initialization.catalog import Reading
from initialization.definitions import Kind, Name
from initialization.initialized import Initialized
from initialization.settled import read_settled
from initialization.structure import initialize_structure
from sandbox.accounts import create_accounts, literal
from sandbox.instances import Sandbox

pytestmark = pytest.mark.servers
STREAM = "stream"


class Init:
    """A topology whose direction from east initializes the structure of a database that west has not."""

    def __init__(self, servers: Sandbox, folder: Path, *, definers: bool = False, objects: list[str] | None = None) -> None:
        """definers: the account may set any. objects: with {} for the database; without, the database."""
        self.world = world = World(servers, folder)
        for server in world.sides.values():
            with server.connect() as connection, connection.cursor() as cursor:
                create_accounts(connection, world.databases, world.control, world.user, "secret", ddl=True, initialize=True)
                if definers:
                    cursor.execute(
                        f"GRANT SET_ANY_DEFINER, SYSTEM_USER, ALLOW_NONEXISTENT_DEFINER ON *.* TO {literal(world.user)}@'%'"
                    )
        world.sql("east", f"ALTER DATABASE {world.db} COLLATE utf8mb4_unicode_ci")
        world.sql("west", f"DROP DATABASE {world.db}")
        world.topology["directions"][0]["initialize"] = ["structure"]
        for direction in world.topology["directions"]:
            direction["objects"] = [each.format(world.db) for each in objects or ["{}"]]
        self.told: list[str] = []

    def run(self, stream: str = STREAM) -> Initialized:
        """Initialize as an applier of west does at its start."""
        topology = load(self.world.file, {})
        for side in topology.sides:
            with connect(topology.sides[side].mysql) as connection:
                Control(connection, topology).create()
        ownership = Ownership(topology, "west", "applier west", threading.Event())
        assert ownership.acquire()
        try:
            with connect(topology.sides["west"].mysql, autocommit=False) as connection:
                control = Control(connection, topology)
                rows = TargetRows(control, "east")
                rows.read()
                rows.begin(stream)
                self.told.clear()
                return initialize_structure(
                    topology,
                    topology.directions[0],
                    control=control,
                    rows=rows,
                    stream=stream,
                    ownership=ownership,
                    halted=lambda: False,
                    tell=lambda name, number, of: self.told.append(name),
                )
        finally:
            ownership.release()

    def differences(self) -> list[str]:
        """What the servers print of both sides and is not alike."""
        cluster = cast(Cluster, Shown(self.world.sides))
        return schema_differences(*(read_schema(cluster, side, [self.world.db]) for side in self.world.sides))

    def record(self) -> dict[str, str]:
        """`kind name` → what became of it."""
        found = self.world.sql(
            "west", f"SELECT kind, object_name, structure FROM {self.world.control}.initialization WHERE kind <> 'direction'"
        )
        return {f"{kind} {name}": how for kind, name, how in found}

    def log(self) -> list[tuple[str, str]]:
        """(state, why) of each statement on record at west."""
        found = self.world.sql("west", f"SELECT state, why FROM {self.world.control}.ddl_log ORDER BY id")
        return [(str(state), str(why)) for state, why in found]


@pytest.fixture
def init(servers: Sandbox, tmp_path: Path) -> Iterator[Init]:
    """A direction whose account may set no definer."""
    found = Init(servers, tmp_path)
    yield found
    found.world.close()


def test_every_kind_of_object(servers: Sandbox, tmp_path: Path) -> None:
    """A schema with all of them is made on an empty server: alike as both print it, triggers guarded, events at rest; once."""
    init = Init(servers, tmp_path, definers=True)
    try:
        make(servers.east, init.world.db)
        init.run()
        assert init.differences() == []
        cluster = cast(Cluster, Shown(init.world.sides))
        assert carried_unguarded(cluster, "west", [init.world.db], frozenset()) == []
        assert enabled_events(cluster, "west", [init.world.db], frozenset()) == []
        record = init.record()
        assert set(record.values()) == {"made"} and len(init.told) == len(record) == len(init.log())
        assert sum(name.startswith("table ") for name in record) == TABLES
        assert set(init.log()) == {("applied", "made by initialization")}
        init.run()
        assert init.told == [] and len(init.log()) == len(record)
        init.world.sql("west", f"DELETE FROM {init.world.control}.initialization")
        init.run()
        assert set(init.record().values()) == {"found"} and len(init.log()) == len(record), "what is there and equal is left"
    finally:
        init.world.close()


def refused(init: Init) -> ApplyError:
    """What stops it, before anything is made."""
    with pytest.raises(ApplyError) as caught:
        init.run()
    return caught.value


def test_what_is_there_already(init: Init) -> None:
    """Equal objects are left; of unequal ones the difference is shown, and nothing is made until they are mended."""
    world = init.world
    world.sql("west", f"CREATE DATABASE {world.db} COLLATE utf8mb4_unicode_ci")
    world.sql(
        "east",
        f"USE {world.db}",
        "CREATE TABLE same (id INT PRIMARY KEY, t VARCHAR(9)) AUTO_INCREMENT = 7",
        "CREATE TABLE other (id INT PRIMARY KEY, t VARCHAR(9))",
        "CREATE TABLE missing (id INT PRIMARY KEY)",
        "CREATE TABLE kind (id INT PRIMARY KEY)",
        "CREATE TRIGGER last BEFORE INSERT ON same FOR EACH ROW SET @last = 1",
        "CREATE TRIGGER first BEFORE INSERT ON same FOR EACH ROW PRECEDES last SET @first = 1",
        "CREATE EVENT at_rest ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01' DO SET @x = 1",
    )
    world.sql(
        "west",
        f"USE {world.db}",
        "CREATE TABLE same (id INT PRIMARY KEY, t VARCHAR(9) COLLATE utf8mb4_unicode_ci) AUTO_INCREMENT = 9",
        "CREATE TABLE other (id INT PRIMARY KEY, t VARCHAR(8))",
        "CREATE VIEW kind AS SELECT 1",
        "CREATE TRIGGER last BEFORE INSERT ON same FOR EACH ROW SET @last = 1",
        "CREATE EVENT at_rest ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01' DISABLE DO SET @x = 1",
    )
    error = refused(init)
    assert error.code == "structure_differs" and "resume east west" in (error.hint or "")
    assert "-  `t` varchar(9) DEFAULT NULL,\n+  `t` varchar(8) DEFAULT NULL," in error.message
    assert f"table {world.db}.kind: at west there is a view of that name" in error.message
    assert "same" not in error.message and "at_rest" not in error.message and init.record() == {}
    world.sql("west", f"ALTER TABLE {world.db}.other MODIFY t VARCHAR(9)", f"DROP VIEW {world.db}.kind")
    init.run()
    assert init.told == [
        f"{kind} {world.db}.{name}" for kind, name in [("table", "kind"), ("table", "missing"), ("trigger", "first")]
    ]
    assert {name for name, how in init.record().items() if how == "found"} == {
        *("database ", "table same", "table other", "trigger last", "event at_rest"),
    }
    order = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{}' ORDER BY ACTION_ORDER"
    assert world.sql("west", order.format(world.db)) == (("first",), ("last",))


def test_tables_as_objects(servers: Sandbox, tmp_path: Path) -> None:
    """Only tables are made, and no database; what the direction carries later is made then, and nothing else again."""
    init = Init(servers, tmp_path, objects=["{}.f*", "{}.language", "{}.actor", "!{}.film_actor"])
    world = init.world
    try:
        make(servers.east, world.db)
        error = refused(init)
        assert error.code == "database_missing" and f"CREATE DATABASE `{world.db}`" in (error.hint or "")
        world.sql("west", f"CREATE DATABASE {world.db} COLLATE utf8mb4_unicode_ci")
        init.run()
        assert init.record() == dict.fromkeys(("table actor", "table film", "table language"), "made")
        world.topology["directions"][0]["objects"] = [f"{world.db}.f*", f"{world.db}.language", f"{world.db}.audit"]
        world.sql("east", f"ALTER TABLE {world.db}.film ADD later INT")  # which is the stream's to bring
        init.run()
        assert init.told == [f"table {world.db}.{name}" for name in ("audit", "film_actor")]
        kinds = f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{world.db}' AND TABLE_TYPE = 'VIEW'"
        assert world.sql("west", kinds) == ((0,),)
    finally:
        world.close()


def test_definers(init: Init) -> None:
    """A definer that the account may not set becomes the account, which is on record, and is no difference later."""
    world = init.world
    world.sql(
        "east",
        f"USE {world.db}",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE PROCEDURE p() SELECT 1",
        "CREATE DEFINER = nobody@nowhere FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET @x = 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY STARTS '2040-01-01' DO SET @x = 1",
    )
    init.run()
    who = f"{world.user}@%"
    found = world.sql(
        "west",
        f"SELECT DISTINCT DEFINER FROM information_schema.VIEWS WHERE TABLE_SCHEMA = '{world.db}' UNION "
        f"SELECT DEFINER FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = '{world.db}' UNION "
        f"SELECT DEFINER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = '{world.db}' UNION "
        f"SELECT DEFINER FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{world.db}'",
    )
    assert found == ((who,),)
    rewritten = [why for state, why in init.log() if state == "applied" and "is the applier's account here" in why]
    assert len(rewritten) == 5 and sum("`root`@`127.0.0.1`" in why for why in rewritten) == 4
    world.sql("west", f"DELETE FROM {world.control}.initialization")
    init.run()
    assert set(init.record().values()) == {"found"}


def test_privileges_that_are_missing(init: Init) -> None:
    """What a server hides from an account is not taken for missing: the GRANT is named, and with it all is made."""
    world = init.world
    world.sql(
        "east",
        f"USE {world.db}",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE VIEW v AS SELECT * FROM t",
        "CREATE PROCEDURE p() SELECT 1",
        f"REVOKE SHOW_ROUTINE ON *.* FROM {world.user}",
        f"REVOKE SHOW VIEW, EVENT ON `{world.db.replace('_', chr(92) + '_')}`.* FROM {world.user}",
    )
    error = refused(init)
    assert error.code == "privilege_missing" and error.hint is not None
    grants = [part.strip() for part in error.hint.removeprefix("at east: ").split(";") if part.strip().startswith("GRANT")]
    assert len(grants) == 2 and "SHOW VIEW, EVENT" in grants[0] and "SHOW_ROUTINE" in grants[1]
    world.sql("east", *grants)
    init.run()
    assert {"table t", "view v", "procedure p"} <= {name for name, how in init.record().items() if how == "made"}


def test_what_cannot_be_made(init: Init) -> None:
    """A view over what is gone is left out; what a server does not print whole, or would be lost, is asked for by name."""
    world = init.world
    world.sql(
        "east",
        f"USE {world.db}",
        "CREATE TABLE gone (id INT PRIMARY KEY)",
        "CREATE VIEW broken AS SELECT * FROM gone",
        "DROP TABLE gone",
        "CREATE TABLE smile (id INT PRIMARY KEY, mood ENUM('😀', 'sad') CHARACTER SET utf8mb4)",
        "CREATE TABLE asks (id INT PRIMARY KEY, word VARCHAR(9) DEFAULT 'why?' COMMENT '?', e ENUM('?') CHARACTER SET latin1)",
        "CREATE FUNCTION older(a VARCHAR(9)) RETURNS VARCHAR(9) DETERMINISTIC RETURN a",
        f"ALTER DATABASE {world.db} COLLATE utf8mb4_bin",
    )
    message = refused(init).message
    assert "smile: its server prints ? for rarer characters, so that enum('?','sad')" in message
    assert "older: it was made when its database had collation utf8mb4_unicode_ci" in message
    assert "asks" not in message and "broken" not in message
    world.sql("east", f"USE {world.db}", "DROP FUNCTION older")
    world.sql(
        "west",
        f"CREATE DATABASE {world.db} COLLATE utf8mb4_bin",
        f"USE {world.db}",
        "CREATE TABLE smile (id INT PRIMARY KEY, mood ENUM('😀', 'sad') CHARACTER SET utf8mb4) COLLATE utf8mb4_unicode_ci",
    )
    init.run()
    assert init.record() == {"database ": "found", "table smile": "found", "table asks": "made", "view broken": "left_out"}


def test_structure_that_changes_while_it_is_read(init: Init) -> None:
    """A catalog that a statement has come into is read once more; what is given is of one moment."""
    world = init.world
    world.sql("east", f"USE {world.db}", "CREATE TABLE a (id INT PRIMARY KEY)", "CREATE TABLE b (id INT PRIMARY KEY)")
    topology = load(world.file, {})
    with connect(topology.sides["east"].mysql) as connection:
        Control(connection, topology).create()
    left = [
        [f"ALTER TABLE {world.db}.a ADD x INT", f"ALTER TABLE {world.db}.b ADD x INT"],
        [f"DROP TABLE {world.db}.b"],
        [f"INSERT INTO {world.db}.a VALUES (1, 1)", f"TRUNCATE {world.db}.a", f"CREATE TABLE {world.control}.t (id INT)"],
    ]
    looks = 0

    def hook(name: Name) -> bool:
        nonlocal looks
        if name.name == "a":  # seen in the list, and not read yet
            looks += 1
            world.sql("east", *(left.pop(0) if left else ["DO 0"]))
        return True

    scope = Scope([world.db], control_schema=world.control)
    catalog, barrier = read_settled(topology, Reading(side="east", scope=scope, more=hook), lambda: None)
    assert looks == 3
    assert {name.name for name in catalog if name.kind is Kind.TABLE} == {"a"}
    assert "`x` int" in catalog[Name(Kind.TABLE, world.db, "a")].text
    assert world.sql("east", f"SELECT barrier FROM {world.control}.heartbeat WHERE side = 'east'") == ((barrier,),)


def test_what_an_earlier_start_has_made_and_is_other_now(init: Init) -> None:
    """It is dropped and made anew, with what goes with it; but not where rows are in it."""
    world = init.world
    world.sql(
        "east",
        f"USE {world.db}",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "CREATE TABLE u (id INT PRIMARY KEY)",
        f"CREATE DATABASE {world.control}",
        f"CREATE TABLE {world.control}.t (id INT)",
        f"CREATE VIEW a AS SELECT * FROM {world.control}.t",
    )
    error = refused(init)
    assert f"west refuses view {world.db}.a" in error.message and "resume east west" in (error.hint or "")
    assert {"table t": "made", "table u": "made"}.items() <= init.record().items()
    world.sql("west", f"INSERT INTO {world.db}.t VALUES (1)")
    world.sql("east", f"USE {world.db}", "DROP VIEW a", "ALTER TABLE t ADD x INT", "DROP TABLE u")
    error = refused(init)
    assert error.code == "structure_differs" and "has rows at west" in error.message
    world.sql("west", f"DELETE FROM {world.db}.t")
    init.run()
    assert init.differences() == [] and init.record() == {"database ": "made", "table t": "made"}
    assert [state for state, why in init.log() if why.startswith("dropped")] == ["applied", "applied"]


KILLS = (
    *("init.structure_after_intent:1", "init.structure_after_statement:3"),
    *("init.structure_after_intent:25", "init.structure_before_end:1"),
)


def test_kills_and_statements_meanwhile(servers: Sandbox, tmp_path: Path) -> None:
    """The applier is killed again and again while the source is altered and written: all is made, and both sides end alike.

    What was in the stream before the structure was read is in it, and is not run again; what came behind is run. The other
    direction takes nothing of it for its own.
    """
    init = Init(servers, tmp_path, definers=True)
    world = init.world
    db, log = world.db, f"{world.control}.ddl_log"
    world.topology["directions"][0]["ddl"] = True
    try:
        make(servers.east, db)
        world.run("precheck")
        world.start("producer", "east")
        eventually(lambda: "new stream begins" in world.said(), world.said)
        eventually(lambda: world.topics() != [], world.said)
        world.sql(
            "east",
            f"USE {db}",
            "CREATE TABLE early (id INT PRIMARY KEY, gone INT)",
            "INSERT INTO early VALUES (1, 1)",
            "ALTER TABLE early DROP gone, ADD `new` INT NOT NULL DEFAULT 5",
            "CREATE TABLE dropped (id INT PRIMARY KEY)",
            "INSERT INTO dropped VALUES (1)",
            "DROP TABLE dropped",
            "DROP EVENT past",
            "INSERT INTO country (country_id, country, iso) VALUES (1, 'Tonga', 'TO')",
            "TRUNCATE TABLE note",
        )
        for number, kill in enumerate(KILLS):
            killed = world.start("applier", "west", BISYNC_FAILPOINT=kill)
            assert killed.wait(120) == -signal.SIGKILL, world.said()
            if number == 1:  # actor and address are made, audit perhaps, the others are not
                world.sql(
                    "east",
                    f"USE {db}",
                    "ALTER TABLE actor ADD added INT",
                    "ALTER TABLE rental ADD added INT, ALGORITHM = INSTANT",
                    "DROP TABLE note",
                    "RENAME TABLE old_style TO older_style",
                    "CREATE VIEW of_actor AS SELECT actor_id, added FROM actor",
                )
        for command in (("producer", "west"), ("applier", "east")):
            world.start(*command)
        frozen = world.start("applier", "west", BISYNC_FAILPOINT="init.structure_before_end:1:stop")
        stat = Path(f"/proc/{frozen.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", world.said)
        world.sql("east", f"ALTER TABLE {db}.actor ADD behind INT")
        frozen.send_signal(signal.SIGCONT)
        eventually(lambda: set(world.states().values()) == {"syncing"}, world.said)
        world.sql(
            "east",
            f"USE {db}",
            "INSERT INTO early (id) VALUES (2)",
            "INSERT INTO country (country_id, country, iso) VALUES (2, 'Chad', 'TD')",
            "ALTER TABLE rental ADD later INT",
        )
        world.run("wait", "--timeout", "90")
        world.sql("west", f"INSERT INTO {db}.early (id) VALUES (3)")
        world.run("wait", "--timeout", "90")
        assert init.differences() == []
        assert world.sql("west", f"SELECT id, `new` FROM {db}.early ORDER BY id") == ((2, 5), (3, 5))
        assert world.sql("east", f"SELECT id, `new` FROM {db}.early ORDER BY id") == ((1, 5), (2, 5), (3, 5))
        assert world.sql("west", f"SELECT country_id FROM {db}.country") == ((2,),)
        made = world.sql(
            "west", f"SELECT statement, COUNT(*) FROM {log} WHERE stream = 'initial' AND state = 'applied' GROUP BY 1"
        )
        assert {count for _, count in made} == {1}
        drops = [text for text, _ in made if text.startswith("DROP ")]
        assert drops == [f"DROP TABLE `{db}`.`actor`"], "which was made before it was altered"
        assert len(made) == len(init.record()) + 2 * len(drops)
        carried = world.sql("west", f"SELECT statement, state FROM {log} WHERE stream <> 'initial' ORDER BY id")
        behind = [f"ALTER TABLE {db}.actor ADD behind INT", "ALTER TABLE rental ADD later INT"]
        assert [text for text, state in carried if state == "applied"] == behind, carried
        assert [state for text, state in carried if text not in behind] == ["ignored"] * 11, carried
        assert world.sql("east", f"SELECT COUNT(*) FROM {log}") == ((0,),), "nothing comes back, nothing is drift"
        assert {each["state"] for each in world.status()["directions"]} == {"syncing"}
        assert world.sql("west", f"SELECT COUNT(*) FROM {world.control}.conflicts") == ((0,),)
        assert world.sql("west", f"SELECT COUNT(*) FROM {log} WHERE state = 'running'") == ((0,),)
    finally:
        world.close()
