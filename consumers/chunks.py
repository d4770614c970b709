"""Ranges of rows on their way from the source to the target, in order, and the keys that the stream touches meanwhile. No client.

A chunk is registered before its snapshot is taken at the source, which sees all that was logged by then, and put into the target
once everything is applied that was committed there before a barrier behind the snapshot. Whatever was changed after the snapshot
comes in the stream after the registration: the keys of such changes are noted, and their rows are as they are to be at the target
already, so that the chunk's are left out. Its other rows are at that place in the stream as they were in the snapshot.
Keys are compared as exact values, never by their order.

Chunks are put in the order in which they were made, so that what is copied of a table ends at one key, its frontier.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from bisync_topology.errors import BisyncError
from consumers.chunk_sql import Bound, ChunkSql
from schemas.records import Row

Name = tuple[str, str]  # database, table
Key = tuple[object, ...]
MAX_TOUCHED = 200_000  # keys of a table that are kept; beyond, chunks are read again


@dataclass(kw_only=True, eq=False)
class Chunk:
    """Rows of one table, with keys behind low and up to high; None: from the first, to the last.

    whole: its rows are read as canonical values, one by one. since: the place among the stream's touches where it was registered.
    """

    table: Name
    seen: int = 0  # what the source had seen of the target's stream, at least
    low: Bound | None
    high: Bound | None
    since: int
    sql: ChunkSql
    whole: bool = False
    reading: bool = False
    # what was read
    barrier: int | None = None  # None: nothing yet
    raised_at: float = 0.0
    rows: int = 0
    values: bytes = b""
    images: list[Row] = field(default_factory=list)
    long: bool = False  # it begins with a row of long values, which is read by itself, and not ahead
    gone: bool = False  # the source has no such table
    error: BisyncError | None = None
    looks: int = 0  # how often it met rows that differ, and was read again once the source had what the target wrote

    def forget(self) -> None:
        """Give up what was read: it is read once more."""
        self.barrier, self.reading = None, False
        self.rows, self.values, self.images, self.gone, self.error = 0, b"", [], False, None


class Pieces(list[bytes]):
    """A long value of a row that was read by itself; text in UTF-8."""


class Touched:
    """The keys that the stream has changed, by table, since the first chunk of it that is on its way was registered."""

    def __init__(self) -> None:
        self._keys: dict[Name, dict[Key, int]] = {}
        self._lost: dict[Name, int] = {}  # the place up to which keys were forgotten
        self.place = 1

    def watch(self, table: Name) -> int:
        """Note keys of this table from now on; gives the place."""
        self._keys.setdefault(table, {})
        return self.place

    def watches(self, table: Name) -> bool:
        """Whether a chunk of it is on its way."""
        return table in self._keys

    def add(self, table: Name, keys: Iterable[Key]) -> None:
        """The stream has changed rows with these keys."""
        self.place += 1
        noted = self._keys[table]
        noted.update(dict.fromkeys(keys, self.place))
        if len(noted) > MAX_TOUCHED:
            noted.clear()
            self._lost[table] = self.place

    def known_since(self, table: Name, place: int) -> bool:
        """Whether every key since then is known."""
        return self._lost.get(table, 0) <= place

    def since(self, table: Name, place: int) -> set[Key]:
        """The keys that were changed after a place."""
        return {key for key, at in self._keys[table].items() if at > place}

    def release(self, table: Name) -> None:
        """No chunk of it is on its way any more."""
        self._keys.pop(table, None)
        self._lost.pop(table, None)


class Chunks:
    """Those that are on their way. Readers fill them, the applier takes them from the front."""

    def __init__(self, ahead: int) -> None:
        """ahead: how many may be on their way."""
        self._line: deque[Chunk] = deque()
        self._ahead = ahead
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.touched = Touched()
        self.seen = 0  # what the source had seen at the transaction that was passed last
        self._lag = 0.0  # seconds from the last barrier's commit to its arrival
        self._passed = 0
        self._probe: tuple[int, float] | None = None  # a barrier that is raised to see the lag, and when

    @property
    def full(self) -> bool:
        """No more are to be begun."""
        return len(self._line) >= self._ahead

    def next_unread(self) -> Chunk | None:
        """One that is to be read again, or the rest of one that was cut. A long row alone when it is the first in line."""
        with self.lock:
            for number, chunk in enumerate(self._line):
                if not chunk.reading and (number == 0 or not chunk.long):
                    chunk.since, chunk.seen = self.touched.watch(chunk.table), self.seen
                    chunk.reading = True
                    return chunk
        return None

    def append(self, chunk: Chunk) -> None:
        """Begin another one, to be read by whoever calls."""
        with self.lock:
            chunk.since, chunk.seen = self.touched.watch(chunk.table), self.seen
            chunk.reading = True
            self._line.append(chunk)

    def cut(self, chunk: Chunk, at: Bound) -> None:
        """Let a chunk that is being read end with this key; the rest of it is one of its own."""
        with self.lock:
            if chunk in self._line:
                rest = Chunk(table=chunk.table, low=at, high=chunk.high, since=0, sql=chunk.sql, whole=True)
                self._line.insert(self._line.index(chunk) + 1, rest)
                chunk.high = at

    def has(self, chunk: Chunk) -> bool:
        """Whether it is still wanted."""
        with self.lock:
            return chunk in self._line

    def first(self, chunk: Chunk) -> bool:
        """Whether it is the first in line."""
        with self.lock:
            return bool(self._line) and self._line[0] is chunk

    def ready(self) -> Chunk | None:
        """The first one, if it is read, and the stream is applied up to its barrier."""
        with self.lock:
            first = self._line[0] if self._line else None
            arrived = first is not None and first.barrier is not None and first.barrier <= self._passed
            return first if arrived else None

    def passed(self, barrier: int) -> None:
        """The stream is applied up to a barrier: tells how far the target is behind."""
        with self.lock:
            arrived = [raised for number, raised in self._barriers() if self._passed < number <= barrier]
            self._passed = max(self._passed, barrier)
            if arrived:
                self._lag = time.monotonic() - max(arrived)
            if self._probe is not None and self._probe[0] <= barrier:
                self._probe = None

    def probe(self, barrier: int, raised_at: float) -> None:
        """A barrier was raised for nothing but to see the lag."""
        with self.lock:
            self._probe = barrier, raised_at

    @property
    def lag(self) -> float:
        """By how many seconds the target is behind."""
        with self.lock:
            waiting = [raised for number, raised in self._barriers() if number > self._passed]
            return max(self._lag, time.monotonic() - min(waiting)) if waiting else self._lag

    @property
    def measuring(self) -> bool:
        """Whether a barrier is on its way."""
        with self.lock:
            return any(number > self._passed for number, _ in self._barriers())

    def _barriers(self) -> list[tuple[int, float]]:
        found = [(chunk.barrier, chunk.raised_at) for chunk in self._line if chunk.barrier is not None]
        return found if self._probe is None else [*found, self._probe]

    def take(self, chunk: Chunk) -> None:
        """It is at the target."""
        with self.lock:
            self._line.popleft()
            if all(other.table != chunk.table for other in self._line):
                self.touched.release(chunk.table)
            self.changed.notify_all()

    def again(self, chunk: Chunk, *, whole: bool) -> None:
        """It does not fit as it was read: it is read once more."""
        with self.lock:
            chunk.forget()
            chunk.whole = chunk.whole or whole
            self.changed.notify_all()

    def clear(self) -> None:
        """Structure has changed: nothing that was read fits for sure."""
        with self.lock:
            for chunk in self._line:
                self.touched.release(chunk.table)
            self._line.clear()
            self.changed.notify_all()
