"""Rows of the other side while a statement is on its way to it, held there, or of a stream that is over: both sides end equal."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from faults.compare import rows
from faults.harness import Cluster, until

from bisync_topology.kafka_records import read
from bisync_topology.topology_file import load
from ddl.stage_ddl import as_app, open_topology, play, play_unlogged, settle
from sandbox.instances import Sandbox
from schemas.list_records import decode_ddl
from schemas.topics import ddl_topic

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

DB = "ddl_older"


@pytest.fixture(scope="module")
def older(ddl_servers: Sandbox) -> Iterator[Cluster]:
    """DDL goes from east to west."""
    with open_topology(ddl_servers, "older", "east", [], [DB], databases=[DB]) as cluster:
        yield cluster


def app(cluster: Cluster, side: str, script: str) -> None:
    """Run a script as a client."""
    play(as_app(cluster, side, DB), script)


@contextmanager
def frozen(cluster: Cluster, name: str) -> Iterator[None]:
    """One of the processes stands still, after everything has arrived."""
    settle(cluster)
    cluster[name].signal(signal.SIGSTOP)
    try:
        yield
    finally:
        cluster[name].signal(signal.SIGCONT)


def arrives(cluster: Cluster, query: str, expected: int) -> None:
    """Wait until a query at east counts so many."""

    def arrived() -> bool:
        assert (error := cluster.error("west", "east")) is None, error
        return cluster.sql("east", query) == [(expected,)]

    until(arrived, query, 30, logs=cluster.logs)


def statements(cluster: Cluster) -> list[str]:
    """What east's producer has published of its statements."""
    topology = load(cluster.file, {})
    return [decode_ddl(record.value).statement for record in read(topology, {(ddl_topic(topology.name, "east"), 0): 0})]


def assert_same(cluster: Cluster, table: str) -> None:
    """Its rows are the same on both sides."""
    settle(cluster)
    assert rows(cluster, "east", DB, table) == rows(cluster, "west", DB, table)


@pytest.mark.parametrize("zone", ["+05:00", "SYSTEM"])
def test_new_columns_of_the_time(older: Cluster, zone: str) -> None:
    """Rows that are there when the ALTER arrives get its time, and those that went the other way meanwhile have it too."""
    table = f"stamped_{zone[0] == 'S':d}"
    play_unlogged(
        older, DB, f"CREATE TABLE {table} (id INT PRIMARY KEY, v INT); INSERT INTO {table} VALUES (1, 1), (2, 2), (3, 3)"
    )
    alter = (
        f"SET time_zone = '{zone}'; ALTER TABLE {table} ADD made DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), "
        "ADD changed DATETIME(6) DEFAULT NOW(6) ON UPDATE NOW(6), ADD at TIMESTAMP NOT NULL DEFAULT NOW() ON UPDATE NOW(), "
        "ADD fixed TIMESTAMP NULL DEFAULT '2020-02-02 02:02:02'"
    )
    with frozen(older, "applier west"):
        app(older, "east", alter)
        app(older, "west", f"INSERT INTO {table} VALUES (4, 4); INSERT INTO {table} VALUES (5, 5), (6, 6)")
        app(older, "west", f"UPDATE {table} SET v = 10 WHERE id = 1; UPDATE {table} SET v = v + 20 WHERE id IN (2, 5)")
        arrives(older, f"SELECT COUNT(*) FROM {DB}.{table} WHERE v IN (3, 4, 6, 10, 22, 25)", 6)
    assert_same(older, table)
    assert older.sql("west", f"SELECT COUNT(DISTINCT made, changed, at, fixed) FROM {DB}.{table}") == [(1,)]


