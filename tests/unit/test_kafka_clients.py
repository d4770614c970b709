"""Clients of Kafka are given up without waiting for threads of theirs, which may never end (librdkafka#4519)."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bisync_topology import kafka


def test_a_close_that_does_not_end() -> None:
    """It is left alone after its time."""
    ended = threading.Event()
    kafka.give_up(ended.wait, 0.1)
    assert any(thread.name == "close" for thread in threading.enumerate())
    ended.set()


def test_a_close_that_ends() -> None:
    """It is waited for."""
    done = []
    kafka.give_up(lambda: done.append(time.sleep(0.1)), 60)
    assert done == [None]


@pytest.mark.parametrize("cycle", [False, True])
def test_another_thread_frees_an_admin_client(cycle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who drops it, or collects it as part of a cycle, does not wait for the client's own threads."""
    goes_on, let_go = threading.Event(), kafka._let_go

    def later(clients: list[kafka.Admin]) -> None:
        goes_on.wait(60)
        let_go(clients)

    monkeypatch.setattr(kafka, "_let_go", later)
    before = native_threads()
    held: list[object] = [kafka.Admin({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})]
    if cycle:
        held.append(held)
    assert wait_for(lambda: bool(native_threads() - before))
    (own,) = native_threads() - before
    del held
    gc.collect()
    assert own in native_threads()
    goes_on.set()
    assert wait_for(lambda: own not in native_threads())


def native_threads() -> set[str]:
    """The numbers of the main threads of this process's clients."""
    found = set()
    for path in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if (path / "comm").read_text().strip() == "rdk:main":
                found.add(path.name)
    return found


def wait_for(what: Callable[[], bool]) -> bool:
    """Whether it comes about."""
    deadline = time.monotonic() + 60
    while not (found := what()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found
