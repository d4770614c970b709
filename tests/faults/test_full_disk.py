"""The broker's disk runs full under load: said in `status`; once there is room again, everything goes on and nothing is lost."""

from __future__ import annotations

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

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

DISK_BYTES = 96 << 20


@pytest.fixture
def small_disk(fault_servers: Sandbox) -> Iterator[Path]:
    """A file system of its own for the broker's data."""
    place = fault_servers.root / "small-disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small file system for the broker can be mounted by root only")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


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
