"""Events that a transaction waits for and that never come: what is not there once a partition's end was read is lost."""

from __future__ import annotations

import time

from consumers.assemble import Assembler
from consumers.consume import Fetcher

GAP_SECONDS = 5.0  # how long a piece may wait for its events before the partitions' ends are asked for


class GapWatch:
    """Asks for the ends of partitions for which a piece has waited long: what is not there by then is lost."""

    def __init__(self, fetcher: Fetcher, assembler: Assembler, list_partition: tuple[str, int]) -> None:
        self._fetcher = fetcher
        self._assembler = assembler
        self._list = list_partition
        self._since = 0.0
        self.list_end = 0  # offset up to which the list has been read

    def look(self) -> None:
        """Raises ApplyError for a gap."""
        needed = self._assembler.needs() - {self._list}
        if not needed:
            self._since = 0.0
        elif not self._since:
            self._since = time.monotonic()
        elif time.monotonic() - self._since > GAP_SECONDS:
            self._since = time.monotonic()
            for partition in needed:
                end = self._fetcher.reached_end(partition)
                if end is not None:
                    self._assembler.partition_end(partition, end, self.list_end)
