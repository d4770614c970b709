"""What is replayed and recovered, and what is a gap: told from list records alone."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bisync_topology.errors import CheckFailed, UsageError
from bisync_topology.recovery_commands import microseconds
from recovery.listing import Boundary, Extent, Head, Item, Whole, present
from recovery.recover_plan import Lacking, lacking
from recovery.replay_plan import Chosen, Plan, at_offset, at_time, plan
from recovery.standing import Standing
from schemas.records import EventCount, TransactionRecord

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
TOPIC = "t.east.shop.item"


def record(
    sequence: int, *, stream: str = "s", kind: str = "rows", piece: int = 0, last: bool = True, events: int = 2
) -> TransactionRecord:
    """A transaction that was committed at second `sequence`, with events in partition 0."""
    return TransactionRecord(
        sequence=sequence,
        piece=piece,
        last=last,
        kind=kind,
        stream=stream,
        gtid=f"{UUID}:{sequence + 100}",
        committed_at=sequence * 1_000_000,
        origin=None,
        origin_sequence=0,
        origin_transactions=0,
        seen=0,
        fk_checks=False,
        barrier=sequence if kind == "barrier" else 0,
        events=(EventCount(TOPIC, 0, events),) if events else (),
    )


def items(records: Iterable[TransactionRecord], first: int = 0) -> list[Item]:
    """List records at every second offset from `first` on, as each commit takes one too; made when they were committed."""
    return [Item(first + 2 * n, each.committed_at // 1000, each) for n, each in enumerate(records)]


def whole(boundary: Boundary, low: int = 0, head: Head | None = None) -> Whole:
    """The partition of events begins at `low`, with `head`."""
    return Whole(Extent(low={(TOPIC, 0): low}, heads={(TOPIC, 0): head} if head else {}), boundary)


def planned(records: list[Item], chosen: Chosen | None, *, progress: int = 5, low: int = 0, **gone: object) -> Plan:
    """The plan of a replay of stream s."""
    boundary = Boundary()
    return plan(present(records, "s", boundary), whole(boundary, **gone), progress, chosen, low)  # type: ignore[arg-type]


def test_a_replay_begins_where_it_is_told() -> None:
    """By time, the first transaction committed then or later; by offset, the first there or behind; pieces stay together."""
    listed = items([record(1), record(2, last=False), record(2, piece=1), record(3), record(4)])
    found = planned(listed, at_time(1_500_000), progress=3)
    assert (found.start.record.sequence, found.start.offset) == (2, 2)
    assert (found.before.transactions, found.before.rows, found.after.transactions, found.last) == (2, 6, 1, 4)
    assert planned(listed, at_offset(3)).start.record.sequence == 3, "offset 3 is a marker, 4 the second piece"
    assert planned(listed, None).start.record.sequence == 1
    with pytest.raises(UsageError, match="no such transaction: the list ends with 4"):
        planned(listed, at_time(9_000_000))


def test_only_the_present_stream_counts() -> None:
    """A stream that was begun anew counts from 1 again: what the older one left in the list is passed over, and in partitions."""
    listed = items([record(7, stream="old"), record(8, stream="old"), *(record(n) for n in (1, 2))])
    assert planned(listed, at_offset(0)).start.offset == 4
    head = Head(sequence=7, events=2, timestamp=7000)
    boundary = Boundary(first=Item(4, 9000, record(1)), before=Item(2, 8000, record(8, stream="old")))
    lacks = whole(boundary, 5, head)
    lacks.add(record(1))
    assert lacks.last == 0, "the partition begins with what an older stream has left: nothing of this one is gone"


def test_the_earliest_transaction_is_the_first_that_is_whole_to_the_end() -> None:
    """Of a partition whose beginning is gone, its first transaction counts only if all its events are there that are listed."""
    listed = items([record(n) for n in (1, 2, 3, 4)])
    assert planned(listed, None, low=0, head=None).start.record.sequence == 1
    torn, complete = Head(sequence=3, events=1, timestamp=3000), Head(sequence=3, events=2, timestamp=3000)
    boundary = Boundary()
    for head, earliest in ((complete, 3), (torn, 4)):
        boundary = Boundary()
        found = plan(present(listed, "s", boundary), whole(boundary, 9, head), 5, None)
        assert found.start.record.sequence == earliest
        assert found.before.transactions == 5 - earliest
        boundary = Boundary()
        with pytest.raises(CheckFailed, match=f"of transactions 2 to {earliest - 1} Kafka has not every event") as caught:
            plan(present(listed, "s", boundary), whole(boundary, 9, head), 5, at_offset(2))
        assert "--to-earliest" in str(caught.value)


def test_a_start_before_the_list_or_behind_the_progress_is_refused() -> None:
    """What retention has taken of the list may have been meant; what lies between progress and start would be left out."""
    listed = items([record(n) for n in (5, 6, 7)], first=20)
    assert planned(listed, at_offset(20), low=20).start.record.sequence == 5
    assert planned(listed, at_time(6_000_000), low=20, progress=7).start.record.sequence == 6
    for chosen in (at_offset(3), at_time(1_000_000)):
        with pytest.raises(CheckFailed, match="the list begins with transaction 5"):
            planned(listed, chosen, low=20)
    with pytest.raises(CheckFailed, match="transactions 3 to 5 would be left out"):
        planned(listed, at_offset(22), low=20, progress=2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01T00:00:01Z", 1_000_000), ("1970-01-01 01:00:00.000001+01:00", 1), ("1970-01-02", 86_400_000_000)],
)
def test_times(text: str, expected: int) -> None:
    """A time without an offset is UTC, to the microsecond."""
    assert microseconds(text) == expected


def standing(gtids: str | None = None, **more: object) -> Standing:
    """A server that has these GTIDs."""
    return Standing(**{"gtids": gtids, "captured": gtids, "file": "b.000007", "pos": 4, "file_begun": 0, **more})  # type: ignore[arg-type]


def found(
    records: list[Item],
    has: Standing,
    *,
    began: str | None = f"{UUID}:1-100",
    low: int = 0,
    done: int = 0,
    applied: int = 0,
    cut: Whole | None = None,
) -> Lacking:
    """What west lacks of stream s."""
    boundary = Boundary()
    looked = cut or whole(boundary)
    looked.boundary = boundary
    last = records[-1].record.sequence if records else 0
    items = present(records, "s", boundary)
    return lacking("west", items, looked, has, sequence=last, began=began, low=low, done=done, applied=applied)


def test_what_a_side_lacks() -> None:
    """All from the first transaction on that it does not have; those that it has are not counted; barriers are remembered."""
    listed = items([record(1), record(2), record(3), record(4, kind="barrier", events=0)])
    one = found(listed, standing(f"{UUID}:1-101:103"))
    assert one.first is not None
    assert (one.first.record.sequence, one.last, one.transactions, one.barrier) == (2, 4, 2, 4)
    assert found(listed, standing(f"{UUID}:1-104")).first is None
    assert found(listed, standing(f"{UUID}:1-100")).transactions == 4, "it stands where the stream began"
    again = found(listed, standing(f"{UUID}:1-100"), done=2)
    assert again.first is not None
    assert again.first.record.sequence == 3


def test_progress_inside_of_what_was_applied_at_once() -> None:
    """Records tell from where to where they went, also over what was passed without a record: up to `seen` all was there before.
    Progress between two of them is no part of either, nor is that of where the server stood, and repairs are none of east's.
    """
    own, theirs = record(2), record(3)._replace(origin="east", origin_sequence=90, origin_transactions=9, seen=80)
    later, repair = theirs._replace(origin_sequence=120, origin_transactions=20, seen=95), record(5)
    repair = repair._replace(origin="east", origin_sequence=130, seen=120)
    listed = items([record(1), own, theirs, later._replace(sequence=4, gtid=f"{UUID}:104"), repair])
    for applied, inside in ((80, None), (81, 3), (89, 3), (90, None), (95, None), (96, 4), (119, 4), (120, None), (125, None)):
        one = found(listed, standing(f"{UUID}:1-101"), applied=applied)
        assert (one.inside and one.inside.record.sequence) == inside, applied
    assert found(listed, standing(f"{UUID}:1-103"), applied=85).inside is None


def test_gaps_are_named() -> None:
    """A backup older than the stream, a list without its beginning, events that are gone, rows that are nowhere: each refused."""
    listed = items([record(2), record(3), record(4)], first=10)
    with pytest.raises(CheckFailed, match="the backup is older than the stream"):
        found(listed, standing(f"{UUID}:1-99"))
    with pytest.raises(CheckFailed, match=rf"begins before transaction 2 \({UUID}:102\)"):
        found(listed, standing(f"{UUID}:1-100"), low=10)
    with pytest.raises(CheckFailed, match="begins before transaction 2"):
        found(listed, standing(f"{UUID}:1-101"), began=None)
    assert found(listed, standing(f"{UUID}:1-102"), began=None, low=10).transactions == 2
    cut = whole(Boundary(), 9, Head(sequence=4, events=2, timestamp=4000))
    with pytest.raises(CheckFailed, match=rf"gone from transaction 3 \({UUID}:103\) to transaction 3 \({UUID}:103\)"):
        found(listed, standing(f"{UUID}:1-102"), cut=cut)
    copied = items([record(1), record(2, kind="copy")])
    with pytest.raises(CheckFailed, match=rf"transaction 2 \({UUID}:102\) is of kind copy: its rows are not in the stream"):
        found(copied, standing(f"{UUID}:1-101"))


def test_without_gtids_a_place_tells() -> None:
    """In files that were there before the server was set back, up to their ends; in a later file of such a name, not."""
    has = standing(None, files={"b.000005": 900, "b.000006": 500})
    assert [has.has(place) for place in ("b.000004:10", "b.000005:800", "b.000006:499", "b.000006:500", "b.000007:4")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert has.covers("b.000006:500")
    assert not has.covers("b.000006:501")
