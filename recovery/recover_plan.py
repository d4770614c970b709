"""What a side that was set back lacks of its own stream, and whether Kafka has all of it. Pure: list records in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bisync_topology.errors import CheckFailed
from recovery.listing import Item, Whole
from recovery.standing import Standing
from schemas.records import TransactionRecord

_KINDS = ("rows", "ddl", "barrier", "refresh")  # what can be passed without rows that are nowhere in Kafka


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """The transactions that are to be applied again: all from `first` on that the side does not have. None: it has them all."""

    first: Item | None
    last: int  # sequence of the list's last transaction
    transactions: int = 0
    barrier: int = 0  # the last one of `wait`
    inside: Item | None = None  # what an applier has brought again in part: what went at once then


def lacking(
    side: str,
    items: Iterable[Item],
    whole: Whole,
    standing: Standing,
    *,
    sequence: int,
    began: str | None,
    low: int,
    done: int = 0,
    applied: int = 0,
) -> Lacking:
    """Go through the list of the present stream, which its checkpoint says has come to `sequence`, and began at `began`.

    low: the list's first offset. done: up to where it was recovered already. applied: up to where it has the other side's stream.

    Raises CheckFailed that names the gap, where there is one.
    """
    first: Item | None = None
    inside: Item | None = None
    known = done > 0  # the list has a transaction before the first lacking one that the side has
    last = transactions = barrier = 0
    for item in items:
        record = item.record
        whole.add(record)
        last, barrier = record.sequence, max(barrier, record.barrier)
        if record.sequence <= done or standing.has(record.gtid):
            known = known or first is None
            continue
        first = first or item
        if record.origin_transactions and record.seen < applied < record.origin_sequence:
            inside = item
        transactions += record.last
        if (why := _nowhere(record)) is not None:
            raise gap(side, f"{_named(record)} {why}")
    cut = low > 0 and whole.boundary.before is None
    if last and last != sequence:
        raise gap(side, f"the list ends with transaction {last}, the checkpoint with {sequence}")
    if began is not None and not standing.covers(began):
        raise gap(side, f"the backup is older than the stream, which began behind {began or 'nothing'}")
    if not last and sequence:
        raise gap(side, f"the list of {sequence} transactions is gone")
    if first is None:
        return Lacking(first=None, last=sequence, barrier=barrier)
    if not known and (cut or began is None):
        raise gap(side, f"what it lacks begins before {_named(first.record)}, which is the first in the list")
    if whole.last >= first.record.sequence:
        raise gap(side, f"events are gone from {_named(first.record)} to transaction {whole.last} ({whole.gtid})")
    return Lacking(first=first, last=last, transactions=transactions, barrier=barrier, inside=inside)


def _nowhere(record: TransactionRecord) -> str | None:
    """Why the rows of a transaction are not in the side's own stream, if they are not.

    The place for transactions that are listed without their rows, such as those of an initial load.
    """
    return None if record.kind in _KINDS else f"is of kind {record.kind}: its rows are not in the stream"


def _named(record: TransactionRecord) -> str:
    return f"transaction {record.sequence} ({record.gtid})"


def gap(side: str, what: str) -> CheckFailed:
    """The error for what is lost: nothing was written."""
    return CheckFailed(
        f"Kafka does not have all that {side} lacks: {what}; nothing was written",
        hint="keep writes off; `bisync-topology init --reset` for both directions, start `up`, and `bisync-topology verify "
        "--repair` makes one side like the other",
        code="event_gap",
    )
