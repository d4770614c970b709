"""What is wrong at the start of `up`: one clear message with the remedy, its exit code, and nothing made or started."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from topologies import World, eventually

from sandbox.process import free_port

pytestmark = pytest.mark.servers
QUICK = {"BISYNC_TEST_START_SECONDS": "2"}  # instead of 30 for what is unreachable


@contextmanager
def changed(world: World, side: str, name: str, value: str) -> Iterator[None]:
    """Set a server's variable for as long as the test needs it."""
    before = world.sql(side, f"SELECT @@GLOBAL.{name}")[0][0]
    world.sql(side, f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        world.sql(side, f"SET GLOBAL {name} = '{before}'")


def refused(world: World, code: int, *words: str) -> str:
    """Run `up`, which must refuse with this code, say these words, and leave nothing behind."""
    said = world.run("up", expect=code, **QUICK)
    for word in words:
        assert word in said, said
    assert "Traceback" not in said
    assert world.untouched()
    return said


def test_a_wrong_key(world: World) -> None:
    """A key that does not exist is reported with its position and the keys that do."""
    world.topology["sides"]["east"]["mysql"]["prot"] = 3306
    refused(world, 2, "topology.yaml:", "sides.east.mysql.prot", "port")


def test_an_unreachable_server(world: World) -> None:
    """A server that does not answer is waited for, and then given up with exit code 4 and its address."""
    port = world.topology["sides"]["west"]["mysql"]["port"] = free_port()
    refused(world, 4, f"127.0.0.1:{port} cannot be reached", "host and port in topology.yaml", "west is away; waiting")


def test_an_unreachable_broker(world: World) -> None:
    """The same for a broker."""
    address = f"127.0.0.1:{free_port()}"
    world.topology["kafka"]["bootstrap.servers"] = address
    refused(world, 4, f"Kafka at {address} does not answer", "bootstrap.servers")


def test_a_wrong_password(world: World) -> None:
    """A refused login is the configuration's fault: exit code 2, at once."""
    world.topology["sides"]["east"]["mysql"]["password"] = "wrong"
    said = refused(world, 2, "east: login", "Access denied", "check user and password")
    assert "wrong" not in said.replace("wrong password", "")


@pytest.mark.parametrize(
    ("privilege", "place", "statement"),
    [
        ("REPLICATION SLAVE", "*.*", "GRANT REPLICATION SLAVE ON *.* TO"),
        pytest.param("REPLICATION CLIENT", "*.*", "GRANT REPLICATION CLIENT ON *.* TO", marks=pytest.mark.long),
        ("DELETE", "{db}.*", "GRANT DELETE ON `{db}`.* TO"),
        pytest.param("CREATE", "{control}.*", "GRANT CREATE ON `{control}`.* TO", marks=pytest.mark.long),
    ],
)
def test_a_missing_privilege(world: World, privilege: str, place: str, statement: str) -> None:
    """A missing privilege is named with the GRANT that gives it, and that GRANT is enough."""
    world.table()
    names = {name: name_of.replace("_", r"\_") for name, name_of in (("db", world.db), ("control", world.control))}
    quoted = place.format(**{name: f"`{text}`" for name, text in names.items()})
    world.sql("west", f"REVOKE {privilege} ON {quoted} FROM {world.user}@'%'")
    said = refused(world, 1, "west: privileges", statement.format(**names))
    fix = next(line for line in said.splitlines() if line.strip().startswith("fix: GRANT")).split("fix: ")[1]
    world.sql("west", fix.rstrip(";"))
    world.run("precheck")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("binlog_format", "STATEMENT", "ROW"),
        ("binlog_row_image", "MINIMAL", "FULL"),
        ("binlog_row_metadata", "MINIMAL", "FULL"),
    ],
)
def test_a_server_setting(world: World, name: str, value: str, wanted: str) -> None:
    """A binlog from which rows cannot be read whole is refused with the statement that sets it right."""
    world.table()
    with changed(world, "east", name, value):
        refused(world, 1, f"east: {name}", f"{value}; it must be {wanted}", f"SET PERSIST {name} = '{wanted}';")


def test_a_table_without_key(world: World) -> None:
    """It is named on each side that has it, with an ALTER that mends it when it is run."""
    world.table("log", "who INT NULL, at INT NOT NULL, UNIQUE KEY (who)")
    said = refused(world, 1, f"{world.db}.log has neither a primary key", f'"!{world.db}.log"')
    for side in world.sides:
        assert f"{side}: key" in said
        fix = next(line for line in said.splitlines() if "fix: ALTER TABLE" in line).split("fix: ")[1].split(";")[0]
        world.sql(side, fix)
    world.run("precheck")


def test_a_table_on_one_side_only(world: World) -> None:
    """It is named with the statements that make it on the other side, which are enough."""
    world.sql("east", f"CREATE TABLE {world.db}.`od``d %s` (id INT PRIMARY KEY, note VARCHAR(9) COMMENT 'a;b')")
    refused(world, 1, "west: tables", f"{world.db}.od`d %s is on east and not on west", "CREATE TABLE")


def test_everything_at_once(world: World) -> None:
    """Several mistakes on both servers are told in one go."""
    world.sql("east", f"CREATE TABLE {world.db}.log (at INT)")
    world.sql("west", f"REVOKE DELETE ON `{world.db}`.* FROM {world.user}@'%'".replace("_db`", r"\_db`"))
    with changed(world, "west", "binlog_row_image", "NOBLOB"):
        refused(world, 1, "4 of ", "east: key", "west: privileges", "west: binlog_row_image", "nothing was created")


def test_a_kafka_transaction_that_may_not_last_so_long(world: World) -> None:
    """`up` starts nothing; a producer by itself stops its direction, with the setting in the hint, and does not try for ever."""
    setting = "transaction.timeout.ms"
    world.topology["kafka"][setting] = 1_000_000  # the broker allows 900,000
    said = world.run("up", expect=1, **QUICK)
    assert "INVALID_TRANSACTION_TIMEOUT" in said and f"lower {setting}" in said and "producer east started" not in said
    producer, _ = world.start("producer", "east"), world.start("applier", "west")
    eventually(lambda: world.states()["east"] == "failed", world.said)
    error = world.direction()["error"]
    assert error["code"] == "transaction_timeout" and f"lower {setting} below `kafka`" in error["hint"]
    producer.terminate()
    assert producer.wait(60) == 0
    del world.topology["kafka"][setting]
    world.start("producer", "east")
    world.run("resume", "east", "west")
    eventually(lambda: world.told()["processes"][0]["state"] == "running", world.said)


def test_a_topic_that_is_gone(world: World) -> None:
    """A topic that a checkpoint knows and the broker does not stops `up` before anything is started, with the way out."""
    from confluent_kafka.admin import AdminClient

    table = world.table()
    running = world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    world.run("wait")
    running.terminate()
    assert running.wait(60) == 0
    topic = next(name for name in world.topics() if name.startswith(f"{world.name}.east.") and name.endswith("item"))
    client = AdminClient({"bootstrap.servers": world.servers.kafka.bootstrap})
    client.delete_topics([topic], operation_timeout=30)[topic].result()
    said = world.run("up", expect=1, **QUICK)
    assert topic in said and "does not exist on the broker any more" in said
    assert "init --reset east west" in said
    assert "producer east started" not in said
