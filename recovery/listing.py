"""A side's transaction list, read from outside of the main stream, and what of it Kafka still has every event of.

The list may hold transactions of older streams of the side: only those of the present one count, and their sequences alone are
compared. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.records import TransactionRecord

Partition = tuple[str, int]
_BETWEEN_MS = 1000  # at most, between two streams


class Item(NamedTuple):
    """One record of the list."""

    offset: int
    timestamp: int  # when its producer made it, milliseconds since 1970 UTC
    record: TransactionRecord


@dataclass(kw_only=True)
class Boundary:
    """Where the present stream begins in the list, and when."""

    first: Item | None = None  # the first record of it that the list has
    before: Item | None = None  # the last one of an older stream, if the list has any

    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970 UTC: events of the present stream were made later, those of older ones before."""
        if self.before is None or self.first is None:
            return 0
        return self.before.timestamp + min(_BETWEEN_MS, (self.first.timestamp - self.before.timestamp) // 2)


def present(items: Iterable[Item], stream: str, boundary: Boundary) -> Iterator[Item]:
    """The records of the present stream; the boundary is filled in on the way."""
    for item in items:
        if item.record.stream != stream:
            boundary.before, boundary.first = item, None
            continue
        boundary.first = boundary.first or item
        yield item


class Head(NamedTuple):
    """What a partition begins with: a transaction, how many of its events, and when the first of those was made."""

    sequence: int
    events: int
    timestamp: int  # milliseconds since 1970 UTC


@dataclass(frozen=True, kw_only=True)
class Extent:
    """What lies in a side's partitions of events: their beginnings, and what those begin with."""

    low: Mapping[Partition, int]
    heads: Mapping[Partition, Head]  # of those whose beginning retention has taken


@dataclass
class Whole:
    """Finds the transactions that lack events, as the list goes by."""

    extent: Extent
    boundary: Boundary
    last: int = 0  # the last transaction of the present stream that lacks an event; 0: none does
    gtid: str = ""  # of it
    _open: Counter[Partition] = field(default_factory=Counter)  # events of the transaction that comes

    def add(self, record: TransactionRecord) -> None:
        """Take the next record of the present stream."""
        if record.piece == 0:
            self._open.clear()
        first = self.boundary.first
        if record.piece and first is not None and first.record.sequence == record.sequence and first.record.piece:
            self.last, self.gtid = record.sequence, record.gtid  # the list begins in the middle of it
        for topic, partition, number in record.events:
            self._open[topic, partition] += number
        if record.last and any(self._lacks(partition, record.sequence) for partition in self._open):
            self.last, self.gtid = record.sequence, record.gtid

    def _lacks(self, partition: Partition, sequence: int) -> bool:
        low = self.extent.low.get(partition)
        if low is None:
            return True  # the topic is gone
        head = self.extent.heads.get(partition)
        if low == 0 or (head is not None and head.timestamp < self.boundary.timestamp):
            return False  # nothing was taken, or not all of an older stream
        if head is None or sequence < head.sequence:
            return True
        return sequence == head.sequence and self._open[partition] > head.events