def test_a_large_transaction_waits_for_what_explains_it(older: Cluster) -> None:
    """Its rows come before the statement that they do not know has been read: it is begun again until it is known."""
    play_unlogged(older, DB, "CREATE TABLE large (id INT PRIMARY KEY, a INT)")
    with frozen(older, "producer east"):
        app(older, "east", "ALTER TABLE large RENAME COLUMN a TO b")
        numbers = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i, -i FROM n"
        app(older, "west", f"SET cte_max_recursion_depth = 5000; INSERT INTO large {numbers}")
        until(
            lambda: "done again" in older["applier east"].log(whole=True) or older.error("west", "east"),
            "it does not fit",
            30,
            logs=older.logs,
        )
    arrives(older, f"SELECT COUNT(*) FROM {DB}.large WHERE b = -id", 5000)
    assert_same(older, "large")


def test_rows_of_a_side_that_holds_the_statement(older: Cluster) -> None:
    """It has gone on beyond it, and knows what came later; its rows still have the column that is dropped here."""
    play_unlogged(older, DB, "CREATE TABLE holding (id INT PRIMARY KEY, a INT, b INT)")
    with older.connect("west", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE holding ADD CONSTRAINT in_order CHECK (a < b)")
    app(older, "east", "ALTER TABLE holding DROP COLUMN a; CREATE TABLE later (id INT PRIMARY KEY)")
    settle(older)
    (identity, state) = older.sql(
        "west", "SELECT id, state FROM bisync.ddl_log WHERE topology = %s ORDER BY id DESC LIMIT 1, 1", older.name
    )[0]
    assert state == "held"
    app(older, "west", "INSERT INTO holding VALUES (1, 2, 3)")
    arrives(older, f"SELECT COUNT(*) FROM {DB}.holding WHERE b = 3", 1)
    with older.connect("west", database=DB) as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute("ALTER TABLE holding DROP CHECK in_order")
    older.command("ddl", "approve", f"west-{identity}")
    query = "SELECT state FROM bisync.ddl_log WHERE id = %s"
    until(lambda: older.sql("west", query, identity) == [("applied",)], "it is applied", 30, logs=older.logs)
    app(older, "west", "INSERT INTO holding VALUES (2, 4)")
    assert_same(older, "holding")


def test_a_stream_that_is_begun_anew(older: Cluster) -> None:
    """Statements of the older stream have sequences beyond what rows have seen of the new one, and say nothing of them."""
    play_unlogged(older, DB, "CREATE TABLE anew (id INT PRIMARY KEY)")
    app(older, "east", "".join(f"INSERT INTO anew VALUES ({n}); " for n in range(50)))
    app(older, "east", "TRUNCATE TABLE anew; INSERT INTO anew VALUES (1)")
    settle(older)
    app(older, "west", "INSERT INTO anew VALUES (2)")
    settle(older)
    for name in ("producer east", "applier west"):
        assert older[name].stop() == 0
    older.command("init", "--reset", "east", "west")
    older.start("producer east", "applier west")
    app(older, "east", "INSERT INTO anew VALUES (3)")
    settle(older)
    app(older, "west", "INSERT INTO anew VALUES (4)")
    assert_same(older, "anew")
    assert older["applier east"].stop() == 0
    older.start("applier east")
    app(older, "west", "INSERT INTO anew VALUES (5)")
    assert_same(older, "anew")
    assert older.sql("east", f"SELECT COUNT(*) FROM {DB}.anew") == [(5,)]
    with frozen(older, "applier west"):
        app(older, "east", "TRUNCATE TABLE anew; INSERT INTO anew VALUES (6)")
        # a row that comes to east before its own applier can know of the statement stays there (docs/ddl.md)
        until(lambda: statements(older).count("TRUNCATE TABLE anew") == 2, "the statement is listed", 60, logs=older.logs)
        time.sleep(3)  # and has come to that applier
        app(older, "west", "INSERT INTO anew VALUES (7)")
    assert_same(older, "anew")
    assert older.sql("west", f"SELECT id FROM {DB}.anew") == [(6,)]
    assert not older.sql("west", "SELECT id FROM bisync.ddl_log WHERE state IN ('held', 'running')")
