"""`up` with an empty target and a source that is full and written to: structure and rows arrive, whatever is killed meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ddl.schema_differences import carried_unguarded, enabled_events, read_schema, schema_differences
from sakila.sakila_like import make

from faults.chinook_clients import ChinookClients
from faults.compare import assert_equal
from faults.harness import WORKERS, Cluster, until
from faults.test_chinook import SCRIPT, run_script
from sandbox.accounts import create_accounts
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

SCHEMAS = ("Chinook", "sakila")
KILLS = 10 if os.environ.get("BISYNC_TEST_KILLS") else 1
LARGE_ROWS = 120_000 if os.environ.get("BISYNC_TEST_KILLS") else 10_000
RATE = int(os.environ.get("BISYNC_TEST_RATE", "0"))  # transactions a second that the source takes, all else giving way; 0: 100
CLIENTS = 12
SECONDS_BETWEEN = (0.3, 2.5)  # two kills
SAKILA_ROWS = (
    "INSERT INTO language VALUES (1, '中文', 'にほん', 'zh'), (2, 'English', 'えいご', 'en')",
    "INSERT INTO film (film_id, title, language_id, release_year, about)"
    " WITH RECURSIVE n AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM n WHERE k < 900)"
    " SELECT k, CONCAT('Fïlm ', k), 1 + k % 2, 1950 + k % 70, JSON_OBJECT('tags', JSON_ARRAY('a', CONCAT('t', k))) FROM n",
    "INSERT INTO actor (first_name, last_name)"
    " WITH RECURSIVE n AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM n WHERE k < 300)"
    " SELECT CONCAT('F', k), CONCAT('L', k) FROM n",
    "INSERT INTO film_actor (actor_id, film_id, role) SELECT actor_id, 1 + ORD(actor_id) % 900, last_name FROM actor",
)


@pytest.fixture
def cluster(fault_servers: Sandbox) -> Iterator[Cluster]:
    """Two schemas at east alone, to be initialized at west, with rows of their own and a table that takes a while."""
    if not SCRIPT.exists():
        pytest.skip(f"{SCRIPT} is not there: the Chinook sample database for MySQL")
    cluster = Cluster(fault_servers, name="filled")
    cluster.configure(
        SCHEMAS, schemas=(), both={"ddl": False}, east={"initialize": ["structure", "data"], "ddl": True},
        initialization={"chunk_rows": LARGE_ROWS // 40},
    )  # fmt: skip
    for side in ("east", "west"):
        with cluster.connect(side) as connection:
            create_accounts(connection, SCHEMAS, "bisync", ddl=True, initialize=True)
        cluster.sql(side, "GRANT SET_ANY_DEFINER, SYSTEM_USER, ALLOW_NONEXISTENT_DEFINER ON *.* TO bisync@'%'")
    for schema in SCHEMAS:
        cluster.sql("west", f"DROP DATABASE IF EXISTS {schema}")
        cluster.sql("east", f"DROP DATABASE IF EXISTS {schema}")
        cluster.sql("east", f"CREATE DATABASE {schema}")
    text = SCRIPT.read_text(encoding="utf-8-sig")
    run_script(cluster, "east", text[text.index("CREATE TABLE") :])
    make(cluster.server("east"), "sakila")
    with cluster.connect("east", database="sakila") as connection, connection.cursor() as cursor:
        for statement in SAKILA_ROWS:
            cursor.execute(statement)
        connection.commit()
    with cluster.connect("east", database="Chinook") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE Play (PlayId INT PRIMARY KEY, TrackId INT NOT NULL, Note VARCHAR(60), UNIQUE (Note))")
        cursor.execute("SET SESSION cte_max_recursion_depth = 1000000")
        cursor.execute(
            f"INSERT INTO Play WITH RECURSIVE n AS (SELECT 1 AS k UNION ALL SELECT k + 1 FROM n WHERE k < {LARGE_ROWS})"
            " SELECT 2 * k, 1 + k % 3000, CONCAT('note ', k) FROM n"
        )
        connection.commit()
    try:
        yield cluster
    finally:
        cluster.kill_all()


def initialization(cluster: Cluster) -> tuple[str, int]:
    """The state of the direction, and how many rows are copied."""
    found = cluster.status()
    direction = next(each for each in found["directions"] if each["from"] == "east")
    assert direction["error"] is None, direction["error"]
    return direction["state"], direction["initialization"]["rows_done"]


def kill_one(cluster: Cluster, random: random.Random) -> None:
    """`kill -9` of one of the processes that `up` has started so far."""
    said = cluster.status()
    pids = [process["pid"] for process in said["processes"] if process["name"] in WORKERS and process["pid"] is not None]
    if pids:
        with contextlib.suppress(ProcessLookupError):  # it has just been killed, and `status` shows what it said last
            os.kill(random.choice(pids), signal.SIGKILL)


def give_way(pid: int | None) -> None:
    """Let all else on this machine go first: a source has one of its own, whose clients notice nothing of a copy."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(task.name), 15)


def test_an_empty_target_is_filled_under_writes(cluster: Cluster) -> None:
    """Equal in structure and bytes by the test's own comparison, with processes killed in the middle; nothing echoes."""
    clients = ChinookClients(cluster.server("east"), CLIENTS, RATE or 100, LARGE_ROWS)
    kills = random.Random(7)
    try:
        cluster["up"].start()
        if RATE:
            for pid in (cluster["up"].pid, cluster.server("west").pid, cluster.sandbox.kafka.pid):
                give_way(pid)
        for _ in range(KILLS):
            time.sleep(kills.uniform(*SECONDS_BETWEEN))
            kill_one(cluster, kills)
        seldom = 2.0  # else the questions would take from the source's share of the machine
        until(lambda: initialization(cluster)[0] == "syncing", "all is copied", 600, logs=cluster.logs, every=seldom)
    finally:
        written, seconds = clients.end()
    cluster.wait(120)
    print(f"\n{written:,} transactions in {seconds:.0f} s, {written / seconds:.0f}/s; {initialization(cluster)[1]:,} rows copied")
    assert assert_equal(cluster, *SCHEMAS) > LARGE_ROWS
    schemas = [read_schema(cluster, side, list(SCHEMAS)) for side in ("east", "west")]
    assert schema_differences(*schemas) == []
    assert carried_unguarded(cluster, "west", SCHEMAS, frozenset()) == []
    assert enabled_events(cluster, "west", SCHEMAS, frozenset()) == []
    assert cluster.sql("west", "SELECT COUNT(*) FROM bisync.conflicts WHERE topology = 'filled'") == [(0,)]
    back = next(each for each in cluster.status()["directions"] if each["from"] == "west")
    assert back["applied_transactions"] == 0
    assert cluster["up"].stop() == 0
