"""Rows of the control tables in the binlog → what they say of their transaction: its origin, a barrier, what is to be sent."""

from collections.abc import Iterable, Mapping

from bisync_topology.control import INITIAL_STREAM, LOCAL_STREAM
from producers.items import KIND_BARRIER, Conflict, Head, Item, Refresh, Running
from producers.refusals import refuse
from producers.tables import APPLIED, CONFLICTS, DDL_LOG, HEARTBEAT, INITIALIZATION, CapturedTable, Tables
from schemas.images import DOCUMENT, read_image
from schemas.records import Row


class ControlRows:
    """Reads one topology's rows; those of others in the same control schema are passed over."""

    def __init__(self, topology: str, side: str, tables: Tables, running: Mapping[int, Running], held: Iterable[int]) -> None:
        """running: statements of an applier that were begun where the events begin, by id in `ddl_log`. held: sequences of those
        that it holds there.
        """
        self._topology = topology
        self._side = side
        self._tables = tables
        self.running = dict(running)
        self.held = frozenset(held)  # what this side's rows do not know, though its progress is beyond it
        self._documents: dict[int, object] = {}  # of the present row that comes next, by position

    def take(self, role: str, head: Head, table: CapturedTable, image: Row, items: list[Item]) -> None:
        """Take a row as it is after its change. role: of its table. Raises CaptureError for a marker out of its place."""
        assert table.table is not None
        row = dict(zip((column.name for column in table.table.columns), image, strict=True))
        if row["topology"] != self._topology:
            return
        if role == APPLIED:
            _marker(head, row)
        elif role == HEARTBEAT:
            if row["side"] == self._side and not head.kind:  # what `wait` wrote: listed, so that its arrival can be told
                head.kind = KIND_BARRIER
                head.barrier = _int(row["barrier"])
        elif role == INITIALIZATION:
            head.loading |= row["kind"] == "data" and head.origin is not None  # which comes before the rows that are copied
        elif role == DDL_LOG:
            self._statement(head, row)
        elif role == CONFLICTS:
            items.append(Conflict(head, row))  # as it is on record now; its transaction is not listed for that
        else:
            self._refresh(head, row, items)

    def begun_by(self, thread_id: int) -> Running | None:
        """What an applier has begun in this session, and runs now."""
        found = next((each for each in self.running.values() if each.thread_id == thread_id), None)
        if found is not None:
            self.held -= {found.sequence}
        return found

    def server_began(self, file: str) -> None:
        """With this file: sessions of before are no more, and their numbers are given again."""
        self.running = {number: each for number, each in self.running.items() if each.file == file}

    def _statement(self, head: Head, row: Mapping[str, object]) -> None:
        """An applier's statement that cannot carry a progress row: between `running` and its next state the session tells it."""
        number, sequence, local = _int(row["id"]), _int(row["sequence"]), row["stream"] in (LOCAL_STREAM, INITIAL_STREAM)
        if row["state"] == "running":
            sequence = 0 if local else sequence
            self.running[number] = Running(_int(row["connection_id"]), str(row["source_side"]), sequence, head.file)
            return
        self.running.pop(number, None)
        if not local:
            self.held = self.held | {sequence} if row["state"] == "held" else self.held - {sequence}

    def _refresh(self, head: Head, row: Mapping[str, object], items: list[Item]) -> None:
        """What an applier wants to be sent back to the transaction's origin."""
        db, name, image = str(row["table_db"]), str(row["table_name"]), row["image"]
        if row["role"] == DOCUMENT:
            self._documents[int(str(row["columns"]))] = row["document"]
            return
        documents, self._documents = self._documents, {}
        if self._tables.in_scope(db, name):
            table = self._tables.refreshed(db, name, str(row["columns"]))
            assert table.table is not None
            assert image is None or isinstance(image, bytes | memoryview)
            read = None if image is None else read_image(table.table, bytes(image))
            if read is not None and documents:
                read = tuple(documents.get(n, value) for n, value in enumerate(read))
            items.append(Refresh(head, table, str(row["role"]), read))


def _marker(head: Head, row: Mapping[str, object]) -> None:
    """An applier's progress row: the transaction began at another side."""
    origin, sequence = str(row["source_side"]), _int(row["sequence"])
    if head.kind and (origin, sequence) != (head.origin, head.origin_sequence):
        refuse("an applier's progress row that is not the first row of its transaction")
    head.origin = origin
    head.origin_sequence = sequence
    head.origin_transactions = _int(row["transactions"])
    head.origin_seen = _int(row.get("seen", 0))


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
