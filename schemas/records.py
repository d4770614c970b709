"""Records on the wire as both ends hold them in memory.

`TransactionRecord` mirrors transaction.avsc, field by field; `RowEvent` is the prefix of a table's envelope that an
applier needs (schemas/envelope.py puts these fields first, so that the rest is never decoded).
"""

from typing import NamedTuple

REFRESH = "r"  # op of a row's present state, which is to be so whatever was there
KIND_REFRESH = "refresh"  # of a transaction that consists of such
NOT_ANSWERED = -1  # in a progress row, in place of what the source had seen: nothing is sent back of the rows of its transaction
Row = tuple[object, ...]  # canonical values in the order of the schema's columns


class EventCount(NamedTuple):
    """How many events of a transaction's piece are in one partition."""

    topic: str
    partition: int
    number: int


class TransactionRecord(NamedTuple):
    """One item of a side's transaction list; see transaction.avsc for each field."""

    sequence: int
    piece: int
    last: bool
    kind: str
    stream: str
    gtid: str
    committed_at: int
    origin: str | None
    origin_sequence: int
    origin_transactions: int
    seen: int
    fk_checks: bool
    barrier: int
    events: tuple[EventCount, ...]
    unchecked: bool = False
    held: tuple[int, ...] = ()


class RowEvent(NamedTuple):
    """One row's change.

    op: "c" insert, "u" update, "d" delete, "r" refresh. before is None for inserts, after for deletes; of a refresh one is None:
    after where the row is not there, and then only the key's values count.
    order: position within its transaction over all topics, from 0.
    moved: one half of an update that changed the key: the delete of the old row or the insert of the new one.
    """

    sequence: int
    order: int
    op: str
    before: Row | None
    after: Row | None
    moved: bool = False


class DdlEvent(NamedTuple):
    """A statement that is not a row change, as it was written, with the context that gives it its meaning."""

    sequence: int
    order: int
    statement: str
    default_db: str
    sql_mode: int
    time_zone: str
    charset: tuple[int, int, int]  # ids: character_set_client, collation_connection, collation_server
    tables: tuple[str, ...]  # `db.table` in scope that it names; empty where it could not be told
    raw: bytes | None = None  # as the client sent it, where that is not the UTF-8 of `statement`
    flags: int = 0  # flags2
    origin: str | None = None  # the side it began at, None: the one whose event it is
    lower_case: bool = False  # lower_case_table_names is not 0
    utf8mb4_collation: int = 0  # id
    explicit_timestamp: bool | None = None
    executed_at: int = 0  # what the statement calls now, microseconds since 1970 UTC
    invoker: str | None = None  # `user`@`host`, quoted
    auto_increment: tuple[int, int] = (1, 1)  # auto_increment_increment, auto_increment_offset
    stream: str = ""  # that the sequence counts in

    @property
    def foreign_key_checks(self) -> bool:
        """Whether its session had them on. Source: OPTION_NO_FOREIGN_KEY_CHECKS of flags2."""
        return not self.flags & 1 << 26

    @property
    def unique_checks(self) -> bool:
        """Likewise, OPTION_RELAXED_UNIQUE_CHECKS."""
        return not self.flags & 1 << 27
