"""What transactions are made of on their way from the binlog to Kafka."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from producers.events import Query
from producers.tables import CapturedTable
from producers.xa import Branch
from schemas.records import Row

KIND_ROWS, KIND_DDL, KIND_BARRIER = "rows", "ddl", "barrier"


@dataclass(slots=True, kw_only=True)
class Head:
    """What is known of a transaction while it is read."""

    gtid: str  # uuid:number, uuid:tag:number, or file:position without GTIDs
    tsid: str  # what its number counts within: uuid or uuid:tag; "" without GTIDs
    number: int
    committed_at: int  # microseconds since 1970
    server_id: int
    file: str
    pos: int
    seen: int  # last sequence of the other side applied before it
    held: frozenset[int] = frozenset()  # of the other side's statements up to there, those that are held here
    origin: str | None = None
    origin_sequence: int = 0
    origin_transactions: int = 0
    origin_seen: int = 0  # the least of this side's sequences that the origin had applied before any of it
    kind: str = ""  # "" while it has nothing to list
    barrier: int = 0
    loading: bool = False  # its rows are those of a copy, which nobody is told of
    unchecked: bool = False  # rows were inserted by a session that does not check foreign keys
    skipped: bool = False
    begun: bool = False  # by BEGIN or the like: a statement inside does not end it
    xa: bool = False  # rows that come now are of an XA branch: they wait for its commit


class Running(NamedTuple):
    """A statement that an applier has begun: what a session of this number logs now is of that side."""

    thread_id: int
    origin: str
    sequence: int  # of that side's stream; 0: of none
    file: str  # of the binlog where it was begun


class Rows(NamedTuple):
    """Row images of one event of a transaction. op u: images alternate before, after. size: bytes of the event."""

    head: Head
    table: CapturedTable
    op: str
    images: list[Row]
    size: int = 0


class Ddl(NamedTuple):
    """A statement that changes an object in scope."""

    head: Head
    query: Query
    statement: str
    raw: bytes | None  # as the client sent it, where that is not the UTF-8 of `statement`
    tables: tuple[str, ...]
    lower_case: bool


class Refresh(NamedTuple):
    """A row of the control table `refreshes`: what the applier wants to be sent back. image None: any row of the table."""

    head: Head
    table: CapturedTable
    role: str
    image: Row | None


class Conflict(NamedTuple):
    """A row of the table `conflicts` as it is now, by the names of its columns: published, and nothing that is listed."""

    head: Head
    row: Mapping[str, object]


class End(NamedTuple):
    """A transaction's end, the only place where positions may be recorded.

    begun: when its file was, in seconds since 1970. tables: of a skipped one, what it touched. prepared: the XA branches that are
    open behind it, where they have changed. running: the statements that an applier has begun, likewise. held:
    those that it holds behind it.
    """

    head: Head
    file: str
    pos: int
    begun: int = 0
    tables: tuple[str, ...] = ()
    prepared: Mapping[str, Branch] | None = None
    running: Mapping[int, Running] | None = None
    held: frozenset[int] = frozenset()


Item = Rows | Ddl | Refresh | Conflict | End
