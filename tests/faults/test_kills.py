"""`kill -9` of every process at each named failpoint, and at moments of no name, under load that cannot be done twice unseen.

Five kills by default; all of them with BISYNC_TEST_KILLS=50 (`make kills`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from bisync_topology import failpoints
from faults.harness import SIDES, WORKERS, Cluster
from faults.load import Load

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

KILLS = int(os.environ.get("BISYNC_TEST_KILLS", "5"))
FIRST = (  # those of every run
    ("east", "producer.before_commit", 3),
    ("west", "producer.after_commit", 4),
    ("east", "applier.before_commit", 5),
    ("west", "applier.after_commit", 4),
    ("east", "applier.after_kafka_commit", 3),
)
ONCE_A_START = (
    "after_lock",
    "after_init_transactions",
    "after_checkpoint_read",
    "after_stream_connect",
    "after_positions_read",
    "after_assign",
)


def kills() -> Iterator[tuple[str, str, int]]:
    """(side, failpoint or "" for no named one, passings) of each kill."""
    yield from FIRST
    workers = [name for name in failpoints.NAMES if not name.startswith("supervisor.")]
    for number, name in enumerate(workers):
        passings = (1,) if name.partition(".")[2] in ONCE_A_START else (1, 7, 23)
        for n, passing in enumerate(passings):
            yield SIDES[(number + n) % 2], name, passing
    for number in range(100):
        yield SIDES[number % 2], "", number


@pytest.mark.parametrize(("side", "failpoint", "passings"), list(islice(kills(), KILLS)))
def test_kill(loaded: tuple[Cluster, Load], side: str, failpoint: str, passings: int) -> None:
    """A process that dies at this point, started again, loses nothing and does nothing twice.

    Both sides are equal row by row, and equal to what the load has counted.
    """
    cluster, load = loaded
    kind = failpoint.partition(".")[0] or ("producer", "applier")[passings // 2 % 2]
    process = cluster[f"{kind} {side}"]
    with load:
        load.wait_for(20)
        process.kill()
        if failpoint:
            process.start(failpoint=f"{failpoint}:{passings}")
            assert process.wait_ended() == -signal.SIGKILL, process.log()
        else:
            process.start()
            cluster.wait_state(process.name, "running")
            load.wait_for(20 + 13 * passings)
            process.kill()
        load.wait_for(20)
        process.start()
        load.wait_for(20)
    cluster.wait()
    load.nothing_lost()


@pytest.mark.skipif(KILLS < 50, reason="with BISYNC_TEST_KILLS=50 only: make kills")
def test_kills_under_up(loaded: tuple[Cluster, Load]) -> None:
    """`up` starts again what was killed; killed itself, at its failpoint or at any moment, its children end and `up` begins anew.

    Six kills: the supervisor between two of its children, each of its four children, the supervisor at work.
    """
    cluster, load = loaded
    cluster.stop()
    up = cluster["up"]
    with load:
        up.start(failpoint="supervisor.after_spawn:3")
        assert up.wait_ended() == -signal.SIGKILL, up.log()
        up.start()
        pids = cluster.until(lambda: children(cluster), "all four children run")
        for name, pid in pids.items():
            load.wait_for(50)
            os.kill(pid, signal.SIGKILL)
            cluster.until(lambda n=name, p=pid: children(cluster).get(n, p) != p, f"{name} was started again")
        load.wait_for(50)
        pids = children(cluster)
        up.kill()
        cluster.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids.values()), "the children end with it")
        load.wait_for(20)
        up.start()
        cluster.until(lambda: children(cluster), "all four children run again")
        load.wait_for(20)
    cluster.wait()
    load.nothing_lost()
    assert up.stop() == 0
    cluster.start()


def children(cluster: Cluster) -> dict[str, int]:
    """Pid of each worker, once all four run as children of the present `up`."""
    found = {each["name"]: each for each in cluster.status()["processes"]}
    ours = {name: found[name]["pid"] for name in WORKERS if found[name]["state"] == "running"}
    if len(ours) < len(WORKERS) or any(parent_of(pid) != cluster["up"].pid for pid in ours.values()):
        return {}
    return ours


def parent_of(pid: int) -> int | None:
    """A process's parent, None when it has ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return None
