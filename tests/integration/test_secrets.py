"""No secret is told: passwords that exist nowhere else are looked for wherever a run leaves something, failures above all."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType
from secured import SecuredBroker
from topologies import HOME, World, eventually

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]
QUICK = {"BISYNC_TEST_START_SECONDS": "1"}
EAST, WEST, KAFKA = (f"canary-{place}-7b1c44e0a9" for place in ("east", "west", "kafka"))
WRONG = "canary-wrong-3f0d8e21c6"


def on_a_terminal(world: World, *arguments: str) -> str:
    """What a command says where people read it."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "bisync_topology.cli", "-f", str(world.file), *arguments]
    environ = {**os.environ, **QUICK, "BISYNC_LOG_LEVEL": "debug"}
    running = subprocess.Popen(command, cwd=HOME, env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
        said += piece
    running.wait(60)
    os.close(ours)
    return said.decode(errors="replace")


def in_topics(world: World, secured: SecuredBroker) -> bytes:
    """Every byte of every record of the topology."""
    settings = {"bootstrap.servers": secured.broker.bootstrap, "group.id": "all", "enable.partition.eof": True}
    consumer = Consumer(settings)
    topics = consumer.list_topics(timeout=30).topics
    left = {(name, n) for name, t in topics.items() if name.startswith(f"{world.name}.") for n in t.partitions}
    assert len(left) > 4
    consumer.assign([TopicPartition(*partition, 0) for partition in left])
    found = b""
    while left:
        message = consumer.poll(10)
        assert message is not None, left
        if message.error() is not None:
            left.discard((message.topic(), message.partition()))
        else:
            found += (message.key() or b"") + (message.value() or b"")
    consumer.close()
    return found


def of_processes(world: World) -> str:
    """Command line and environment of each process."""
    return "".join(
        Path(f"/proc/{each['pid']}/{what}").read_text() for each in world.status()["processes"] for what in ("cmdline", "environ")
    )


def in_control_tables(world: World) -> str:
    """Every row of the control tables, on both sides."""
    tables = [name for (name,) in world.sql("east", f"SHOW TABLES IN {world.control}")]
    return "".join(str(world.sql(side, f"SELECT * FROM {world.control}.{table}")) for side in world.sides for table in tables)


def test_secrets(world: World, secured: SecuredBroker, tmp_path: Path) -> None:
    """Wrong passwords, refused TLS, nobody there, a direction that fails: no log, error, status, table or topic has a secret."""
    anything = (AclOperation.ALL,)
    secured.add_user(world.name, KAFKA)
    places = ((ResourceType.TOPIC, world.name), (ResourceType.GROUP, world.name), (ResourceType.TRANSACTIONAL_ID, world.name))
    secured.grant(f"User:{world.name}", [(kind, name, ResourcePatternType.PREFIXED, anything) for kind, name in places])
    right = dict(secured.by_password(world.name, KAFKA))
    world.topology["kafka"] = right
    for side, password in (("east", EAST), ("west", WEST)):
        ((host,),) = world.sql(side, f"SELECT Host FROM mysql.user WHERE User = '{world.user}'")
        world.sql(side, f"ALTER USER {world.user}@'{host}' IDENTIFIED BY '{password}'")
        world.topology["sides"][side]["mysql"]["password"] = password
    mysql = world.topology["sides"]["east"]["mysql"]
    told = ""

    def fails() -> None:
        nonlocal told
        told += world.run("precheck", "-o", "json", expect=None) + world.run("up", expect=None, **QUICK)
        told += world.run("status", "-o", "json", expect=None) + on_a_terminal(world, "up")

    kept = dict(mysql)
    mysql["password"] = WRONG
    world.topology["sides"]["west"]["mysql"]["ssl"] = {"mode": "verify_ca", "ca": right["ssl.ca.location"]}
    world.topology["kafka"] = {**right, "sasl.password": WRONG}
    fails()
    mysql.update(kept, port=1)
    world.topology["kafka"] = {**right, "bootstrap.servers": "127.0.0.1:1", "ssl.key.password": WRONG}
    fails()
    mysql.update(kept)
    del world.topology["sides"]["west"]["mysql"]["ssl"]
    world.topology["kafka"] = right

    table = world.table()
    world.up(BISYNC_LOG_LEVEL="debug")
    told += of_processes(world)
    world.sql("west", f"INSERT INTO {table} VALUES (1, 1)")
    world.run("wait")
    world.sql("east", f"UPDATE {table} SET qty = 2")
    world.run("wait")
    world.sql("west", f"ALTER TABLE {table} ADD more INT", f"UPDATE {table} SET more = 3")
    eventually(lambda: world.direction("west")["state"] == "failed", world.said)
    told += world.run("status", "-o", "json", expect=3) + on_a_terminal(world, "status") + on_a_terminal(world, "wait")
    told += in_control_tables(world) + in_topics(world, secured).decode(errors="replace") + world.said()
    assert "Access denied" in told and "certificate verify failed" in told and "Authentication" in told, told
    for secret in (EAST, WEST, KAFKA, WRONG):
        assert secret not in told
