"""What `skip` has passed, and with it changes of tables: they are marked until they are found equal."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from bisync_topology.errors import CheckFailed
from bisync_topology.ownership import now_us
from bisync_topology.sides import open_control
from bisync_topology.topology import Topology

_Place = tuple[str, str, str]  # side, and the direction whose row it is
VERIFIED = "verified"  # key of a used pass: the tables that were found equal since, and when


@dataclass(frozen=True)
class Marks:
    """The used passes of each direction's row on each side."""

    passes: dict[_Place, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, table: str) -> list[str]:
        """GTIDs of the passes that mark a table."""
        return sorted({one["gtid"] for passes in self.passes.values() for one in passes if table in marked(one)})


def marked(one: dict[str, Any]) -> list[str]:
    """The tables that a used pass marks still."""
    return [table for table in one.get("tables", []) if table not in one.get(VERIFIED, {})]


def read_marks(topology: Topology) -> Marks:
    """Read them from both sides; none where nothing has run yet. Raises Unreachable, UsageError."""
    passes: dict[_Place, list[dict[str, Any]]] = {}
    for side in topology.sides:
        with open_control(topology, side) as control:
            try:
                rows = control.execute("read_directions", topology.name)
            except CheckFailed:  # no control tables
                continue
            passes |= {(side, from_, to): json.loads(used) for from_, to, _, _, _, used in rows}
    return Marks(passes)


def cleared(passes: list[dict[str, Any]], equal: Collection[str], now: int) -> list[dict[str, Any]]:
    """The same passes without the marks of tables that are equal. Pure."""
    return [
        {**one, VERIFIED: {**one.get(VERIFIED, {}), **dict.fromkeys(found, now)}} if found else one
        for one, found in ((one, [table for table in marked(one) if table in equal]) for one in passes)
    ]


def unmark(topology: Topology, marks: Marks, equal: Collection[str]) -> None:
    """Take marks of tables that are equal away, where nobody has written the row meanwhile. Raises Unreachable, CheckFailed."""
    for (side, from_, to), passes in marks.passes.items():
        after = cleared(passes, equal, now_us())
        if after != passes:
            with open_control(topology, side) as control:
                control.execute("mark_verified", json.dumps(after), topology.name, from_, to, json.dumps(passes))
