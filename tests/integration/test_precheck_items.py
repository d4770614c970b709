"""Each item of the precheck on real servers: made to fail, its words read, its remedy run, and then it passes."""

from collections.abc import Iterator
from typing import NamedTuple

import pytest
from links import Link
from prechecking import Prechecking, kept
from topologies import World, eventually

from bisync_topology.precheck_item import FAIL, PASS, WARN
from bisync_topology.supervisor import create
from sandbox import install
from sandbox.instances import Sandbox
from sandbox.programs import run

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def fresh(servers: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A topology that has never run, with one table that is alike on both sides."""
    world = World(servers, tmp_path_factory.mktemp("precheck"), more=("apart",))
    for direction in world.topology["directions"]:
        direction["objects"] = [world.db]
    world.table()
    yield world
    world.close()


@pytest.fixture(scope="module")
def items(fresh: World) -> Prechecking:
    """Its items."""
    return Prechecking(fresh)


@pytest.fixture
def precheck(items: Prechecking, fresh: World) -> Iterator[Prechecking]:
    """Its items; afterwards both sides have the one table again, the account what it had, and the file its two directions."""
    topology = {**fresh.topology, "directions": [dict(direction) for direction in fresh.topology["directions"]]}
    yield items
    fresh.topology = topology
    for side in fresh.sides:
        for kind, db, name in fresh.sql(
            side,
            "SELECT TABLE_TYPE, TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
            f" WHERE TABLE_SCHEMA IN ('{fresh.db}', '{fresh.name}_apart') ORDER BY TABLE_NAME",
        ):
            if name != "item":
                what = "VIEW" if kind == "VIEW" else "TABLE"
                fresh.sql(side, "SET foreign_key_checks = 0", f"DROP {what} IF EXISTS `{db}`.`{name}`")


def test_a_fresh_sandbox(precheck: Prechecking) -> None:
    """What the sandbox gives passes; the one warning is true: task_failed both ways."""
    results = precheck.results(whole=True)
    assert results.failed == []
    assert {item.item for item in results.warnings} == {"policies"}


class Setting(NamedTuple):
    """A global variable with a value that is not good."""

    item: str
    side: str
    variable: str
    value: str
    result: str
    seen: str
    fix: str


SETTINGS = [
    Setting(
        "binlog_format", "east", "binlog_format", "'MIXED'", FAIL, "MIXED; it must be ROW", "SET PERSIST binlog_format = 'ROW';"
    ),
    Setting("binlog_row_image", "east", "binlog_row_image", "'MINIMAL'", FAIL, "must be FULL", "SET PERSIST binlog_row_image"),
    Setting("binlog_row_metadata", "west", "binlog_row_metadata", "'MINIMAL'", FAIL, "must be FULL", "SET PERSIST binlog_row_m"),
    Setting("server_id", "east", "server_id", "0", FAIL, "0; it must have a number", "SET PERSIST server_id = "),
    Setting("binlog_order_commits", "east", "binlog_order_commits", "0", WARN, "OFF", "SET PERSIST binlog_order_commits = ON;"),
    Setting(
        "binlog_retention", "west", "binlog_expire_logs_seconds", "3600", WARN, "1 hour, topics for 7 days", "_seconds = 604800;"
    ),
    Setting("connections", "east", "max_connections", "12", FAIL, "max_connections is 12", "SET PERSIST max_connections = "),
    Setting(
        "connections", "west", "max_user_connections", "9", FAIL, "may have 9 connections; up to 16", "max_user_connections = 16;"
    ),
    Setting(
        "max_allowed_packet", "west", "max_allowed_packet", "16777216", WARN, "16,777,216 bytes; east has", "SET PERSIST max_all"
    ),
    Setting("sql_mode", "west", "sql_mode", "'ANSI_QUOTES'", WARN, "west has ANSI_QUOTES beside", "SET PERSIST sql_mode = 'ONLY"),
]


@pytest.mark.parametrize("setting", SETTINGS, ids=[f"{each.item}-{each.variable}" for each in SETTINGS])
def test_a_setting(precheck: Prechecking, setting: Setting) -> None:
    """A value that is not good is named, with the SET PERSIST that mends it in the running server."""
    with kept(precheck.world, setting.side, setting.variable):
        precheck.world.sql(setting.side, f"SET GLOBAL {setting.variable} = {setting.value}")
        item = precheck.one(setting.item, setting.side, setting.result, setting.seen, setting.fix)
        precheck.mend(item)
        precheck.mended(setting.item, setting.side)


def test_partial_json_is_read(precheck: Prechecking) -> None:
    """PARTIAL_JSON passes, and is named: the producer reads it."""
    with kept(precheck.world, "east", "binlog_row_value_options"):
        precheck.world.sql("east", "SET GLOBAL binlog_row_value_options = 'PARTIAL_JSON'")
        (item,) = (each for each in precheck.results().items if (each.item, each.side) == ("binlog_row_value_options", "east"))
        assert (item.result, item.seen) == (PASS, "PARTIAL_JSON, which is read")


def test_the_same_server_id(precheck: Prechecking) -> None:
    """Two servers of one number: the second gets another one."""
    world = precheck.world
    with kept(world, "west", "server_id"):
        number = world.sql("east", "SELECT @@server_id")[0][0]
        world.sql("west", f"SET GLOBAL server_id = {number}")
        precheck.mend(precheck.one("server_ids", "west", WARN, f"the same: east {number}", f"server_id = {number + 1};"))
        precheck.mended("server_ids", "west")


def test_the_same_server_twice(precheck: Prechecking) -> None:
    """Two addresses may lead to one server, as through a proxy; pointed at two they pass."""
    world = precheck.world
    west, port, link = world.topology["sides"]["west"]["mysql"], world.servers.west.port, Link(world.servers.east.port)
    west["port"] = link.port
    try:
        precheck.one("server_uuid", None, FAIL, "they are the same", "point topology.yaml at two servers")
    finally:
        west["port"] = port
        link.close()
    precheck.mended("server_uuid", None)


def test_no_gtids(precheck: Prechecking) -> None:
    """gtid_mode OFF is warned of; the steps that are printed switch it on in the running server."""
    world = precheck.world
    try:
        world.sql("east", *(f"SET GLOBAL gtid_mode = {step}" for step in ("ON_PERMISSIVE", "OFF_PERMISSIVE", "OFF")))
        precheck.mend(precheck.one("gtid_mode", "east", WARN, "OFF: positions are kept as", "SET PERSIST gtid_mode = ON;"))
        precheck.mended("gtid_mode", "east")
    finally:
        world.sql("east", *(f"RESET PERSIST IF EXISTS {name}" for name in ("gtid_mode", "enforce_gtid_consistency")))


def test_tls(precheck: Prechecking) -> None:
    """`preferred` that ends in the clear is warned of; the server gets TLS back while it runs."""
    with kept(precheck.world, "east", "tls_version"):
        precheck.world.sql("east", "SET GLOBAL tls_version = ''", "ALTER INSTANCE RELOAD TLS NO ROLLBACK ON ERROR")
        item = precheck.one(
            "tls", "east", WARN, "ssl.mode preferred, and the connection is in the clear", "ALTER INSTANCE RELOAD TLS;"
        )
        precheck.mend(item)
        precheck.mended("tls", "east")
    precheck.world.sql("east", "ALTER INSTANCE RELOAD TLS")


def test_connections_of_the_account(precheck: Prechecking) -> None:
    """A limit of the account is told from the server's, and raised by ALTER USER."""
    world = precheck.world
    world.sql("west", f"ALTER USER {world.user} WITH MAX_USER_CONNECTIONS 8")
    try:
        item = precheck.one("connections", "west", FAIL, "may have 8 connections", f"ALTER USER '{world.user}'@'%' WITH")
        precheck.mend(item)
        precheck.mended("connections", "west")
    finally:
        world.sql("west", f"ALTER USER {world.user} WITH MAX_USER_CONNECTIONS 0")


def test_clocks(precheck: Prechecking) -> None:
    """A clock that is two minutes ahead is warned of, one of two seconds where `newest` goes by it."""
    world = precheck.world
    with kept(world, "west", "init_connect"):
        world.sql("west", "SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 120'")
        assert "follow the same time servers" in str(precheck.one("clocks", None, WARN, "differ by 1", "chronyc").fix)
        world.sql("west", "SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP() + 3'")
        precheck.mended("clocks", None)
        for direction in world.topology["directions"]:
            direction["tables"] = {f"{world.db}.item": {"on_conflict": "newest", "version_column": "qty"}}
        assert "counts as the newer" in precheck.one("clocks", None, WARN, "differ by", "chronyc").why
        world.sql("west", "SET GLOBAL init_connect = ''")
        precheck.mended("clocks", None)


def test_privileges(precheck: Prechecking) -> None:
    """Each privilege is missed by its name, at its place, and the GRANT that is printed gives it back."""
    world, account = precheck.world, f"{precheck.world.user}@'%'"
    rows, control = rf"`{world.name}\_db`.*", rf"`{world.name}\_ctl`.*"
    taken = [("REPLICATION SLAVE", "*.*"), ("REPLICATION CLIENT", "*.*")]
    taken += [(name, rows) for name in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    taken += [(name, control) for name in ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER")]
    for privilege, place in taken:
        world.sql("west", f"REVOKE {privilege} ON {place} FROM {account}")
        item = precheck.one("privileges", "west", FAIL, f"lacks {privilege} on ", f"GRANT {privilege} ON {place} TO ")
        precheck.mend(item)
    precheck.mended("privileges", "west")
    world.sql("west", f"REVOKE TRIGGER ON {rows} FROM {account}")
    precheck.mend(precheck.one("triggers", "west", WARN, "lacks TRIGGER", "GRANT TRIGGER ON "))
    precheck.mended("triggers", "west")


def test_all_privileges_and_roles(precheck: Prechecking) -> None:
    """GRANT ALL is enough. What a role allows is not, until sessions begin with the role."""
    world, account = precheck.world, f"{precheck.world.user}@'%'"
    rows = rf"`{world.name}\_db`.*"
    role = f"{world.name}_role"
    world.sql("east", f"REVOKE ALL ON {rows} FROM {account}", f"GRANT ALL ON {rows} TO {account}")
    precheck.mended("privileges", "east")
    world.sql("east", f"REVOKE ALL ON {rows} FROM {account}", f"CREATE ROLE {role}", f"GRANT ALL ON {rows} TO {role}")
    world.sql("east", f"GRANT {role} TO {account}")
    try:
        item = precheck.one("privileges", "east", FAIL, f"has `{role}`@`%`, which", "SET DEFAULT ROLE ALL TO")
        precheck.mend(item)
        precheck.mended("privileges", "east")
    finally:
        world.sql("east", f"DROP ROLE {role}", f"GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON {rows} TO {account}")
    precheck.mended("privileges", "east")


class Table(NamedTuple):
    """Statements on either side, in database {d}, after which a side's item does not pass."""

    item: str
    side: str
    east: tuple[str, ...]
    west: tuple[str, ...]
    result: str
    seen: str
    fix: str


T = "CREATE TABLE {d}.t "
TABLES = {
    "no key": Table(
        *("key", "west", (T + "(a INT PRIMARY KEY)",), (T + "(a INT)",), FAIL),
        *("{d}.t has neither a primary key", "ALTER TABLE `{d}`.`t` ADD PRIMARY KEY (`a`);"),
    ),
    "an engine": Table(
        *("engine", "west", (T + "(a INT PRIMARY KEY)",), (T + "(a INT PRIMARY KEY) ENGINE=MyISAM",), FAIL),
        *("{d}.t is MyISAM", "ENGINE = InnoDB;"),
    ),
    "a key over an expression": Table(
        *("unique_key", "west", (T + "(a INT PRIMARY KEY, b INT)",), (T + "(a INT PRIMARY KEY, b INT, UNIQUE KEY k ((b + 1)))",)),
        *(FAIL, "{d}.t: unique key k is over an expression", "DROP INDEX `k`;"),
    ),
    "missing": Table(
        "tables", "west", (T + "(a INT PRIMARY KEY)",), (), FAIL, "{d}.t is on east and not on west", "USE `{d}`; CREATE"
    ),
    "a view": Table(
        *("tables", "west", (T + "(a INT PRIMARY KEY)",), ("CREATE VIEW {d}.t AS SELECT 1 AS a",), FAIL),
        *("is a table on east and a view on west", "DROP VIEW `{d}`.`t`;"),
    ),
    "a column is missing": Table(
        *("structure", "west", (T + "(a INT PRIMARY KEY, b INT DEFAULT 7)",), (T + "(a INT PRIMARY KEY)",), FAIL),
        *("b is missing", "ALTER TABLE `{d}`.`t` ADD COLUMN `b` int DEFAULT '7';"),
    ),
    "a column is another": Table(
        *("structure", "west", (T + "(a INT PRIMARY KEY, b BIGINT)",), (T + "(a INT PRIMARY KEY, b INT)",), WARN),
        *("b is bigint there and int here", "MODIFY COLUMN `b` bigint DEFAULT NULL;"),
    ),
    "a column that cannot take it": Table(
        *("structure", "west", (T + "(a INT PRIMARY KEY, b DATETIME(6))",), (T + "(a INT PRIMARY KEY, b DATETIME)",), FAIL),
        *("b is datetime(6) there and datetime here", "MODIFY COLUMN `b` datetime(6)"),
    ),
    "a unique key": Table(
        *("structure", "west", (T + "(a INT PRIMARY KEY, b INT, UNIQUE KEY k (b))",), (T + "(a INT PRIMARY KEY, b INT)",), WARN),
        *("the unique key k (b) is missing", "ADD UNIQUE KEY `k` (`b`);"),
    ),
    "a foreign key": Table(
        *("structure", "west", (T + "(a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES item (id))",), (T + "(a INT PRIMARY KEY)",)),
        *(WARN, "the foreign key (a) to {d}.item ON UPDATE NO ACTION", "ADD CONSTRAINT `t_ibfk_1` FOREIGN KEY (`a`) REFERENCES"),
    ),
    "a generated key": Table(
        *("generated_key", "west", (T + "(a INT, b INT AS (a + 1) STORED PRIMARY KEY)",)),
        *((T + "(a INT, b INT AS (a + 2) STORED PRIMARY KEY)",), FAIL),
        *(
            "b is generated as (`a` + 1) there, and as (`a` + 2) here",
            "MODIFY COLUMN `b` int GENERATED ALWAYS AS ((`a` + 1)) STORED",
        ),
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table(precheck: Prechecking, name: str) -> None:
    """What is wrong with a table is said with the ALTER or CREATE that mends it."""
    world, case = precheck.world, TABLES[name]
    for side, texts in (("east", case.east), ("west", case.west)):
        world.sql(side, f"USE {world.db}", *(text.format(d=world.db) for text in texts))
    item = precheck.one(case.item, case.side, case.result, case.seen.format(d=world.db), case.fix.format(d=world.db))
    precheck.mend(item)
    if name == "a view":  # what it hid is said now
        precheck.mend(precheck.one("tables", "west", FAIL, "is on east and not on west", "USE "))
    precheck.mended(case.item, case.side)


def test_a_key_over_an_expression_that_is_to_be_made(precheck: Prechecking) -> None:
    """The target has no such table yet, and would get the key with it: it is said at the source, where the remedy is."""
    world = precheck.world
    world.topology["directions"] = [{**world.topology["directions"][0], "initialize": ["structure", "data"]}]
    world.sql("east", f"CREATE TABLE {world.db}.t (a INT PRIMARY KEY, b INT, UNIQUE KEY k ((b + 1)))")
    seen, fix = f"{world.db}.t: unique key k is over an expression", f"ALTER TABLE `{world.db}`.`t` DROP INDEX `k`;"
    item = precheck.one("unique_key", "east", FAIL, seen, fix)
    world.sql("west", f"CREATE TABLE {world.db}.t (a INT PRIMARY KEY, b INT)")
    precheck.mended("unique_key", "east")  # a key of the source alone is in nobody's way
    world.sql("west", f"DROP TABLE {world.db}.t")
    precheck.mend(item)
    precheck.mended("unique_key", "east")


def test_a_parent_that_is_not_carried(precheck: Prechecking) -> None:
    """A foreign key that leads out of the scope: the parent goes into `objects`."""
    world = precheck.world
    parent = f"{world.name}_apart.p"
    for side in world.sides:
        world.sql(side, f"CREATE TABLE {parent} (a INT PRIMARY KEY)")
        world.sql(side, f"CREATE TABLE {world.db}.t (a INT PRIMARY KEY, FOREIGN KEY (a) REFERENCES {parent} (a))")
    item = precheck.one(
        "parents", "west", WARN, f"{parent} is not carried, and is the parent of {world.db}.t", f'add "{parent}" to'
    )
    for direction in world.topology["directions"]:
        direction["objects"] = [*direction["objects"], str(item.fix).split('"')[1]]
    precheck.mended("parents", "west")


def test_auto_increment(precheck: Prechecking) -> None:
    """Numbers that meet: each side gets its two statements. Of tables without them nothing is said."""
    world, names = precheck.world, ("auto_increment_increment", "auto_increment_offset")
    assert precheck.items("auto_increment", None) == []
    world.table("t", "a INT PRIMARY KEY AUTO_INCREMENT")
    with kept(world, "east", *names), kept(world, "west", *names):
        for start, side in ((1, "east"), (2, "west")):
            fix = f"SET PERSIST auto_increment_increment = 2; SET PERSIST auto_increment_offset = {start};"
            precheck.mend(precheck.one("auto_increment", side, WARN, "numbers meet: ", fix))
        (item,) = (each for each in precheck.results().items if each.item == "auto_increment")
        assert (item.result, item.seen) == (PASS, "numbers never meet: east by 2 from 1, west by 2 from 2")


def test_events(precheck: Prechecking) -> None:
    """One that runs on both sides is disabled at one."""
    world = precheck.world
    for side in world.sides:
        world.sql(side, rf"GRANT EVENT ON `{world.name}\_db`.* TO {world.user}@'%'")
        world.sql(side, f"CREATE EVENT {world.db}.e ON SCHEDULE EVERY 1 YEAR STARTS NOW() + INTERVAL 1 YEAR DO DO 1")
    try:
        precheck.mend(
            precheck.one("events", "west", WARN, f"east and west: {world.db}.e", f"ALTER EVENT `{world.db}`.`e` DISABLE;")
        )
        (item,) = (each for each in precheck.results().items if each.item == "events")
        assert (item.result, item.seen) == (PASS, "1 on both sides, none runs on both")
    finally:
        for side in world.sides:
            world.sql(side, f"DROP EVENT {world.db}.e", rf"REVOKE EVENT ON `{world.name}\_db`.* FROM {world.user}@'%'")


def test_definers(precheck: Prechecking) -> None:
    """A trigger whose definer is not there; where accounts may not be read, that is said."""
    world = precheck.world
    world.sql(
        "west", f"CREATE DEFINER = nobody@here TRIGGER {world.db}.t BEFORE INSERT ON {world.db}.item FOR EACH ROW SET @a = 1"
    )
    try:
        assert precheck.items("definers", "west") == []
        world.sql("west", f"GRANT SELECT ON mysql.user TO {world.user}@'%'")
        what = f"nobody@here, definer of trigger {world.db}.t, does not exist on west"
        precheck.mend(precheck.one("definers", "west", WARN, what, "CREATE USER 'nobody'@'here' ACCOUNT LOCK;"))
        precheck.mended("definers", "west")
    finally:
        world.sql("west", f"DROP TRIGGER {world.db}.t", "DROP USER IF EXISTS nobody@here")
        world.sql("west", f"REVOKE SELECT ON mysql.user FROM {world.user}@'%'")


def test_with_ddl(precheck: Prechecking) -> None:
    """ddl: true asks for privileges, for equal default collations, and warns of names that a RENAME may lead out of."""
    world = precheck.world
    (first, _) = world.topology["directions"]
    first.update(ddl=True, objects=[f"{world.db}.item"])
    precheck.one("rename", "west", WARN, f"{world.db}.item by name", "or take the whole database")
    first.update(objects=[world.db])
    assert "rename" not in {item.item for item in precheck.results().items}
    item = precheck.one("ddl", "west", FAIL, "lacks CREATE, ALTER, DROP", f"ON `{world.name}\\_db`.* TO")
    precheck.mend(item)
    precheck.mend(precheck.one("ddl", "west", WARN, "lacks SET_ANY_DEFINER", "GRANT SET_ANY_DEFINER ON *.*"))
    precheck.mended("ddl", "west")
    world.sql("west", f"ALTER DATABASE {world.db} COLLATE latin1_bin")
    precheck.mend(
        precheck.one("databases", "west", WARN, "latin1_bin on west", f"ALTER DATABASE `{world.db}` COLLATE utf8mb4_0900_ai_ci;")
    )
    precheck.mended("databases", "west")
    world.sql("west", f"REVOKE SET_ANY_DEFINER ON *.* FROM {world.user}@'%'")


def zone(name: str) -> list[str]:
    """What mysql_tzinfo_to_sql prints of one time zone."""
    program = install.mysql()
    tool = program.folder / "usr/bin/mysql_tzinfo_to_sql"
    printed = run([*program.command[:-1], tool, f"/usr/share/zoneinfo/{name}", name], what="no time zone")
    return [part.strip() for part in printed.split(";") if part.strip()]


def test_names_of_time_zones(precheck: Prechecking) -> None:
    """A server that does not know them would refuse statements of sessions of the other; it is told by MySQL's own tool."""
    world = precheck.world
    world.topology["directions"][0]["ddl"] = True
    try:
        world.sql("east", "USE mysql", *zone("UTC"))
        item = precheck.one("time_zones", "west", WARN, "east knows time zones by name, west does not", "mysql_tzinfo_to_sql")
        assert str(item.fix).endswith("at that server")
        world.sql("west", "USE mysql", *zone("UTC"))
        precheck.mended("time_zones", "west")
    finally:
        for side in world.sides:
            tables = ("time_zone", "time_zone_name", "time_zone_transition", "time_zone_transition_type")
            world.sql(side, *(f"DELETE FROM mysql.{name}" for name in tables))


def test_a_target_that_has_rows(precheck: Prechecking) -> None:
    """A table that data is to be copied into is empty at a first start."""
    world = precheck.world
    world.topology["directions"][0]["initialize"] = ["data"]
    world.sql("west", f"INSERT INTO {world.db}.item VALUES (1, 1)")
    item = precheck.one(
        "target_empty", "west", FAIL, f"{world.db}.item has rows on west already", f"TRUNCATE TABLE `{world.db}`.`item`;"
    )
    precheck.mend(item)
    precheck.mended("target_empty", "west")


def test_policies_and_names(precheck: Prechecking) -> None:
    """What the file says and what mends it there: a policy that converges, a name that is right."""
    world = precheck.world
    item = precheck.one(
        "policies", None, WARN, f"task_failed east to west, task_failed west to east: {world.db}.item", "on_conflict:"
    )
    for direction in world.topology["directions"]:
        direction["on_conflict"] = str(item.fix).split(": ")[1].split(" |")[0]
        direction["objects"] = [world.db, f"{world.db}.itm"]
    precheck.mended("policies", None)
    precheck.one("objects", "east", WARN, f"`{world.db}.itm` means no table", "is the name right")
    for direction in world.topology["directions"]:
        direction["objects"] = [world.db]
    assert {item.item for item in precheck.results().items if item.result != PASS} == set()


@pytest.fixture
def begun(world: World) -> Prechecking:
    """A topology whose control tables are there."""
    world.table()
    create(Prechecking(world).topology)
    return Prechecking(world)


def test_the_marker(begun: Prechecking) -> None:
    """A session that does not log hides it, which no setting of the binlog tells: found by reading it back, also by `up`."""
    world = begun.world
    assert [item.seen for item in begun.results(whole=True).items if item.item == "marker" and item.result == PASS] == [
        f"a row written to `{world.control}` was read back from the binlog"
    ] * 2
    with kept(world, "east", "init_connect"):
        world.sql("east", f"GRANT SESSION_VARIABLES_ADMIN, SYSTEM_VARIABLES_ADMIN ON *.* TO {world.user}@'%'")
        world.sql("east", "SET GLOBAL init_connect = 'SET SESSION sql_log_bin = 0'")
        item = begun.one("marker", "east", FAIL, "is not in the binlog", "SET PERSIST init_connect = '';", whole=True)
        assert "ping-pong" in item.why
        begun.mend(item)
        begun.mended("marker", "east", whole=True)
        world.sql("east", "SET GLOBAL init_connect = 'SET SESSION sql_log_bin = 0'")
        for side in world.sides:
            world.sql(side, f"DROP DATABASE {world.control}")
        said = world.run("up", expect=1)
        assert "is not in its binlog" in said and "precheck" in said and "Traceback" not in said
    world.sql("east", "SET GLOBAL read_only = ON")
    begun.one("marker", "east", WARN, "no row could be written and read back", "mend that", whole=True)
    world.sql("east", "SET GLOBAL read_only = OFF")
    begun.mended("marker", "east", whole=True)


def test_the_place_to_go_on_from(begun: Prechecking) -> None:
    """Binlogs that were purged before they were captured: `init --reset`, as is printed, begins anew."""
    world = begun.world
    running = world.start("producer", "east")
    eventually(
        lambda: any(each["name"] == "producer east" and each["state"] == "running" for each in world.told()["processes"]),
        world.said,
    )
    running.terminate()
    assert running.wait(60) == 0
    begun.mended("position", "east", whole=True)
    world.sql("east", f"INSERT INTO {world.db}.item VALUES (1, 1)", "FLUSH BINARY LOGS")
    last = world.sql("east", "SHOW BINARY LOG STATUS")[0][0]
    world.sql("east", f"PURGE BINARY LOGS TO '{last}'")
    command = "bisync-topology init --reset east west"
    begun.one("position", "east", FAIL, "has purged binlogs that were not captured yet", command, whole=True)
    world.run(*command.split()[1:])
    begun.mended("position", "east", whole=True)
