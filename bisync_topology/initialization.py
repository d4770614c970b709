"""What of a direction's rows is copied: the rows of the control table `initialization`, as the applier and `status` read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from bisync_topology.control import Control
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Step, Topology

WAITING, COPYING, DONE = "waiting", "copying", "done"
SKIPPED = "skipped"  # another direction copies the table
GONE = "gone"  # it was dropped or renamed meanwhile
LEFT = (WAITING, COPYING)


@dataclass(frozen=True, kw_only=True)
class CopiedTable:
    """One table. frontier: the key up to which it is copied, as SQL literals."""

    name: tuple[str, str]  # database, table
    state: str
    rows: int  # about, where it is not copied yet
    rows_done: int
    chunks_done: int = 0
    frontier: tuple[str, ...] | None = None


def read_tables(control: Control, from_: str, to: str) -> list[CopiedTable]:
    """The tables of one direction, in their order."""
    found = [row for row in control.execute("read_initialization", control.topology.name) if row[:2] == (from_, to)]
    return sorted(map(_table, found), key=lambda table: table.name)


def _table(row: tuple[object, ...]) -> CopiedTable:
    _, _, db, name, state, estimate, rows, chunks, frontier = row
    return CopiedTable(
        name=(str(db), str(name)),
        state=str(state),
        rows=int(str(estimate)),
        rows_done=int(str(rows)),
        chunks_done=int(str(chunks)),
        frontier=None if frontier is None else tuple(json.loads(str(frontier))),
    )


def figures(tables: Iterable[CopiedTable]) -> dict[str, int]:
    """The `initialization` of `status -o json`."""
    counted = [table for table in tables if table.state not in (SKIPPED, GONE)]
    return {
        "tables": len(counted),
        "tables_done": sum(table.state == DONE for table in counted),
        "rows": sum(table.rows_done if table.state == DONE else max(table.rows, table.rows_done) for table in counted),
        "rows_done": sum(table.rows_done for table in counted),
    }


def copied_elsewhere(topology: Topology, direction: Direction, db: str, name: str) -> Direction | None:
    """The direction that copies a table in place of this one: the first-listed of those that initialize it."""
    for other in topology.directions:
        if other is direction:
            return None
        scope = Scope(other.objects, control_schema=topology.control_schema)
        if Step.DATA in other.initialize and scope.includes(db, name):
            return other
    return None
