"""The assembler gives back a source's history exactly, whatever the order of arrival, and otherwise an error."""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bisync_topology.errors import ApplyError
from consumers.assemble import Assembled, Assembler, TopicPartition
from schemas.avro_bytes import varint
from schemas.framing import frame
from schemas.records import EventCount, TransactionRecord

LIST = "shop.east.transactions"
LIST_PARTITION = (LIST, 0)
A: TopicPartition = ("shop.east.shop.a", 0)
B: TopicPartition = ("shop.east.shop.b", 3)
DDL: TopicPartition = ("shop.east", 0)
Log = list[tuple[int, bytes]]
ListLog = list[tuple[int, TransactionRecord]]


def event(sequence: int, order: int = 0) -> bytes:
    """A framed row event, as far as the assembler reads it."""
    return frame(7) + varint(sequence) + varint(order) + b"the rest"


def item(
    sequence: int,
    *events: tuple[TopicPartition, int],
    piece: int = 0,
    last: bool = True,
    kind: str = "rows",
    origin: str | None = None,
    stream: str = "s1",
) -> TransactionRecord:
    """A list record with the given number of events in each partition."""
    return TransactionRecord(
        sequence=sequence,
        piece=piece,
        last=last,
        kind=kind,
        stream=stream,
        gtid=f"3e11:{sequence}",
        committed_at=sequence,
        origin=origin,
        origin_sequence=0,
        origin_transactions=0,
        seen=0,
        fk_checks=True,
        barrier=0,
        events=tuple(EventCount(*partition, number) for partition, number in events),
    )


def assembler(applied: int = 0, stream: str | None = "s1") -> Assembler:
    """The assembler of the applier at west that follows east."""
    return Assembler(list_topic=LIST, source_side="east", own_side="west", stream=stream, applied_sequence=applied)


def values(pieces: list[Assembled]) -> list[tuple[int, list[bytes]]]:
    """Sequence and events of each piece."""
    return [(piece.record.sequence, piece.values) for piece in pieces]


# Order and completeness


def test_source_order_over_partitions() -> None:
    """Events are regrouped by the list: the example of the module's docstring."""
    asm = assembler(applied=3)
    asm.add_events(A, [(10, event(4)), (11, event(4, 1)), (12, event(5)), (13, event(7))])
    asm.add_events(B, [(0, event(4, 2)), (1, event(6))])
    asm.add_list([(3, item(4, (A, 2), (B, 1))), (4, item(5, (A, 1), origin="west")), (5, item(6, (B, 1))), (6, item(7, (A, 1)))])
    pieces = asm.take(9)
    assert values(pieces) == [(4, [event(4), event(4, 1), event(4, 2)]), (5, []), (6, [event(6)]), (7, [event(7)])]
    assert [piece.dropped for piece in pieces] == [False, True, False, False]


def test_waits_for_every_event_and_never_overtakes() -> None:
    """A complete transaction is held back behind one that is not; nothing is given twice."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1), (B, 2))), (1, item(2, (A, 1)))])
    asm.add_events(A, [(0, event(1)), (1, event(2))])
    assert asm.take(9) == []
    asm.add_events(B, [(0, event(1, 1))])
    assert asm.take(9) == []
    asm.add_events(B, [(1, event(1, 2))])
    assert values(asm.take(9)) == [(1, [event(1), event(1, 1), event(1, 2)]), (2, [event(2)])]
    assert asm.take(9) == []


def test_limit() -> None:
    """At most `limit` pieces are given; the others come with the next call."""
    asm = assembler()
    asm.add_list([(n, item(n, (A, 1))) for n in range(1, 6)])
    asm.add_events(A, [(n, event(n)) for n in range(1, 6)])
    assert [[piece.record.sequence for piece in asm.take(2)] for _ in range(4)] == [[1, 2], [3, 4], [5], []]
    assert asm.take(0) == []


def test_pieces_of_one_transaction() -> None:
    """A piece is given as soon as it is complete, without the later ones of its transaction."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 2), last=False)), (1, item(1, (A, 1), (B, 1), piece=1))])
    asm.add_events(A, [(0, event(1)), (1, event(1, 1)), (2, event(1, 2))])
    first = asm.take(9)
    assert [(piece.record.piece, piece.values) for piece in first] == [(0, [event(1), event(1, 1)])]
    assert first[0].positions == {LIST_PARTITION: 1, A: 2}
    asm.add_events(B, [(0, event(1, 3))])
    assert values(asm.take(9)) == [(1, [event(1, 2), event(1, 3)])]


