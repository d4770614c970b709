"""`kill -9` of the applier before, inside and after a DDL, and of the producer that reads what the applier did.

Ten of them by default; every kind at every point with BISYNC_TEST_KILLS=50 (`make kills`).
"""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from ddl.schema_differences import Schema, read_schema, schema_differences
from ddl.stage_ddl import as_app, logged, open_topology, pass_failures, play, play_unlogged, settle
from ddl.ticking import Ticking

from faults.compare import rows
from faults.harness import SIDES, Cluster
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("BISYNC_TEST_KILLS", "5"))
DB = "ddl_kills"
TABLE = f"base table {DB}."
POINTS = ("applier.ddl_after_intent", "applier.ddl_running", "applier.ddl_after_statement", "applier.ddl_before_done")
DONE = POINTS[2:]  # the statement has been run by then
numbers = itertools.count(1)


@dataclass(frozen=True)
class Kind:
    """before: on both sides, unlogged; ddl: what is killed; after: rows of a client behind it. {t}: the table's name."""

    ddl: str
    before: str = "CREATE TABLE {t} (id INT PRIMARY KEY, v INT); INSERT INTO {t} VALUES (1, 1), (2, 2)"
    after: str = "INSERT INTO {t} (id) VALUES (100)"
    seen: str = ""  # begins the statement where a server logs another text


