"""A process that is frozen for longer than its lock, and its Kafka transaction, live; a standby takes over; then it thaws."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from faults.harness import WORKERS, Cluster, Process
from faults.load import Load, running
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

LOCK_SECONDS = 6  # instead of 30
TRANSACTION_MS = 6000  # instead of 15 minutes


@pytest.fixture(scope="module")
def short_lived(fault_servers: Sandbox) -> Iterator[tuple[Cluster, Load]]:
    """A topology whose locks and Kafka transactions do not outlive a short silence."""
    cluster = Cluster(fault_servers, name="frozen", environ={"BISYNC_TEST_LOCK_TIMEOUT": str(LOCK_SECONDS)})
    cluster.configure(kafka={"transaction.timeout.ms": TRANSACTION_MS})
    with running(cluster) as topology:
        yield topology


@pytest.mark.parametrize(
    ("name", "failpoint"), [("producer east", "producer.before_commit"), ("applier west", "applier.before_commit")]
)
def test_frozen(short_lived: tuple[Cluster, Load], name: str, failpoint: str) -> None:
    """A process frozen inside its transaction loses its work to a standby; thawed, it writes nothing and stands by, or ends.

    What both have done is there once.
    """
    cluster, load = short_lived
    frozen = cluster[name]
    frozen.stop()
    standby = cluster.standby(name)
    with load:
        frozen.start(failpoint=f"{failpoint}:5:stop")
        cluster.until(lambda: frozen.frozen, f"{name} freezes")
        standby.start()
        cluster.wait_state(name, "running", process=standby)
        load.wait_for(50)
        frozen.signal(signal.SIGCONT)
        load.wait_for(50)
        cluster.until(lambda: not frozen.runs or "another process owns this work" in frozen.log(), f"{name} has noticed")
    cluster.wait()
    if not frozen.runs:
        assert frozen.status == 1, frozen.log()
        assert "another process owns it now" in frozen.log(), frozen.log()
    load.nothing_lost()
    take_over(cluster, name, frozen, standby)


def take_over(cluster: Cluster, name: str, frozen: Process, standby: Process) -> None:
    """When the owner ends, whoever stands by goes on; at the end of the test the first process owns the work again."""
    if not frozen.runs:
        frozen.start()
    assert standby.stop() == 0
    cluster.wait_state(name, "running")
    cluster.wait()
    assert all(cluster[worker].runs for worker in WORKERS)
