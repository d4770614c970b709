"""A disk runs full, the broker's or a side's: said in `status`; once there is room again, everything goes on, nothing is lost."""

from __future__ import annotations

import contextlib
import copy
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults.harness import WORKERS, Cluster
from faults.load import Load
from sandbox.instances import Sandbox
from sandbox.kafka import KafkaBroker
from sandbox.mysql import MySQLServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

BROKER_BYTES = 96 << 20
SIDE_BYTES = 256 << 20  # of which a new server takes some 150 MB


@contextlib.contextmanager
def file_system(place: Path, size: int) -> Iterator[Path]:
    """A file system of its own, of so many bytes."""
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small file system can be mounted by root only")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def small_disk(fault_servers: Sandbox) -> Iterator[Path]:
    """For the broker's data."""
    with file_system(fault_servers.root / "small-disk", BROKER_BYTES) as place:
        yield place


@pytest.fixture
def broker(fault_servers: Sandbox, small_disk: Path) -> Iterator[KafkaBroker]:
    """A broker whose disk is small."""
    broker = KafkaBroker(fault_servers.root, log_dir=small_disk / "data", name="small-kafka")
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def test_full_disk(fault_servers: Sandbox, small_disk: Path, broker: KafkaBroker) -> None:
    """No process ends, each says that it waits for Kafka; once the disk is freed, nothing is lost and nothing there twice."""
    cluster = Cluster(fault_servers, name="disk")
    cluster.configure(kafka={"bootstrap.servers": broker.bootstrap})
    cluster.both("DROP DATABASE shop", "CREATE DATABASE shop")
    load = Load(cluster)
    load.prepare()
    try:
        cluster.start()
        pids = {name: cluster[name].pid for name in WORKERS}
        with load:
            load.wait_for(50)
            ballast = fill(small_disk)
            load.wait_for(100)
            cluster.wait_for_all_to_wait()
            ballast.unlink()
            broker.kill()  # it has shut itself down, or hangs: with its only disk full, it does not come back by itself
            broker.start()
            load.wait_for(50)
        cluster.wait()
        load.nothing_lost()
        assert {name: cluster[name].pid for name in WORKERS if cluster[name].runs} == pids
        cluster.stop()
    finally:
        cluster.kill_all()


@pytest.fixture
def small_side(fault_servers: Sandbox) -> Iterator[Sandbox]:
    """The servers, with another west whose tables are on a small disk; its binlog is not, for which the server would wait."""
    binlogs = fault_servers.root / "small-west-binlogs"
    binlogs.mkdir()
    binlogs.chmod(0o777)
    with file_system(fault_servers.root / "small-side", SIDE_BYTES) as place:
        sandbox = copy.copy(fault_servers)
        sandbox.west = MySQLServer(place, "west", {"log-bin": f"{binlogs}/binlog", "innodb-redo-log-capacity": "32M"})
        sandbox.west.start()
        try:
            yield sandbox
        finally:
            sandbox.west.kill()


def test_full_disk_of_a_side(small_side: Sandbox) -> None:
    """The applier says that its server's disk is full, and goes on by itself once there is room; nobody has to resume it."""
    cluster = Cluster(small_side, name="fullside")
    cluster.configure()
    cluster.both("DROP DATABASE shop", "CREATE DATABASE shop", "CREATE TABLE shop.files (id INT PRIMARY KEY, data LONGBLOB)")
    try:
        cluster.start()
        pid = cluster["applier west"].pid
        ballast = fill(small_side.west.folder)
        cluster.sql("east", "INSERT INTO shop.files VALUES (1, REPEAT('x', 16777216))")
        assert "is full" in cluster.wait_state("applier west", "waiting")["detail"]["waits_for"]
        assert cluster.direction("east", "west")["state"] == "syncing"
        ballast.unlink()
        cluster.wait()
        assert cluster.sql("west", "SELECT id, LENGTH(data) FROM shop.files") == [(1, 16777216)]
        assert cluster["applier west"].pid == pid and cluster["applier west"].runs
        cluster.stop()
    finally:
        cluster.kill_all()


def fill(place: Path) -> Path:
    """Write a file until nothing fits any more."""
    ballast = place / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(64 << 10))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
    return ballast