KINDS = {
    "alter": Kind("ALTER TABLE {t} ADD w INT NOT NULL DEFAULT 5, DROP COLUMN v"),
    "alter copying": Kind("ALTER TABLE {t} MODIFY v BIGINT, ADD KEY (v), ALGORITHM=COPY"),
    "truncate": Kind("TRUNCATE TABLE {t}"),
    "truncate by an odd name": Kind(
        "TRUNCATE TABLE `{t}_größe x`",
        before="CREATE TABLE `{t}_größe x` (id INT PRIMARY KEY); INSERT INTO `{t}_größe x` VALUES (1)",
        after="INSERT INTO `{t}_größe x` VALUES (100)",
    ),
    "create": Kind("CREATE TABLE {t} (id INT PRIMARY KEY, v INT)", before="DO 0"),
    "create select": Kind(
        "CREATE TABLE {t} (id INT PRIMARY KEY) SELECT id, n AS v FROM ticking WHERE id < 1000100",
        before="DO 0",
        seen="CREATE TABLE `{t}`",
    ),
    "drop": Kind("DROP TABLE {t}", after="DO 0", seen="DROP TABLE `{t}`"),
    "drop two": Kind(
        "DROP TABLE {t}, {t}_2",
        before="CREATE TABLE {t} (id INT PRIMARY KEY); CREATE TABLE {t}_2 LIKE {t}",
        after="CREATE TABLE {t} (k INT PRIMARY KEY); INSERT INTO {t} VALUES (5)",
        seen="DROP TABLE `{t}`",
    ),
    "rename": Kind("RENAME TABLE {t} TO {t}_away", after="INSERT INTO {t}_away (id) VALUES (100)"),
    "swap": Kind(
        "RENAME TABLE {t} TO {t}_x, {t}_2 TO {t}, {t}_x TO {t}_2",
        before="CREATE TABLE {t} (id INT PRIMARY KEY, v INT); CREATE TABLE {t}_2 (id INT PRIMARY KEY, w INT);"
        " INSERT INTO {t} VALUES (1, 1); INSERT INTO {t}_2 VALUES (2, 2)",
        after="INSERT INTO {t} (id, w) VALUES (100, 1); INSERT INTO {t}_2 (id, v) VALUES (100, 2)",
    ),
    "swap of twins": Kind(
        "RENAME TABLE {t} TO {t}_x, {t}_2 TO {t}, {t}_x TO {t}_2",
        before="CREATE TABLE {t} (id INT PRIMARY KEY, v INT); CREATE TABLE {t}_2 LIKE {t}; INSERT INTO {t} VALUES (1, 1);"
        " INSERT INTO {t}_2 VALUES (2, 2)",
        after="INSERT INTO {t} VALUES (100, 1); INSERT INTO {t}_2 VALUES (200, 2)",
    ),
    "index": Kind("CREATE UNIQUE INDEX i ON {t} (v)"),
    "drop index": Kind("DROP INDEX i ON {t}", before="CREATE TABLE {t} (id INT PRIMARY KEY, v INT, KEY i (v))"),
    "trigger": Kind(
        "CREATE TRIGGER {t} AFTER INSERT ON {t} FOR EACH ROW INSERT INTO {t}_log (n) VALUES (NEW.id)",
        before="CREATE TABLE {t} (id INT PRIMARY KEY); CREATE TABLE {t}_log (id INT AUTO_INCREMENT PRIMARY KEY, n INT)",
        seen="CREATE DEFINER=`app`@`%` TRIGGER {t}",
    ),
    "drop trigger": Kind(
        "DROP TRIGGER {t}",
        before="CREATE TABLE {t} (id INT PRIMARY KEY); CREATE TRIGGER {t} BEFORE INSERT ON {t} FOR EACH ROW"
        " BEGIN IF @bisync_applying IS NULL THEN SET NEW.id = NEW.id; END IF; END",
    ),
    "view": Kind(
        "CREATE OR REPLACE VIEW {t}_v AS SELECT id FROM {t}",
        before="CREATE TABLE {t} (id INT PRIMARY KEY); CREATE DEFINER=app@'%' VIEW {t}_v AS SELECT 1 AS one",
        seen="CREATE OR REPLACE ALGORITHM",
    ),
    "procedure": Kind(
        "CREATE PROCEDURE {t}() BEGIN SELECT 1; SELECT 2; END",
        before="DO 0",
        after="DO 0",
        seen="CREATE DEFINER=`app`@`%` PROCEDURE",
    ),
    "drop partition": Kind(
        "ALTER TABLE {t} TRUNCATE PARTITION p1",
        before="CREATE TABLE {t} (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p1 VALUES LESS THAN (10), PARTITION p2"
        " VALUES LESS THAN MAXVALUE); INSERT INTO {t} VALUES (1), (50)",
        after="INSERT INTO {t} VALUES (3), (100)",
    ),
    "force": Kind("ALTER TABLE {t} ENGINE=InnoDB"),
    "comment": Kind("ALTER TABLE {t} COMMENT 'new'"),
    "database": Kind(
        "ALTER DATABASE ddl_kills CHARACTER SET latin1",
        before="ALTER DATABASE ddl_kills CHARACTER SET utf8mb4",
        after="DO 0",
    ),
}
FIRST = (  # the first of them in every run
    ("truncate", POINTS[2], False),
    ("alter", POINTS[1], True),
    ("create select", POINTS[3], False),
    ("swap of twins", POINTS[2], True),
    ("truncate", POINTS[0], False),
    ("truncate", POINTS[3], True),
    ("create", POINTS[2], True),
    ("drop", POINTS[2], False),
    ("rename", POINTS[3], True),
    ("trigger", POINTS[2], False),
)


def kills() -> Iterator[tuple[str, str, bool]]:
    """(kind, failpoint, whether the target's producer is killed too)."""
    yield from FIRST[:KILLS]
    if KILLS >= 50:
        for number, (kind, point) in enumerate(itertools.product(KINDS, POINTS)):
            yield from ((kind, point, both) for both in (number % 2 == 0,) if (kind, point, both) not in FIRST)


@pytest.fixture(scope="module")
def running_killed(fault_servers: Sandbox) -> Iterator[Cluster]:
    """DDL of the database goes from east to west."""
    with open_topology(fault_servers, "ddl-kills", "east", [], [DB], databases=[DB]) as cluster:
        yield cluster


