"""Which changes of the other side touch a row, or a unique value, that this side changed without their having seen it. Pure.

The arbiter's producer keeps every key value of its own changes, with the sequence of the last one, until the other side has
seen that. A change of the other side overlaps where one of its key values is among those that it had not seen. What cannot
be told is an overlap: an image too many is sent back then, which does no harm.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any

from schemas.key_values import WILD, KeyValue

MAX_VALUES = 100_000  # kept; beyond it all that was not seen is an overlap


class OverlapIndex:
    """The key values of this side's changes that the other side has not seen yet."""

    def __init__(self, floor: int) -> None:
        """floor: the last sequence of this side's own changes that the index knows nothing of."""
        self.floor = self.last = floor  # last: the last of them at all
        self._last: dict[Any, int] = {}  # key → the last sequence with any value of it
        self._values: dict[KeyValue, int] = {}
        self._order: deque[tuple[int, KeyValue]] = deque()
        self._touched: dict[KeyValue, None] = {}

    def add(self, values: Iterable[KeyValue], sequence: int) -> None:
        """Take the key values of a change of this side."""
        self.last = max(self.last, sequence)
        for value in values:
            self._last[value[0]] = sequence
            if self._values.get(value, 0) < sequence:
                self._values[value] = sequence
                self._order.append((sequence, value))
        if len(self._order) > MAX_VALUES:
            self.begin_anew(sequence)

    def touch(self, values: Iterable[KeyValue], sequence: int) -> None:
        """Take key values of what a transaction sends back, with which its own later changes overlap: see `add` and `end`."""
        if len(self._touched) <= MAX_VALUES:  # beyond it, `end` begins anew
            self._touched |= dict.fromkeys(values)
        self.add(values, sequence)

    def end(self, sequence: int, *, sent: bool) -> None:
        """The transaction ends. What was touched is of this sequence, if anything is sent."""
        if len(self._touched) > MAX_VALUES:
            self.begin_anew(sequence)
        elif sent:
            self.add(self._touched, sequence)

    def clear(self) -> None:
        """What was touched is listed, or given up."""
        self._touched.clear()

    def begin_anew(self, sequence: int) -> None:
        """Forget all values: whatever has not seen this sequence overlaps."""
        self.floor, self.last = sequence, max(self.last, sequence)
        self._last.clear()
        self._values.clear()
        self._order.clear()

    def overlaps(self, values: Iterable[KeyValue], seen: int) -> bool:
        """Whether a change that had seen so much of this side's touches what a later one of this side touched."""
        if seen < self.floor:
            return True
        for key, value in values:
            if self._last.get(key, 0) > seen and (
                value is WILD or self._values.get((key, value), 0) > seen or self._values.get((key, WILD), 0) > seen
            ):
                return True
        return False

    def forget(self, seen: int) -> None:
        """The other side has seen so much, and its later changes have too."""
        while self._order and self._order[0][0] <= seen:
            sequence, value = self._order.popleft()
            if self._values.get(value) == sequence:
                del self._values[value]
        self.floor = max(self.floor, min(seen, self.last))
