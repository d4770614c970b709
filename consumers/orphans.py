"""Foreign keys of the target, kept although its session does not check them: looked at before each commit.

Of a transaction from a source that logs cascades, the keys are collected that its changes may have left without a parent
(consumers/references.py). Before the commit they are looked at. Where one has a child and no parent, the transaction is undone
and repeated, and what is to blame is known then: such a change is decided like one that the server refuses. Refusing it may
leave others without a parent; so this is repeated, but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.errors import ApplyError, Repeat, Where
from consumers.changes import Change
from consumers.conflict import Action
from consumers.foreign_keys import read_links
from consumers.references import ForeignKey, Key, Links, Side, Touched, images
from consumers.tables import AppliedTable

LOOK_AT = 20_000  # keys that wait in a transaction in pieces: then those are let go that nothing is wrong with
MAX_WAITING = 200_000  # keys without a parent so far; about 50 MB
MAX_ROUNDS = 15  # how often a transaction is repeated with more of it refused


@dataclass
class Refusals:
    """What of one transaction is to be refused when it is repeated. It outlives the applier's connection."""

    sequence: int = 0
    rounds: int = 0
    keys: set[tuple[str, Side, Key]] = field(default_factory=set)  # foreign key, the side to blame, its key

    def of(self, sequence: int) -> None:
        """Forget what is known of another transaction."""
        if sequence != self.sequence:
            self.sequence, self.rounds = sequence, 0
            self.keys.clear()


class Orphans:
    """Collects what one direction's transactions do to foreign keys, and looks."""

    def __init__(self, connection: Connection[Any], check_size: Callable[[str], None], refusals: Refusals) -> None:
        self._connection = connection
        self._check_size = check_size
        self._refusals = refusals
        self._links: dict[int, tuple[object, Links | None]] = {}  # by the identity of a plan, which is kept with them
        self._touched = Touched()
        self._watching = False
        self._look_at = LOOK_AT

    def begin(self, sequence: int, *, fk_checks: bool) -> None:
        """A target transaction begins that ends with this source transaction."""
        self._watching = not fk_checks
        self._touched.clear()
        self._look_at = LOOK_AT
        self._refusals.of(sequence)

    def forget(self) -> None:
        """The transaction is committed, or stops the direction: when it is tried again, that is from the beginning."""
        self._refusals.of(0)

    def forget_links(self) -> None:
        """Structure has changed, or may have: what ties tables is read again."""
        self._links.clear()

    @property
    def refusing(self) -> bool:
        """Whether the transaction is a repeat in which something is refused."""
        return bool(self._refusals.keys)

    def suspects(self, batch: Sequence[Change]) -> set[int]:
        """Which of one table's changes are to be refused, so that they are done one by one."""
        if not self._refusals.keys or (links := self._links_of(batch[0].table)) is None:
            return set()
        return {n for n, change in enumerate(batch) if self._refused(links, change.event.before, change.event.after)}

    def refuses(self, change: Change, actions: Sequence[Action]) -> bool:
        """Whether what would be done for a change is to be refused."""
        if not self._refusals.keys or not actions or (links := self._links_of(change.table)) is None:
            return False
        done = [(change.event.before, change.event.after), *map(images, actions)]
        return any(self._refused(links, before, after) for before, after in done)

    def applied(self, batch: Sequence[Change]) -> None:
        """A table's changes were made just as their source made them."""
        if (links := self._links_of(batch[0].table)) is not None:
            for change in batch:
                event = change.event
                self._touched.add(links, event.before, event.after, unchecked=change.record.unchecked)

    def acted(self, change: Change, actions: Iterable[Action]) -> None:
        """A change was decided about, and this was done."""
        if (links := self._links_of(change.table)) is not None:
            for action in actions:
                self._touched.add(links, *images(action), unchecked=change.record.unchecked)

    def relieve(self) -> None:
        """Look early where many keys wait; those that lack a parent so far are kept, as it may still come.

        Raises ApplyError where they are too many.
        """
        if len(self._touched) < self._look_at:
            return
        for foreign_key, keys in self._look():
            self._touched.keep(foreign_key, keys)
        if len(self._touched) > MAX_WAITING:
            raise ApplyError(
                f"more than {MAX_WAITING} keys of one transaction wait for the rows that they refer to",
                code="foreign_key",
                hint="drop the foreign key on the target, in a session with `SET sql_log_bin = 0`, `resume`, and add it again",
            )
        self._look_at = max(LOOK_AT, 2 * len(self._touched))

    def check(self) -> None:
        """Look at what the transaction has left, before its commit.

        Raises Repeat where it has to be repeated, ApplyError where that has been done often enough.
        """
        refused = self._refusals.keys
        names: list[str] = []
        before = len(refused)
        for foreign_key, keys in self._look():
            names.append(foreign_key.name)
            # Parents that stay may be those of the children, under a key that only their collation holds equal.
            gone = {(foreign_key.name, side, key) for key, side in keys.items() if side == "parent"}
            refused |= gone or {(foreign_key.name, side, key) for key, side in keys.items()}
        if not names:
            return
        self._refusals.rounds += 1
        if self._refusals.rounds > MAX_ROUNDS or len(refused) == before:
            raise ApplyError(
                f"rows would be left without the rows that foreign key {names[0]} has them refer to, whatever is left out",
                code="foreign_key",
                hint="mend the rows of both tables, then `resume`",
                where=Where(table=foreign_key.child.table.replace("`", "")),
            )
        raise Repeat(f"foreign key {names[0]} refuses a change; its transaction is done again without it")

    def _links_of(self, table: AppliedTable) -> Links | None:
        if not (self._watching and table.keeps_references):
            return None
        assert table.statements is not None
        plan = table.statements.plan
        known = self._links.get(id(plan))
        if known is None:
            known = self._links[id(plan)] = plan, read_links(self._connection, plan)
        return known[1]

    def _refused(self, links: Links, before: Any, after: Any) -> bool:
        return any((fk.name, side, key) in self._refusals.keys for fk, side, key in links.touched(before, after))

    def _look(self) -> list[tuple[ForeignKey, dict[Key, Side]]]:
        """The keys of each foreign key that have a child and no parent."""
        found = []
        with self._connection.cursor(Cursor) as cursor:
            for foreign_key, keys in self._touched.take():
                orphaned = {key: keys[key] for key in self._orphaned(cursor, foreign_key, keys)}
                if orphaned:
                    found.append((foreign_key, orphaned))
        return found

    def _orphaned(self, cursor: Cursor, foreign_key: ForeignKey, keys: Any) -> Iterable[Key]:
        doubtful = [key for key, side in keys.items() if side == "parent"]
        for part, listed in foreign_key.lists(key for key, side in keys.items() if side == "child"):
            ((parents,),) = self._read(cursor, foreign_key.count_parents(listed))
            if parents < len(part):
                doubtful += part
        for part, listed in foreign_key.lists(doubtful):
            for (number,) in self._read(cursor, foreign_key.orphaned(listed)):
                yield part[number]

    def _read(self, cursor: Cursor, sql: str) -> Sequence[tuple[Any, ...]]:
        self._check_size(sql)
        cursor.execute(sql)
        return cursor.fetchall()
