"""A part of a side's stream once more, put back together as its applier does: from one transaction to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bisync_topology.errors import ApplyError, CheckFailed
from bisync_topology.topology import Topology
from consumers.assemble import Assembled, Assembler
from consumers.consume import Fetcher
from consumers.feed import Feed
from schemas.list_records import transaction_decoder
from schemas.topics import transactions_topic

Partition = tuple[str, int]
_POLL_SECONDS = 0.2
_TAKEN = 2000  # pieces at once
_GAPS = ("event_gap", "list_gap", "records_lost", "stream_changed")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which part of a side's stream: its transactions `first` to `last`, both included."""

    stream: str
    first: int
    last: int
    list_offset: int  # of the first record of transaction `first`
    offsets: Mapping[Partition, int]  # where its events, and those behind it, are looked for


def pieces(topology: Topology, side: str, part: Part) -> Iterator[Assembled]:
    """The pieces of these transactions, in order, whatever their origin; none is dropped.

    Raises CheckFailed for what is not there any more, KafkaException.
    """
    if part.last < part.first:
        return
    listed = (transactions_topic(topology.name, side), 0)
    decode = transaction_decoder()
    fetcher = Fetcher(topology, topology.other(side))
    try:
        positions = {**part.offsets, listed: part.list_offset}
        fetcher.assign(positions.items())
        assembler = Assembler(
            list_topic=listed[0], source_side=side, own_side="", stream=part.stream, applied_sequence=part.first - 1
        )
        assembler.assigned(positions)
        feed = Feed(fetcher, assembler, listed, lambda _, value: decode(value))
        while True:
            fetched = fetcher.fetch(_POLL_SECONDS)
            if not fetched:
                fetcher.check()
            feed.add(fetched)
            while taken := assembler.take(_TAKEN):
                for piece in taken:
                    if piece.record.sequence > part.last:
                        return
                    yield piece
                    if piece.record.last and piece.record.sequence == part.last:
                        return
            fetcher.hold_back(assembler.buffered(), assembler.waiting_bytes, assembler.needs())
            feed.look()
    except ApplyError as error:
        if error.code not in _GAPS:
            raise
        raise CheckFailed(
            f"Kafka has not all of transactions {part.first} to {part.last} of {side}: {error.message}",
            hint="see `--to-earliest`; what lies before is gone: make both sides alike, then `bisync-topology init --reset`",
            code=error.code,
            where=error.where,
        ) from error
    finally:
        fetcher.close()
