"""What any client may set in its session, carried from one server to the other through Kafka."""

from collections.abc import Iterator

import pytest
from topologies import World, eventually

from sandbox.instances import Sandbox

pytestmark = pytest.mark.servers


@pytest.fixture
def untagged(servers: Sandbox) -> Iterator[None]:
    """Afterwards both servers' GTID sets have no tags again."""
    yield
    for server in (servers.east, servers.west):
        with server.connect() as connection, connection.cursor() as cursor:
            cursor.execute("RESET BINARY LOGS AND GTIDS")


def test_tags_and_compression(untagged: None, world: World) -> None:
    """Tagged, compressed and plain transactions of both sides arrive once, also when the producers are stopped in between.

    Both servers compress what appliers write too: nothing comes back. A tagged transaction that cannot be captured is skipped.
    """
    table = world.table(columns="id INT PRIMARY KEY, v VARCHAR(60)")
    forms = ("binlog_transaction_compression = ON", "binlog_transaction_compression = OFF", "gtid_next = 'AUTOMATIC:nightly'")
    for side in world.sides:
        world.sql(side, "SET GLOBAL binlog_transaction_compression = ON")
    try:
        for round_ in range(3):
            up = world.up()
            for n, form in enumerate(forms):
                for number, side in enumerate(world.sides):
                    key = 100 * round_ + 10 * n + number
                    world.sql(side, f"SET {form}", f"INSERT INTO {table} VALUES ({key}, REPEAT('{n}', 50))")
            world.run("wait")
            up.terminate()
            assert up.wait(60) == 0, world.said()
            world.sql("east", f"SET {forms[2]}", f"INSERT INTO {table} VALUES ({100 * round_ + 99}, 'while nothing ran')")
        world.up()
        world.run("wait")
        rows = world.sql("east", f"SELECT * FROM {table} ORDER BY id")
        assert len(rows) == 3 * (3 * 2 + 1)
        assert world.sql("west", f"SELECT * FROM {table} ORDER BY id") == rows
        assert {direction["conflicts"] for direction in world.status()["directions"]} == {0}
        world.sql("east", f"SET {forms[2]}", "SET binlog_format = STATEMENT", f"UPDATE {table} SET v = 'statement' WHERE id = 0")
        eventually(lambda: world.direction()["state"] == "failed")
        gtid = world.direction()["error"]["gtid"]
        assert ":nightly:" in gtid
        world.run("skip", "east", "west", "--gtid", gtid, "--reason", "mended by hand")
        world.sql("east", f"INSERT INTO {table} VALUES (1000, 'later')")
        eventually(lambda: world.sql("west", f"SELECT v FROM {table} WHERE id = 1000") == (("later",),))
    finally:
        for side in world.sides:
            world.sql(side, "SET GLOBAL binlog_transaction_compression = OFF")
