"""Conflicts on record: rows of the `conflicts` table, written in the transaction of the change that they speak of.

Those that stop the direction are written in one transaction of their own, all of their source transaction's, each once. What
becomes of them is settled by the commit that passes their transaction, or the row that is copied, whose sequence is a number
below zero that its table and key give: what somebody has decided (`conflicts resolve`), or a
changed policy; `skipped`; or `source` where the change fits by then. Decisions are read once, as the direction goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from bisync_topology.control import Control
from bisync_topology.errors import ConflictStop, Where
from bisync_topology.ownership import now_us, use_skip
from consumers.changes import Change
from consumers.conflict import ConflictType
from consumers.long_rows import Long
from consumers.resolve import Resolution, Resolved
from schemas.parts import LONG_BYTES
from schemas.records import Row, TransactionRecord

Place = tuple[int, int]  # of a change: the sequence of its transaction, and its order in it
MAX_PENDING = 1000  # conflicts of one transaction that are looked for before the direction stops
MAX_PENDING_BYTES = 16 << 20  # of their rows
_SHOWN = 4  # columns of a conflict in its error
_CLIPPED = 40  # characters of a value in it


class ConflictRecorder:
    """Writes what a transaction met, before its commit."""

    def __init__(self, control: Control, source_side: str, target_side: str, stream: str) -> None:
        self._control = control
        self._source = source_side
        self._target = target_side
        self._stream = stream
        self._met: list[Resolved] = []
        self._pending: list[Resolved] = []
        self._pending_bytes = 0
        self._written: list[Place] = []  # those of the transaction
        self._already = 0
        self._uncounted = 0  # of a transaction without a marker
        self._passing: set[Place] = set()  # of those on record, what the transaction has applied
        found = control.execute("pending_conflicts", control.topology.name, source_side, stream)
        self._known = {(int(sequence), int(order)): int(number) for number, sequence, order, _ in found}  # pending, on record
        self._resolutions: dict[Place, Resolution] = {
            (int(sequence), int(order)): resolution for _, sequence, order, resolution in found if resolution is not None
        }

    def passing(self, changes: Sequence[Change]) -> None:
        """Take note of changes that are being applied."""
        if self._known:
            self._passing |= self._known.keys() & {_place(change) for change in changes}

    def told(self, changes: Sequence[Change]) -> bool:
        """Whether somebody has decided about any of these changes: it then goes by itself, not in a batch."""
        return bool(self._resolutions) and any(_place(change) in self._resolutions for change in changes)

    @property
    def sends_back(self) -> bool:
        """Whether somebody has decided for rows of the target, which the source is to have."""
        return "target" in self._resolutions.values()

    def resolution(self, change: Change) -> Resolution | None:
        """What somebody has decided about a change."""
        return self._resolutions.get(_place(change))

    def add(self, resolved: Resolved) -> None:
        """Keep what was met until it is written. Raises ConflictStop where more are pending than are kept."""
        self._already += resolved.decision.already
        if resolved.decision.decision == "pending":
            self._pending.append(resolved)
            self._pending_bytes += _size(resolved)
            if len(self._pending) >= MAX_PENDING or self._pending_bytes >= MAX_PENDING_BYTES:
                self.check()
        elif resolved.decision.type is not None or resolved.decided:
            self._met.append(resolved)

    @property
    def undecided(self) -> bool:
        """Whether the transaction has met a conflict that nobody has decided about."""
        return bool(self._written) or any(self.resolution(each.change) is None for each in (*self._met, *self._pending))

    def replaced(self, changes: Sequence[Change]) -> list[int]:
        """Which of these changes of the transaction have met other rows and took their place, by number."""
        written = set(self._written)
        return [n for n, change in enumerate(changes) if _place(change) in written and self.resolution(change) != "target"]

    def clear(self) -> None:
        """Forget what was met: the transaction is undone."""
        self._met.clear()
        self._passing.clear()
        self._pending.clear()
        self._pending_bytes = 0
        self._written.clear()
        self._already = 0

    def check(self) -> None:
        """Raise ConflictStop where the policy wants the direction to stop; `record_pending` gives it its id."""
        if self._pending:
            self._pending.sort(key=lambda resolved: _place(resolved.change))
            first = self._pending[0]
            where = Where(side=self._target, gtid=first.change.record.gtid, table=first.change.table.name)
            raise ConflictStop(self._sentence(first, len(self._pending) - 1), pending=tuple(self._pending), where=where)

    def write(self) -> None:
        """Write what was met since the last time: a new record, or what became of a pending one."""
        new = []
        for resolved in self._met:
            place = _place(resolved.change)
            if place in self._known:
                self._update(resolved, self._known[place])
            else:
                new.append(self._record(resolved))
        if new:
            with self._control.connection.cursor() as cursor:
                cursor.executemany(self._control.text("insert_conflict"), new)
        self._written += [_place(resolved.change) for resolved in self._met]
        self._met.clear()

    def settle(self, sequence: int) -> tuple[int, int]:
        """Close what was pending up to a sequence: it fits now, or is not carried any more.

        Gives the conflicts of the transaction, and what was there already.
        """
        for place, number in self._known.items():
            if place in self._passing or 0 <= place[0] <= sequence:
                decision = "source" if place in self._passing else "skipped"  # the direction carries it no more
                self._control.execute("close_one", now_us(), decision, self._control.topology.name, number)
        return len(self._written) + self._uncounted, self._already

    def committed(self, sequence: int) -> None:
        """The transaction that `settle` was for is committed."""
        gone = {place for place in self._known.keys() | self._resolutions.keys() if 0 <= place[0] <= sequence} | self._passing
        self._known = {place: number for place, number in self._known.items() if place not in gone}
        self._resolutions = {place: told for place, told in self._resolutions.items() if place not in gone}
        self._uncounted = 0
        self.clear()

    def committed_as_own(self) -> None:
        """A transaction is committed that has no marker, and so nothing that counts its conflicts."""
        self._uncounted += len(self._written)
        for place in self._written:
            self._known.pop(place, None)
            self._resolutions.pop(place, None)
        self.clear()

    def all_copied(self) -> None:
        """All rows are copied: what of them was pending and has not come again is not at the source any more."""
        for place in [place for place in self._known if place[0] < 0]:
            self._control.execute("close_one", now_us(), "skipped", self._control.topology.name, self._known.pop(place))
        self._control.connection.commit()

    def record_pending(self, error: ConflictStop) -> str:
        """Record the conflicts that stop the direction, in a transaction of their own; gives the first one's id."""
        for resolved in error.pending:
            place = _place(resolved.change)
            if place not in self._known:
                self._known[place] = self._insert(resolved)
        self._control.connection.commit()
        return f"{self._target}-{self._known[_place(error.pending[0].change)]}"

    def skipped(self, record: TransactionRecord, tables: tuple[str, ...]) -> None:
        """A transaction was skipped: its pass is used up, its pending conflicts closed; in the transaction that passes it."""
        self._control.execute(
            "close_pending", now_us(), "skipped", self._control.topology.name, self._source, record.stream, record.sequence
        )
        use_skip(self._control, (self._source, self._target), record.gtid, tables)

    def _insert(self, resolved: Resolved) -> int:
        with self._control.connection.cursor() as cursor:
            cursor.execute(self._control.text("insert_conflict"), self._record(resolved))
            return int(cursor.lastrowid or 0)

    def _record(self, resolved: Resolved) -> tuple[object, ...]:
        """The values of `insert_conflict`."""
        change = resolved.change
        record, event = change.record, change.event
        return (
            *_decided(resolved),
            self._control.topology.name,
            self._source,
            self._target,
            change.table.name,
            json.dumps(key_of(change)),
            _image(change, event.before),
            _image(change, event.after),
            record.stream,
            record.sequence,
            event.order,
            record.gtid,
            record.committed_at,
            change.offset,
        )

    def _update(self, resolved: Resolved, number: int) -> None:
        self._control.execute("update_conflict", *_decided(resolved), self._control.topology.name, number)

    def _sentence(self, resolved: Resolved, others: int) -> str:
        change = resolved.change
        key = ", ".join(f"{name}={value}" for name, value in key_of(change).items())
        more = f", and {others} more in its transaction" if others else ""
        why = f"Policy {change.table.settings.on_conflict} stops the direction"
        if self.resolution(change) == "source":
            why = "It is decided for the source, but the server here still refuses, which stops the direction"
        return (
            f"conflict {resolved.decision.type} in {change.table.name} at {key}{more}: {'; '.join(_differences(resolved))}. "
            f"{why} {self._source} to {self._target}"
        )