def test_barrier_and_ddl() -> None:
    """A barrier has no events; a DDL's event comes from its own topic like a row's."""
    asm = assembler()
    asm.add_list([(0, item(1, kind="barrier")), (1, item(2, (DDL, 1), kind="ddl")), (2, item(3, kind="barrier"))])
    assert values(asm.take(9)) == [(1, [])]
    asm.add_events(DDL, [(5, event(2))])
    pieces = asm.take(9)
    assert values(pieces) == [(2, [event(2)]), (3, [])]
    assert [piece.positions for piece in pieces] == [{LIST_PARTITION: 2, DDL: 6}, {LIST_PARTITION: 3}]
    assert not any(piece.dropped for piece in pieces)


def test_another_sides_origin_is_applied() -> None:
    """Only what began at the target is dropped: with more sides, a change that came through the source is not."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1), origin="north"))])
    asm.add_events(A, [(0, event(1))])
    assert values(asm.take(9)) == [(1, [event(1)])]


def test_positions_skip_holes() -> None:
    """Positions are one after the last record consumed; control records leave holes, which do not matter."""
    asm = assembler(applied=6)
    asm.add_list([(40, item(7, (A, 2))), (44, item(8, (B, 1)))])
    asm.add_events(A, [(100, event(7)), (105, event(7, 1)), (109, event(9))])
    asm.add_events(B, [(3, event(8))])
    assert [piece.positions for piece in asm.take(9)] == [{LIST_PARTITION: 41, A: 106}, {LIST_PARTITION: 45, B: 4}]


# Restart


def test_repeats_are_dropped_and_counted() -> None:
    """List records and events up to the applied sequence are dropped; events are counted, and positions go past them."""
    asm = assembler(applied=2)
    asm.add_list([(0, item(1, (A, 2))), (1, item(2, (A, 1)))])
    asm.add_events(A, [(0, event(1)), (1, event(1, 1))])
    assert (asm.repeated, asm.take(9), asm.buffered(), asm.unassigned) == (2, [], {}, set())
    asm.add_events(A, [(2, event(2)), (3, event(3))])
    asm.add_events(B, [(0, event(1))])
    asm.add_list([(2, item(3, (A, 1)))])
    assert asm.repeated == 4
    (piece,) = asm.take(9)
    assert (piece.values, piece.positions) == ([event(3)], {LIST_PARTITION: 3, A: 4, B: 1})


def test_list_may_begin_within_an_applied_transaction() -> None:
    """A position between the pieces of a transaction that counts as applied (dropped ones may) is a place to start."""
    asm = assembler(applied=2)
    asm.add_list([(5, item(2, (A, 1), piece=1, origin="west")), (6, item(3))])
    assert [piece.record.sequence for piece in asm.take(9)] == [3]


def test_repeats_end_with_the_first_new_event() -> None:
    """An applied sequence behind a later one is no repeat: partitions are in order, so it is corruption."""
    asm = assembler(applied=2)
    asm.add_list([(0, item(3, (A, 1))), (1, item(4, (A, 1)))])
    asm.add_events(A, [(0, event(3)), (1, event(2)), (2, event(4))])
    assert values(asm.take(9)) == [(3, [event(3)])]
    expect("event_gap", lambda: asm.take(9), A, 1, "3e11:4")

    asm = assembler(applied=2)
    asm.add_list([(0, item(3, (A, 1)))])
    asm.add_events(A, [(0, event(3))])
    assert len(asm.take(9)) == 1
    expect("event_gap", lambda: asm.add_events(A, [(1, event(2))]), A, 1)
    assert asm.repeated == 0


# Own origin


def test_own_origin_does_not_wait() -> None:
    """Dropped transactions are given from the list alone, so that a barrier behind them passes at once."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 3), (B, 1), origin="west")), (1, item(2, kind="barrier"))])
    pieces = asm.take(9)
    assert [(piece.record.sequence, piece.dropped, piece.values, piece.positions) for piece in pieces] == [
        (1, True, [], {LIST_PARTITION: 1}),
        (2, False, [], {LIST_PARTITION: 2}),
    ]


