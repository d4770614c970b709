"""`init --reset` on real servers: the way out that errors name."""

import signal

import pytest
from confluent_kafka.admin import AdminClient
from topologies import World

pytestmark = pytest.mark.servers


def test_a_lost_topic_is_left_behind_by_a_reset(world: World) -> None:
    """A topic that was deleted with events in it fails the start and names the reset; after it, new changes flow both ways."""
    table = world.table()
    running = world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    world.run("wait")
    assert "producer east is running" in world.run("init", "--reset", "east", "west", expect=1)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 0

    topic = next(name for name in world.topics() if name.endswith(".item") and ".east." in name)
    client = AdminClient({"bootstrap.servers": world.servers.kafka.bootstrap})
    client.delete_topics([topic])[topic].result(30)
    assert "init --reset east west" in world.run("up", expect=1)

    world.sql("east", f"INSERT INTO {table} VALUES (2, 2)")  # never carried: both sides are made alike by hand
    world.sql("west", f"INSERT INTO {table} VALUES (2, 2)")
    world.run("skip", "east", "west", "--gtid", "3e11fa47-71ca-11e1-9e33-c80aa9429562:7", "--reason", "of the time before")
    assert "begins anew" in world.run("init", "--reset", "east", "west")
    for side in world.sides:  # a server that was reset gives the same GTIDs again
        assert world.sql(side, f"SELECT skips FROM {world.control}.directions WHERE source_side = 'east'") == (("[]",),)
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (3, 3)")
    world.sql("west", f"DELETE FROM {table} WHERE id = 2")
    world.run("wait")
    for side in world.sides:
        assert world.sql(side, f"SELECT * FROM {table} ORDER BY id") == ((1, 1), (3, 3))
