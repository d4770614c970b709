"""Events → transactions: where each begins and ends, where it began (its origin), and what this side had seen before it.

Pure but for the tables' look-ups: events in, items out. Rows are handed on as they come, so that a huge transaction is never
held whole; what a transaction is called and where it began is known before its first row, since the GTID event opens it and
an applier's progress row is the first row that it changes.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from bisync_topology.ddl import Category, Statement
from bisync_topology.errors import CaptureError
from producers import events, xa
from producers.control_rows import ControlRows
from producers.events import Event, Query
from producers.items import KIND_BARRIER, KIND_DDL, KIND_ROWS, Ddl, End, Head, Item, Refresh, Rows, Running
from producers.payload import inner_events
from producers.queries import check_no_rows, definition, statement_of
from producers.refusals import DAMAGED, Spot, placed, refuse
from producers.table_map import table_name
from producers.tables import IGNORED, ROWS, Tables
from producers.tagged_gtid import read_gtid
from producers.xa import Branch, Branches, Recall

__all__ = ["KIND_BARRIER", "KIND_DDL", "KIND_ROWS", "Ddl", "End", "Head", "Item", "Refresh", "Rows", "Transactions"]

_OPS = {events.WRITE_ROWS: "c", events.UPDATE_ROWS: "u", events.PARTIAL_UPDATE_ROWS: "u", events.DELETE_ROWS: "d"}


class Transactions:
    """The state machine over one side's events."""

    def __init__(
        self,
        *,
        topology: str,
        side: str,
        target: str,
        control_schema: str,
        tables: Tables,
        file: str,
        seen: int,
        skips: frozenset[str],
        prepared: Mapping[str, Branch],
        recall: Recall,
        running: Mapping[int, Running] | None = None,
        held: Iterable[int] = (),
    ) -> None:
        """target: the other side, for what messages advise. file: of the binlog where the events begin.

        prepared: XA branches that are open there, by XID. recall: reads one once more. running: statements that an applier had
        begun there, by id in `ddl_log`. held: sequences of those that it held there.
        """
        self._topology = topology
        self._side = side
        self._target = target
        self._control_schema = control_schema
        self._tables = tables
        self._control_rows = ControlRows(topology, side, tables, running or {}, held)
        self._running = dict(self._control_rows.running)  # as the last end had it
        self._file, self._begun = file, 0
        self._seen = seen
        self._skips = skips
        self._head: Head | None = None
        self._touched: dict[str, None] = {}
        self._tsids: dict[bytes, str] = {}
        self._outer: Event | None = None  # the one in whose place others are being fed
        self._branches = Branches(prepared, recall, tables.in_scope)
        self._prepared: Mapping[str, Branch] | None = None  # for the next end, where it has changed
        self.items: list[Item] = []  # what has been read; the caller takes and clears it

    def feed(self, event: Event) -> None:
        """Take one event; its items are appended.

        Raises CaptureError with the place for whatever cannot be carried without loss.
        """
        code = event.type
        try:
            if code in _OPS:
                self._rows(event)
            elif code == events.TABLE_MAP:
                self._table_map(event)
            elif code in events.GTIDS:
                self._begin(event)
            elif code == events.QUERY:
                if self._head is not None and events.is_begin(event.data):
                    self._head.begun = True
                else:
                    self._query(event)
            elif code == events.XID:
                self._end(event)
            elif code not in events.WITHOUT_CONTENT and not event.flags & events.IGNORABLE_FLAG:
                self._other(event)
        except (CaptureError, *DAMAGED) as error:
            raise self._placed(error, event) from error

    def unpack(self, event: Event) -> Iterator[Event]:
        """What to feed in place of an event of UNPACKED: the events that it stands for, then, but for a payload, itself.

        Of a compressed transaction that is skipped only its table maps, as far as they can be read, and the event itself, which
        ends it. Raises CaptureError with the place for a damaged one.
        """
        if event.type == events.QUERY and events.is_begin(event.data):
            yield event
            return
        self._outer = event
        try:
            if event.type != events.TRANSACTION_PAYLOAD:
                yield from self._waited_for(event)
                yield event
            elif self._skipping():
                with suppress(*DAMAGED):
                    yield from (inner for inner in inner_events(event) if inner.type == events.TABLE_MAP)
                yield event
            else:
                for inner in inner_events(event):
                    if inner.type == events.XA_PREPARE:
                        yield from self._waited_for(inner)
                    yield inner
                    del inner  # a large one is to be gone before the next one is read
        except (CaptureError, *DAMAGED) as error:
            raise self._placed(error, event) from error
        self._outer = None

    def _waited_for(self, event: Event) -> Iterator[Event]:
        """The rows of the XA branch that this event commits; to the table maps of the stream they are nothing."""
        head = self._head
        if head is None or head.skipped:
            return
        if event.type == events.XA_PREPARE:
            found = self._branches.rows(head.gtid, head.file, head.pos) if xa.read_prepare(event.data)[1] else iter(())
        else:
            statement = xa.read_statement(events.query(event.data).statement)
            if statement is None or statement[0] != "COMMIT":
                return
            found = self._branches.committed(statement[1])
        head.xa = False
        with self._tables.other_numbers():
            yield from found

    def _other(self, event: Event) -> None:
        code = event.type
        if code == events.ROTATE:
            self._file, _ = events.rotate_target(event.data)
            self._tables.forget_numbers()
        elif code == events.FORMAT_DESCRIPTION:
            self._check_open(event)
            self._begun = event.written
            if events.server_began(event.data):
                self._control_rows.server_began(self._file)
            if self._head is not None:  # the server crashed inside a transaction: what it had not committed is no change
                self._seen = self._head.seen
                self._head = None
        elif code == events.XA_PREPARE:
            self._xa_prepare(event)
        elif self._skipping():
            if code in (events.TRANSACTION_PAYLOAD, events.INCIDENT):  # their transaction ends with them
                self._end(event)
        elif code not in events.OTHER_ROWS or self._tables.of_rows(event.data).role != IGNORED:
            refuse(f"a binlog event of type {events.NAMES.get(code, code)}, which is not captured yet")

    def _check_open(self, event: Event) -> None:
        """Refuse a transaction that is not ended after rows of it were handed on; they would become part of the next one."""
        head = self._head
        if head is not None and head.kind and not head.skipped:
            refuse("a transaction that is not ended")

    def _begin(self, event: Event) -> None:
        info = read_gtid(event)
        pos = event.start
        if self._head is not None:  # one that has no end of its own
            self._check_open(event)
            self._end(event, pos)
        if event.type == events.ANONYMOUS_GTID:
            tsid, gtid = "", f"{self._file}:{pos}"
        else:
            tsid = self._tsids.get(info.tsid) or self._tsids.setdefault(info.tsid, events.tsid_text(info.tsid))
            gtid = f"{tsid}:{info.number}"
        self._head = Head(
            gtid=gtid,
            tsid=tsid,
            number=info.number,
            committed_at=info.committed_at,
            server_id=event.server_id,
            file=self._file,
            pos=pos,
            seen=self._seen,
            held=self._control_rows.held,
            skipped=gtid in self._skips,
        )
        self._touched = {}

    def _skipping(self) -> bool:
        return self._head is not None and self._head.skipped

    def _table_map(self, event: Event) -> None:
        head = self._head
        if head is not None and head.xa:
            self._branches.note(event)
        if head is not None and head.skipped:
            self._touched[".".join(table_name(event.data[events.HEADER_BYTES :]))] = None
        elif head is None or not head.xa:
            self._tables.map(event.data)

    def _rows(self, event: Event) -> None:
        head = self._head
        if head is None:
            refuse("a row event outside of a transaction")
        if head.skipped or head.xa:
            if head.xa:
                self._branches.note(event)
            return
        table = self._tables.of_rows(event.data)
        role = table.role
        if role == IGNORED:
            return
        if role == ROWS and head.loading and table.keys is None:
            return  # they are at the origin already; where rows may have to be sent back, they may meet what this side has
        op = _OPS[event.type]
        images = table.rows(event.data, 2 if op == "u" else 1, partial=event.type == events.PARTIAL_UPDATE_ROWS)
        if role == ROWS:
            head.kind = KIND_ROWS
            head.unchecked |= op == "c" and bool(events.rows_flags(event.data) & events.NO_FOREIGN_KEY_CHECKS)
            self.items.append(Rows(head, table, op, images, len(event.data)))
        elif op != "d":
            for image in images[1::2] if op == "u" else images:
                self._control_rows.take(role, head, table, image, self.items)
            if head.origin is not None:
                self._seen = head.origin_sequence

    def _query(self, event: Event) -> None:
        head = self._head
        if head is None:
            refuse("a statement outside of a transaction")
        query = events.query(event.data)
        statement = statement_of(query, self._tables)
        if statement.verb == "BEGIN" or statement.start_transaction is not None:
            head.begun = True
        if statement.category is Category.XA:
            self._xa_statement(event, head, query)
            return
        if head.skipped:
            self._touched |= dict.fromkeys(".".join(name) for name in statement.objects)
            self._pass(event, statement)
            return
        match statement.category:
            case Category.TRANSACTION:
                self._transaction_statement(event, head, statement)
            case Category.TEMPORARY:
                self._pass(event, statement)
            case Category.DML:
                check_no_rows(self._tables, statement, query)
                self._pass(event, statement)
            case _:
                self._definition(head, query, statement)
                self._pass(event, statement)

    def _definition(self, head: Head, query: Query, statement: Statement) -> None:
        """A DDL, or a statement that is not understood. One that an applier runs has the origin that its session tells."""
        self._tables.forget()
        running = self._control_rows.begun_by(query.thread_id)
        if running is not None:
            head.origin, head.origin_sequence, head.origin_transactions = running.origin, running.sequence, 1
            self._seen = max(self._seen, running.sequence)  # one that was approved late is an older one
        found = definition(self._tables, statement, query, begun=head.begun)
        if found is not None:
            self.items.append(Ddl(head, query, found.text, found.raw, found.tables, self._tables.lower_case))
            if not head.begun:  # the rows of CREATE TABLE … SELECT are listed as a transaction of their own
                head.kind = KIND_DDL

    def _pass(self, event: Event, statement: Statement) -> None:
        """A statement commits by itself, unless it is inside of BEGIN, or rows follow as after CREATE TABLE … SELECT."""
        head = self._head
        if head is not None and (not head.begun or statement.verb in ("COMMIT", "ROLLBACK")):
            self._end(event)

    def _transaction_statement(self, event: Event, head: Head, statement: Statement) -> None:
        if statement.verb == "ROLLBACK" and head.kind:
            refuse("a ROLLBACK behind rows, and does not tell which of them it has undone")
        if statement.verb in ("COMMIT", "ROLLBACK"):  # COMMIT ends transactions of engines without two-phase commit
            self._end(event)
        elif statement.verb not in ("SAVEPOINT", "BEGIN"):
            refuse(f"{statement.verb} inside a transaction, which is not captured yet")

    def _xa_statement(self, event: Event, head: Head, query: Query) -> None:
        found = xa.read_statement(query.statement)
        if found is None:
            raise ValueError(f"an XA statement that is not known: {query.statement[:40]!r}")
        verb, xid = found
        if verb == "START":
            head.begun = head.xa = True
            self._branches.start()
        elif verb != "END":
            known = self._branches.end(xid)
            if verb == "COMMIT" and not known and not head.skipped:
                refuse(f"XA COMMIT {xid} of a branch that was prepared before capture began")
            self._prepared = dict(self._branches.prepared)
            self._end(event)

    def _xa_prepare(self, event: Event) -> None:
        head = self._head
        if head is None:
            refuse("an XA PREPARE outside of a transaction")
        xid, one_phase = xa.read_prepare(event.data)
        if not one_phase:
            self._branches.prepare(xid, head.gtid, head.file, head.pos, skipped=head.skipped)
            self._prepared = dict(self._branches.prepared)
        self._end(event)

    def _end(self, event: Event, pos: int = 0) -> None:
        head = self._head
        if head is None:
            refuse("a commit outside of a transaction")
        self._head = None
        running = self._control_rows.running
        changed = None if running == self._running else dict(running)
        self.items.append(
            End(
                head,
                self._file,
                pos or event.end,
                self._begun,
                tuple(self._touched),
                self._prepared,
                changed,
                self._control_rows.held,
            )
        )
        self._prepared = None
        self._running = self._running if changed is None else changed

    def _placed(self, error: Exception, event: Event) -> CaptureError:
        if isinstance(error, CaptureError) and error.where.log_file is not None:
            raise error  # it has its place
        gtid = None if self._head is None else self._head.gtid
        spot = Spot(self._side, self._target, gtid, self._file, (self._outer or event).start)
        of_rows = event.type in _OPS and len(event.data) >= events.HEADER_BYTES + 6 and not isinstance(error, CaptureError)
        return placed(error, spot, event, self._tables.of_rows(event.data).full_name if of_rows else None)
