"""One side's producer: capture → transactions → publish, from the last checkpoint on. Read this first.

Start order, and why: the lock first, so that one process at a time works; then `init_transactions`, which fences an older
producer and settles what it left open, but for what the broker has forgotten to end (hanging.py); only then the checkpoint is
read, as before that it could still have moved; then the stream is connected at it. Every way to lose the ground (a lost link, a
broker that was away, being fenced) leads back to the start.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pymysql.err
import structlog
from pymysql.connections import Connection

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.error_table import Category
from bisync_topology.errors import CaptureError, rule_for
from bisync_topology.kafka import admin, check_access, ensure_control_topics
from bisync_topology.kafka_access import producer_access
from bisync_topology.mysql import connect, interrupt
from bisync_topology.ownership import Ownership, now_us
from bisync_topology.restarts import Backoff
from bisync_topology.scope import Scope, UnionScope, settings_for
from bisync_topology.topology import Topology
from bisync_topology.worker import run_worker
from producers.capture import BinlogStream, Position, file_begun, recall
from producers.checkpoint import Checkpoint, captured_objects, check_list, check_topics, read_checkpoint
from producers.events import Event
from producers.hanging import settle
from producers.outbox import Outbox
from producers.publish import Publisher
from producers.server import Server, check_file, check_recovered, check_server, read_server, replica_number
from producers.tables import Tables
from producers.transactions import End, Transactions
from producers.xa import Branch

log = structlog.get_logger()
_POLL_SECONDS = 0.5  # how long a quiet stream is waited for before a stop is looked for


def run(topology: Topology, side: str, stop: threading.Event) -> None:
    """Run until told to stop; a stop drains what has been read.

    Raises LostOwnership, InternalError. An outage is waited out; what cannot be captured is recorded as the failed state of
    the directions from this side and waits for `skip` or `resume`.
    """
    producer = ProducerProcess(topology, side, stop)
    run_worker("producer", producer, producer.ownership, stop)


class ProducerProcess:
    """What a producer holds between two starts of its work."""

    pausable = False  # the other side's applier pauses; capture goes on, as the binlog is not kept for ever

    def __init__(self, topology: Topology, side: str, stop: threading.Event) -> None:
        self.topology = topology
        self.side = side
        self.stop = stop
        self.directions = [(d.from_, d.to) for d in topology.directions_from(side)] or [(side, topology.other(side))]
        self.scope = UnionScope(topology.directions_from(side), control_schema=topology.control_schema)
        self.ownership = Ownership(topology, side, f"producer {side}", stop)
        self._one_by_one = False  # commit after every transaction, up to one that cannot be captured,
        self._doubtful = (0, 0)  # which was met before this place
        self._stream: BinlogStream | None = None
        self._outbox: Outbox | None = None
        self._connection: Connection[Any] | None = None

    def _judged(self, db: str, table: str) -> bool:
        """Whether this side is the arbiter of a table's policy, by the directions into it."""
        return self.topology.arbiter == self.side and any(
            Scope(direction.objects, control_schema=self.topology.control_schema).includes(db, table)
            and settings_for(direction, db, table).on_conflict.converges
            for direction in self.topology.directions_into(self.side)
        )

    def work(self, backoff: Backoff) -> None:
        """From the lock on: fence, read the checkpoint, connect, loop."""
        connection = self._connection = connect(self.topology.sides[self.side].mysql)
        server = read_server(connection)
        ensure_control_topics(self.topology, self.side)
        check_access(admin(self.topology), self.topology, producer_access(self.topology, self.side))
        outbox = self._outbox = Outbox(self.topology, self.side, backoff=backoff, stop=self.stop)
        outbox.initialize()
        failpoints.reach("producer.after_init_transactions")
        settle(self.topology, self.side, outbox)
        checkpoint = self._checkpoint(connection)
        fk_checks = not server.logs_cascades
        publisher = Publisher(self.topology, self.side, outbox, checkpoint, server_uuid=server.uuid, fk_checks=fk_checks)
        if checkpoint.sequence == 0 or checkpoint.objects != captured_objects(self.topology, self.side):
            publisher.commit()  # the first start: a checkpoint before anything counts as syncing. Other objects: who copies waits
        failpoints.reach("producer.after_checkpoint_read")
        skips = frozenset[str]().union(*(self.ownership.wanted[direction].passed for direction in self.directions))
        tables = Tables(
            topology=self.topology.name,
            side=self.side,
            control_schema=self.topology.control_schema,
            in_scope=self.scope,
            judged=self._judged,
            repaired=checkpoint.repaired,
            connection=connection,
        )
        transactions = Transactions(
            topology=self.topology.name,
            side=self.side,
            target=self.topology.other(self.side),
            control_schema=self.topology.control_schema,
            tables=tables,
            file=checkpoint.file,
            seen=checkpoint.seen,
            skips=skips,
            prepared=checkpoint.prepared,
            running=checkpoint.running,
            held=checkpoint.held,
            recall=partial(self._recall, publisher, server.server_id),
        )
        position = Position(checkpoint.gtid_executed, checkpoint.file, checkpoint.pos)
        check_place = partial(self._check_place, connection, publisher)
        stream = self._stream = BinlogStream(
            self.topology.sides[self.side].mysql,
            self._server_id(server.server_id),
            position,
            on_new_file=check_place,
        )
        failpoints.reach("producer.after_stream_connect")
        backoff.reset()
        log.info("capturing", side=self.side, sequence=checkpoint.sequence, file=checkpoint.file, pos=checkpoint.pos)
        self._loop(stream, transactions, publisher, outbox, check_place)

    def _loop(
        self,
        stream: BinlogStream,
        transactions: Transactions,
        publisher: Publisher,
        outbox: Outbox,
        check_place: Callable[..., None],
    ) -> None:
        report = self.ownership.report
        report.state, report.detail = "running", {}
        ended: list[End] = []  # skipped transactions, noted before the checkpoint goes beyond them
        items = transactions.items
        between = True
        while True:
            if not self.ownership.held:
                self.ownership.check()
            more = stream.more()
            if between and publisher.open and (publisher.due or not more):
                self._commit(publisher, ended)
            if self.stop.is_set() and between:
                return
            if between and not outbox.began and outbox.was_cut_off:
                log.info("a broker was away: beginning again at the checkpoint", side=self.side)
                return
            if not more and not stream.more(_POLL_SECONDS):
                stream.check_silence()
                outbox.check()
                continue
            try:
                for event in stream.read(transactions.unpack):
                    transactions.feed(event)
                    large = len(event.data) > _ITEM_BYTES
                    del event  # held by its items alone, and given up with them
                    if len(items) >= _ITEMS or ((self._one_by_one or large) and items):
                        between = _add(publisher, items, ended)
                        if between and (publisher.due or self._one_by_one):
                            self._commit(publisher, ended)
            except CaptureError:
                # what lies before the transaction that cannot be captured is carried all the same: read it once more
                self._one_by_one = not self._one_by_one
                if self._one_by_one:
                    self._doubtful = stream.place
                    return
                raise
            except pymysql.err.OperationalError:  # the server's refusal to go on
                check_place()
                raise
            if items:
                between = _add(publisher, items, ended)
            if self._one_by_one and between and stream.place > self._doubtful:
                self._one_by_one = False  # it was damaged on its way only
            if stream.quiet:
                check_place(idle=True)

    def _commit(self, publisher: Publisher, ended: list[End]) -> None:
        """Commit what was read. What was skipped is noted first: behind a commit a crash would leave no word of its tables."""
        for item in ended:
            for direction in self.directions:
                self.ownership.use_skips(direction, item.head.gtid, item.tables)
            log.warning("a transaction was skipped", gtid=item.head.gtid, tables=item.tables)
        ended.clear()
        publisher.commit()
        report = self.ownership.report.detail
        report["transactions"], report["rows"] = publisher.transactions, publisher.rows

    def _checkpoint(self, connection: Connection[Any]) -> Checkpoint:
        """The checkpoint to go on from, or a new stream's first."""
        server = read_server(connection)
        checkpoint = read_checkpoint(self.topology, self.side)
        if checkpoint is None:
            checkpoint = Checkpoint(
                stream=uuid.uuid4().hex,
                sequence=0,
                seen=0,
                gtid_executed=server.gtid_executed,
                file=server.file,
                pos=server.pos,
                server_uuid=server.uuid,
                file_begun=self._begun(server, server.file),
                committed_at=now_us(),
                began=server.place,
            )
            log.info("a new stream begins", side=self.side, stream=checkpoint.stream, file=server.file, pos=server.pos)
            return checkpoint
        check_topics(self.topology, self.side, checkpoint)
        check_list(self.topology, self.side, checkpoint)
        check_server(self.side, self.topology.other(self.side), checkpoint, server, partial(self._begun, server))
        check_recovered(self.side, Control(connection, self.topology), checkpoint.stream)
        return checkpoint

    def _check_place(self, connection: Connection[Any], publisher: Publisher, *, idle: bool = False) -> None:
        """Compare the log that is read with the server's: after a RESET the server goes on sending the old one's end, in silence.

        idle: it is asked again and again, and where the log ends at our place there is nothing that could be missed. Raises
        CaptureError.
        """
        place, server = publisher.checkpoint(), read_server(connection)
        if place.server_uuid == server.uuid and not (idle and server.files.get(place.file) == place.pos):
            check_file(self.side, self.topology.other(self.side), place, server, partial(self._begun, server))

    def _begun(self, server: Server, file: str) -> int:
        return file_begun(self.topology.sides[self.side].mysql, self._server_id(server.server_id, "begun"), file)

    def _recall(self, publisher: Publisher, server_id: int, branch: Branch) -> Iterator[Event]:
        """An XA branch's rows, read once more. Raises CaptureError where the server has purged them."""
        mysql = self.topology.sides[self.side].mysql
        position = Position(publisher.gtids_without(branch.gtid), branch.file, branch.pos)
        try:
            yield from recall(mysql, self._server_id(server_id, "recall"), position, branch.gtid)
        except pymysql.err.OperationalError as error:
            if rule_for(error).category is not Category.STOP:
                raise
            raise CaptureError(
                f"the rows of an XA transaction that was prepared as {branch.gtid} cannot be read any more: {error.args[-1]}",
                code="binlog_purged",
                hint="keep binlogs for longer than XA transactions stay prepared",
            ) from error

    def _server_id(self, taken: int, use: str = "") -> int:
        return replica_number(self.topology.name, self.side, use, taken)

    def interrupt(self) -> None:
        """See worker.Work."""
        interrupt(self._connection)

    def close(self) -> None:
        """Give up the stream, the Kafka client and the connection; the lock stays unless its connection is lost."""
        for resource in (self._stream, self._outbox):
            if resource is not None:
                resource.close()
        if self._connection is not None and self._connection.open:
            self._connection.close()
        self._stream = self._outbox = self._connection = None


_ITEMS = 500  # handed on together
_ITEM_BYTES = 1 << 16  # an event of more is handed on at once


def _add(publisher: Publisher, items: list[Any], ended: list[End]) -> bool:
    """Publish items; tells whether the last one ended its transaction."""
    publisher.add(items)
    ended += [item for item in items if isinstance(item, End) and item.head.skipped]
    between = isinstance(items[-1], End)
    items.clear()
    return between