def test_owed_skips_are_taken_off_as_they_come() -> None:
    """Late events of dropped transactions are skipped by count, told with the next piece, and are no repeats."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 3), origin="west")), (1, item(2, (A, 2), origin="west")), (2, item(3, (A, 1)))])
    assert len(asm.take(9)) == 2
    asm.add_events(A, [(0, event(1)), (1, event(1, 1))])
    assert (asm.buffered(), asm.take(9), asm.needs()) == ({LIST_PARTITION: 1}, [], {A})
    asm.add_list([(3, item(4, kind="barrier"))])
    asm.add_events(A, [(2, event(1, 2)), (3, event(2)), (5, event(2, 1)), (6, event(3))])
    pieces = asm.take(9)
    assert values(pieces) == [(3, [event(3)]), (4, [])]
    assert [piece.positions for piece in pieces] == [{LIST_PARTITION: 3, A: 7}, {LIST_PARTITION: 4}]
    assert asm.repeated == 0


def test_positions_of_late_skips_come_with_any_piece() -> None:
    """A partition that only own-origin transactions touch still moves on, one piece late."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1), origin="west"))])
    assert asm.take(9)[0].positions == {LIST_PARTITION: 1}
    asm.add_events(A, [(8, event(1))])
    asm.add_list([(1, item(2, (B, 1), origin="west"))])
    assert asm.take(9)[0].positions == {LIST_PARTITION: 2, A: 9}


def test_skipped_events_are_checked() -> None:
    """A skip is by count, but each event must bear the dropped transaction's sequence, before or after the list came."""
    early, late = assembler(), assembler()
    early.add_events(A, [(0, event(1)), (1, event(2))])
    early.add_list([(0, item(1, (A, 2), origin="west")), (1, item(2, (A, 1)))])
    expect("event_gap", lambda: early.take(9), A, 1, "3e11:1")
    late.add_list([(0, item(1, (A, 2), origin="west"))])
    late.take(9)
    expect("event_gap", lambda: late.add_events(A, [(0, event(1)), (1, event(2))]), A, 1, "3e11:1")


# Faults


def expect(code: str, call: Callable[[], object], partition: TopicPartition, offset: int, gtid: str | None = None) -> None:
    """The call fails with this code, at this place, and with the way out."""
    with pytest.raises(ApplyError) as caught:
        call()
    where = caught.value.where
    assert caught.value.code == code
    assert (where.side, where.topic, where.partition, where.offset, where.gtid) == ("east", *partition, offset, gtid)
    assert "bisync-topology init --reset east west" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("applied", "records"),
    [
        pytest.param(3, [item(5)], id="starts-too-late"),
        pytest.param(3, [item(4, piece=1)], id="starts-within-a-transaction"),
        pytest.param(3, [item(2), item(4)], id="hole-among-repeats"),
        pytest.param(3, [item(4), item(6)], id="hole"),
        pytest.param(3, [item(4), item(4)], id="twice"),
        pytest.param(3, [item(4), item(3)], id="back"),
        pytest.param(3, [item(4, last=False), item(5)], id="last-piece-missing"),
        pytest.param(3, [item(4, last=False), item(4, piece=2)], id="piece-missing"),
        pytest.param(3, [item(4, last=False), item(4, last=False)], id="piece-twice"),
        pytest.param(3, [item(4), item(4, piece=1)], id="piece-after-last"),
    ],
)
def test_list_gap(applied: int, records: list[TransactionRecord]) -> None:
    """Whatever does not continue the list is an error at the first record that does not fit."""
    asm = assembler(applied)
    fit = records[:-1]
    asm.add_list(enumerate(fit))
    expect(
        "list_gap",
        lambda: asm.add_list([(len(fit), records[-1])]),
        LIST_PARTITION,
        len(fit),
        records[-1].gtid,
    )


def test_list_offsets_ascend() -> None:
    """A list record from an offset already read is an error even when its sequence fits."""
    asm = assembler()
    asm.add_list([(5, item(1))])
    expect("list_gap", lambda: asm.add_list([(5, item(2))]), LIST_PARTITION, 5, "3e11:2")


def test_stream_changed() -> None:
    """Another stream id is told as such, also where the sequence would pass as a repeat."""
    asm = assembler(applied=9)
    expect("stream_changed", lambda: asm.add_list([(0, item(1, stream="s2"))]), LIST_PARTITION, 0, "3e11:1")
    assert asm.stream == "s1"


def test_stream_adopted() -> None:
    """Without an expected stream the first record's is taken, and holds from then on."""
    asm = assembler(stream=None)
    asm.add_list([(0, item(1, stream="s7"))])
    assert asm.stream == "s7"
    expect("stream_changed", lambda: asm.add_list([(1, item(2, stream="s8"))]), LIST_PARTITION, 1, "3e11:2")


