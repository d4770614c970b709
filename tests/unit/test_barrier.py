"""`wait` and the rows of directions, without servers: who is waited for, and what ends the waiting."""

from dataclasses import replace

import pytest

from bisync_topology.barrier import Reached, judge
from bisync_topology.errors import CheckFailed, DirectionFailed, UsageError
from bisync_topology.operate import normal_gtid
from bisync_topology.ownership import Wanted

FREE = Wanted(paused=False, error=None, skips=[], skipped=[])
PAUSED = replace(FREE, paused=True)
FAILED = replace(
    FREE, error={"code": "conflict", "message": "a row differs (west, gtid g:7)", "hint": "resolve it", "gtid": "g:7"}
)
EAST, WEST = ("east", "west"), ("west", "east")
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def reached(barrier: int, *rows: Wanted) -> Reached:
    """A direction that has come to a barrier."""
    return Reached(barrier=barrier, rows=rows or (FREE, FREE))


def test_only_late_directions_are_left() -> None:
    """A direction is waited for until the number, or one raised after it by another call, has arrived."""
    numbers = {EAST: 5, WEST: 9}
    assert judge({EAST: reached(4), WEST: reached(9)}, numbers) == {EAST: 5}
    assert judge({EAST: reached(5), WEST: reached(10)}, numbers) == {}


@pytest.mark.parametrize("rows", [(FAILED, FREE), (FREE, FAILED), (PAUSED, FAILED)])
def test_a_failed_direction_ends_the_waiting(rows: tuple[Wanted, Wanted]) -> None:
    """Failed on either side is said at once, with code, hint and place, also where another is only paused."""
    with pytest.raises(
        DirectionFailed, match=r"east to west has failed: a row differs \(west, gtid g:7\) — resolve it"
    ) as caught:
        judge({WEST: reached(0, PAUSED, PAUSED), EAST: reached(4, *rows)}, {WEST: 1, EAST: 5})
    assert caught.value.code == "conflict"


def test_a_paused_direction_ends_the_waiting() -> None:
    """Paused on either side will not arrive; the way on is named."""
    with pytest.raises(CheckFailed, match=r"resume west east"):
        judge({WEST: reached(0, FREE, PAUSED)}, {WEST: 1})


def test_what_arrived_before_a_failure_counts() -> None:
    """A direction that failed behind the barrier has applied everything that was asked for."""
    assert judge({EAST: reached(5, FAILED, FAILED)}, {EAST: 5}) == {}


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        (f"{UUID}:23", f"{UUID}:23"),
        (f" {UUID.upper()}:23 ", f"{UUID}:23"),
        (f"{UUID}:blue:7", f"{UUID}:blue:7"),
        ("binlog.000003:1234", "binlog.000003:1234"),
    ],
)
def test_gtids(given: str, normal: str) -> None:
    """A GTID, a tagged one, and a place in the binlog of a server without GTIDs name a transaction."""
    assert normal_gtid(given) == normal


@pytest.mark.parametrize("given", ["", "7", UUID, f"{UUID}:0", f"{UUID}:1-5", f"{UUID}:1,{UUID}:2", "binlog.000003", "x:y:z"])
def test_what_names_no_transaction(given: str) -> None:
    """Sets, ranges and anything else are refused, with where to find the right one."""
    with pytest.raises(UsageError, match=r"no GTID.*status"):
        normal_gtid(given)
