"""Which of the rows that differ are different, and which were only on their way. Knows no server.

A change is on its way for as long as the lag is. So a row that differs is looked at again behind barriers in both directions:
what was committed on either side before they were raised has been applied by then. It counts as different if it is the same two
rows at each look, over two barriers; one that has changed meanwhile begins anew, and one that is equal at any look is equal.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from verification.keys import KeyValues
from verification.suspects import Suspect

LOOKS = 8  # at which a row has to be the same
_BEHIND_ONE = 4  # of them behind one barrier
ROUNDS = 15  # barriers for the same rows; what changes through all of them is left undecided
_PAUSE_SECONDS = 0.03  # between two looks behind one barrier


@dataclass(frozen=True, kw_only=True)
class Settled:
    """different: for good. changing: at no look the same twice, nor ever equal."""

    different: tuple[Suspect, ...]
    changing: tuple[Suspect, ...] = ()


class Watch:
    """The rows that are waited for. Pure."""

    def __init__(self, suspects: Iterable[Suspect]) -> None:
        self._rows: dict[KeyValues, tuple[Suspect, int]] = {suspect.identity: (suspect, 0) for suspect in suspects}
        self.different: list[Suspect] = []

    @property
    def left(self) -> list[Suspect]:
        """Those that are not decided yet."""
        return [suspect for suspect, _ in self._rows.values()]

    def look(self, differing: Iterable[Suspect]) -> None:
        """Take what was seen at a look: of the rows that are left, those that differ."""
        before, self._rows = self._rows, {}
        for seen in differing:
            known = before.get(seen.identity)
            steady = known[1] + 1 if known is not None and known[0].digests == seen.digests else 0
            if steady >= LOOKS:
                self.different.append(seen)
            else:
                self._rows[seen.identity] = seen, steady


def settle(suspects: list[Suspect], again: Callable[[list[Suspect]], list[Suspect]], barrier: Callable[[], bool]) -> Settled:
    """Look until each row is decided.

    again: those that differ now. barrier: returns once everything that is committed by now has been applied; False: it cannot be
    told, as a direction does not run, and then all that differ now count.
    """
    watch = Watch(suspects)
    for _ in range(ROUNDS):
        if not watch.left:
            break
        if not barrier():
            return Settled(different=(*watch.different, *again(watch.left)))
        watch.look(again(watch.left))
        for _ in range(_BEHIND_ONE - 1):
            if watch.left:
                time.sleep(_PAUSE_SECONDS)
                watch.look(again(watch.left))
    return Settled(different=tuple(watch.different), changing=tuple(watch.left))
