"""The structure of a direction: what its source has and its target has not is made there, before the stream is followed.

A start that finds it not done, in code order:
1. what an earlier start has begun is settled: an object that is there was made;
2. the source's catalog is read, as of a barrier in its stream (settled.py), and compared with the target's: where something is
   there already and differs, nothing is made;
3. each object that lacks is made (making.py): rows of `ddl_log` and of `initialization` are committed before, and ended after it;
4. the target is read once more: all that was made is to be as it is at the source;
5. the end is put on record, with the objects of the direction: when these are others, the rest begins here again.
It may end at any point: what is there and equal is left, so that each object is made once. What an earlier start has made and the
source has changed since is dropped, while it has no rows, and made anew: all that is made is of one moment of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import structlog

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import ApplyError, Where
from bisync_topology.mysql import connect
from bisync_topology.ownership import Ownership
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Events, Step, Topology
from consumers.target_rows import TargetRows
from initialization.catalog import Reading, read_catalog
from initialization.definitions import Definition, Name, difference, differs
from initialization.initialized import How, Initialized
from initialization.making import Making
from initialization.on_record import OnRecord
from initialization.settled import read_settled
from initialization.structure_plan import Plan, Setting, plan

log = structlog.get_logger()

Tell = Callable[[str, int, int], None]  # an object's name, its number, of how many


def initialize_structure(
    topology: Topology,
    direction: Direction,
    *,
    control: Control,
    rows: TargetRows,
    stream: str,
    ownership: Ownership,
    halted: Callable[[], bool],
    tell: Tell = lambda name, number, of: None,
) -> Initialized:
    """Do what is to be done of a direction; gives what of its stream is there by that.

    control: of the target, on a connection that is used for nothing else meanwhile. rows: the direction's progress, begun.
    halted: it is to stop. Raises ApplyError where the direction has to stop, Repeat where it is to, LostOwnership,
    pymysql.err.MySQLError, OSError.
    """
    record = OnRecord(topology, direction, control, rows, stream)
    if Step.STRUCTURE in direction.initialize and not record.ended:
        making = Making(topology, direction, control, record, ownership, halted)
        _Structure(topology, direction, record, making).run(tell)
    return record.initialized()


class _Structure:
    """One direction's structure."""

    def __init__(self, topology: Topology, direction: Direction, record: OnRecord, making: Making) -> None:
        self._direction, self._record, self._making = direction, record, making
        self._topology, self._sides = topology, (direction.from_, direction.to)
        self._scope = Scope(direction.objects, control_schema=topology.control_schema)

    def run(self, tell: Tell) -> None:
        """See the head of this module."""
        source, target = self._sides
        if self._record.others:
            log.info(
                "what another direction initializes too is left to it",
                direction=str(self._direction),
                objects=self._record.others,
            )
        with closing(self._making.session()) as session:  # nobody is at anything any more
            self._record.settle(self._read(target))
            setting = self._setting(session.disabled_on)
        catalog, barrier = read_settled(self._topology, self._reading(source), self._making.watch)
        failpoints.reach("init.structure_read")
        found = plan(catalog, self._read(target), self._record.definitions, setting)
        if found.problems:
            raise self._differ(found.problems)
        self._note(found, barrier)
        for number, step in enumerate(found.steps, start=1):
            tell(str(step.definition.name), number, len(found.steps))
            self._making.make(step, barrier)
        self._look(setting.account)
        failpoints.reach("init.structure_before_end")
        self._record.end(barrier)
        log.info(f"the structure of {source} is at {target}", made=len(found.steps), found=len(found.found))

    def _note(self, found: Plan, barrier: int) -> None:
        self._record.note([each.name for each in found.found], How.FOUND, barrier)
        self._record.note([each.name for each, _ in found.left_out], How.LEFT_OUT, barrier)
        for definition, why in found.left_out:
            log.warning(f"{definition.name} of {self._sides[0]} is not made", why=why)

    def _look(self, account: str) -> None:
        """Whether all that was made is as it is at the source. Raises ApplyError."""
        there = self._read(self._sides[1])
        problems = []
        for name, made in self._record.definitions.items():
            if name not in there:
                problems.append(f"{name} was made, and is not there")
            elif differs(made, there[name], account):
                problems.append(f"{name} was made, and is another one:\n{difference(made, there[name], self._sides)}")
        if problems:
            raise self._differ(problems)

    def _setting(self, disabled_on: str) -> Setting:
        with closing(connect(self._topology.sides[self._sides[1]].mysql)) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            ((account,),) = cursor.fetchall()
        events = self._direction.events is Events.ENABLED
        return Setting(sides=self._sides, account=account, events_enabled=events, disabled_on=disabled_on)

    def _read(self, side: str) -> dict[Name, Definition]:
        return read_catalog(self._topology.sides[side].mysql, self._reading(side))

    def _reading(self, side: str) -> Reading:
        return Reading(side=side, scope=self._scope, more=self._record.wants)

    def _differ(self, problems: tuple[str, ...] | list[str]) -> ApplyError:
        source, target = self._sides
        return ApplyError(
            f"{target} cannot get the structure of {source}; nothing that is there is changed:\n" + "\n".join(problems),
            code="structure_differs",
            hint=f"make each the same on both sides, or drop it at {target}, or take it out of `objects`; "
            f"then `bisync-topology resume {source} {target}`",
            where=Where(side=target),
        )
