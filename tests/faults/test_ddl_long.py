"""A statement that takes long at the target: it is waited for, `status` tells, and nothing times out meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from faults.compare import rows
from faults.harness import Cluster, open_folder, started
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

LOCK_TIMEOUT = 3  # seconds without a word, after which a server ends a process's connections


@pytest.fixture(scope="module")
def long_cluster() -> Iterator[Cluster]:
    """A topology with a large table, whose connections do not stay open by themselves."""
    with open_folder("long") as root, started(Sandbox(root)) as sandbox:
        cluster = Cluster(sandbox, name="long", environ={"BISYNC_TEST_LOCK_TIMEOUT": str(LOCK_TIMEOUT)})
        cluster.configure(["shop"], east={"ddl": True})
        numbers = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n"
        cluster.both(
            "SET SESSION cte_max_recursion_depth = 1000000",
            "CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(200))",
            f"INSERT INTO shop.t SELECT i, REPEAT('x', 150) FROM ({numbers}) AS m",
        )
        cluster.both("CREATE TABLE shop.slow LIKE shop.t")
        with cluster.connect("west") as connection, connection.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            for n in range(5):  # at the target alone: it is a copy of it that takes long
                cursor.execute(f"INSERT INTO shop.slow SELECT id + {n} * 100000, v FROM shop.t")
        cluster.sql("west", "UPDATE performance_schema.setup_consumers SET ENABLED = 'YES' WHERE NAME = 'events_stages_current'")
        cluster.sql("west", "GRANT SELECT ON performance_schema.* TO bisync")
        try:
            cluster.start()
            yield cluster
            cluster.stop()
        finally:
            cluster.kill_all()


def told(cluster: Cluster) -> dict[str, Any]:
    """What the applier says of the statement that it runs: what `status` shows."""
    found: dict[str, Any] = cluster.report("applier west")["detail"].get("ddl", {})
    return found


def test_a_statement_that_waits_for_others(long_cluster: Cluster) -> None:
    """A client of the target holds the table for several times the time-out: the statement waits, and runs once."""
    cluster = long_cluster
    pid = cluster["applier west"].pid
    with cluster.connect("west", autocommit=False) as holding, holding.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM shop.t")
        cluster.sql("east", "ALTER TABLE shop.t ADD COLUMN c INT DEFAULT 7")
        cluster.until(lambda: told(cluster).get("seconds"), "the statement is told of")
        time.sleep(3 * LOCK_TIMEOUT)
        assert cluster.direction("east", "west")["state"] == "syncing"
        assert "ALTER TABLE shop.t" in cluster.command("status").stdout
        assert cluster["applier west"].pid == pid
        # it stops when it is told to, and the next one goes on with the statement
        assert cluster["applier west"].stop(30) == 0
        cluster["applier west"].start()
        cluster.until(lambda: told(cluster).get("waits_for") or told(cluster).get("seconds"), "the next one is at it")
        holding.commit()
    cluster.sql("east", "INSERT INTO shop.t VALUES (0, 'behind it', 8)")
    cluster.wait()
    log = cluster.sql("west", "SELECT state FROM bisync.ddl_log WHERE statement LIKE 'ALTER TABLE shop.t ADD%%'")
    assert log == [("applied",)]
    assert rows(cluster, "east", "shop", "t") == rows(cluster, "west", "shop", "t")


@pytest.mark.long
def test_how_far_a_statement_is(long_cluster: Cluster) -> None:
    """Where the server counts its stages, `status` tells of them."""
    cluster = long_cluster
    seen: list[str] = []

    def far() -> bool:
        """A copy of the table takes seconds; it is begun again until one was looked at in time."""
        cluster.sql("east", "ALTER TABLE shop.slow FORCE, ALGORITHM = COPY")
        for _ in range(100):
            seen.append(told(cluster).get("progress", ""))
            if seen[-1]:
                return True
            time.sleep(0.1)
        return False

    cluster.until(far, "status tells how far a statement is", 120)
    assert seen[-1].endswith(" %"), seen
    cluster.wait()