def ways_out(conflict_id: str, source: str, target: str, *, others: bool) -> str:
    """The commands that lead out of a conflict that stops a direction. others: it is not the only one of its transaction."""
    resolve = f"`bisync-topology conflicts resolve {conflict_id} --use source|target`"
    if others:
        resolve += f" (`--all --from {source}` in place of the id: all of them)"
    return (
        f"`bisync-topology conflicts show {conflict_id}` has the rows; decide with {resolve}, or mend the row by hand, "
        f"or change the policy; then `bisync-topology resume {source} {target}`"
    )


def _place(change: Change) -> Place:
    return change.record.sequence, change.event.order


def _decided(resolved: Resolved) -> tuple[object, ...]:
    """What the decision puts on record: at, type, policy, decision, local_rows."""
    change, decision = resolved.change, resolved.decision
    local = json.dumps([_named(change, local.row) for local in resolved.local])
    kind = None if decision.type is None else str(decision.type)
    return now_us(), kind, str(change.table.settings.on_conflict), decision.decision, local


def _size(resolved: Resolved) -> int:
    """About how many bytes its rows hold."""
    event = resolved.change.event
    rows = [event.before or (), event.after or (), *(local.row for local in resolved.local)]
    return sum(len(value) for row in rows for value in row if isinstance(value, str | bytes))


