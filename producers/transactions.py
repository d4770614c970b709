"""Events → transactions: where each begins and ends, where it began (its origin), and what this side had seen before it.

Pure but for the tables' look-ups: events in, items out. Rows are handed on as they come, so that a huge transaction is never
held whole; what a transaction is called and where it began is known before its first row, since the GTID event opens it and
an applier's progress row is the first row that it changes.
"""

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress

from bisync_topology.ddl import Category, Statement, describe, read_statement
from bisync_topology.errors import CaptureError, Where
from producers import events
from producers.events import Event, Query
from producers.items import KIND_BARRIER, KIND_DDL, KIND_ROWS, Ddl, End, Head, Item, Rows
from producers.json_opaque import UnsupportedJson
from producers.payload import inner_events
from producers.table_map import table_name
from producers.tables import APPLIED, HEARTBEAT, IGNORED, ROWS, CapturedTable, Tables
from producers.tagged_gtid import tagged_gtid_info
from schemas.records import Row

__all__ = ["KIND_BARRIER", "KIND_DDL", "KIND_ROWS", "Ddl", "End", "Head", "Item", "Rows", "Transactions"]

_OPS = {events.WRITE_ROWS: "c", events.UPDATE_ROWS: "u", events.DELETE_ROWS: "d"}
_DAMAGED = (ValueError, IndexError, KeyError, struct.error)  # what reading bytes that are not as expected raises
_GTIDS = (events.GTID, events.ANONYMOUS_GTID, events.GTID_TAGGED)
_ANSI_QUOTES, _NO_BACKSLASH_ESCAPES = 4, 1 << 20  # bits of sql_mode


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
    ) -> None:
        """target: the other side, for what messages advise. file: of the binlog where the events begin."""
        self._topology = topology
        self._side = side
        self._target = target
        self._control_schema = control_schema
        self._tables = tables
        self._file = file
        self._seen = seen
        self._skips = skips
        self._head: Head | None = None
        self._touched: dict[str, None] = {}
        self._tsids: dict[bytes, str] = {}
        self._payload: Event | None = None  # the one whose inner events are being fed
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
            elif code in _GTIDS:
                self._begin(event)
            elif code == events.QUERY:
                if self._head is not None and events.is_begin(event.data):
                    self._head.begun = True
                else:
                    self._query(event)
            elif code == events.XID:
                self._end(event)
            elif code not in _IGNORED_EVENTS and not event.flags & events.IGNORABLE_FLAG:
                self._other(event)
        except CaptureError as error:
            if error.where.log_file is not None:
                raise
            raise self._placed(event, error) from error
        except UnsupportedJson as error:
            raise self._unsupported(event, str(error)) from error
        except _DAMAGED as error:
            raise self._undecodable(event, error) from error

    def unpack(self, payload: Event) -> Iterator[Event]:
        """The events to feed in place of a TRANSACTION_PAYLOAD_EVENT.

        Of a transaction that is skipped only its table maps, as far as they can be read, and the event itself, which ends it.
        Raises CaptureError with the place for a damaged one.
        """
        self._payload = payload
        try:
            if self._skipping():
                with suppress(*_DAMAGED):
                    yield from (event for event in inner_events(payload) if event.type == events.TABLE_MAP)
                yield payload
            else:
                yield from inner_events(payload)
        except _DAMAGED as error:
            raise self._undecodable(payload, error) from error
        self._payload = None

    def _other(self, event: Event) -> None:
        code = event.type
        if code == events.ROTATE:
            self._file, _ = events.rotate_target(event.data)
            self._tables.forget_numbers()
        elif code == events.FORMAT_DESCRIPTION:
            self._check_open(event)
            if self._head is not None:  # the server crashed inside a transaction: what it had not committed is no change
                self._seen = self._head.seen
                self._head = None
        elif self._skipping():
            if code in (events.XA_PREPARE, events.TRANSACTION_PAYLOAD):  # their transaction ends with them
                self._end(event)
        elif code not in events.OTHER_ROWS or self._tables.of_rows(event.data).role != IGNORED:
            self._refuse(event, f"a binlog event of type {events.NAMES.get(code, code)}, which is not captured yet")

    def _check_open(self, event: Event) -> None:
        """Refuse a transaction that is not ended after rows of it were handed on; they would become part of the next one."""
        head = self._head
        if head is not None and head.kind and not head.skipped:
            self._refuse(event, "a transaction that is not ended")

    def _begin(self, event: Event) -> None:
        info = tagged_gtid_info(event.data) if event.type == events.GTID_TAGGED else events.gtid_info(event.data)
        pos = event.start
        if self._head is not None:  # one that has no end of its own, such as a skipped incident
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
            skipped=gtid in self._skips,
        )
        self._touched = {}

    def _skipping(self) -> bool:
        return self._head is not None and self._head.skipped

    def _table_map(self, event: Event) -> None:
        if self._skipping():
            self._touched[".".join(table_name(event.data[events.HEADER_BYTES :]))] = None
        else:
            self._tables.map(event.data)

    def _rows(self, event: Event) -> None:
        head = self._head
        if head is None:
            self._refuse(event, "a row event outside of a transaction")
            return
        if head.skipped:
            return
        table = self._tables.of_rows(event.data)
        role = table.role
        if role == IGNORED:
            return
        op = _OPS[event.type]
        images = table.rows(event.data, 2 if op == "u" else 1)
        if role == ROWS:
            head.kind = KIND_ROWS
            self.items.append(Rows(head, table, op, images))
        elif op != "d":
            for image in images[1::2] if op == "u" else images:
                if role == APPLIED:
                    self._marker(event, head, table, image)
                elif role == HEARTBEAT:
                    self._barrier(head, table, image)

    def _marker(self, event: Event, head: Head, table: CapturedTable, image: Row) -> None:
        """An applier's progress row: the transaction began at another side."""
        row = _named(table, image)
        if row["topology"] != self._topology:
            return
        origin, sequence = str(row["source_side"]), _int(row["sequence"])
        if head.kind and (origin, sequence) != (head.origin, head.origin_sequence):
            self._refuse(event, "an applier's progress row that is not the first row of its transaction")
        head.origin = origin
        head.origin_sequence = self._seen = sequence
        head.origin_transactions = _int(row["transactions"])

    def _barrier(self, head: Head, table: CapturedTable, image: Row) -> None:
        """A row that `wait` wrote: listed, so that its arrival can be told."""
        row = _named(table, image)
        if row["topology"] == self._topology and row["side"] == self._side and not head.kind:
            head.kind = KIND_BARRIER
            head.barrier = _int(row["barrier"])

    def _query(self, event: Event) -> None:
        head = self._head
        if head is None:
            self._refuse(event, "a statement outside of a transaction")
            return
        query = events.query(event.data)
        text = query.statement.decode("utf-8", "replace")
        statement = read_statement(
            text,
            query.db,
            ansi_quotes=bool(query.sql_mode & _ANSI_QUOTES),
            backslash_escapes=not query.sql_mode & _NO_BACKSLASH_ESCAPES,
        )
        if statement.verb in ("BEGIN", "XA START") or statement.start_transaction is not None:
            head.begun = True
        if head.skipped:
            self._touched |= dict.fromkeys(".".join(name) for name in statement.objects)
            self._pass(event, statement)
            return
        match statement.category:
            case Category.TRANSACTION:
                self._transaction_statement(event, statement)
            case Category.ACCOUNT | Category.ADMIN | Category.TEMPORARY:
                self._pass(event, statement)
            case Category.TABLE | Category.DATABASE | Category.OBJECT:
                names = self._in_scope(statement, query.db)
                if names is not None:
                    self._ddl(event, query, statement, names)
                self._pass(event, statement)
            case _:
                self._not_rows(event, statement)
                self._pass(event, statement)

    def _pass(self, event: Event, statement: Statement) -> None:
        """A statement commits by itself, unless it is inside of BEGIN, or rows follow as after CREATE TABLE … SELECT."""
        head = self._head
        if head is not None and (not head.begun or statement.verb in ("COMMIT", "ROLLBACK")):
            self._end(event)

    def _transaction_statement(self, event: Event, statement: Statement) -> None:
        if statement.verb in ("COMMIT", "ROLLBACK"):  # COMMIT ends transactions of engines without two-phase commit
            self._end(event)
        elif statement.verb not in ("SAVEPOINT", "BEGIN"):
            self._refuse(event, f"{statement.verb} inside a transaction, which is not captured yet")

    def _in_scope(self, statement: Statement, default_db: str) -> tuple[str, ...] | None:
        """Names in scope that a statement speaks of; None when it concerns nothing in scope."""
        if statement.category is Category.DATABASE:
            database = statement.database or default_db
            return () if self._tables.database_in_scope(database) else None
        if not statement.objects:
            databases = {db for db, _ in statement.names} or {default_db}
            return () if any(map(self._tables.database_in_scope, databases)) else None
        names = tuple(f"{db}.{name}" for db, name in statement.objects if self._tables.in_scope(db, name))
        return names or None

    def _ddl(self, event: Event, query: Query, statement: Statement, names: tuple[str, ...]) -> None:
        head = self._head
        assert head is not None
        if head.begun:
            what = "CREATE TABLE … SELECT" if statement.start_transaction else f"{describe(statement)} inside a transaction"
            self._refuse(event, f"{what}, which is not captured yet")
        try:
            text = query.statement.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"it is not written in UTF-8: {error}") from error
        head.kind = KIND_DDL
        self.items.append(Ddl(head, query, text, names))

    def _not_rows(self, event: Event, statement: Statement) -> None:
        """DML as a statement, XA, or something that could not be read: refused unless it is surely out of scope."""
        names = statement.objects
        if statement.category is not Category.DML or not names or any(self._tables.in_scope(*name) for name in names):
            self._refuse(event, f"the statement {describe(statement)} in place of rows, which cannot be captured")

    def _end(self, event: Event, pos: int = 0) -> None:
        head = self._head
        if head is None:
            self._refuse(event, "a commit outside of a transaction")
            return
        self._head = None
        self.items.append(End(head, self._file, pos or event.end, tuple(self._touched)))

    def _where(self, event: Event, table: str | None = None) -> Where:
        head = self._head
        return Where(
            side=self._side,
            gtid=head.gtid if head else None,
            log_file=self._file,
            log_pos=(self._payload or event).start,
            table=table,
        )

    def _hint(self) -> str:
        command = f"bisync-topology skip {self._side} {self._target} --gtid {self._head.gtid if self._head else '…'} --reason …"
        return f"`{command}` passes the whole transaction, whose rows are then to be mended by hand"

    def _refuse(self, event: Event, what: str) -> None:
        raise CaptureError(f"the binlog has {what}", code="not_captured", hint=self._hint(), where=self._where(event))

    def _unsupported(self, event: Event, what: str) -> CaptureError:
        where = self._where(event, self._tables.of_rows(event.data).full_name)
        return CaptureError(
            f"a row has {what}, which is not decoded yet", code="unsupported_type", hint=self._hint(), where=where
        )

    def _undecodable(self, event: Event, error: Exception) -> CaptureError:
        what = f"an event of type {events.NAMES.get(event.type, event.type)}"
        table = None
        if event.type in _OPS and len(event.data) >= events.HEADER_BYTES + 6:
            table = self._tables.of_rows(event.data).full_name
            what = f"a row of {table}"
        where = self._where(event, table)
        return CaptureError(f"{what} cannot be decoded: {error}", code="undecodable", hint=self._hint(), where=where)

    def _placed(self, event: Event, error: CaptureError) -> CaptureError:
        """The same error with the event's place; the way past it is said too."""
        hint = f"{error.hint}; or {self._hint()}" if error.hint else self._hint()
        return CaptureError(error.message, code=error.code, hint=hint, where=self._where(event, error.where.table))


_IGNORED_EVENTS = frozenset(
    {
        events.STOP,
        events.HEARTBEAT,
        events.HEARTBEAT_V2,
        events.ROWS_QUERY,
        events.PREVIOUS_GTIDS,
        events.TRANSACTION_CONTEXT,
        events.VIEW_CHANGE,
        *events.STATEMENT_VALUES,  # the statement that they belong to follows, and decides
    }
)


def _named(table: CapturedTable, image: Row) -> Mapping[str, object]:
    assert table.table is not None
    return dict(zip((column.name for column in table.table.columns), image, strict=True))


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
