"""Which tables of a side that was set back had not got all of their rows from the other side when its backup was made.

Rows that are copied are in no stream. Those that had come since the backup are missing; the applier copies them again, as it goes
on where the backup's row of `initialization` stands. So of these tables a row that is changed may be missing, as in a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

from bisync_topology.control import Control
from bisync_topology.initialization import LEFT, WAITING, copied_elsewhere, read_tables
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Step, Topology


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What is known of the copies into a side."""

    topology: Topology
    directions: tuple[Direction, ...]  # that copy into it
    states: dict[tuple[str, str], str]  # table → how far it is
    left: bool  # there are tables that are still to be copied, or may be

    def lacks(self, db: str, name: str) -> bool:
        """Whether rows of a table may be missing. One that is not noted will be, when the applier starts."""
        return self.states.get((db, name), WAITING) in LEFT and any(
            Scope(direction.objects, control_schema=self.topology.control_schema).includes(db, name)
            and copied_elsewhere(self.topology, direction, db, name) is None
            for direction in self.directions
        )


def read_copied(topology: Topology, side: str, control: Control) -> Copied:
    """Ask the side's control tables."""
    directions = tuple(each for each in topology.directions_into(side) if Step.DATA in each.initialize)
    states = {table.name: table.state for each in directions for table in read_tables(control, each.from_, each.to)}
    left = bool(directions) and (not states or any(state in LEFT for state in states.values()))
    return Copied(topology=topology, directions=directions, states=states, left=left)
