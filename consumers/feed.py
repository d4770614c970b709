"""What was fetched of a stream → its assembler; and events that a transaction waits for and that never come: an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from consumers.assemble import Assembler, TopicPartition
from consumers.consume import Fetcher
from schemas.records import TransactionRecord

GAP_SECONDS = 5.0  # how long a piece may wait for its events before the partitions' ends are asked for


class Feed:
    """The way of one side's records from the fetcher to the assembler.

    It asks for the ends of partitions for which a piece has waited long: what is not there by then is lost.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        assembler: Assembler,
        list_partition: TopicPartition,
        decode: Callable[[int, bytes], TransactionRecord],
    ) -> None:
        """decode: offset and value of a record of the list."""
        self._fetcher = fetcher
        self._assembler = assembler
        self._list = list_partition
        self._decode = decode
        self._since = 0.0
        self._list_end = 0  # offset up to which the list has been read

    def add(self, fetched: Mapping[TopicPartition, Sequence[tuple[int, bytes]]]) -> None:
        """Take what was fetched of the list and of partitions of events; those that the list names first are fetched from now on.

        Raises ApplyError as the assembler does, and what `decode` raises.
        """
        assembler = self._assembler
        listed = fetched.get(self._list)
        if listed is not None:
            assembler.add_list([(offset, self._decode(offset, value)) for offset, value in listed])
            self._list_end = listed[-1][0] + 1
            first_named = assembler.unassigned  # a topic is read from its beginning when the list first names it
            self._fetcher.assign((partition, 0) for partition in first_named)
            assembler.assigned(first_named)
        for partition, records in fetched.items():
            if partition != self._list:
                assembler.add_events(partition, records)

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
                    self._assembler.partition_end(partition, end, self._list_end)
