"""The sandbox's servers, started, stopped, killed: what every other test of this folder stands on."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from bisync_topology.topology_file import load
from sandbox import PASSWORD, USER, MySQLServer, Sandbox, SandboxError, cli, create_accounts
from sandbox.cache import cache_dir
from sandbox.process import began

pytestmark = pytest.mark.servers


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that the servers' own user can enter, which pytest's are not when root runs it."""
    with tempfile.TemporaryDirectory(prefix="test-", dir=cache_dir()) as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def server(servers: Sandbox, tmp_path: Path) -> Iterator[MySQLServer]:
    """A MySQL server of the test's own. `servers` is asked for so that it is skipped where MySQL cannot be got."""
    mine = MySQLServer(tmp_path, "mine", {"binlog_row_image": "MINIMAL"})
    mine.start()
    yield mine
    mine.kill()


def value(server: MySQLServer, statement: str) -> object:
    """Give the first column of the first row."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
        return row[0] if row else None


def test_two_sides(servers: Sandbox) -> None:
    """The sides are two servers of their own, set up as capture needs it, reachable from this machine only."""
    east, west = servers.east, servers.west
    assert value(east, "SELECT @@server_id") != value(west, "SELECT @@server_id")
    assert (value(east, "SELECT @@server_uuid"), value(west, "SELECT @@server_uuid")) == (east.server_uuid, west.server_uuid)
    assert east.server_uuid != west.server_uuid
    settings = (
        "CONCAT_WS(' ', @@log_bin, @@gtid_mode, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, @@bind_address)"
    )
    assert value(east, f"SELECT {settings}") == "1 ON ROW FULL FULL 127.0.0.1"
    assert value(east, "SELECT @@secure_file_priv") == "NULL"  # no file of the machine can be read or written by SQL


def test_options_and_restart(server: MySQLServer) -> None:
    """Options reach the server; data, port and UUID outlive a stop, a crash, and changed options."""
    assert value(server, "SELECT @@binlog_row_image") == "MINIMAL"
    before = (server.port, server.server_uuid)
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE d")
        cursor.execute("CREATE TABLE d.t (id INT PRIMARY KEY)")
        cursor.execute("INSERT INTO d.t VALUES (1)")
        server.kill()
        assert server.pid is None
        with contextlib.suppress(pymysql.err.Error):
            cursor.execute("SELECT 1")  # the connection notices
    server.options["gtid_mode"] = "OFF_PERMISSIVE"
    server.start()
    server.restart()
    assert (server.port, server.server_uuid) == before
    assert value(server, "SELECT @@gtid_mode") == "OFF_PERMISSIVE"
    assert value(server, "SELECT COUNT(*) FROM d.t") == 1
    assert "ready for connections" in server.log_tail()


def test_a_wrong_option_is_told(server: MySQLServer) -> None:
    """What the server says about it is in the error."""
    server.stop()
    server.options["no_such_option"] = "1"
    with pytest.raises(SandboxError, match=r"mine ended while starting: .*no.such.option"):
        server.start()


def test_the_account_can_what_it_must_and_no_more(server: MySQLServer) -> None:
    """One account captures and applies; it can neither see other databases nor change settings."""
    with server.connect() as root, root.cursor() as cursor:
        for schema in ("shop", "my_shop", "myXshop"):
            cursor.execute(f"CREATE DATABASE {schema}")
        create_accounts(root, ["shop", "my_shop"])
        create_accounts(root, ["shop", "my_shop"])  # again is no error
    with server.connect(USER, PASSWORD) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW BINARY LOGS")
        cursor.execute("SHOW DATABASES")
        seen = {row[0] for row in cursor.fetchall()}
        assert {"shop", "my_shop"} <= seen
        assert "myXshop" not in seen
        cursor.execute("CREATE DATABASE IF NOT EXISTS bisync")
        cursor.execute("CREATE TABLE bisync.t (id INT)")
        cursor.execute("SELECT GET_LOCK('x', 0)")
        for refused in ("CREATE TABLE shop.t (id INT)", "SET GLOBAL max_connections = 10", "SELECT * FROM mysql.user"):
            with pytest.raises(pymysql.err.MySQLError):
                cursor.execute(refused)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's servers run as that user")
def test_root_does_not_run_the_server(servers: Sandbox, open_folder: Path) -> None:
    """A server that root starts runs as an ordinary user, to whom its data belongs."""
    server = MySQLServer(open_folder, "mine")
    server.start()
    try:
        assert Path(f"/proc/{server.pid}").stat().st_uid == server.datadir.stat().st_uid != 0
    finally:
        server.stop()


def test_kafka(servers: Sandbox) -> None:
    """Transactions work on one node, large messages pass and outlive a crash, no topic is made unasked."""
    kafka = servers.kafka
    topic, big = "sandbox-test", b"x" * (20 << 20)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1, config={"max.message.bytes": str(64 << 20)})])[topic].result(30)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap, "transactional.id": topic, "message.max.bytes": 64 << 20, "log_level": 0}
    )
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, big)
    producer.commit_transaction(60)
    for _ in range(2):
        consumer = Consumer(
            {
                "bootstrap.servers": kafka.bootstrap,
                "group.id": topic,
                "auto.offset.reset": "earliest",
                "fetch.message.max.bytes": 64 << 20,
                "receive.message.max.bytes": 100 << 20,
                "log_level": 0,
            }
        )
        consumer.assign([TopicPartition(topic, 0, 0)])
        message = consumer.poll(60)
        consumer.close()
        assert message is not None
        assert message.error() is None
        assert message.value() == big
        kafka.kill()
        kafka.start()
    fresh = AdminClient({"bootstrap.servers": kafka.bootstrap, "allow.auto.create.topics": True})
    assert fresh.list_topics("never-made", timeout=10).topics["never-made"].error is not None
    fresh.delete_topics([topic])[topic].result(30)


def test_commands(servers: Sandbox, tmp_path: Path) -> None:
    """`up` twice, `sql`, `status`, `down`, `up` again with the data, `down --purge`: a user's round."""
    root, file = tmp_path / "root", tmp_path / "topology.yaml"

    def run(*arguments: str) -> str:
        command, *rest = arguments
        result = CliRunner().invoke(cli.sandbox, [command, "--root", str(root), *rest], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    try:
        shown = run("up", "--write", str(file))
        topology = load(file, {})
        assert f"bisync-topology -f {file} up" in shown
        account = topology.sides["east"].mysql
        with pymysql.connect(host=account.host, port=account.port, user=USER, password=PASSWORD, database="shop"):
            pass
        first = json.loads(run("status", "-o", "json"))
        assert [row["running"] for row in first] == [True] * 3
        run("sql", "east", "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (7)")
        run("up")
        assert json.loads(run("status", "-o", "json")) == first  # the same processes
        assert "stopped: east, west, kafka" in run("down")
        assert [began(row["pid"]) for row in first] == [None] * 3
        run("up", "--write", str(file))
        assert load(file, {}) == topology
        assert run("sql", "east", "SELECT id FROM t") == "id\n7\n"
    finally:
        run("down", "--purge")
    assert [path.name for path in root.iterdir()] == ["lock"]
    shutil.rmtree(root)
