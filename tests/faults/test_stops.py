"""What a person has to mend: a direction stops where it is, names the transaction and the remedy, and the remedy leads out."""

from __future__ import annotations

from typing import Any

import pytest

from faults.harness import SIDES, WORKERS, Cluster
from faults.load import Load

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


def failed(cluster: Cluster, source: str, target: str) -> dict[str, Any]:
    """Wait for a direction's failed state; gives its error."""

    def error() -> dict[str, Any]:
        direction = cluster.direction(source, target)
        return direction["error"] or {}

    found = cluster.until(error, f"{source} to {target} stops")
    assert found["gtid"], f"no transaction is named that could be skipped: {found}"
    return found


def run(cluster: Cluster, side: str, *statements: str, logged: bool = True) -> None:
    """Statements of one session as root."""
    with cluster.connect(side) as connection, connection.cursor() as cursor:
        if not logged:
            cursor.execute("SET SESSION sql_log_bin = 0")
        for statement in statements:
            cursor.execute(statement)


def test_a_table_that_the_target_lacks(loaded: tuple[Cluster, Load]) -> None:
    """What was committed before is applied; once the table is made, `resume` goes on, with the row."""
    cluster, load = loaded
    table = "CREATE TABLE shop.late (id INT PRIMARY KEY, v INT)"
    run(cluster, "east", table, logged=False)
    with load:
        load.wait_for(50)
        before, late = (
            "INSERT INTO shop.entries (worker, number, note) VALUES (0, 0, 'before')",
            "INSERT INTO shop.late VALUES (1, 1)",
        )
        run(cluster, "east", before, late)
        error = failed(cluster, "east", "west")
        assert error["code"] == "table_missing" and "shop.late" in error["message"] and "create it" in error["hint"], error
        assert cluster.sql("west", "SELECT note FROM shop.entries WHERE worker = 0") == [("before",)]
        load.wait_for(50)
        assert cluster.direction("west", "east")["state"] == "syncing"
        assert "shop.late" in cluster.command("wait", check=3).stderr
        run(cluster, "west", table, logged=False)
        cluster.command("resume", "east", "west")
        load.wait_for(20)
    cluster.wait()
    assert cluster.sql("west", "SELECT * FROM shop.late") == [(1, 1)]
    load.nothing_lost()
    assert all(cluster[name].runs for name in WORKERS)


@pytest.mark.parametrize("column", ["v INT, CHECK (v < 10)", pytest.param("v TINYINT", marks=pytest.mark.long)])
def test_a_row_that_the_target_refuses(loaded: tuple[Cluster, Load], column: str) -> None:
    """A table that is narrower at the target refuses a row: `skip` passes its whole transaction, and what comes after flows."""
    cluster, load = loaded
    run(cluster, "east", "CREATE TABLE shop.narrow (id INT PRIMARY KEY, v INT)", logged=False)
    run(cluster, "west", f"CREATE TABLE shop.narrow (id INT PRIMARY KEY, {column})", logged=False)
    with load:
        load.wait_for(20)
        run(
            cluster,
            "east",
            "BEGIN",
            "INSERT INTO shop.narrow (id) VALUES (50)",
            "INSERT INTO shop.narrow VALUES (1, 1000)",
            "COMMIT",
        )
        error = failed(cluster, "east", "west")
        assert "shop.narrow" in error["message"] and "the target refused the change" in error["message"], error
        run(cluster, "east", "INSERT INTO shop.narrow (id, v) VALUES (51, 1)")
        cluster.command("skip", "east", "west", "--gtid", error["gtid"], "--reason", "not wanted at west")
        load.wait_for(20)
    cluster.wait()
    assert cluster.sql("west", "SELECT id FROM shop.narrow") == [(51,)]
    run(cluster, "east", "DROP TABLE shop.narrow", logged=False)
    run(cluster, "west", "DROP TABLE shop.narrow", logged=False)
    load.nothing_lost()


def test_a_column_added_by_hand_under_load(loaded: tuple[Cluster, Load]) -> None:
    """ALTER TABLE at one side while both write: it is drift, and rows with a value in the column stop.

    They go on once the other side has it. Run there too it is drift once more, and nothing is lost.
    """
    cluster, load = loaded
    alter = "ALTER TABLE shop.counters ADD COLUMN colour VARCHAR(10) NOT NULL DEFAULT 'blue'"
    with load:
        load.wait_for(50)
        run(cluster, "east", alter)
        error = failed(cluster, "east", "west")
        assert (error["code"], "column `colour`" in error["message"]) == ("schema_mismatch", True), error
        run(cluster, "west", alter)
        cluster.command("resume", "east", "west")
        load.wait_for(50)
    cluster.wait()
    for side in SIDES:
        log = cluster.sql(side, "SELECT state, statement FROM bisync.ddl_log WHERE topology = %s", cluster.name)
        assert log == [("drift", alter)]
    cluster.wait()
    run(cluster, "east", "UPDATE shop.counters SET colour = 'red' WHERE id % 2 = 0")
    cluster.wait()
    assert cluster.sql("west", "SELECT DISTINCT colour FROM shop.counters ORDER BY 1") == [("blue",), ("red",)]
    load.nothing_lost()
