"""A side's control tables as a command opens them: errors that name the side and say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql.err
from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.errors import BisyncError, CheckFailed, Unreachable, UsageError, rule_for, words
from bisync_topology.mysql import connect
from bisync_topology.ownership import Wanted, now_us, read_wanted, waits_out
from bisync_topology.topology import Topology

UNKNOWN_COLUMN = 1054
NOT_THERE = (1049, 1146)  # unknown database, no such table: `up` has not run here yet


class SideControl(Control):
    """Control tables whose errors name their side."""

    def __init__(self, connection: Connection[Any], topology: Topology, side: str) -> None:
        super().__init__(connection, topology)
        self.side = side

    def execute(self, name: str, *arguments: object) -> tuple[tuple[Any, ...], ...]:
        """Run a named statement; gives its rows. Raises Unreachable, UsageError, CheckFailed."""
        try:
            return super().execute(name, *arguments)
        except (pymysql.err.MySQLError, OSError) as error:
            raise explained(self.topology, self.side, error) from error

    def matched(self, name: str, *arguments: object) -> int:
        """Run a named statement; gives how many rows it matched. Raises as `execute`."""
        try:
            return super().matched(name, *arguments)
        except (pymysql.err.MySQLError, OSError) as error:
            raise explained(self.topology, self.side, error) from error


def connect_control(topology: Topology, side: str) -> SideControl:
    """A side's control tables, on a connection of their own that commits each statement. Raises as `SideControl.execute`."""
    try:
        return SideControl(connect(topology.sides[side].mysql, read_timeout=20.0), topology, side)
    except (pymysql.err.MySQLError, OSError) as error:
        raise explained(topology, side, error) from error


@contextmanager
def open_control(topology: Topology, side: str) -> Iterator[SideControl]:
    """The same for a `with` statement, which closes the connection."""
    control = connect_control(topology, side)
    try:
        yield control
    finally:
        if control.connection.open:
            control.connection.close()


def check_sides(topology: Topology, *names: str | None) -> None:
    """Raise UsageError for a side that there is not; None is any."""
    for side in names:
        if side is not None and side not in topology.sides:
            raise UsageError(f"there is no side {side!r}", hint=f"one of {', '.join(topology.sides)}")


def newest(topology: Topology, to: str | None, limit: int, name: str, *arguments: object) -> list[tuple[str, tuple[Any, ...]]]:
    """(side, row) of a named statement on one side or all, newest first; limit 0: all. Its rows begin with their id and when.

    Raises as `SideControl.execute`.
    """
    found: list[tuple[str, tuple[Any, ...]]] = []
    for side in topology.sides:
        if to in (None, side):
            with open_control(topology, side) as control:
                found += [(side, row) for row in control.execute(name, *arguments)]
    found.sort(key=lambda each: (each[1][1], each[1][0]), reverse=True)
    return found[: limit or None]


def explained(topology: Topology, side: str, error: Exception) -> BisyncError:
    """A client error as one of ours that says which side it is about."""
    mysql = topology.sides[side].mysql
    address = f"{side} ({mysql.host}:{mysql.port})"
    rule = rule_for(error)
    if waits_out(error):
        return Unreachable(f"{address} cannot be reached: {words(error)}", hint=rule.advice, code=rule.code)
    if isinstance(error, pymysql.err.MySQLError) and error.args and error.args[0] in NOT_THERE:
        return never_ran(topology, side)
    if isinstance(error, pymysql.err.MySQLError) and error.args and error.args[0] == UNKNOWN_COLUMN:
        return CheckFailed(
            f"the control tables of {side} are of an older version: {words(error)}",
            hint="start `up`, or the processes, of this version: they add what is missing",
            code="never_ran",
        )
    kind = UsageError if rule.advice is not None else CheckFailed
    return kind(f"{address} refuses: {words(error)}", hint=rule.advice, code=rule.code)


def never_ran(topology: Topology, side: str) -> CheckFailed:
    """The error of a command that needs what the first `up` makes."""
    return CheckFailed(
        f"{side} has no control rows of {topology.name} in `{topology.control_schema}`: nothing has run here yet",
        hint="`bisync-topology up` first",
        code="never_ran",
    )


def raise_barrier(control: Control, side: str) -> int:
    """Raise a side's barrier, whose commit its producer lists; gives its number. Raises CheckFailed where nothing has run yet.

    Read back, it may be another caller's later number: that one comes behind ours in the list, and waiting for it is right too.
    """
    if not control.matched("raise_barrier", now_us(), control.topology.name, side):
        raise never_ran(control.topology, side)
    return int(control.execute("read_barrier", control.topology.name, side)[0][0])


def direction_rows(control: SideControl) -> dict[tuple[str, str], Wanted]:
    """Every direction's row on a side. Raises CheckFailed where one is missing."""
    rows = read_wanted(control)
    if any((direction.from_, direction.to) not in rows for direction in control.topology.directions):
        raise never_ran(control.topology, control.side)
    return rows
