"""One table of both sides, range by range of its key: where the checksums differ, down to the rows.

The ends of the ranges are read on one side, a range ahead; then both servers add up the same range at the same time. A range that
differs is cut into smaller ones, by whichever side has more rows in it, until its rows can be listed and set against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any, TypeVar

from verification.keys import KeyValues
from verification.sessions import Session
from verification.suspects import Suspect
from verification.tables import Half, Pair

CHUNK_ROWS = 50_000
LIST_ROWS = 500  # that are listed one by one
_CUTS = 16  # of a range that is too large to be listed
_AT_ONCE = 200  # rows that are looked at again by one statement
_T = TypeVar("_T")


class Ranges:
    """Compares the two halves of a pair."""

    def __init__(
        self,
        pair: Pair,
        sessions: tuple[Session, Session],
        ahead: Session,
        pool: Executor,
        passed: Callable[[int], None] = lambda rows: None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        """ahead: another session to the first side. passed: is told of rows as they have been gone through."""
        self.pair = pair
        self.counted = [0, 0]  # rows gone through, on either side
        self._sessions = sessions
        self._ahead = ahead
        self._pool = pool
        self._passed = passed
        self._chunk_rows = chunk_rows

    def suspects(self) -> Iterator[list[Suspect]]:
        """Rows that differ as they are now, a few at a time; some may be on their way. Raises pymysql.err.MySQLError."""
        ends = self._ends(self._ahead, self.pair.halves[0], None, None, self._chunk_rows)
        low = None
        for high in _read_ahead(self._pool, ends):
            counts, equal = self._add_up(low, high)
            for n, count in enumerate(counts):
                self.counted[n] += count
            if not equal:
                yield from self._narrow(low, high, counts)
            self._passed(max(counts))
            low = high

    def _narrow(self, low: KeyValues | None, high: KeyValues | None, counts: tuple[int, int]) -> Iterator[list[Suspect]]:
        if max(counts) <= LIST_ROWS:
            found = self._list(low, high)
            if found:
                yield found
            return
        by = int(counts[1] > counts[0])
        step = max(LIST_ROWS, max(counts) // _CUTS)
        for end in self._ends(self._sessions[by], self.pair.halves[by], low, high, step):
            counts, equal = self._add_up(low, end)
            if not equal:
                yield from self._narrow(low, end, counts)
            low = end

    def _ends(
        self, session: Session, half: Half, low: KeyValues | None, high: KeyValues | None, step: int
    ) -> Iterator[KeyValues | None]:
        """Cut a range into ranges of so many rows; gives where each ends, `high` last."""
        key = half.key
        while True:
            found = session.rows(
                f"SELECT {', '.join(key.read)} FROM {half.source} WHERE {key.within(low, high)}"
                f" ORDER BY {key.order} LIMIT 1 OFFSET {step - 1}"
            )
            if not found or key.values(found[0]) == high:
                yield high
                return
            low = key.values(found[0])
            yield low

    def _add_up(self, low: KeyValues | None, high: KeyValues | None) -> tuple[tuple[int, int], bool]:
        """Rows of a range on either side, and whether they are the same."""
        here, there = self._both(
            lambda half: f"SELECT COUNT(*), BIT_XOR(UNHEX({half.digest})) FROM {half.source} WHERE {half.key.within(low, high)}"
        )
        return (int(here[0][0]), int(there[0][0])), here == there

    def _list(self, low: KeyValues | None, high: KeyValues | None) -> list[Suspect]:
        return self._suspects(
            *self._both(lambda half: f"{_listing(half)} WHERE {half.key.within(low, high)}"),
        )

    def again(self, suspects: list[Suspect]) -> list[Suspect]:
        """Those of the rows that differ still, as they are now."""
        found = []
        for start in range(0, len(suspects), _AT_ONCE):
            keys = [suspect.key for suspect in suspects[start : start + _AT_ONCE]]
            found += self._look(keys)
        return found

    def _look(self, keys: list[KeyValues]) -> list[Suspect]:
        return self._suspects(*self._both(lambda half: f"{_listing(half)} WHERE {half.key.among(keys)}"))

    def _suspects(self, here: tuple[tuple[Any, ...], ...], there: tuple[tuple[Any, ...], ...]) -> list[Suspect]:
        found: dict[KeyValues, list[Any]] = {}  # identity → key, digests
        for n, (half, rows) in enumerate(zip(self.pair.halves, (here, there), strict=True)):
            width = len(half.key.columns)
            for row in rows:
                each = found.setdefault(tuple(row[width:-1]), [half.key.values(row[:width]), None, None])
                each[n + 1] = row[-1]
        return [Suspect(key, identity, (mine, other)) for identity, (key, mine, other) in found.items() if mine != other]

    def _both(self, sql: Callable[[Half], str]) -> tuple[tuple[tuple[Any, ...], ...], tuple[tuple[Any, ...], ...]]:
        asked = [
            self._pool.submit(session.rows, sql(half)) for session, half in zip(self._sessions, self.pair.halves, strict=True)
        ]
        here, there = (each.result() for each in asked)
        return here, there


def _listing(half: Half) -> str:
    return f"SELECT {', '.join([*half.key.read, *half.key.identity, half.digest])} FROM {half.source}"


def _read_ahead(pool: Executor, found: Iterator[_T]) -> Iterator[_T]:
    """The same, the next one asked for while this one is used."""
    end = object()
    coming = pool.submit(next, found, end)
    while (value := coming.result()) is not end:
        coming = pool.submit(next, found, end)
        yield value  # type: ignore[misc]
