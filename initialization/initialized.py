"""What of the source's stream initialization has brought already: statements that are in the structure, rows that were before it.

Each object has the number of a barrier of the source: its structure is that of the moment when the barrier was raised
(initialization/settled.py). What stands before that barrier in the stream is in it; what stands behind is not. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from bisync_topology.ddl import Category, Statement
from bisync_topology.scope import Scope
from initialization.definitions import Kind, Name

TRUNCATE = "TRUNCATE TABLE"


class How(StrEnum):
    """What became of an object: `structure` in the table `initialization`."""

    RUNNING = "running"  # begun, and not known to be made
    MADE = "made"
    FOUND = "found"  # an equal one was there
    LEFT_OUT = "left_out"


@dataclass(frozen=True, kw_only=True)
class Beginning:
    """Of one object. stream: the source's, in which the barrier is."""

    how: How
    stream: str
    barrier: int


@dataclass(frozen=True, kw_only=True)
class Pass:
    """One time that initialization came to its end. What was not there then has begun with it too.

    objects: of the direction. others: of one that initializes too and has the first say, or nothing.
    """

    objects: tuple[str, ...]
    others: tuple[str, ...]
    stream: str
    barrier: int
    control_schema: str

    @cached_property
    def _scopes(self) -> tuple[Scope, Scope]:
        mine, theirs = (Scope(each, control_schema=self.control_schema) for each in (self.objects, self.others))
        return mine, theirs

    def brings(self, name: Name) -> bool:
        """Whether the object was its business."""
        mine, theirs = self._scopes
        return in_scope(mine, name) and not in_scope(theirs, name)


def passes_of(text: str | None, control_schema: str) -> tuple[Pass, ...]:
    """From the row of the direction."""
    return tuple(
        Pass(
            objects=tuple(each["objects"]),
            others=tuple(each["others"]),
            stream=each["stream"],
            barrier=each["barrier"],
            control_schema=control_schema,
        )
        for each in (json.loads(text) if text else ())
    )


def passes_text(passes: Iterable[Pass]) -> str:
    """The inverse."""
    fields = ("objects", "others", "stream", "barrier")
    return json.dumps([{field: getattr(each, field) for field in fields} for each in passes])


class Initialized:
    """Of one direction, while its stream is applied."""

    def __init__(self, objects: Mapping[Name, Beginning], passes: Sequence[Pass], *, stream: str = "", arrived: int = 0) -> None:
        """stream: that is applied. arrived: the last barrier that has."""
        self._objects = {name._replace(kind=name.kind.namespace): each for name, each in objects.items()}
        self._passes = passes
        self._stream = stream
        begun: list[Beginning | Pass] = [*objects.values(), *passes]
        barriers = {each.barrier for each in begun if each.stream == stream}
        self._reached = {barrier: 0 for barrier in barriers if barrier <= arrived}  # barrier: where in the stream it is
        self._ahead = barriers - self._reached.keys()
        self._last = 0  # where the last of them is, once none is ahead

    def arrive(self, barrier: int, sequence: int) -> None:
        """A barrier has come, with that transaction."""
        if self._ahead:
            self._reached |= dict.fromkeys((each for each in self._ahead if each <= barrier), sequence)
            self._ahead -= self._reached.keys()
            self._last = max(self._reached.values(), default=0)

    def early(self, sequence: int) -> bool:
        """Whether a transaction is before any object's beginning."""
        return sequence < self._last or bool(self._ahead)

    def has_statement(
        self, statement: Statement, default_db: str, scope: Scope, sequence: int, fold: Callable[[str], str]
    ) -> bool:
        """Whether all that a statement changes begins after it. scope: of the direction. fold: names as the source has them."""
        found = [name for name in changed(statement, default_db, fold) if in_scope(scope, name)]
        return bool(found) and all(self._is_in(name, sequence, truncates=statement.verb == TRUNCATE) for name in found)

    def without(self, scope: Scope, sequence: int) -> Scope:
        """The scope for a statement that is there in part: without the tables that had begun after it."""
        return _Without(scope, lambda db, table: self._is_in(Name(Kind.TABLE, db, table), sequence))

    def has_rows(self, db: str, table: str, sequence: int) -> bool:
        """Whether a transaction's rows of a table are not to be applied: it was made after them, or was no more."""
        return self._is_in(Name(Kind.TABLE, db, table), sequence, truncates=True)

    def _is_in(self, name: Name, sequence: int, *, truncates: bool = False) -> bool:
        own = self._objects.get(name._replace(kind=name.kind.namespace))
        if own is not None and own.how is How.FOUND and truncates:
            return False  # it has rows of its own, which are to follow the source's from the stream's beginning
        begun = own or self._pass_of(name)
        return begun is not None and begun.stream == self._stream and self._before(begun.barrier, sequence)

    def _pass_of(self, name: Name) -> Pass | None:
        """The first of those without a break up to the last that had it in scope: what was out of scope begins again."""
        found = None
        for each in reversed(self._passes):
            if not each.brings(name):
                break
            found = each
        return found

    def _before(self, barrier: int, sequence: int) -> bool:
        return barrier in self._ahead or sequence < self._reached[barrier]


class _Without(Scope):
    """A scope without some of its tables."""

    def __init__(self, scope: Scope, gone: Callable[[str, str], bool]) -> None:
        self._scope, self._gone = scope, gone

    def includes(self, database: str, table: str) -> bool:
        return self._scope.includes(database, table) and not self._gone(database, table)

    def includes_database(self, database: str) -> bool:
        return self._scope.includes_database(database)

    def takes_new(self, database: str, table: str) -> bool:
        return self._scope.takes_new(database, table) and not self._gone(database, table)


def changed(statement: Statement, default_db: str, fold: Callable[[str], str]) -> Iterable[Name]:
    """What a statement changes. fold: names as their server has them."""
    kind = statement.verb.split(" ")[-1].lower()
    if statement.category is Category.DATABASE:
        yield Name(Kind.DATABASE, fold(statement.database or default_db))
    elif kind in (Kind.PROCEDURE, Kind.FUNCTION, Kind.TRIGGER, Kind.EVENT):
        yield from (Name(Kind(kind), fold(db), name) for db, name in statement.names)
    elif statement.category in (Category.TABLE, Category.OBJECT):
        yield from (Name(Kind.TABLE, fold(db), fold(name)) for db, name in statement.objects)


def in_scope(scope: Scope, name: Name) -> bool:
    """Whether a direction carries an object: of kinds other than tables all in a database, or none."""
    if name.kind.namespace is Kind.TABLE:
        return scope.includes(name.db, name.name)
    return scope.includes_database(name.db)