def test_later_event_in_place_of_a_missing_one() -> None:
    """A later sequence where one is expected shows the gap at once, also while the piece is still short of events."""
    full, short = assembler(), assembler()
    for asm in (full, short):
        asm.add_list([(0, item(1, (A, 2))), (1, item(2, (A, 1)))])
    full.add_events(A, [(0, event(1)), (1, event(2))])
    expect("event_gap", lambda: full.take(9), A, 1, "3e11:1")
    short.add_events(A, [(1, event(2))])
    expect("event_gap", lambda: short.take(9), A, 1, "3e11:1")


def test_event_that_the_list_does_not_count() -> None:
    """An event of a transaction that is done, or that has none in this partition, is an error, never left over."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1))), (1, item(2, (A, 1)))])
    asm.add_events(A, [(0, event(1))])
    asm.take(9)
    expect("event_gap", lambda: asm.add_events(A, [(1, event(1, 1))]), A, 1)

    asm = assembler()
    asm.add_list([(0, item(1, (A, 1))), (1, item(2, (B, 1)))])
    asm.add_events(B, [(0, event(1)), (1, event(2))])
    asm.add_events(A, [(0, event(1))])
    assert len(asm.take(9)) == 1
    expect("event_gap", lambda: asm.take(9), B, 0, "3e11:2")

    asm = assembler()
    asm.add_list([(0, item(1, (A, 1)))])
    asm.add_events(A, [(0, event(1)), (1, event(1, 1))])
    asm.take(9)
    expect("event_gap", lambda: asm.partition_end(A, 3, 1), A, 1)


@pytest.mark.parametrize("value", [b"", b"\0\0\0\0\7", frame(7) + b"\xff" * 10], ids=["empty", "no body", "endless"])
def test_not_an_event(value: bytes) -> None:
    """A record too short or too odd to hold a sequence is an event_gap, not a crash."""
    first, later = assembler(), assembler()
    expect("event_gap", lambda: first.add_events(A, [(4, value)]), A, 4)
    later.add_list([(0, item(1, (A, 2)))])
    later.add_events(A, [(4, event(1)), (5, value)])
    expect("event_gap", lambda: later.take(9), A, 5)


def test_event_offsets_ascend() -> None:
    """Records fetched a second time by one assembler are an error, not more events."""
    asm = assembler()
    asm.add_events(A, [(4, event(1)), (5, event(1, 1))])
    expect("event_gap", lambda: asm.add_events(A, [(5, event(1, 1))]), A, 5)


def test_partition_end_without_the_events() -> None:
    """A partition read to its end after the list, that lacks events of the next piece, has a gap."""
    asm = assembler()
    asm.add_list([(6, item(1, (A, 2), (B, 1)))])
    asm.add_events(A, [(0, event(1))])
    asm.partition_end(A, 1, 6)  # the list was read up to before the record: nothing is known
    assert asm.take(9) == []
    expect("event_gap", lambda: asm.partition_end(A, 1, 7), A, 1, "3e11:1")


def test_partition_end_is_remembered() -> None:
    """An end told while another piece was next counts when the piece that lacks events comes up."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1))), (1, item(2, (B, 1)))])
    asm.partition_end(B, 0, 2)
    assert asm.take(9) == []
    asm.add_events(A, [(0, event(1))])
    assert values(asm.take(9)) == [(1, [event(1)])]
    expect("event_gap", lambda: asm.take(9), B, 0, "3e11:2")


