"""The arbiter's answer: what its producer sends back after a transaction that an applier brought from the other side.

The state of a row is sent back where the applier says so in the control table `refreshes`, and where a change of the other
side overlaps with one of this side that it had not seen (overlaps.py). It is listed as a transaction of this side's own, of
kind `refresh`, right behind the one that it answers, and counts as a change of this side. Where this side is not the arbiter of
a table, only what was sent back is such a change: somebody has decided for its rows. See docs/adr/0007-convergence.md.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from io import BytesIO
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from producers.items import Head, Refresh, Rows
from producers.overlaps import OverlapIndex
from producers.tables import CapturedTable
from schemas.images import ABSENT, MARK, PRESENT
from schemas.key_values import KeyValue
from schemas.records import NOT_ANSWERED, Row

_SPOOL_BYTES = 16 << 20  # of rows that are held in memory


class Refresher:
    """Collects, within one transaction, the rows whose state is to be sent back."""

    def __init__(self, floor: int, repaired: Mapping[str, int]) -> None:
        """floor: see OverlapIndex.

        repaired: table → sequence of what was last sent back of its rows since somebody had decided so, until the other side has
        seen it. What of it was sent before the start is not known: all that had not seen it overlaps.
        """
        self.index = OverlapIndex(floor)  # of tables whose policy makes this side the arbiter
        self._repairs = OverlapIndex(max(repaired.values(), default=0))  # of the others
        self.repaired = dict(repaired)
        self._tables: list[CapturedTable] = []
        self._numbers: dict[int, int] = {}  # of these, by their identity
        self._spool: IO[bytes] = BytesIO()
        self.rows = 0  # to be sent back
        self._head: Head | None = None  # of the transaction

    def own(self, item: Rows, sequence: int) -> None:
        """A change of this side, which will be listed as `sequence`."""
        assert item.table.keys is not None
        for image in item.images:
            self.index.add(item.table.keys.of(image), sequence)

    def applied(self, item: Rows, sequence: int) -> None:
        """A change of the other side, applied here. sequence: the last one that was listed."""
        keys = item.table.keys
        assert keys is not None
        seen = self._begin(item.head, sequence)
        if not item.table.judged and self.repaired.get(item.table.full_name, 0) <= seen:
            return
        index = self._index(item.table)
        step = 2 if item.op == "u" else 1
        for n in range(0, len(item.images), step):
            images = item.images[n : n + step]
            values = [value for image in images for value in keys.of(image)]
            if index.overlaps(values, seen):
                before = None if item.op == "c" else images[0]
                after = None if item.op == "d" else images[-1]
                self._touch(item.table, values, sequence)
                encoder = item.table.encoder
                assert encoder is not None
                if before is not None and (after is None or encoder.key(before) != encoder.key(after)):
                    self._put(item.table, keys.alone(before), None)
                if after is not None:
                    self._put(item.table, None, after)

    def told(self, item: Refresh, sequence: int) -> None:
        """A row of `refreshes`."""
        self._begin(item.head, sequence)
        keys = item.table.keys
        assert keys is not None
        if item.image is None:
            self._touch(item.table, list(keys.any()), sequence)
            return
        self._touch(item.table, list(keys.of(item.image)), sequence)
        if item.role == PRESENT:
            self._put(item.table, None, item.image)
        elif item.role == ABSENT:
            self._put(item.table, item.image, None)
        else:
            assert item.role == MARK

    def end(self, sequence: int) -> None:
        """The transaction ends; what is sent back will be listed as `sequence`, if it is anything."""
        for index in (self.index, self._repairs):
            index.end(sequence, sent=self.rows > 0)
        self.repaired |= {table.full_name: sequence for table in self._tables if not table.judged}

    def changes(self) -> Iterator[tuple[CapturedTable, Row | None, Row | None]]:
        """(table, before, after) of each row that is sent back: before where it is gone, else after."""
        self._spool.seek(0)
        for _ in range(self.rows):
            number, *images = pickle.load(self._spool)  # noqa: S301  our own, of this process
            before, after = (None if row is None else tuple(map(_given, row)) for row in images)
            yield self._tables[number], before, after

    def clear(self) -> None:
        """What was collected is published, or given up, or there was nothing."""
        if self._head is not None:
            self._spool.close()
            self._spool = BytesIO()
            self.index.clear()
            self._repairs.clear()
            self._tables.clear()
            self._numbers.clear()
            self.rows = 0
            self._head = None

    def _begin(self, head: Head, sequence: int) -> int:
        """What the other side had seen; of an older stream than this one: nothing. What is not to be answered: everything."""
        seen = head.origin_seen if head.origin_seen <= sequence else 0
        if self._head is not head:
            self.clear()  # of a transaction whose end never came, as its server crashed
            self._head = head
            self.index.forget(seen)
            self._repairs.forget(seen)
            self.repaired = {name: last for name, last in self.repaired.items() if last > seen}
        return sequence if seen == NOT_ANSWERED else seen

    def _index(self, table: CapturedTable) -> OverlapIndex:
        return self.index if table.judged else self._repairs

    def _touch(self, table: CapturedTable, values: list[KeyValue], sequence: int) -> None:
        """Later changes of the same transaction overlap with what was touched."""
        self._index(table).touch(values, sequence + 1)
        if not table.judged:
            self.repaired[table.full_name] = sequence + 1

    def _put(self, table: CapturedTable, before: Row | None, after: Row | None) -> None:
        number = self._numbers.setdefault(id(table), len(self._tables))
        if number == len(self._tables):
            self._tables.append(table)
        images = tuple(None if row is None else tuple(map(_held, row)) for row in (before, after))
        pickle.dump((number, *images), self._spool)
        self.rows += 1
        if isinstance(self._spool, BytesIO) and self._spool.tell() > _SPOOL_BYTES:
            held, self._spool = self._spool, TemporaryFile()  # noqa: SIM115  `clear` closes it
            self._spool.write(held.getvalue())


class _View(NamedTuple):
    """A value of a large event, which is a view of it: its bytes as they travel, text too."""

    content: bytes


def _held(value: object) -> object:
    return _View(bytes(value)) if isinstance(value, memoryview) else value


def _given(value: object) -> object:
    return memoryview(value.content) if isinstance(value, _View) else value
