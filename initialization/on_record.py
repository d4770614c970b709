"""What initialization has on record of a direction's structure, on its target: a row an object, and one of the direction.

A statement that makes an object has a row in `ddl_log` too, like one of the other side: by the session's number in it, this
side's producer knows where the statement came from, so that it is nobody's drift and comes back to no one.
"""

from __future__ import annotations

from collections.abc import Collection

from bisync_topology.control import INITIAL_STREAM, Control
from bisync_topology.ownership import now_us
from bisync_topology.topology import Direction, Step, Topology
from consumers.target_rows import TargetRows
from initialization.definitions import Definition, Kind, Name
from initialization.initialized import Beginning, How, Initialized, Pass, passes_of, passes_text
from schemas.statement_text import readable

DIRECTION = "direction"  # kind of the row that is about all of it
MADE = "made by initialization"
DROPPED = "dropped by initialization, which had made it: the source has another one now, or none"


class OnRecord:
    """One direction's rows. Each method that writes commits."""

    def __init__(self, topology: Topology, direction: Direction, control: Control, rows: TargetRows, stream: str) -> None:
        """stream: of the source. rows: the direction's progress."""
        self._topology, self._direction = topology, direction
        self._control, self._rows, self._stream = control, rows, stream
        self._key = (topology.name, direction.from_, direction.to)
        self._others = _objects_of_others(topology, direction)
        self._now = self._pass(0)
        self._objects: dict[Name, Beginning] = {}
        self.definitions: dict[Name, Definition] = {}  # of what was made and not looked at
        self._passes: tuple[Pass, ...] = ()
        self._sequence = 0  # of our row in `ddl_log`
        self._load()

    def _load(self) -> None:
        for db, name, kind, how, stream, barrier, definition in self._control.execute("read_structure", *self._key):
            if kind == DIRECTION:
                self._passes = passes_of(definition, self._topology.control_schema)
                continue
            each = Name(Kind(kind), db, name)
            self._objects[each] = Beginning(how=How(how), stream=stream, barrier=barrier)
            if definition is not None:
                self.definitions[each] = Definition.from_json(definition)
        self._control.connection.commit()

    @property
    def ended(self) -> bool:
        """Whether initialization has come to its end for the objects that the direction has now."""
        last = self._passes[-1] if self._passes else None
        return last is not None and (last.objects, last.others) == (self._direction.objects, self._others)

    @property
    def others(self) -> tuple[str, ...]:
        """Objects of a direction that has the first say about them."""
        return self._others

    def initialized(self) -> Initialized:
        """What of the stream is there by that."""
        return Initialized(self._objects, self._passes, stream=self._stream, arrived=self._rows.barrier)

    def wants(self, name: Name) -> bool:
        """Whether an object is to be brought now: it is the direction's business, and was not the last time."""
        return self._now.brings(name) and not (self._passes and self._passes[-1].brings(name))

    def settle(self, there: Collection[Name]) -> None:
        """With what earlier starts have begun. there: the target's objects. What was found, or is gone, is looked at anew."""
        state, why = "skipped", "the applier ended before it was put on record"
        for name, begun in list(self._objects.items()):
            if not self.wants(name):
                continue
            if name not in self.definitions or name not in there:
                self._delete(name)
            elif begun.how is How.RUNNING:
                state, why = "applied", MADE
                self._write(name, How.MADE, begun.barrier, self.definitions[name])
        for (sequence,) in self._control.execute("initial_ddls", *self._key[:2]):
            self._control.execute("end_ddl", state, why, *self._key[:2], INITIAL_STREAM, sequence)
        self._control.connection.commit()

    def note(self, names: Collection[Name], how: How, barrier: int) -> None:
        """What is not to be made."""
        for name in names:
            self._write(name, how, barrier)
        self._control.connection.commit()

    def begin(self, definition: Definition, text: str, thread_id: int, barrier: int) -> None:
        """A statement is to be run in that session. Raises LostOwnership."""
        self._rows.hold()
        self._sequence = max(self._sequence + 1, now_us())
        at = (*self._key[:2], INITIAL_STREAM, self._sequence, now_us())
        self._control.execute("write_ddl", *at, readable(text), "running", "", "", None, None, thread_id, None)
        self._write(definition.name, How.RUNNING, barrier, definition)
        self._control.connection.commit()

    def made(self, definition: Definition, why: str, barrier: int) -> None:
        """It was run. Raises LostOwnership."""
        self._rows.hold()
        self._control.execute("end_ddl", "applied", why, *self._key[:2], INITIAL_STREAM, self._sequence)
        self._write(definition.name, How.MADE, barrier, definition)
        self._control.connection.commit()

    def gone(self, name: Name, state: str, why: str) -> None:
        """It is not there, where it was begun at all: refused, or dropped. state, why: of the statement. Raises LostOwnership."""
        if name in self._objects:
            self._rows.hold()
            self._control.execute("end_ddl", state, readable(why)[:1000], *self._key[:2], INITIAL_STREAM, self._sequence)
            self._delete(name)
        self._control.connection.commit()

    def end(self, barrier: int) -> None:
        """All is there, as of this barrier: also what earlier starts have made. Raises LostOwnership."""
        self._passes = (*self._passes, self._pass(barrier))
        self._rows.hold()
        self._control.execute("write_structure", *self._key, "", "", DIRECTION, "", "", 0, passes_text(self._passes))
        self._control.execute("end_structure", self._stream, barrier, *self._key)
        self._control.connection.commit()
        self._objects |= dict.fromkeys(self.definitions, Beginning(how=How.MADE, stream=self._stream, barrier=barrier))
        self.definitions.clear()

    def _pass(self, barrier: int) -> Pass:
        return Pass(
            objects=self._direction.objects,
            others=self._others,
            stream=self._stream,
            barrier=barrier,
            control_schema=self._topology.control_schema,
        )

    def _write(self, name: Name, how: How, barrier: int, definition: Definition | None = None) -> None:
        text = None if definition is None else definition.as_json()
        self._control.execute("write_structure", *self._key, name.db, name.name, name.kind, how, self._stream, barrier, text)
        self._objects[name] = Beginning(how=how, stream=self._stream, barrier=barrier)
        if definition is not None:
            self.definitions[name] = definition

    def _delete(self, name: Name) -> None:
        self._control.execute("delete_structure", *self._key, name.db, name.name, name.kind)
        del self._objects[name]
        self.definitions.pop(name, None)


def _objects_of_others(topology: Topology, direction: Direction) -> tuple[str, ...]:
    """What a direction that stands before it in the file initializes: that one has the first say."""
    before = topology.directions[: topology.directions.index(direction)]
    return tuple(entry for each in before if Step.STRUCTURE in each.initialize for entry in each.objects)
