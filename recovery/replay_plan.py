"""Where a replay begins, and what lies from there to the direction's progress and behind it. Pure: list records in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bisync_topology.errors import CheckFailed, UsageError
from bisync_topology.times import utc
from recovery.listing import Item, Whole

Chosen = Callable[[Item, Whole], bool]


@dataclass(kw_only=True)
class Counts:
    """So many transactions, with so many events in so many topics."""

    transactions: int = 0
    rows: int = 0
    topics: set[str] = field(default_factory=set)

    def add(self, item: Item) -> None:
        """Count a record of the list."""
        self.transactions += item.record.last
        for topic, _, number in item.record.events:
            self.rows += number
            self.topics.add(topic)


@dataclass(kw_only=True)
class Plan:
    """Where to begin; what is applied already from there on, and what is not."""

    start: Item
    before: Counts
    after: Counts
    last: int  # sequence of the list's last transaction


def at_time(moment: int) -> Chosen:
    """The first transaction that was committed then or later; microseconds since 1970 UTC."""
    return lambda item, whole: item.record.committed_at >= moment


def at_offset(offset: int) -> Chosen:
    """The first transaction at an offset of the list or behind it."""
    return lambda item, whole: item.offset >= offset


def plan(items: Iterable[Item], whole: Whole, progress: int, chosen: Chosen | None, low: int = 0) -> Plan:
    """Go through the present stream's list. chosen: None is the earliest transaction from which on Kafka has every event.

    whole: is told of every record. progress: sequence up to which the direction has applied. low: the list's first offset.
    Raises UsageError where nothing was chosen, CheckFailed where Kafka lacks something from there on.
    """
    start: Item | None = None
    before, after = Counts(), Counts()
    last = lacking = 0
    for item in items:
        record = item.record
        whole.add(record)
        last = record.sequence
        if chosen is None and whole.last > lacking:  # begin anew behind it
            lacking, start, before, after = whole.last, None, Counts(), Counts()
            continue
        if start is None and record.piece == 0 and (chosen is None or chosen(item, whole)):
            start = item
        if start is not None:
            (before if record.sequence <= progress else after).add(item)
    if start is None:
        raise UsageError(
            f"there is no such transaction: the list ends with {last}",
            hint="choose an earlier one: `--to-earliest` is the first from which on Kafka has everything",
        )
    boundary = whole.boundary
    if low and boundary.before is None and start is boundary.first and chosen and chosen(start._replace(offset=low - 1), whole):
        at = f"transaction {start.record.sequence}, committed at {utc(start.record.committed_at)}"
        raise gone(f"the list begins with {at}: what was chosen lies before it, or may")
    if whole.last >= start.record.sequence:
        raise gone(
            f"of transactions {start.record.sequence} to {whole.last} Kafka has not every event any more, up to {whole.gtid}"
        )
    if start.record.sequence > progress + 1:
        raise CheckFailed(
            f"transactions {progress + 1} to {start.record.sequence - 1} would be left out: the target has applied up to "
            f"{progress}, and the chosen one is {start.record.sequence}",
            hint="where Kafka has them, choose an earlier one; where it has not, make both sides alike, then "
            "`bisync-topology init --reset`",
            code="event_gap",
        )
    return Plan(start=start, before=before, after=after, last=last)


def gone(what: str) -> CheckFailed:
    """The error for what Kafka has no more."""
    return CheckFailed(what, hint="`--to-earliest` begins with the first from which on Kafka has everything", code="records_lost")
