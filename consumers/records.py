"""Conflicts on record: rows of the `conflicts` table, written in the transaction of the change that they speak of."""

from __future__ import annotations

import json
from typing import Any

from bisync_topology.control import Control
from bisync_topology.errors import ConflictStop, Where
from bisync_topology.ownership import now_us, use_skip
from consumers.changes import Change
from consumers.long_rows import Long
from consumers.resolve import Resolved
from schemas.records import Row, TransactionRecord
from schemas.topics import transactions_topic


class ConflictRecorder:
    """Collects what a transaction met, and writes it before its commit."""

    def __init__(self, control: Control, source_side: str, target_side: str) -> None:
        self._control = control
        self._source = source_side
        self._target = target_side
        self._met: list[Resolved] = []

    def add(self, resolved: Resolved) -> None:
        """Keep a conflict until the commit; a change without one is not recorded."""
        if resolved.decision.type is not None:
            self._met.append(resolved)

    def clear(self) -> None:
        """Forget what was met: the transaction is undone."""
        self._met.clear()

    def write(self) -> int:
        """Write what was met; gives its number."""
        for resolved in self._met:
            self._insert(resolved)
        number = len(self._met)
        self._met.clear()
        return number

    def stop(self, resolved: Resolved) -> ConflictStop:
        """The error for a pending decision; `record_pending` gives it its id."""
        error = ConflictStop(self._sentence(resolved), conflict_id="", where=self._where(resolved.change), hint=None)
        error.resolved = resolved  # type: ignore[attr-defined]
        return error

    def record_pending(self, error: ConflictStop) -> str:
        """Record the conflict that stops the direction, in a transaction of its own; gives its id."""
        resolved: Resolved = error.resolved  # type: ignore[attr-defined]
        record, event = resolved.change.record, resolved.change.event
        found = self._control.execute(
            "pending_conflict", self._control.topology.name, self._source, record.stream, record.sequence, event.order
        )
        number = int(found[0][0]) if found else self._insert(resolved)
        self._control.connection.commit()
        return f"{self._target}-{number}"

    def skipped(self, record: TransactionRecord, tables: tuple[str, ...]) -> None:
        """A transaction was skipped: its pass is used up, its pending conflict closed; in the transaction that passes it."""
        self._control.execute(
            "close_pending", "skipped", self._control.topology.name, self._source, record.stream, record.sequence
        )
        use_skip(self._control, (self._source, self._target), record.gtid, tables)

    def _insert(self, resolved: Resolved) -> int:
        change, decision = resolved.change, resolved.decision
        record, event = change.record, change.event
        with self._control.connection.cursor() as cursor:
            cursor.execute(
                self._control.text("insert_conflict"),
                (
                    self._control.topology.name,
                    now_us(),
                    self._source,
                    self._target,
                    change.table.name,
                    json.dumps(self._key(change)),
                    str(decision.type),
                    str(change.table.settings.on_conflict),
                    decision.decision,
                    _image(change, event.before),
                    _image(change, event.after),
                    json.dumps([_named(change, local.row) for local in resolved.local]),
                    record.stream,
                    record.sequence,
                    event.order,
                    record.gtid,
                    f"{transactions_topic(self._control.topology.name, self._source)}[0]@{change.offset}",
                ),
            )
            return int(cursor.lastrowid or 0)

    def _key(self, change: Change) -> dict[str, Any]:
        statements = change.table.statements
        assert statements is not None
        image = change.event.before or change.event.after
        assert image is not None
        columns = statements.plan.columns
        return {columns[n].name: _plain(image[n]) for n in statements.plan.key}

    def _where(self, change: Change) -> Where:
        return Where(side=self._target, gtid=change.record.gtid, table=change.table.name)

    def _sentence(self, resolved: Resolved) -> str:
        key = ", ".join(f"{name}={value}" for name, value in self._key(resolved.change).items())
        return (
            f"conflict {resolved.decision.type} at {key}: policy task_failed stops the direction {self._source} to {self._target}"
        )


def _image(change: Change, row: Row | None) -> str | None:
    return None if row is None else json.dumps(_named(change, row))


def _named(change: Change, row: Row) -> dict[str, Any]:
    statements = change.table.statements
    assert statements is not None
    return {column.name: _plain(value) for column, value in zip(statements.plan.columns, row, strict=True)}


def _plain(value: object) -> object:
    """A canonical value for people: bytes as hex digits, of a long one its SHA-256."""
    if isinstance(value, Long):
        return value.digest
    return value.hex() if isinstance(value, bytes) else value