def test_partition_end_with_owed_skips() -> None:
    """Events of dropped transactions are not needed, yet their absence is a gap as well, before and after the drop."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1), origin="west"))])
    asm.take(9)
    asm.partition_end(A, 0, 0)
    expect("event_gap", lambda: asm.partition_end(A, 0, 1), A, 0, "3e11:1")

    asm = assembler()
    asm.add_list([(0, item(1, (B, 1))), (1, item(2, (A, 1), origin="west"))])
    asm.partition_end(A, 0, 2)
    asm.add_events(B, [(0, event(1))])
    assert len(asm.take(9)) == 1
    expect("event_gap", lambda: asm.take(9), A, 0, "3e11:2")


def test_partition_end_in_good_order() -> None:
    """No error where all is there, in a partition that nothing names, or for events ahead of the list."""
    asm = assembler()
    asm.add_list([(0, item(1, (A, 1), (B, 1)))])
    asm.add_events(A, [(0, event(1)), (1, event(2))])
    asm.partition_end(A, 2, 1)
    asm.partition_end(DDL, 0, 1)
    asm.add_events(B, [(0, event(1, 1))])
    asm.partition_end(B, 1, 1)
    assert len(asm.take(9)) == 1
    asm.partition_end(A, 2, 1)
    asm.add_list([(1, item(2, (A, 1)))])
    assert len(asm.take(9)) == 1


def test_pieces_before_a_fault_come_first_and_errors_are_final() -> None:
    """What is complete before a fault is given; after an error nothing is, even if the rest would seem to fit."""
    asm = assembler()
    asm.add_list([(n, item(n + 1, (A, 1))) for n in range(3)])
    asm.add_events(A, [(0, event(1)), (1, event(3)), (2, event(2)), (3, event(3))])
    assert values(asm.take(9)) == [(1, [event(1)])]
    for _ in range(2):
        expect("event_gap", lambda: asm.take(9), A, 1, "3e11:2")

    asm = assembler()
    asm.add_list([(0, item(1))])
    for call in (lambda: asm.add_list([(1, item(3))]), lambda: asm.take(9)):
        expect("list_gap", call, LIST_PARTITION, 1, "3e11:3")


# What the consumer asks


def test_unassigned() -> None:
    """Partitions first named in the list are told until they are fetched, own origin's too; applied ones are not."""
    asm = assembler(applied=1)
    asm.assigned([A])
    asm.add_list([(0, item(1, (DDL, 1))), (1, item(2, (A, 1), (B, 1), origin="west"))])
    assert asm.unassigned == {B}
    asm.assigned(asm.unassigned)
    asm.add_list([(2, item(3, (A, 1), (B, 1)))])
    assert asm.unassigned == set()


def test_bytes_that_wait_are_counted() -> None:
    """Taken, dropped as of own origin, or fetched again: what waits no more is not counted any more."""
    asm = assembler(applied=1)
    asm.add_events(A, [(0, event(1)), (1, event(2)), (2, event(3)), (3, event(4))])
    size = len(event(2))
    assert asm.waiting_bytes == 3 * size
    asm.add_list([(0, item(2, (A, 1))), (1, item(3, (A, 1), origin="west")), (2, item(4, (A, 1)))])
    assert [piece.size for piece in asm.take(2)] == [size, 0]
    assert asm.waiting_bytes == size
    assert [piece.size for piece in asm.take(1)] == [size]
    assert asm.waiting_bytes == 0


def test_needs_and_buffered() -> None:
    """The next piece's short partitions must not be paused; what waits is counted, the list's records too."""
    asm = assembler()
    assert (asm.needs(), asm.buffered()) == ({LIST_PARTITION}, {})
    asm.add_list([(0, item(1, (A, 2), (B, 1))), (1, item(2, (A, 1), origin="west"))])
    assert asm.needs() == {A, B}
    asm.add_events(A, [(0, event(1)), (1, event(1, 1)), (2, event(2))])
    assert (asm.needs(), asm.buffered()) == ({B}, {A: 3, LIST_PARTITION: 2})
    asm.add_events(B, [(0, event(1, 2))])
    assert asm.needs() == set()
    assert len(asm.take(1)) == 1
    assert (asm.needs(), asm.buffered()) == (set(), {A: 1, LIST_PARTITION: 1})
    assert len(asm.take(1)) == 1
    assert (asm.needs(), asm.buffered()) == ({LIST_PARTITION}, {})
    asm.add_list([(2, item(3, (A, 1), origin="west"))])
    assert (asm.needs(), asm.buffered()) == (set(), {LIST_PARTITION: 1})


def test_consumed_records_are_released() -> None:
    """Nothing refers to an event or a list record after its piece was taken, skipped or repeated."""
    asm = assembler(applied=1)
    log = [(0, event(1)), (1, event(2)), (2, event(3))]
    listed = [(0, item(1, (A, 1))), (1, item(2, (A, 1))), (2, item(3, (A, 1), origin="west"))]

    def references() -> list[int]:
        return [sys.getrefcount(value) for value in [*log, *(value for _, value in log), *(record for _, record in listed)]]

    before = references()
    asm.add_list(listed)
    asm.add_events(A, log)
    assert references() != before
    assert len(asm.take(9)) == 2
    assert references() == before


# Histories