@pytest.fixture
def killed(running_killed: Cluster) -> Iterator[Cluster]:
    """The topology; what a failed test has left stopped is led on."""
    yield running_killed
    for name in ("applier west", "producer west"):
        if not running_killed[name].runs:
            running_killed.start(name)
    assert not list(pass_failures(running_killed))


@pytest.mark.parametrize(("kind", "failpoint", "producer_too"), list(kills()))
def test_ddl_kill(killed: Cluster, kind: str, failpoint: str, producer_too: bool) -> None:
    """A statement in whose middle the applier dies is done exactly once: the target's binlog has it once, the log says so, both
    sides are equal, and it does not come back as a change of the target's own.

    A row that a client of the target writes once it is done, and before the applier is there again, stays.
    """
    cluster, number = killed, next(numbers)
    table, of = f"k{number}", KINDS[kind]
    play_unlogged(cluster, DB, of.before.format(t=table))
    known, start = len(logged(cluster, "west")), position(cluster, "west")
    applier, producer = cluster["applier west"], cluster["producer west"]
    ddl = of.ddl.format(t=table)
    settle(cluster)
    with Ticking(cluster, DB, first=number * 10_000) as ticking:
        applier.kill()
        applier.start(failpoint=failpoint)
        play(as_app(cluster, "east", DB), ddl)
        play(as_app(cluster, "east", DB), of.after.format(t=table))
        assert applier.wait_ended() == -signal.SIGKILL, applier.log()
        if producer_too:
            producer.kill()
        if failpoint in DONE and kind in ("truncate", "alter", "create", "index", "force", "comment"):
            play(as_app(cluster, "west", DB), f"INSERT INTO {table} (id) VALUES (777)")
        ticking.wait_for(2)
        applier.start()
        if producer_too:
            cluster.wait_state(applier.name, "running")
            producer.start()
        ticking.wait_for(2)
    settle(cluster, 60)
    entries = [
        (state, why) for state, statement, why in logged(cluster, "west")[known:] if statement.startswith(begins(of, table))
    ]
    assert [state for state, _ in entries] == ["applied"], logged(cluster, "west")[known:]
    assert times_in_binlog(cluster, "west", start, begins(of, table)) == 1
    assert logged(cluster, "east") == [], "it came back"
    ticking.check()
    east, west = (ours(read_schema(cluster, side, [DB]), table) for side in SIDES)
    assert not (lines := schema_differences(east, west)), "\n".join(lines)
    for name in (name.removeprefix(TABLE) for name in east if name.startswith(TABLE)):
        assert rows(cluster, "east", DB, name) == rows(cluster, "west", DB, name), name
    if failpoint in DONE and kind == "truncate":
        assert cluster.sql("west", f"SELECT GROUP_CONCAT(id ORDER BY id) FROM {DB}.{table}") == [("100,777",)]


def ours(schema: Schema, table: str) -> Schema:
    """What belongs to this kill, and the database itself."""
    mine = {f" {DB}", f" {DB}.{table}"}
    return {name: shown for name, shown in schema.items() if name.endswith(tuple(mine)) or f" {DB}.{table}_" in name}


def begins(of: Kind, table: str) -> str:
    """How the statement begins, as the source logs it."""
    return of.seen.format(t=table) or of.ddl.format(t=table)


def position(cluster: Cluster, side: str) -> tuple[str, int]:
    """Where a server's binlog ends."""
    file, offset, *_ = cluster.sql(side, "SHOW BINARY LOG STATUS")[0]
    return str(file), int(offset)


def times_in_binlog(cluster: Cluster, side: str, start: tuple[str, int], beginning: str) -> int:
    """How often a side has run a statement that begins like this, since then."""
    assert position(cluster, side)[0] == start[0], "the binlog was rotated"
    events = cluster.sql(side, f"SHOW BINLOG EVENTS IN '{start[0]}' FROM {start[1]}")
    texts = [re.sub(r"^use `(?:[^`]|``)+`; ", "", str(info)) for _, _, kind, _, _, info in events if kind == "Query"]
    return sum(text.startswith(beginning) for text in texts)
