"""Who holds a lock, without servers."""

import threading

import pymysql.err
import pytest

from bisync_topology import ownership
from bisync_topology.errors import LostOwnership
from bisync_topology.ownership import Ownership
from bisync_topology.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "name": "shop",
        "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
        "sides": {side: {"mysql": {"host": "127.0.0.1", "user": "bisync", "password": "x"}} for side in ("east", "west")},
        "directions": [{"from": "east", "to": "west", "objects": ["shop"]}],
    }
)


def test_the_lock_is_kept_alive_while_it_drains(monkeypatch: pytest.MonkeyPatch) -> None:
    """A drain may last longer than the server lets an idle connection live: until the end, the thread keeps speaking to it."""
    monkeypatch.setattr(ownership, "WATCH_SECONDS", 0.001)
    stop, beats = threading.Event(), threading.Semaphore(0)
    owner = Ownership(TOPOLOGY, "east", "producer east", stop)
    monkeypatch.setattr(owner, "beat", lambda **_: beats.release())
    thread = owner.start_watching()
    stop.set()
    for _ in range(5):
        assert beats.acquire(timeout=10)
    owner.finish()
    thread.join(10)
    assert not thread.is_alive()


class Lock:
    """Stands for the control tables on the lock's connection; answers whether the lock is held, or is away."""

    answer: int | pymysql.err.MySQLError = 1

    def __init__(self, connection: object, topology: Topology) -> None:
        pass

    def execute(self, name: str, *_: object) -> tuple[tuple[int, ...], ...]:
        """Answer."""
        assert name == "lock_is_held"
        if isinstance(Lock.answer, Exception):
            raise Lock.answer
        return ((Lock.answer,),)


@pytest.mark.parametrize("held", [True, False])
def test_an_outage_is_no_lost_lock(monkeypatch: pytest.MonkeyPatch, held: bool) -> None:
    """Only the server's word ends a process: while it is away, or was for the watching thread, that is an outage."""
    monkeypatch.setattr(ownership, "Control", Lock)
    owner = Ownership(TOPOLOGY, "east", "producer east", threading.Event())
    owner._connection = object()  # type: ignore[assignment]
    owner._held = held
    Lock.answer = pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
    with pytest.raises(pymysql.err.OperationalError):
        owner.check()
    assert not owner.held
    Lock.answer = 1
    owner.check()
    assert owner.held
    Lock.answer = 0
    with pytest.raises(LostOwnership):
        owner.check()
    assert not owner.held
