"""Real servers for the tests of this folder, started once a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from appliers import Applier
from certificates import Authority
from secured import SecuredBroker
from topologies import World

from sandbox.instances import Sandbox
from sandbox.mysql import MySQLServer


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two MySQL servers and a Kafka broker. Where they cannot be got, the error says what to install."""
    sandbox = Sandbox(root=tmp_path_factory.mktemp("sandbox"))
    sandbox.start()
    yield sandbox
    sandbox.stop()


@pytest.fixture(scope="session")
def guard_connection(servers: Sandbox) -> Iterator[Applier]:
    """One applier's connection in a database of its own."""
    with servers.east.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE guard")
        cursor.execute("CREATE USER guard@'127.0.0.1' IDENTIFIED BY 'guard'")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON guard.* TO guard@'127.0.0.1'")
    applier = Applier(servers)
    yield applier
    applier.cursor.connection.close()
    applier.admin.close()


@pytest.fixture
def applier(guard_connection: Applier) -> Iterator[Applier]:
    """The same, rolled back after each test."""
    yield guard_connection
    guard_connection.cursor.connection.rollback()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQLServer]:
    """A MySQL server for capture alone: its settings are changed, it is restarted, and its commits need not be durable."""
    options = {"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "0"}
    server = MySQLServer(tmp_path_factory.mktemp("capture"), "source", options)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def world(servers: Sandbox, tmp_path: Path) -> Iterator[World]:
    """A topology of the test's own, on the servers that all tests share."""
    world = World(servers, tmp_path)
    yield world
    world.close()


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A broker with accounts, certificates and ACLs."""
    folder = tmp_path_factory.mktemp("secured")
    broker = SecuredBroker(folder, Authority(folder, "kafka-authority"))
    broker.start()
    yield broker
    broker.stop()