@dataclass
class History:
    """What a source side wrote: its list, each partition's log, and the pieces that must come out of them."""

    listed: ListLog = field(default_factory=list)
    logs: dict[TopicPartition, Log] = field(default_factory=dict)
    expected: list[tuple[TransactionRecord, list[bytes]]] = field(default_factory=list)

    def sources(self) -> list[TopicPartition]:
        """All partitions, the list's first."""
        return [LIST_PARTITION, *self.logs]

    def length(self, partition: TopicPartition) -> int:
        """How many records a partition holds."""
        return len(self.listed if partition == LIST_PARTITION else self.logs[partition])

    def index(self, partition: TopicPartition, position: int) -> int:
        """Index of the first record from this offset on."""
        log = self.listed if partition == LIST_PARTITION else self.logs[partition]
        return sum(1 for offset, _ in log if offset < position)

    def feed(self, asm: Assembler, partition: TopicPartition, start: int, stop: int) -> None:
        """Add records by their index."""
        if partition == LIST_PARTITION:
            asm.add_list(self.listed[start:stop])
        else:
            asm.add_events(partition, self.logs[partition][start:stop])

    def complete_to(self, partition: TopicPartition, read: int, list_read: int) -> int:
        """The list offset before which all events in a partition were read, if `read` of them and of the list were."""
        counted = 0
        for offset, record in self.listed[:list_read]:
            counted += sum(count.number for count in record.events if count[:2] == partition)
            if counted > read:
                return offset
        return self.listed[list_read - 1][0] + 1 if list_read else 0


PARTITIONS: list[TopicPartition] = [(f"shop.east.shop.{table}", number) for table in "ab" for number in range(2)]
PIECES = st.lists(st.dictionaries(st.sampled_from(PARTITIONS), st.integers(1, 3), min_size=1), min_size=1, max_size=3)
TRANSACTIONS: st.SearchStrategy[tuple[str, str | None, list[dict[TopicPartition, int]]]] = st.one_of(
    st.tuples(st.just("rows"), st.sampled_from([None, None, "west", "north"]), PIECES),
    st.tuples(st.just("ddl"), st.sampled_from([None, "west"]), st.just([{DDL: 1}])),
    st.tuples(st.just("barrier"), st.sampled_from([None, "west"]), st.just([{}])),
)


@st.composite
def histories(draw: st.DrawFn, min_size: int = 0) -> History:
    """Transactions of every kind, in pieces, over several partitions, with holes between the offsets."""
    history = History(logs={partition: [] for partition in [*PARTITIONS, DDL]})
    holes = draw(st.randoms(use_true_random=False))
    next_offset: Counter[TopicPartition] = Counter()

    def offset(partition: TopicPartition) -> int:
        next_offset[partition] += 1 + holes.choice([0, 0, 1, 2])
        return next_offset[partition] - 1

    for n, (kind, origin, pieces) in enumerate(draw(st.lists(TRANSACTIONS, min_size=min_size, max_size=14))):
        order = 0
        for number, counts in enumerate(pieces):
            last = number == len(pieces) - 1
            record = item(n + 1, *counts.items(), piece=number, last=last, kind=kind, origin=origin)
            written: list[bytes] = []
            for partition, count in counts.items():
                for _ in range(count):
                    written.append(event(n + 1, order))
                    history.logs[partition].append((offset(partition), written[-1]))
                    order += 1
            history.listed.append((offset(LIST_PARTITION), record))
            history.expected.append((record, [] if origin == "west" else written))
    return history


def sequence_of(value: bytes) -> int:
    """Sequence of an event made by `event`, which are below 64 here: one byte."""
    return value[5] >> 1


