"""The drills of docs/recovery.md on real servers under load: what Kafka or a backup has is kept, and what is lost is named."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from faults.compare import differences
from faults.harness import SIDES, WORKERS, Cluster
from faults.load import DATABASE, Load

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]

LONG = pytest.param("long", marks=pytest.mark.long)
FAILPOINTS = (
    "recover.after_begin",
    "recover.after_marker:2",
    "recover.after_commit",
    "recover.before_switch",
    "recover.after_other",
    "recover.after_checkpoint",
)


def own(copy: Path, like: Path) -> None:
    """Give a copied data folder to who runs the server."""
    owner = like.stat()
    for path in (copy, *copy.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@pytest.fixture
def drilled(loaded: tuple[Cluster, Load]) -> Iterator[tuple[Cluster, Load]]:
    """The module's topology, running."""
    cluster, load = loaded
    away = [name for name in WORKERS if not cluster[name].runs]
    if away:
        cluster.start(*away)
    yield cluster, load
    load.stop()


def stop(cluster: Cluster, *names: str) -> None:
    """Drain processes."""
    for name in names or WORKERS:
        assert cluster[name].stop() == 0


def back_up(cluster: Cluster, side: str) -> Path:
    """A copy of a side's data folder, while its server is stopped for a moment."""
    server = cluster.server(side)
    copy = server.folder / "backup"
    shutil.rmtree(copy, ignore_errors=True)
    server.stop()
    shutil.copytree(server.datadir, copy)
    own(copy, server.datadir)
    server.start()
    return copy


def restore(cluster: Cluster, side: str, copy: Path, *, crash: bool = True) -> None:
    """The server is lost, and comes back as it was when the backup was made."""
    server = cluster.server(side)
    (server.kill if crash else server.stop)()
    shutil.rmtree(server.datadir)
    shutil.copytree(copy, server.datadir)
    own(server.datadir, copy)
    server.start()


def at_work(cluster: Cluster, load: Load, transactions: int = 60) -> None:
    """Both directions carry a load, and nothing of what was ever committed is lost."""
    with load:
        load.wait_for(transactions)
    cluster.wait()
    load.nothing_lost()


def test_lost_side(drilled: tuple[Cluster, Load]) -> None:
    """A side that takes writes is lost and restored from an older backup: its writes and what it had applied come back from its
    own stream, also where `recover` is killed at each of its points, and work goes on under a new stream.

    Between the restore and `recover` the side writes its own reports under the GTIDs of what it has lost.
    """
    cluster, load = drilled
    with load:
        load.wait_for(40)
        backup = back_up(cluster, "west")  # the load and the processes wait for it
        load.wait_for(160)
    cluster.wait()
    stop(cluster)
    restore(cluster, "west", backup)
    assert differences(cluster, [DATABASE])

    cluster["producer west"].start()
    error = cluster.wait_state("producer west", "failed")["detail"]["error"]
    assert error["code"] == "server_restored" and "recover west" in error["hint"] and "keep writes off west" in error["hint"]
    cluster["applier west"].start()
    waits = cluster.wait_state("applier west", "waiting")["detail"]["waits_for"]
    assert "lacks changes of its own" in waits and "recover west" in waits
    assert "is running" in cluster.command("recover", "west", check=1).stderr
    stop(cluster, "producer west", "applier west")

    for failpoint in FAILPOINTS:
        done = cluster.command("recover", "west", check=None, failpoint=failpoint)
        assert done.returncode == -9, (failpoint, done.stdout, done.stderr, done.returncode)
    said = cluster.command("recover", "west").stdout
    assert re.search(r"west goes on as stream \w+, behind \d+", said), said
    load.nothing_lost()
    cluster.start()
    at_work(cluster, load)
    directions = cluster.status(check=0)["directions"]
    assert [(each["state"], each["conflicts"]) for each in directions] == [("syncing", 0), ("syncing", 0)]
    assert "was not set back" in stopped_recover(cluster)


def stopped_recover(cluster: Cluster) -> str:
    """What `recover west` says while nothing of it runs, and nothing is wrong."""
    stop(cluster)
    return cluster.command("recover", "west", check=1).stderr


def test_lost_side_with_a_gap(drilled: tuple[Cluster, Load]) -> None:
    """Where Kafka has not all that the side lacks, `recover` names from where to where, writes nothing and exits with 1."""
    cluster, load = drilled
    with load:
        load.wait_for(20)
        backup = back_up(cluster, "west")
        load.wait_for(60)
    cluster.wait()
    stop(cluster)
    restore(cluster, "west", backup, crash=False)
    before = {side: cluster.sql(side, f"SELECT COUNT(*), SUM(n) FROM {DATABASE}.counters") for side in SIDES}
    broker = cluster.sandbox.kafka.bootstrap
    topic = f"{cluster.name}.west.shop.ledger"
    client = AdminClient({"bootstrap.servers": broker})
    for future in client.delete_records([TopicPartition(topic, number, -1) for number in range(3)]).values():
        future.result(30)
    said = cluster.command("recover", "west", check=1).stderr
    assert re.search(r"events are gone from transaction \d+ \(\S+:\d+\) to transaction \d+ \(\S+:\d+\)", said), said
    assert "nothing was written" in said and "verify --repair" in said and "init --reset" in said
    assert before == {side: cluster.sql(side, f"SELECT COUNT(*), SUM(n) FROM {DATABASE}.counters") for side in SIDES}