def _differences(resolved: Resolved) -> Iterator[str]:
    """What tells the rows apart, column by column: for people, clipped."""
    event, change = resolved.change.event, resolved.change
    before = {} if event.before is None else _named(change, event.before)
    after = {} if event.after is None else _named(change, event.after)
    if resolved.decision.type is ConflictType.FOREIGN_KEY and not (before and after):
        yield "it refers to a row that is not here" if after else "a row here refers to it"
        return
    if not resolved.local:
        yield "no such row here" if after else "a row here refers to it"
        return
    for local in resolved.local[:_SHOWN]:
        mine = _named(change, local.row)
        wanted = before if local.at_before and before else after
        names = [name for name in mine if mine[name] != wanted.get(name)] or list(mine)
        texts = []
        for name in names[:_SHOWN]:
            was = f"was {_clip(before[name])} there, " if before else ""
            comes = f"{_clip(after[name])} comes" if after else "is deleted there"
            texts.append(f"{name}: {was}{comes}, {_clip(mine[name])} here")
        yield "; ".join(texts) + (" …" if len(names) > _SHOWN else "")


def _clip(value: object) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= _CLIPPED else f"{text[:_CLIPPED]}…"


def key_of(change: Change) -> dict[str, Any]:
    """The key's columns and values, for people."""
    statements = change.table.statements
    assert statements is not None
    image = change.event.before or change.event.after
    assert image is not None
    columns = statements.plan.columns
    return {columns[n].name: plain(image[n]) for n in statements.plan.key}


def _image(change: Change, row: Row | None) -> str | None:
    return None if row is None else json.dumps(_named(change, row))


def _named(change: Change, row: Row) -> dict[str, Any]:
    statements = change.table.statements
    assert statements is not None
    return {column.name: plain(value) for column, value in zip(statements.plan.columns, row, strict=True)}


def plain(value: object) -> object:
    """A canonical value for people: bytes as hex digits, of a long one its SHA-256."""
    if isinstance(value, Long):
        return value.digest
    if isinstance(value, str | bytes) and len(value) > LONG_BYTES:
        return sha256(value if isinstance(value, bytes) else value.encode()).hexdigest()
    return value.hex() if isinstance(value, bytes) else value
