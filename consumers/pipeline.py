"""One side's applier: consume → assemble → drop own origin → batch → guard → resolve → apply. Read this first.

Start order, and why: the lock first; then the progress rows of the target, which are the only truth of where to go on; then
the partitions are assigned at their offsets, never subscribed to. A lost link or a broker away leads back to the start; a
transaction that the target undid (deadlock, lock wait) is done again as a whole.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

import structlog
from pymysql.connections import Connection

from bisync_topology import failpoints
from bisync_topology.control import Control
from bisync_topology.errors import ApplyError, Where
from bisync_topology.kafka import admin, check_access, existing_topics
from bisync_topology.kafka_access import applier_access
from bisync_topology.mysql import connect, interrupt
from bisync_topology.ownership import LOCK_TIMEOUT, Ownership
from bisync_topology.restarts import Backoff
from bisync_topology.scope import policies
from bisync_topology.topology import Direction, Topology
from bisync_topology.worker import is_halted, run_worker
from consumers.apply import Writer
from consumers.assemble import Assembler
from consumers.consume import Fetcher
from consumers.feed import Feed
from consumers.groups import GROUP_PIECES, Groups
from consumers.loading import Loading
from consumers.orphans import Refusals
from consumers.own_statements import OwnStatements
from consumers.passing import Passing
from consumers.records import ConflictRecorder
from consumers.refresh import SendBack
from consumers.retention import Retention
from consumers.schema_store import SchemaStore
from consumers.structure import Structure
from consumers.tables import AppliedTables
from consumers.target import JUDGING_STATEMENT, SESSION_STATEMENTS, STRUCTURE_STATEMENTS
from consumers.target_rows import Standing, TargetRows
from initialization.structure import initialize_structure
from producers.checkpoint import captured_objects, read_checkpoint
from recovery.set_back import lost_writes
from schemas.list_records import transaction_decoder
from schemas.records import TransactionRecord
from schemas.topics import checkpoints_topic, transactions_topic

log = structlog.get_logger()

_POLL_SECONDS = 0.2
_OBJECTS_SECONDS = 0.5  # between two looks at what the source's producer captures
_RESTORED_SECONDS = 5.0  # between two looks at a side that was set back


def run(topology: Topology, side: str, stop: threading.Event) -> None:
    """Run until told to stop; a stop finishes the transaction that is being applied.

    Raises LostOwnership, InternalError. An outage is waited out; what cannot be applied is recorded as the direction's
    failed state and waits for `resume` or `skip`.
    """
    applier = ApplierProcess(topology, side, stop)
    run_worker("applier", applier, applier.ownership, stop)


class ApplierProcess:
    """What an applier holds between two starts of its work. Two sides: there is one direction into each."""

    pausable = True

    def __init__(self, topology: Topology, side: str, stop: threading.Event) -> None:
        self.topology = topology
        self.side = side
        self.stop = stop
        self.direction: Direction = topology.directions_into(side)[0]
        self.directions = [(self.direction.from_, self.direction.to)]
        self.ownership = Ownership(topology, side, f"applier {side}", stop)
        self._list = (transactions_topic(topology.name, self.direction.from_), 0)
        self._connection: Connection[Any] | None = None
        self._structure_connection: Connection[Any] | None = None  # on which tables are described
        self._fetcher: Fetcher | None = None
        self._loading: Loading | None = None
        self._refusals = Refusals()
        self._own = OwnStatements(topology, side)

    def work(self, backoff: Backoff) -> None:
        """From the lock on: read where the target stands, assign, loop."""
        if not self._has_its_own():
            return
        source = self.direction.from_
        connection = self._connection = connect(
            self.topology.sides[self.side].mysql, autocommit=False, database=self.topology.control_schema
        )
        with connection.cursor() as cursor:
            for statement in (*SESSION_STATEMENTS, f"SET SESSION wait_timeout = {LOCK_TIMEOUT}"):
                cursor.execute(statement)
        describing = self._structure_connection = connect(self.topology.sides[self.side].mysql)
        with describing.cursor() as cursor:
            for statement in STRUCTURE_STATEMENTS:
                cursor.execute(statement)
        control = Control(connection, self.topology)
        rows = TargetRows(control, source)
        standing = rows.read()
        stream = self._stream_of_source(standing)
        if stream is None:
            return
        rows.begin(stream)
        initialized = initialize_structure(
            self.topology,
            self.direction,
            control=control,
            rows=rows,
            stream=stream,
            ownership=self.ownership,
            halted=self._halted,
            tell=self._tell,
        )
        failpoints.reach("applier.after_positions_read")
        fetcher = self._fetcher = Fetcher(self.topology, self.side)
        offsets = {self._list: 0, **standing.offsets}
        fetcher.assign(offsets.items())
        failpoints.reach("applier.after_assign")
        assembler = Assembler(
            list_topic=self._list[0],
            source_side=source,
            own_side=self.side,
            stream=stream,
            applied_sequence=standing.sequence,
        )
        assembler.assigned(offsets)
        conflicts = ConflictRecorder(control, *self.directions[0], stream)
        judges = self.side == self.topology.arbiter and any(policy.converges for policy in policies(self.topology))
        if judges or conflicts.sends_back:
            connection.commit()
            connection.query(JUDGING_STATEMENT)
        writer = Writer(connection, rows, conflicts, SendBack(control), self._refusals)
        passing = Passing(writer, assembler, fetcher.commit, self.ownership, self._halted)
        loading = self._loading = Loading(self.topology, self.direction, control, writer, passing, stream)
        structure = Structure(
            self.topology,
            self.direction,
            control,
            rows,
            self.ownership,
            self.stop,
            stream=stream,
            initialized=initialized,
            altered=loading.altered,
            keep_alive=writer.keep_alive,
            halted=self._halted,
        )
        own = self._own
        own.begin()
        self._assign_own(fetcher, own)
        tables = AppliedTables(
            self.topology,
            self.direction,
            SchemaStore(self.topology, source),
            describing,
            own.history,
            initialized,
            on_forget=writer.orphans.forget_links,
            initializing=loading.includes,
        )
        groups = Groups(
            direction=self.directions[0],
            rows=rows,
            writer=writer,
            tables=tables,
            passing=passing,
            loading=loading,
            skips=self._skips,
            structure=structure,
            own=own,
            initialized=initialized,
        )
        retention = Retention(Control(connection, self.topology), source)
        log.info("applying", direction=str(self.direction), sequence=standing.sequence)
        loading.begin(tables)
        backoff.reset()
        self.ownership.report.state, self.ownership.report.detail = "running", {}
        structure.load()
        groups.act()
        self._loop(fetcher, assembler, groups, loading, retention, own)

    def _tell(self, name: str, number: int, of: int) -> None:
        """How far the structure is."""
        report = self.ownership.report
        report.state = "waiting"
        report.detail = {"waits_for": f"{name}, {number} of {of} of the structure", "initializing": True}
        report.urgent = True

    def _has_its_own(self) -> bool:
        """Wait while the side lacks changes of its own, as it was set back: what is applied comes behind them.

        False when told to stop meanwhile.
        """
        with closing(connect(self.topology.sides[self.side].mysql)) as connection:
            while (why := lost_writes(self.topology, self.side, connection)) is not None:
                self.ownership.report.state, self.ownership.report.detail = "waiting", {"waits_for": why}
                log.warning("this side was set back", why=why)
                if self.stop.wait(_RESTORED_SECONDS) or self._halted():
                    return False
                self.ownership.check()
        return True

    def _stream_of_source(self, standing: Standing) -> str | None:
        """The stream that the source's producer writes; waits for its first checkpoint. None when told to stop meanwhile.

        Where the direction initializes, the checkpoint is to be of a producer with the same objects.
        Raises ApplyError when it is not the stream that was applied so far.
        """
        source = self.direction.from_
        client = admin(self.topology)
        check_access(client, self.topology, applier_access(self.topology, self.side))
        while not self._halted():
            made = checkpoints_topic(self.topology.name) in existing_topics(client, self.topology)
            checkpoint = read_checkpoint(self.topology, source) if made else None
            if checkpoint is not None:
                if standing.stream not in (None, checkpoint.stream):
                    until = "" if checkpoint.began is None else f", up to {checkpoint.began or 'nothing'} where that began"
                    raise ApplyError(
                        f"{source} writes stream {checkpoint.stream}, what was applied so far is of {standing.stream}: it was "
                        f"begun anew. What it wrote behind {standing.gtid or 'nothing'}{until}, may never have been applied",
                        code="stream_changed",
                        hint=f"`bisync-topology init --reset {source} {self.side}` begins this direction anew too",
                        where=Where(side=source),
                    )
                if not self.direction.initialize or checkpoint.objects == captured_objects(self.topology, source):
                    return checkpoint.stream
                self._wait_for_objects(checkpoint.objects or ())
                continue
            self.ownership.report.state = "waiting"
            self.ownership.report.detail = {"waits_for": f"the first checkpoint of producer {source}"}
            self.stop.wait(_POLL_SECONDS)
        return None

    def _wait_for_objects(self, captured: tuple[str, ...]) -> None:
        """What is copied has to be captured from before its copy on, by a producer that has the same objects."""
        report, source = self.ownership.report, self.direction.from_
        waits_for = f"producer {source} to start with the `objects` of this file: it captures {', '.join(captured) or 'others'}"
        if report.detail.get("waits_for") != waits_for:
            log.info("waiting", waits_for=waits_for)
        report.state, report.detail = "waiting", {"waits_for": waits_for, "initializing": True}
        self.stop.wait(_OBJECTS_SECONDS)
        self.ownership.check()

    def _loop(
        self,
        fetcher: Fetcher,
        assembler: Assembler,
        groups: Groups,
        loading: Loading,
        retention: Retention,
        own: OwnStatements,
    ) -> None:
        feed = Feed(fetcher, assembler, self._list, partial(self._record, transaction_decoder()))
        while True:
            if not self.ownership.held:
                self.ownership.check()
            fetched = fetcher.fetch(0.0 if loading.due else _POLL_SECONDS)
            idle = not fetched
            if idle:
                fetcher.check()
                fetcher.commit_ends()
                self._assign_own(fetcher, own)
            groups.own(fetched.pop(own.partition, ()))
            feed.add(fetched)
            while pieces := assembler.take(GROUP_PIECES):
                groups.apply(pieces)
                if self._halted() and groups.between:
                    break
            if self._halted() and groups.between:
                groups.write_progress()
                return
            groups.load()
            fetcher.hold_back(assembler.buffered(), assembler.waiting_bytes, assembler.needs())
            feed.look()
            groups.write_progress_when_due()
            if groups.between:
                groups.act_when_due()
                retention.delete_when_due(idle=idle)
            groups.keep_alive()

    def _assign_own(self, fetcher: Fetcher, own: OwnStatements) -> None:
        """Read our own side's statements too; their topic is made when its producer first starts, which may be after us."""
        if not own.assigned and own.partition[0] in existing_topics(admin(self.topology), self.topology):
            own.assigned = True
            own.catch_up()
            fetcher.assign([(own.partition, own.offset)])

    def _record(self, decode: Callable[[bytes], TransactionRecord], offset: int, value: bytes) -> TransactionRecord:
        try:
            return decode(value)
        except ValueError as error:
            topic, partition = self._list
            raise ApplyError(
                str(error),
                code="undecodable",
                hint="run producers and appliers of one version",
                where=Where(side=self.direction.from_, topic=topic, partition=partition, offset=offset),
            ) from error

    def _halted(self) -> bool:
        return self.stop.is_set() or is_halted(self.ownership.wanted.get(self.directions[0]), self)

    def _skips(self) -> frozenset[str]:
        row = self.ownership.wanted.get(self.directions[0])
        return frozenset(skip["gtid"] for skip in row.skips) if row is not None else frozenset()

    def interrupt(self) -> None:
        """See worker.Work."""
        interrupt(self._connection)
        interrupt(self._structure_connection)

    def close(self) -> None:
        """Give up the consumer and the connection; an open transaction is undone by the server."""
        if self._loading is not None:
            self._loading.close()
            self._loading = None
        if self._fetcher is not None:
            self._fetcher.close()
        for connection in (self._connection, self._structure_connection):
            if connection is not None and connection.open:
                connection.close()
        self._fetcher = self._connection = self._structure_connection = None