class Applier:
    """A consumer and an applier in small: fetches at random, takes, commits at transaction ends, may be killed."""

    def __init__(self, history: History, random: Random) -> None:
        self.history = history
        self.random = random
        self.committed: list[tuple[TransactionRecord, list[bytes]]] = []
        self.pending: list[Assembled] = []
        self.applied = 0
        self.positions: dict[TopicPartition, list[int]] = {}  # every position that was ever committed, ascending
        self.restart()

    def restart(self) -> None:
        """Begin again after what was committed, each partition from any earlier position."""
        self.pending = []
        self.asm = assembler(self.applied, "s1" if self.applied else None)
        self.read = {
            partition: self.history.index(partition, self.random.choice([0, *self.positions.get(partition, [])]))
            for partition in self.history.sources()
        }
        self.start = dict(self.read)
        self.begun = self.applied
        self.fetching = {partition for partition in self.positions if partition != LIST_PARTITION}
        self.asm.assigned(self.fetching)

    def fetch(self, partition: TopicPartition, limit: int) -> None:
        """Read on in one partition."""
        stop = min(self.read[partition] + limit, self.history.length(partition))
        self.history.feed(self.asm, partition, self.read[partition], stop)
        self.read[partition] = stop
        assert LIST_PARTITION not in self.asm.unassigned
        self.fetching |= self.asm.unassigned
        self.asm.assigned(self.asm.unassigned)

    def end(self, partition: TopicPartition) -> None:
        """Say as much about the partition's end as is true."""
        known = self.history.complete_to(partition, self.read[partition], self.read[LIST_PARTITION])
        self.asm.partition_end(partition, 0, known)

    def take(self, limit: int) -> None:
        """Take pieces and check their positions against the history."""
        for piece in self.asm.take(limit):
            touched = {(count.topic, count.partition) for count in piece.record.events}
            assert LIST_PARTITION in piece.positions
            assert piece.dropped or touched <= piece.positions.keys()
            for partition, position in piece.positions.items():
                for earlier in self.pending:
                    assert earlier.positions.get(partition, -1) < position
                if partition != LIST_PARTITION:  # nothing before the position is still needed
                    log = self.history.logs[partition]
                    assert all(sequence_of(value) <= piece.record.sequence for offset, value in log if offset < position)
                    assert any(offset == position - 1 for offset, _ in log)
            self.pending.append(piece)

    def commit(self) -> None:
        """Commit all whole transactions that were taken, with their positions."""
        ends = [n for n, piece in enumerate(self.pending) if piece.record.last]
        taken, self.pending = self.pending[: ends[-1] + 1 if ends else 0], self.pending[ends[-1] + 1 if ends else 0 :]
        positions: dict[TopicPartition, int] = {}
        for piece in taken:
            self.committed.append((piece.record, piece.values))
            self.applied = piece.record.sequence
            positions |= piece.positions
        for partition, position in positions.items():
            self.positions.setdefault(partition, []).append(position)

    def finished(self) -> bool:
        """Whether everything was read, apart from partitions of which the list has named none since the restart."""
        return all(self.read[name] == self.history.length(name) for name in (LIST_PARTITION, *self.fetching))


@settings(max_examples=300)
@given(histories(), st.randoms(use_true_random=False))
def test_history_comes_out_exactly_once(history: History, random: Random) -> None:
    """Any arrival, any restart: every piece once, in order, with its events, and positions from which to go on."""
    applier = Applier(history, random)
    kills = random.randrange(4)
    while kills or not applier.finished():
        match random.randrange(10):
            case 0 if kills:
                kills -= 1
                applier.restart()
            case 1 | 2:
                applier.commit()
            case 3 | 4:
                applier.take(random.choice([1, 3, 100]))
            case 5:
                applier.end(random.choice(history.sources()[1:]))
            case _:
                partition = random.choice([LIST_PARTITION, *sorted(applier.fetching)])
                applier.fetch(partition, random.choice([1, 2, 5, 100]))
    applier.take(100)
    for partition in history.logs:
        applier.end(partition)
    applier.commit()
    assert applier.committed == history.expected
    assert applier.pending == []
    assert applier.asm.buffered() == {}
    fetched_again = sum(
        sequence_of(value) <= applier.begun
        for partition, log in history.logs.items()
        for _, value in log[applier.start[partition] : applier.read[partition]]
    )
    assert applier.asm.repeated == fetched_again


@settings(max_examples=100)
@given(histories())
def test_needs_are_enough(history: History) -> None:
    """With everything paused except what is needed, one record at a time, the history still comes out: no deadlock."""
    applier = Applier(history, Random(0))
    for _ in range(sum(history.length(partition) for partition in history.sources()) + 1):
        for partition in applier.asm.needs():
            applier.fetch(partition, 1)
        applier.take(100)
    applier.commit()
    assert applier.committed == history.expected


# Corruption


def remove_event(history: History, random: Random) -> None:
    """Lose one event."""
    log = random.choice([log for log in history.logs.values() if log])
    log.pop(random.randrange(len(log)))


def swap_events(history: History, random: Random) -> None:
    """Exchange two events of different transactions in a partition, or lose one where there are none."""
    pairs = [
        (log, one, other)
        for log in history.logs.values()
        for one in range(len(log))
        for other in range(one)
        if sequence_of(log[one][1]) != sequence_of(log[other][1])
    ]
    if not pairs:
        return remove_event(history, random)
    log, one, other = random.choice(pairs)
    log[one], log[other] = (log[one][0], log[other][1]), (log[other][0], log[one][1])
    return None


def repeat_event(history: History, random: Random) -> None:
    """Publish one event twice."""
    partition, log = random.choice([named for named in history.logs.items() if named[1]])
    n = random.randrange(len(log))
    history.logs[partition] = list(enumerate(value for _, value in [*log[: n + 1], *log[n:]]))


