"""How far a direction has come, and what the next commit will say of it. Pure: pieces in, numbers out."""

from dataclasses import dataclass, field

from consumers.assemble import Assembled, TopicPartition
from schemas.records import KIND_REFRESH, NOT_ANSWERED, TransactionRecord


@dataclass(kw_only=True)
class Progress:
    """What has been passed since the last commit on the target; written to `applied` and `applied_offsets`.

    Numbers are those of source transactions and rows. sequence 0: nothing has been passed.
    """

    sequence: int = 0
    gtid: str = ""
    committed_at: int = 0
    transactions: int = 0  # applied
    rows: int = 0
    dropped: int = 0  # transactions that had begun at the target's side
    barrier: int = 0
    seen: int | None = None  # the least that the source had seen of the target's stream before any of those with rows
    answers_seen: int | None = None  # likewise of those that consist of what the source sends back, which `seen` leaves out
    positions: dict[TopicPartition, int] = field(default_factory=dict)

    def add(self, piece: Assembled, *, applied: bool) -> None:
        """Pass one piece. applied: its rows are written, as it is neither dropped, skipped nor empty."""
        record = piece.record
        self.sequence, self.gtid, self.committed_at = record.sequence, record.gtid, record.committed_at
        self.barrier = max(self.barrier, record.barrier)
        self.positions.update(piece.positions)
        if applied:
            self.meet(record)
            self.rows += len(piece.values)
            self.transactions += record.last
        elif piece.dropped and record.last:
            self.dropped += record.origin_transactions

    def meet(self, record: TransactionRecord) -> None:
        """Take note of what the source had seen before a transaction with rows."""
        if record.kind == KIND_REFRESH:
            self.answers_seen = _least(self.answers_seen, record.seen)
        else:
            self.seen = _least(self.seen, record.seen)

    def seen_by(self, *, arbiter: bool) -> int:
        """What the progress row says of it. arbiter: the target is; it alone answers answers, else both would for ever."""
        least = _least(self.seen, self.answers_seen) if arbiter else self.seen
        return least if least is not None else 0 if self.answers_seen is None else NOT_ANSWERED

    def merge(self, later: "Progress") -> None:
        """Pass what another one has passed after this."""
        self.sequence, self.gtid, self.committed_at = later.sequence, later.gtid, later.committed_at
        self.transactions += later.transactions
        self.rows += later.rows
        self.dropped += later.dropped
        self.barrier = max(self.barrier, later.barrier)
        self.seen = _least(self.seen, later.seen)
        self.answers_seen = _least(self.answers_seen, later.answers_seen)
        self.positions.update(later.positions)

    @property
    def empty(self) -> bool:
        """Nothing has been passed."""
        return self.sequence == 0


def _least(one: int | None, other: int | None) -> int | None:
    return min((seen for seen in (one, other) if seen is not None), default=None)
