"""A broker or a MySQL server that goes away and comes back, under load: waited out, said in `status`, nothing lost or twice.

Each server in one way by default, in both with BISYNC_TEST_KILLS (`make kills`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from faults.harness import SIDES, WORKERS, Cluster
from faults.load import Load

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

ENDS = [("east", "kill")]
if "BISYNC_TEST_KILLS" in os.environ:
    ENDS += [("west", "stop"), ("west", "kill"), ("east", "stop")]
DRAIN_SECONDS = 30.0  # well within the minute after which `up` kills


def same_processes(cluster: Cluster, before: dict[str, int]) -> None:
    """No process has ended: those that run are those of before."""
    for name, pid in before.items():
        assert cluster[name].runs, f"{name} ended in the outage\n{cluster[name].log()}"
        assert cluster[name].pid == pid


def test_broker_restart(loaded: tuple[Cluster, Load]) -> None:
    """While the broker is away, all four processes say that they wait for it; back again, they go on by themselves."""
    cluster, load = loaded
    pids = {name: cluster[name].pid for name in WORKERS}
    broker = cluster.sandbox.kafka
    with load:
        load.wait_for(30)
        broker.stop()
        load.wait_for(30)
        cluster.wait_for_all_to_wait()
        broker.start()
        load.wait_for(20)
    cluster.wait()
    same_processes(cluster, pids)
    for name in WORKERS:
        cluster.wait_state(name, "running")
    load.nothing_lost()


def test_broker_kill(loaded: tuple[Cluster, Load]) -> None:
    """After `kill -9` of the broker nothing is lost; meanwhile each process can be stopped within seconds, and started."""
    cluster, load = loaded
    broker = cluster.sandbox.kafka
    with load:
        load.wait_for(30)
        broker.kill()
        load.wait_for(30)
        cluster.wait_for_all_to_wait()
        for name in WORKERS:
            cluster[name].signal(signal.SIGTERM)
        assert {name: cluster[name].stop(DRAIN_SECONDS) for name in WORKERS} == dict.fromkeys(WORKERS, 0)
        for name in WORKERS:
            cluster[name].start()
        cluster.wait_for_all_to_wait()
        broker.start()
        load.wait_for(20)
    cluster.wait()
    load.nothing_lost()


@pytest.mark.parametrize(("side", "how"), ENDS)
def test_mysql(loaded: tuple[Cluster, Load], side: str, how: str) -> None:
    """While a server is away, the other side is written on, and `status` names the server; back again, both catch up."""
    cluster, load = loaded
    pids = {name: cluster[name].pid for name in WORKERS}
    server, other = cluster.server(side), SIDES[1 - SIDES.index(side)]
    end: Callable[[], None] = getattr(server, how)
    with load:
        load.wait_for(30)
        end()
        load.wait_for(30)
        said = cluster.command("status", check=None)
        assert f"{side} ({server.host}:{server.port})" in said.stdout + said.stderr
        shown = {each["name"]: each["state"] for each in cluster.status()["processes"]}
        assert {name: shown[name] for name in WORKERS} == {
            f"producer {side}": "unknown",
            f"applier {side}": "unknown",
            f"producer {other}": "running",
            f"applier {other}": "running",
        }
        server.start()
        load.wait_for(30)
    cluster.wait()
    same_processes(cluster, pids)
    load.nothing_lost()
