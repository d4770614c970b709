"""What is fetched again is dropped by its sequence, and counted; a target that was set back comes to the present by itself."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from faults.harness import Cluster
from faults.load import Load
from schemas.topics import table_topic

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

TABLES = ("accounts", "counters", "entries", "ledger")


def events(cluster: Cluster, partitions: list[tuple[str, int]]) -> int:
    """How many committed events these partitions hold."""
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.sandbox.kafka.bootstrap,
            "group.id": "count",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(*partition, 0) for partition in partitions])
    left, number = set(partitions), 0
    while left:
        for message in consumer.consume(5000, 0.2):
            error = message.error()
            if error is None:
                number += 1
            else:
                assert error.name() == "_PARTITION_EOF", error
                left.discard((message.topic(), message.partition()))
    consumer.close()
    return number


@pytest.mark.parametrize("lost", ["a partition", pytest.param("a table", marks=pytest.mark.long), "everything"])
def test_fetched_again(loaded: tuple[Cluster, Load], lost: str) -> None:
    """An applier that has lost positions fetches from offset 0; each repeated event is dropped, and counted."""
    cluster, load = loaded
    applier = cluster["applier west"]
    with load:
        load.wait_for(60)
    cluster.wait()
    assert applier.stop() == 0
    topics = {name: table_topic(cluster.name, "east", "shop", name) for name in TABLES}
    partitions = [(topic, number) for topic in topics.values() for number in range(3)]
    where = "topology = %s AND source_side = 'east'"
    if lost == "everything":
        cluster.sql("west", f"DELETE FROM bisync.applied_offsets WHERE {where}", cluster.name)
    else:
        partitions = [place for place in partitions if place[0] == topics["counters"] and (lost == "a table" or place[1] == 1)]
        for topic, number in partitions:
            statement = f"DELETE FROM bisync.applied_offsets WHERE {where} AND topic = %s AND kafka_partition = %s"
            cluster.sql("west", statement, cluster.name, topic, number)
    expected = cluster.applied("west")["dropped_repeated"] + events(cluster, partitions)
    applier.start()
    with load:
        load.wait_for(60)

    def counted() -> int:
        cluster.wait()
        number: int = cluster.applied("west")["dropped_repeated"]
        return number if number >= expected else 0

    # more than expected: skipped events of own origin that came after the last commit are fetched again as well (assemble.py)
    assert cluster.until(counted, f"{expected} repeated events are counted") >= expected
    load.nothing_lost()


def test_a_target_set_back(loaded: tuple[Cluster, Load]) -> None:
    """A server that was put back to an older copy, without writes of its own since, gets what it lacks from Kafka.

    Its own producer stops and says so: it had captured transactions that are not on the server any more. The way out that its
    error names leads back to work in both directions.
    """
    cluster, load = loaded
    west = cluster.server("west")
    copy = west.folder / "copy"
    with load:
        load.wait_for(60)
    cluster.wait()
    for name in ("producer west", "applier west"):
        assert cluster[name].stop() == 0
    west.stop()
    shutil.copytree(west.datadir, copy)
    own(copy, west.datadir)
    west.start()
    cluster.start("producer west", "applier west")
    with load.alone("east"):
        load.wait_for(60)
    cluster.wait()
    reached = cluster.applied("west")["sequence"]
    for name in ("producer west", "applier west"):
        assert cluster[name].stop() == 0
    west.stop()
    shutil.rmtree(west.datadir)
    copy.rename(west.datadir)
    west.start()
    assert cluster.applied("west")["sequence"] < reached

    cluster["producer west"].start()
    cluster.wait_state("producer west", "failed")
    cluster.start("applier west")
    cluster.until(lambda: cluster.applied("west")["sequence"] >= reached, "west is at the present again")
    load.nothing_lost()
    assert cluster.direction("east", "west")["state"] == "syncing"
    failed = cluster.direction("west", "east")
    assert (failed["state"], failed["error"]["code"]) == ("failed", "server_restored")
    assert "init --reset west east" in failed["error"]["hint"]

    for name in ("producer west", "applier east"):
        assert cluster[name].stop() == 0
    cluster.command("init", "--reset", "west", "east")
    cluster.start("producer west", "applier east")
    with load:
        load.wait_for(60)
    cluster.wait()
    load.nothing_lost()


def own(copy: Path, like: Path) -> None:
    """Give a copied data folder to who runs the server."""
    owner = like.stat()
    for path in (copy, *copy.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
