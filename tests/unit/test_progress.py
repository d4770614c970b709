"""What the next commit says of a direction's progress; no server."""

from consumers.assemble import Assembled
from consumers.progress import Progress
from schemas.records import KIND_REFRESH, NOT_ANSWERED, TransactionRecord


def piece(
    sequence: int,
    *,
    dropped: bool = False,
    last: bool = True,
    rows: int = 0,
    barrier: int = 0,
    stood_for: int = 0,
    kind: str = "rows",
    seen: int = 0,
) -> Assembled:
    """A piece at offset sequence - 1 of the list; stood_for: source transactions of a dropped one."""
    origin = "west" if dropped else None
    record = TransactionRecord(
        sequence, 0, last, kind, "s", f"u:{sequence}", sequence * 10, origin, 0, stood_for, seen, False, barrier, ()
    )
    return Assembled(record, [b""] * rows, {("list", 0): sequence}, dropped)


def test_applied_transactions_and_rows_are_counted() -> None:
    """A transaction counts once, at its last piece; its rows in every piece."""
    progress = Progress()
    progress.add(piece(1, rows=3, last=False), applied=True)
    progress.add(piece(1, rows=2), applied=True)
    progress.add(piece(2, rows=1), applied=True)
    assert (progress.sequence, progress.gtid, progress.committed_at) == (2, "u:2", 20)
    assert (progress.transactions, progress.rows, progress.dropped) == (2, 6, 0)


def test_drops_are_counted_in_source_transactions() -> None:
    """One commit of the other applier stands for many transactions of ours: so many come back, and are dropped."""
    progress = Progress()
    progress.add(piece(1, dropped=True, stood_for=7), applied=False)
    progress.add(piece(2, dropped=True, stood_for=2), applied=False)
    assert (progress.transactions, progress.rows, progress.dropped) == (0, 0, 9)


def test_what_the_source_had_seen() -> None:
    """The least of it. What the source has sent back counts at the arbiter alone, and by itself is not answered elsewhere."""
    answers, changes, total = Progress(), Progress(), Progress()
    answers.add(piece(1, rows=1, kind=KIND_REFRESH, seen=3), applied=True)
    changes.add(piece(2, rows=1, seen=5), applied=True)
    changes.add(piece(3, rows=1, seen=4), applied=True)
    for part in (answers, changes):
        total.merge(part)
    said = {
        arbiter: [each.seen_by(arbiter=arbiter) for each in (answers, changes, total, Progress())] for arbiter in (True, False)
    }
    assert said == {True: [3, 4, 3, 0], False: [NOT_ANSWERED, 4, 4, 0]}


def test_merge_keeps_what_was_passed_before() -> None:
    """Lazy progress goes with the next commit: sums add up, the place is the later one, the higher barrier stays."""
    lazy, later = Progress(), Progress()
    lazy.add(piece(1, dropped=True, stood_for=1, barrier=4), applied=False)
    later.add(piece(2, rows=1), applied=True)
    total = Progress()
    assert total.empty
    total.merge(lazy)
    total.merge(later)
    assert not total.empty
    assert (total.sequence, total.barrier, total.dropped, total.transactions, total.rows) == (2, 4, 1, 1, 1)
    assert total.positions == {("list", 0): 2}
