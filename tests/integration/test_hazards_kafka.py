"""What Kafka's client does by itself: records called delivered that are not, and a question that ends its process.

The first records of a producer in a partition may be lost where its leader refuses the first request and takes the second. A
broker does so when it hears of a new topic, or of its leadership, in between. It knows no sequence numbers of the producer
yet, takes whatever comes first, and the client then calls the refused record delivered: KAFKA-15591, seen with Kafka 4.3.
"""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaException, Producer
from links import RefusingLink

from bisync_topology.kafka import admin, create_topics, event_topic_settings, rule_of
from bisync_topology.kafka_records import end_offset, end_offsets, read
from bisync_topology.ownership import Report
from bisync_topology.restarts import Backoff
from bisync_topology.topology import Topology
from producers.outbox import Outbox
from sandbox.kafka import KafkaBroker
from sandbox.process import free_port

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]
TOPIC = "first.east.shop.t"
HOME = Path(__file__).parents[2]
RECORDS = [str(n).encode() + bytes(600_000) for n in range(4)]  # so large that each is a request of its own


class Stage:
    """A broker behind a link, and a topology whose broker it is; its MySQL servers are never asked."""

    def __init__(self, root: Path) -> None:
        behind = free_port()
        self.link = RefusingLink(behind, TOPIC)
        self.broker = KafkaBroker(root)
        controller = f"CONTROLLER://127.0.0.1:{self.broker.controller_port}"
        self.broker.overrides = {
            "listeners": f"BROKER://{self.broker.bootstrap},LINK://127.0.0.1:{behind},{controller}",
            "advertised.listeners": f"BROKER://{self.broker.bootstrap},LINK://127.0.0.1:{self.link.port}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,LINK:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
        self.broker.start()
        mysql: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "user": "nobody", "password": "none"}
        self.topology = Topology.model_validate(
            {
                "name": "first",
                "kafka": {"bootstrap.servers": f"127.0.0.1:{self.link.port}"},
                "topics": {"partitions": 1, "replication_factor": 1},
                "sides": {"east": {"mysql": mysql, "priority": 1}, "west": {"mysql": {**mysql, "port": 2}, "priority": 2}},
                "directions": [{"from": "east", "to": "west", "objects": ["shop"]}],
            }
        )
        create_topics(admin(self.topology), self.topology, {TOPIC: (1, event_topic_settings(self.topology))})

    def arrived(self) -> list[int]:
        """The numbers of the records that readers of committed records see, once the transaction's end is in the partition.

        A commit is confirmed when it is decided; the marker reaches the partition a moment later.
        """
        client, partition = admin(self.topology), (TOPIC, 0)
        deadline = time.monotonic() + 60
        while end_offsets(client, [partition], committed=True) != {partition: (end := end_offset(client, partition))} or not end:
            assert time.monotonic() < deadline, "the transaction has no end"
            time.sleep(0.05)
        return [int(record.value.rstrip(b"\0")) for record in read(self.topology, {(TOPIC, 0): 0})]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A broker of the test's own."""
    stage = Stage(tmp_path)
    yield stage
    stage.link.close()
    stage.broker.kill()


def test_the_client_loses_one(stage: Stage) -> None:
    """The client alone: its transaction commits, and the first record is nowhere."""
    settings = {"transactional.id": "x", "compression.type": "lz4", "linger.ms": 5}
    producer = Producer({"bootstrap.servers": f"127.0.0.1:{stage.link.port}", **settings})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce_batch(TOPIC, [{"value": value} for value in RECORDS], partition=0)
    producer.commit_transaction()
    assert stage.link.refused == 1
    assert stage.arrived() == [1, 2, 3]


def test_ours_arrive(stage: Stage) -> None:
    """A producer of ours: each record is there once, in its order."""
    stop = threading.Event()
    outbox = Outbox(stage.topology, "east", backoff=Backoff(stop, what="test", report=Report()), stop=stop)
    outbox.initialize()
    outbox.begin()
    for value in RECORDS:
        outbox.put(TOPIC, 0, None, value)
    outbox.commit()
    outbox.close()
    assert stage.link.refused == 1
    assert stage.arrived() == [0, 1, 2, 3]


def test_a_failed_transaction_says_why(stage: Stage) -> None:
    """The first record of a partition goes alone; where the broker refuses it, what follows would only hear of a wrong state."""
    small, stop = f"{TOPIC}_small", threading.Event()
    create_topics(admin(stage.topology), stage.topology, {small: (1, {"max.message.bytes": "20000"})})
    outbox = Outbox(stage.topology, "east", backoff=Backoff(stop, what="test", report=Report()), stop=stop)
    outbox.initialize()
    outbox.begin()
    for _ in range(2):
        outbox.put(small, 0, None, random.Random(0).randbytes(40_000))
    with pytest.raises(KafkaException, match=small) as failed:
        outbox.commit()
    outbox.close()
    assert rule_of(failed.value).code == "record_too_large"


# A group is asked about while its broker is away; once the broker is back, the process has some seconds to die in.
ASKED = """
import sys, time
from confluent_kafka import KafkaException
from bisync_topology import kafka_access
from bisync_topology.kafka import Admin

settings = {"bootstrap.servers": sys.argv[1], "log_level": 0}
kafka_access.ASK_SECONDS = 3.0
kept = Admin(settings)  # which the client alone would go on with
ours = sys.argv[2] == "ours"
for _ in range(2):
    try:
        kafka_access.group_operations((lambda: Admin(settings)) if ours else (lambda: kept), "g")
        sys.exit("it was answered")
    except KafkaException as error:
        assert error.args[0].name() == "_TIMED_OUT", error
print("asked", flush=True)
sys.stdin.readline()
print(kept.list_topics(timeout=60).brokers, flush=True)
time.sleep(5)
"""


@pytest.mark.parametrize(("whose", "code"), [("the client's", -6), ("ours", 0)])
def test_a_question_that_is_answered_too_late(tmp_path: Path, whose: str, code: int) -> None:
    """A client that goes on, though a question about a group has timed out, kills its process; another one asks in ours."""
    broker = KafkaBroker(tmp_path)
    broker.start()
    broker.kill()
    command = [sys.executable, "-c", ASKED, broker.bootstrap, whose]
    with subprocess.Popen(command, cwd=HOME, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdin is not None and asking.stdout is not None
        assert asking.stdout.readline() == "asked\n"
        try:
            broker.start()
            asking.stdin.write("\n")
            asking.stdin.flush()
            assert asking.wait(90) == code
        finally:
            broker.kill()
