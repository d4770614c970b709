"""Points at which a process dies or freezes: what the variable may say. What they are for is in tests/faults."""

import os
import signal

import pytest

from bisync_topology import failpoints


@pytest.mark.parametrize(
    ("variable", "passings", "number"),
    [
        ("applier.before_commit", 1, signal.SIGKILL),
        ("applier.before_commit:3", 3, signal.SIGKILL),
        ("applier.before_commit:2:stop", 2, signal.SIGSTOP),
    ],
)
def test_the_signal_comes_once_at_its_passing(
    monkeypatch: pytest.MonkeyPatch, variable: str, passings: int, number: signal.Signals
) -> None:
    """Earlier passings and other points pass; a process that has thawed is not frozen again."""
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, sign: sent.append(sign))
    failpoints.arm(variable)
    try:
        for _ in range(passings - 1):
            failpoints.reach("applier.before_commit")
        failpoints.reach("applier.after_commit")
        assert sent == []
        for _ in range(3):
            failpoints.reach("applier.before_commit")
        assert sent == [number]
    finally:
        failpoints.arm(None)


def test_an_unknown_name_is_told() -> None:
    """A typing error must not look like a process that survived."""
    with pytest.raises(ValueError, match=r"applier\.before_comit.*there are: producer\.after_lock"):
        failpoints.arm("applier.before_comit:2")
