"""XA transactions: their rows are logged at XA PREPARE, and are true only once XA COMMIT comes, in a transaction of its own.

    GTID 7 · XA START x · rows · XA END x · XA_PREPARE_LOG_EVENT x          …          GTID 9 · XA COMMIT x (or XA ROLLBACK x)

The rows take effect at XA COMMIT's place in the log; until then the server keeps their locks. A *branch* between the two may be
open for days and over restarts, so what is kept of it is its place in the log, in the checkpoint too. Its events are kept in
memory while they are few; else they are read once more from the server when they are needed.

XA COMMIT … ONE PHASE has no XA COMMIT statement in the log: its XA_PREPARE_LOG_EVENT says that it is the end.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from producers.events import HEADER_BYTES, TABLE_MAP, Event
from producers.table_map import table_name

KEPT_BYTES = 8 << 20  # of events of all open branches
_STATEMENT = re.compile(rb"XA (START|END|COMMIT|ROLLBACK) (X'[0-9a-f]*',X'[0-9a-f]*',\d+)", re.IGNORECASE)
_PREPARE = struct.Struct("<BIII")  # one phase, format, lengths of the global id and of the branch's qualifier


class Branch(NamedTuple):
    """A branch that was prepared. Where its transaction begins in the log, and whether it has rows of tables in scope."""

    gtid: str  # uuid:number, uuid:tag:number, or file:position without GTIDs
    file: str
    pos: int
    in_scope: bool


Recall = Callable[[Branch], Iterator[Event]]  # a branch's table maps and rows, read once more


def read_statement(statement: bytes) -> tuple[str, str] | None:
    """(verb, XID as the server writes it) of an XA statement in the log; None for any other."""
    found = _STATEMENT.fullmatch(statement.strip())
    return (found[1].decode().upper(), found[2].decode()) if found else None


def read_prepare(data: bytes) -> tuple[str, bool]:
    """(XID as XA COMMIT has it, whether it is committed in one phase) of an XA_PREPARE_LOG_EVENT (`xa_prepare_event`)."""
    one_phase, form, global_length, qualifier_length = _PREPARE.unpack_from(data, HEADER_BYTES)
    at = HEADER_BYTES + _PREPARE.size
    global_id, qualifier = data[at : at + global_length], data[at + global_length : at + global_length + qualifier_length]
    if len(qualifier) != qualifier_length or len(global_id) != global_length:
        raise ValueError("an XID is cut off")
    return f"X'{global_id.hex()}',X'{qualifier.hex()}',{form}", bool(one_phase)


class Branches:
    """The branches that are prepared and not ended, and the one that is being read."""

    def __init__(self, prepared: Mapping[str, Branch], recall: Recall, in_scope: Callable[[str, str], bool]) -> None:
        self.prepared = dict(prepared)  # by XID
        self._recall = recall
        self._in_scope = in_scope
        self._kept: dict[str, list[Event]] = {}  # of branches whose events are few
        self._kept_bytes = 0
        self._events: list[Event] | None = []  # of the one that is being read; None: they are too many
        self._touches = False  # a table in scope

    def start(self) -> None:
        """XA START: what follows belongs to a branch."""
        self._events, self._touches = [], False

    def note(self, event: Event) -> None:
        """Take a table map or rows of it."""
        if event.type == TABLE_MAP and not self._touches:
            self._touches = self._in_scope(*table_name(event.data[HEADER_BYTES:]))
        if self._events is not None:
            self._events.append(event)
            self._kept_bytes += len(event.data)
            if self._kept_bytes > KEPT_BYTES:
                self._kept_bytes -= _size(self._events)
                self._events = None

    def prepare(self, xid: str, gtid: str, file: str, pos: int, *, skipped: bool) -> None:
        """XA PREPARE: its rows wait. skipped: they will not be wanted."""
        branch = self.prepared[xid] = Branch(gtid, file, pos, self._touches and not skipped)
        if self._events is not None:
            self._kept[xid] = self._events
            if not branch.in_scope:
                self._drop(xid)

    def rows(self, gtid: str, file: str, pos: int) -> Iterator[Event]:
        """The events of the branch that is being read, which is committed in one phase; its place for reading it once more."""
        events, self._events = self._events, []
        if events is not None:
            self._kept_bytes -= _size(events)
        if self._touches:
            yield from events if events is not None else self._recall(Branch(gtid, file, pos, in_scope=True))

    def committed(self, xid: str) -> Iterator[Event]:
        """The events of a branch that is prepared; none of one that is not known, or out of scope."""
        branch = self.prepared.get(xid)
        if branch is not None and branch.in_scope:
            yield from self._kept[xid] if xid in self._kept else self._recall(branch)

    def end(self, xid: str) -> bool:
        """XA COMMIT or XA ROLLBACK; tells whether the branch was known."""
        self._drop(xid)
        return self.prepared.pop(xid, None) is not None

    def _drop(self, xid: str) -> None:
        self._kept_bytes -= _size(self._kept.pop(xid, []))


def _size(events: list[Event]) -> int:
    return sum(len(event.data) for event in events)
