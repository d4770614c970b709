"""What of its captured stream a server has, once it was set back: restored from a backup, or failed over with loss.

Its GTIDs alone do not tell, as a server that was set back gives the numbers of what it has lost once more, to other
transactions. So what it wrote since is taken out: the binlog files that were begun after the last captured commit. The first of
them says in its head which transactions were there before. Without GTIDs a transaction is known by its place, in files that were
begun before. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from producers.gtids import GtidSet


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a server stands that was set back.

    gtids: what it had when it was set back; None without GTIDs. captured: what of the captured transactions is among them.
    file, pos, file_begun: where what it wrote since begins. files: those before, with their sizes.
    """

    gtids: str | None
    captured: str | None
    file: str
    pos: int
    file_begun: int
    files: Mapping[str, int] = field(default_factory=dict)

    def has(self, gtid: str) -> bool:
        """Whether it has a captured transaction."""
        if self.gtids is not None:
            tsid, _, number = gtid.rpartition(":")
            return (tsid.lower(), int(number)) in self._set
        file, _, pos = gtid.rpartition(":")
        if file in self.files:
            return int(pos) < self.files[file]
        return bool(self.files) and _number(file) < _number(next(iter(self.files)))

    def covers(self, began: str) -> bool:
        """Whether it has all that was there when the stream began: a GTID set, or a place."""
        if self.gtids is not None:
            return not GtidSet(began).minus(self._set)
        file, _, pos = began.rpartition(":")
        return self.has(f"{file}:{int(pos) - 1}")

    @cached_property
    def _set(self) -> GtidSet:
        return GtidSet(self.gtids or "")

    def as_json(self) -> dict[str, Any]:
        """What `Standing(**…)` takes."""
        return asdict(self)


def _number(file: str) -> int:
    return int(file.rpartition(".")[2])
