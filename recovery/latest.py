"""What a stretch of a stream has left of each row, beside what a target has: equal, differing, missing or extra.

The last image counts. Rows are compared a few thousand at a time as they come, and of those that differ the last image is kept: a
later change of the same row is compared anew. So what is held is what differs, and not what was read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.errors import CheckFailed
from consumers.changes import Change
from consumers.row_identity import row_identity
from consumers.statements import Statements
from consumers.tables import AppliedTable
from schemas.records import REFRESH, Row, RowEvent

WINDOW = 2000  # rows that are compared together
MAX_DIFFERING = 100_000  # rows that are kept
MAX_COUNTED = 1_000_000  # equal rows of which it is known that they were counted; beyond, one may be counted again
EQUAL, DIFFERING, MISSING, EXTRA = "equal", "differing", "missing", "extra"


class Last(NamedTuple):
    """The last of a row: its image, or that it was deleted."""

    change: Change  # of which it is
    image: Row
    present: bool

    def as_refresh(self) -> Change:
        """A change that makes the row so, whatever is there."""
        before, after = (None, self.image) if self.present else (self.image, None)
        return self.change._replace(event=RowEvent(self.change.record.sequence, 0, REFRESH, before, after))


@dataclass(kw_only=True)
class Found:
    """Rows of one table: how many there are of each kind, by their last images."""

    equal: int = 0
    kinds: dict[Hashable, tuple[str, Last]] = field(default_factory=dict)  # what differs, by the row's identity

    def count(self, kind: str) -> int:
        """How many rows are of a kind."""
        return self.equal if kind == EQUAL else sum(found == kind for found, _ in self.kinds.values())


class Latest:
    """Takes changes in order, and compares."""

    def __init__(self, connection: Connection[Any]) -> None:
        """connection: to the target, in a session as an applier has it. Nothing is locked."""
        self._connection = connection
        self.tables: dict[str, Found] = {}
        self.left_out: dict[str, str] = {}  # tables of which rows could not be compared, and why
        self._window: dict[str, dict[Hashable, Last]] = {}
        self._waiting = self._kept = 0
        self._counted: set[int] = set()  # hashes of the equal rows that were counted
        self._identities: dict[int, tuple[Statements, Callable[[Row], Hashable]]] = {}

    def add(self, change: Change) -> None:
        """Take a change. Raises CheckFailed where more rows differ than are kept."""
        event, table = change.event, change.table
        if table.name in self.left_out:
            return
        identity = self._identity(table)
        if event.before is not None:
            self._put(table.name, identity(event.before), Last(change, event.before, present=False))
        if event.after is not None:
            self._put(table.name, identity(event.after), Last(change, event.after, present=True))
        if self._waiting >= WINDOW:
            self.compare()

    def leave_out(self, table: str, why: str) -> None:
        """Compare no row of a table."""
        self.left_out.setdefault(table, why)
        self._kept -= len(self.tables.pop(table, Found()).kinds)
        self._waiting -= len(self._window.pop(table, {}))

    def emptied(self, table: str) -> None:
        """A table was emptied, dropped or altered: of its rows nothing is known any more."""
        self._kept -= len(self.tables.pop(table, Found()).kinds)
        self._waiting -= len(self._window.pop(table, {}))

    @property
    def names(self) -> frozenset[str]:
        """Tables of whose rows anything is known."""
        return frozenset({*self.tables, *self._window})

    def compare(self) -> None:
        """Compare what waits."""
        window, self._window, self._waiting = self._window, {}, 0
        for name, rows in window.items():
            found = self.tables.setdefault(name, Found())
            groups: dict[int, list[tuple[Hashable, Last]]] = {}
            for identity, last in rows.items():
                groups.setdefault(id(last.change.table.statements), []).append((identity, last))
            for group in groups.values():
                for (identity, last), kind in zip(group, self._kinds([last for _, last in group]), strict=True):
                    self._kept -= found.kinds.pop(identity, None) is not None
                    number = hash((name, identity))
                    counted = number in self._counted
                    if kind == EQUAL:
                        found.equal += not counted
                        if len(self._counted) < MAX_COUNTED:
                            self._counted.add(number)
                    else:
                        found.equal -= counted
                        self._counted.discard(number)
                        found.kinds[identity] = kind, last
                        self._kept += 1
        self._connection.rollback()  # nothing is held while more is read
        if self._kept > MAX_DIFFERING:
            raise CheckFailed(
                f"more than {MAX_DIFFERING} rows of the target differ from what was sent",
                hint="begin later, or mend the target as a whole: `bisync-topology verify --repair`",
            )

    def differing(self) -> Iterator[tuple[str, str, Last]]:
        """(table, kind, row) of every row that is not equal."""
        for name, found in self.tables.items():
            for kind, last in found.kinds.values():
                yield name, kind, last

    def _put(self, table: str, identity: Hashable, last: Last) -> None:
        rows = self._window.setdefault(table, {})
        self._waiting += identity not in rows
        rows[identity] = last

    def _identity(self, table: AppliedTable) -> Callable[[Row], Hashable]:
        statements = table.statements
        assert statements is not None
        known = self._identities.get(id(statements))
        if known is None:
            known = self._identities[id(statements)] = statements, row_identity(statements.plan)
        return known[1]

    def _kinds(self, rows: Sequence[Last]) -> list[str]:
        """Of each row of one table what it is at the target."""
        statements = rows[0].change.table.statements
        assert statements is not None
        kinds: list[str] = []
        for start in range(0, len(rows), statements.max_rows):
            part = rows[start : start + statements.max_rows]
            there = self._numbers(statements.look_present([last.image for last in part]))
            wanted = [n for n, last in enumerate(part) if last.present and n in there]
            look = statements.look_equal([part[n].image for n in wanted], lock=False) if wanted else ""
            equal = {wanted[n] for n in self._numbers(look)} if look else set()
            for n, last in enumerate(part):
                if last.present:
                    kinds.append(EQUAL if n in equal else DIFFERING if n in there else MISSING)
                else:
                    kinds.append(EXTRA if n in there else EQUAL)
        return kinds

    def _numbers(self, look: str) -> set[int]:
        with self._connection.cursor(Cursor) as cursor:
            cursor.execute(look)
            return {int(row[0]) for row in cursor.fetchall()}