def move_event(history: History, random: Random) -> None:
    """Put one event into another partition, at its end."""
    source = random.choice([log for log in history.logs.values() if log])
    target = random.choice([log for log in history.logs.values() if log is not source])
    _, value = source.pop(random.randrange(len(source)))
    target.append((target[-1][0] + 1 if target else 0, value))


def spoil_event(history: History, random: Random) -> None:
    """Cut one event short."""
    log = random.choice([log for log in history.logs.values() if log])
    n = random.randrange(len(log))
    log[n] = (log[n][0], log[n][1][: random.randrange(6)])


def count_more(history: History, random: Random) -> None:
    """Let the list count one event more than there is."""
    n = random.choice([n for n, (_, record) in enumerate(history.listed) if record.events])
    offset, record = history.listed[n]
    counts = list(record.events)
    counts[-1] = counts[-1]._replace(number=counts[-1].number + 1)
    history.listed[n] = (offset, record._replace(events=tuple(counts)))


def repeat_item(history: History, random: Random) -> None:
    """List a piece twice."""
    n = random.randrange(len(history.listed))
    _relist(history, [*history.listed[: n + 1], *history.listed[n:]])


def remove_item(history: History, random: Random) -> None:
    """Lose a piece's item; the list's end cannot be missed, so not the last one."""
    n = random.randrange(len(history.listed) - 1)
    _relist(history, history.listed[:n] + history.listed[n + 1 :])


def swap_items(history: History, random: Random) -> None:
    """List two pieces the wrong way round."""
    n = random.randrange(len(history.listed) - 1)
    _relist(history, [*history.listed[:n], history.listed[n + 1], history.listed[n], *history.listed[n + 2 :]])


def change_stream(history: History, random: Random) -> None:
    """Let the list go on with another stream's items; at least one was of the first."""
    n = random.randrange(1, len(history.listed))
    history.listed[n:] = [(offset, record._replace(stream="s2")) for offset, record in history.listed[n:]]


def _relist(history: History, listed: ListLog) -> None:
    history.listed = [(n, record) for n, (_, record) in enumerate(listed)]


CORRUPTIONS: dict[Callable[[History, Random], None], str] = {
    remove_event: "event_gap",
    swap_events: "event_gap",
    repeat_event: "event_gap",
    move_event: "event_gap",
    spoil_event: "event_gap",
    count_more: "event_gap",
    repeat_item: "list_gap",
    remove_item: "list_gap",
    swap_items: "list_gap",
    change_stream: "stream_changed",
}


@settings(max_examples=400)
@given(
    histories(min_size=2).filter(lambda history: any(history.logs.values())),
    st.sampled_from(list(CORRUPTIONS)),
    st.randoms(use_true_random=False),
)
def test_corruption_is_found(history: History, corrupt: Callable[[History, Random], None], random: Random) -> None:
    """Whatever is lost, swapped, moved, spoilt or listed wrongly is an error; what was committed before it is right.

    An event published twice is an error too, but one that only shows behind its transaction: what tells it there is its
    `order`, which is not read here.
    """
    corrupt(history, random)
    asm = assembler(stream=None)
    pieces: list[Assembled] = []
    read = dict.fromkeys(history.sources(), 0)

    def run() -> None:
        while left := [partition for partition in history.sources() if read[partition] < history.length(partition)]:
            partition = random.choice(left)
            stop = min(read[partition] + random.choice([1, 2, 5, 100]), history.length(partition))
            history.feed(asm, partition, read[partition], stop)
            read[partition] = stop
            pieces.extend(asm.take(random.choice([0, 1, 3, 100])))
        while more := asm.take(random.choice([1, 3, 100])):
            pieces.extend(more)
        for partition in random.sample(list(history.logs), len(history.logs)):
            asm.partition_end(partition, 100, history.listed[-1][0] + 1)
        pieces.extend(asm.take(100))

    with pytest.raises(ApplyError) as caught:
        run()
    assert caught.value.code == CORRUPTIONS[corrupt]
    assert caught.value.where.topic
    assert caught.value.hint
    whole = len(pieces)
    while whole and not pieces[whole - 1].record.last:
        whole -= 1  # a transaction of which a piece is missing is never committed
    for piece, (record, written) in zip(pieces[:whole], history.expected, strict=False):
        assert piece.record[:7] == record[:7]
        assert piece.values == written or corrupt is repeat_event
