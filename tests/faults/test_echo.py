"""Nothing loops: once both sides are equal, neither is written to, and what was applied is dropped on its way back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bisync_topology.kafka import admin
from bisync_topology.kafka_records import end_offset
from bisync_topology.ownership import REPORT_SECONDS
from bisync_topology.topology_file import load as load_topology
from faults.compare import assert_equal
from faults.harness import SIDES, WORKERS, Cluster, stays
from faults.load import Load, running
from sandbox.instances import Sandbox
from schemas.topics import transactions_topic

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

QUIET_SECONDS = 10.0
LOCK_SECONDS = 6  # the processes' connections may be silent for as long, so that ten seconds of quiet show whether they live


class Binlog(NamedTuple):
    """What a server has logged in a while."""

    transactions: int
    tables: Counter[str]
    size: int


@pytest.fixture
def loaded(fault_servers: Sandbox) -> Iterator[tuple[Cluster, Load]]:
    """A topology of the test's own."""
    cluster = Cluster(fault_servers, name="echo", environ={"BISYNC_TEST_LOCK_TIMEOUT": str(LOCK_SECONDS)})
    cluster.configure()
    with running(cluster) as topology:
        yield topology


def test_no_echo(loaded: tuple[Cluster, Load]) -> None:
    """After `wait`, ten seconds pass without a write to any user table, and without anything listed in Kafka.

    The binlogs grow by the processes' own rows at the stated rate, what was dropped as of own origin is what was applied on the
    other side, in source transactions, and the first row after the quiet finds every connection alive.
    """
    cluster, load = loaded
    with load:
        load.wait_for(400)
    cluster.wait()
    assert assert_equal(cluster, "shop") > 200
    for side, other in (SIDES, SIDES[::-1]):
        cluster.until(lambda s=side, o=other: dropped_equals_applied(cluster, s, o), f"{other} has dropped what came from it")
    topology = load_topology(cluster.file, {})
    client = admin(topology)
    lists = [(transactions_topic(topology.name, side), 0) for side in SIDES]

    waited = {name: cluster[name].log().count('"waiting"') for name in WORKERS}  # as they started, where the broker was slow
    before = {side: position(cluster, side) for side in SIDES}
    listed = [end_offset(client, place) for place in lists]
    stays(lambda: [end_offset(client, place) for place in lists] == listed, "nothing is listed", QUIET_SECONDS)
    for side in SIDES:
        found = logged(cluster, side, *before[side])
        assert set(found.tables) <= {"bisync.processes"}, f"{side} was written to: {found}"
        assert 0 < found.transactions <= 2 * (QUIET_SECONDS / REPORT_SECONDS + 1), (
            f"more than the reports of two processes: {found}"
        )
        assert found.size <= 2500 * found.transactions, found

    cluster.sql("east", "INSERT INTO shop.entries (worker, number, note) VALUES (0, 1, 'after the quiet')")
    cluster.wait()
    assert_equal(cluster, "shop")
    assert waited == {name: cluster[name].log().count('"waiting"') for name in WORKERS}, cluster.logs()


def dropped_equals_applied(cluster: Cluster, source: str, target: str) -> bool:
    """Whether what the direction from source has applied came back, and was dropped, as a whole."""
    applied = cluster.direction(source, target)["applied_transactions"]
    return applied > 0 and applied == cluster.direction(target, source)["dropped_own_origin"]


def position(cluster: Cluster, side: str) -> tuple[str, int]:
    """The binlog's present end."""
    file, pos, *_ = cluster.sql(side, "SHOW BINARY LOG STATUS")[0]
    return file, pos


def logged(cluster: Cluster, side: str, file: str, pos: int) -> Binlog:
    """What was logged since a position of the present binlog file."""
    now, end = position(cluster, side)
    assert now == file, "the binlog was rotated meanwhile"
    events = cluster.sql(side, f"SHOW BINLOG EVENTS IN '{file}' FROM {pos}")
    kinds = Counter(event[2] for event in events)
    assert set(kinds) <= {"Gtid", "Query", "Table_map", "Write_rows", "Update_rows", "Delete_rows", "Xid"}, kinds
    statements = [event[5] for event in events if event[2] == "Query" and event[5] != "BEGIN"]
    assert statements == [], statements
    tables = Counter(event[5].partition("(")[2].rstrip(")") for event in events if event[2] == "Table_map")
    return Binlog(kinds["Gtid"], tables, end - pos)
