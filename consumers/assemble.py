"""Fetched records of one source side → its transactions, whole and in its order.

A side's rows lie in a topic a table, spread over partitions by key; its transaction list says, in commit order, how many
events each transaction has in each partition. Each partition holds its events in the same order, and each event starts
with its transaction's sequence. So a piece of the list is put together by taking that many events from the head of each
of these partitions, and every one taken must bear the piece's sequence. What does not fit is an error, never a guess.

    list        4: a 2, b 1   5: a 1 (own)   6: b 1   7: a 1
    queue a     4 4 5 7                                        take(9) → 4 with 3 events, 5 dropped, 6, 7
    queue b     4 6

**Own origin.** A transaction that began at the side to which we apply is dropped from the list alone: it does not wait for
its events, as otherwise whoever waits for a barrier behind it would wait for rows that nobody needs. Each of its
partitions owes a skip instead, and its events are taken off as they come, by number and sequence like others. While a skip
is owed, a partition's queue is empty, so that nothing can overtake it. The price is that positions lag: a skipped event's
offset is told with the next piece of any kind. That is safe: until then the recorded position is before these events, a
restart fetches them again, and drops them because their sequence is applied.

**Restart.** The list and each partition may be fetched again from any earlier position, each from another one. Repeats are
recognized by their sequence.

Pure: no clock, no client, no IO. Errors are final: once a call has raised, `take` raises it again.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from bisync_topology.errors import ApplyError, Where
from schemas.avro_bytes import varint
from schemas.framing import HEADER_BYTES, framed_id, peek_sequence
from schemas.parts import PART_ID
from schemas.records import TransactionRecord

TopicPartition = tuple[str, int]


class Assembled(NamedTuple):
    """One piece of a transaction, with all its events."""

    record: TransactionRecord
    values: list[bytes]  # framed events, partition by partition as in record.events; sort the decoded ones by `order`
    positions: dict[TopicPartition, int]  # next offset to read once it is applied: the list, its partitions, late skips
    dropped: bool  # of own origin: values is empty, the events are skipped undecoded
    offset: int = 0  # of its record in the list
    size: int = 0  # bytes of its values

    @property
    def in_parts(self) -> bool:
        """Whether the values are parts of one large event: the producer gives such an event pieces of its own."""
        return bool(self.values) and framed_id(self.values[0]) == PART_ID


class _Skip(NamedTuple):
    """Events of a dropped piece that a partition has yet to bring."""

    number: int
    list_offset: int
    record: TransactionRecord


@dataclass(slots=True)
class _Partition:
    key: TopicPartition
    assigned: bool = False
    queue: deque[tuple[int, bytes]] = field(default_factory=deque)  # offset, framed event
    skips: deque[_Skip] = field(default_factory=deque)  # owed; never while the queue holds anything
    last: int = -1  # offset of the last event that was added
    ended: int = -1  # its events of all list records before this offset were added
    repeating: bool = True  # no event beyond what was applied at the start has come yet


class _Partitions(dict[TopicPartition, _Partition]):
    def __missing__(self, key: TopicPartition) -> _Partition:
        state = self[key] = _Partition(key)
        return state


class Assembler:
    """Transaction order of one source side, put back together; see the module's docstring.

    Call `add_list` and `add_events` with what was fetched, then `take` until it gives less than was asked for.
    """

    def __init__(self, *, list_topic: str, source_side: str, own_side: str, stream: str | None, applied_sequence: int) -> None:
        self.stream = stream  # expected stream id; None: that of the first record seen
        self.repeated = 0  # events fetched again and dropped
        self._list_partition: TopicPartition = (list_topic, 0)
        self._source_side = source_side
        self._own_side = own_side
        self._applied = applied_sequence
        self._done = applied_sequence  # the last transaction of which all pieces were taken
        self._next: tuple[int, int] | None = None  # sequence and piece with which the list goes on
        self._list: deque[tuple[int, TransactionRecord, list[_Partition]]] = deque()  # partitions as in record.events
        self._list_last = -1  # offset of the last list record, taken or repeated
        self._partitions = _Partitions()
        self._unassigned: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}  # of what was consumed since the last piece was given
        self._bytes = 0  # of the events that wait
        self._fault: ApplyError | None = None

    @property
    def waiting_bytes(self) -> int:
        """How much waits, over all partitions of events."""
        return self._bytes

    def add_list(self, records: Iterable[tuple[int, TransactionRecord]]) -> None:
        """Add list records with their offsets, ascending.

        Raises ApplyError: list_gap, stream_changed.
        """
        for offset, record in records:
            sequence, piece = record.sequence, record.piece
            if record.stream != self.stream:
                if self.stream is not None:
                    message = f"the list is of stream {record.stream} here, what was applied so far is of {self.stream}"
                    raise self._error("stream_changed", message, self._list_partition, offset, record)
                self.stream = record.stream
            repeated = sequence <= self._applied
            expected = self._next or ((sequence, piece) if repeated else (self._applied + 1, 0))
            if (sequence, piece) != expected or offset <= self._list_last:
                message = f"the list has transaction {sequence}, piece {piece}, where {expected[0]}, piece {expected[1]}, belongs"
                raise self._error("list_gap", message, self._list_partition, offset, record)
            self._next = (sequence + 1, 0) if record.last else (sequence, piece + 1)
            self._list_last = offset
            if repeated:
                continue
            states = [self._partitions[event[:2]] for event in record.events]
            for state in states:
                if not state.assigned:
                    self._unassigned.add(state.key)
            self._list.append((offset, record, states))

    def add_events(self, partition: TopicPartition, records: Iterable[tuple[int, bytes]]) -> None:
        """Add a partition's framed events with their offsets, ascending.

        Raises ApplyError: event_gap.
        """
        state = self._partitions[partition]
        queue = state.queue
        before = len(queue)
        added = list(records)
        if not added:
            return
        queue.extend(added)
        self._bytes += sum([len(value) for _, value in added])
        if queue[before][0] <= state.last:
            message = f"fetched after offset {state.last}"
            raise self._error("event_gap", message, partition, queue[before][0])
        state.last = queue[-1][0]
        if before:
            return  # the head was looked at when it came
        while queue and state.repeating:
            offset, value = queue[0]
            if self._sequence(partition, offset, value) > self._applied:
                state.repeating = False
            else:
                queue.popleft()
                self._bytes -= len(value)
                self.repeated += 1
                self._positions[partition] = offset + 1
        self._skip(state)
        self._check_head(state)

    def partition_end(self, partition: TopicPartition, offset: int, list_offset: int) -> None:
        """Tell that all events in `partition` of the list records before `list_offset` have been added.

        `offset` is the partition's end, up to which it was read. It must be the *high watermark*, asked for after the list
        was read: a transaction becomes visible in each partition at its own moment, so that the end of what is committed
        (where a read_committed consumer reports EOF) may for a while lie before events that are already listed.

        Raises ApplyError: event_gap, if the next piece or an owed skip lacks events here, or an event is not listed.
        """
        state = self._partitions[partition]
        state.ended = max(state.ended, list_offset)
        if state.skips and state.skips[0].list_offset < list_offset:
            raise self._missing(state, offset, state.skips[0].record)
        if self._list and self._list[0][0] < list_offset:
            record = self._list[0][1]
            if any(event[:2] == partition and event.number > len(state.queue) for event in record.events):
                raise self._missing(state, offset, record)
        self._check_head(state)

    def take(self, limit: int) -> list[Assembled]:
        """Give up to `limit` complete pieces, in source order.

        Raises ApplyError: event_gap, once all pieces before the fault were given.
        """
        if self._fault is not None:
            raise self._fault
        pieces: list[Assembled] = []
        try:
            while len(pieces) < limit and (piece := self._take_piece()) is not None:
                pieces.append(piece)
        except ApplyError:
            if not pieces:
                raise
        return pieces

    @property
    def unassigned(self) -> set[TopicPartition]:
        """Partitions named in the list that `assigned` was not called for yet."""
        return set(self._unassigned)

    def assigned(self, partitions: Iterable[TopicPartition]) -> None:
        """Tell that the consumer has begun to fetch these."""
        for partition in partitions:
            self._partitions[partition].assigned = True
            self._unassigned.discard(partition)

    def buffered(self) -> dict[TopicPartition, int]:
        """Records that wait, by partition, the list's included; partitions with none are left out."""
        waiting = {partition: len(state.queue) for partition, state in self._partitions.items() if state.queue}
        if self._list:
            waiting[self._list_partition] = len(self._list)
        return waiting

    def needs(self) -> set[TopicPartition]:
        """Partitions for which the next piece waits: never pause these. Empty if it is complete: take it."""
        if not self._list:
            return {self._list_partition}
        _, record, states = self._list[0]
        if record.origin == self._own_side:
            return set()
        return {s.key for event, s in zip(record.events, states, strict=True) if len(s.queue) < event.number}

    def _take_piece(self) -> Assembled | None:
        if not self._list:
            return None
        list_offset, record, states = self._list[0]
        dropped = record.origin == self._own_side
        values: list[bytes] = []
        waiting = self._bytes
        if dropped:
            self._drop(list_offset, record, states)
        elif not self._complete(list_offset, record, states):
            return None
        elif states:
            sequence = varint(record.sequence)
            for event, state in zip(record.events, states, strict=True):
                values += self._pop(state, event.number, record, sequence)
        self._list.popleft()
        if record.last:
            self._done = record.sequence
        positions, self._positions = self._positions, {}
        positions[self._list_partition] = list_offset + 1
        return Assembled(record, values, positions, dropped, list_offset, 0 if dropped else waiting - self._bytes)

    def _complete(self, list_offset: int, record: TransactionRecord, states: list[_Partition]) -> bool:
        for event, state in zip(record.events, states, strict=True):
            if len(state.queue) < event.number:
                if state.queue and self._sequence(state.key, *state.queue[-1]) != record.sequence:
                    raise self._misplaced(state.key, *state.queue[-1], record)
                if state.ended > list_offset:
                    raise self._missing(state, state.last + 1, record)
                return False
        return True

    def _drop(self, list_offset: int, record: TransactionRecord, states: list[_Partition]) -> None:
        for event, state in zip(record.events, states, strict=True):
            state.skips.append(_Skip(event.number, list_offset, record))
            self._skip(state)
            if state.skips and state.ended > list_offset:
                raise self._missing(state, state.last + 1, record)

    def _skip(self, state: _Partition) -> None:
        while state.queue and state.skips:
            number, list_offset, record = state.skips.popleft()
            present = min(number, len(state.queue))
            self._pop(state, present, record, varint(record.sequence))
            if present < number:
                state.skips.appendleft(_Skip(number - present, list_offset, record))

    def _pop(self, state: _Partition, number: int, record: TransactionRecord, sequence: bytes) -> list[bytes]:
        popleft = state.queue.popleft
        end = HEADER_BYTES + len(sequence)
        values = []
        for _ in range(number):
            offset, value = popleft()
            if value[HEADER_BYTES:end] != sequence:
                raise self._misplaced(state.key, offset, value, record)
            values.append(value)
        self._bytes -= sum(map(len, values))
        if values:
            self._positions[state.key] = offset + 1
        return values

    def _sequence(self, partition: TopicPartition, offset: int, value: bytes) -> int:
        try:
            return peek_sequence(value)
        except ValueError as exc:
            raise self._error("event_gap", f"this is not a row event: {exc}", partition, offset) from exc

    def _check_head(self, state: _Partition) -> None:
        if state.queue and (sequence := self._sequence(state.key, *state.queue[0])) <= self._done:
            message = f"an event of transaction {sequence} that the list does not count"
            raise self._error("event_gap", message, state.key, state.queue[0][0])

    def _misplaced(self, partition: TopicPartition, offset: int, value: bytes, record: TransactionRecord) -> ApplyError:
        found = self._sequence(partition, offset, value)
        message = f"an event of transaction {found} where transaction {record.sequence} has events to come"
        return self._error("event_gap", message, partition, offset, record)

    def _missing(self, state: _Partition, end: int, record: TransactionRecord) -> ApplyError:
        message = f"the partition ends before all events of transaction {record.sequence} that the list counts in it"
        return self._error("event_gap", message, state.key, end, record)

    def _error(
        self, code: str, message: str, partition: TopicPartition, offset: int, record: TransactionRecord | None = None
    ) -> ApplyError:
        gtid = record.gtid if record else None
        where = Where(side=self._source_side, gtid=gtid, topic=partition[0], partition=partition[1], offset=offset)
        hint = f"`bisync-topology init --reset {self._source_side} {self._own_side}` begins this direction anew"
        self._fault = ApplyError(message, code=code, where=where, hint=hint)
        return self._fault
