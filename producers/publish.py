"""Items → Kafka: row events, the transaction list, schemas and the checkpoint in one Kafka transaction.

The commit, in code order:
1. events of every table go to their topics as they are read, in a Kafka transaction that the first of them begins;
2. at each source transaction's end its record goes to the list (a huge one's in pieces, so that neither end holds it whole);
3. at the batch's end new schemas, topics' ids and the checkpoint are produced, and
4. the transaction is committed: all of it becomes visible to appliers at once, or nothing.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from zlib import crc32

from bisync_topology import failpoints
from bisync_topology.errors import CaptureError, Where
from bisync_topology.kafka import side_partition
from bisync_topology.topology import Topology
from producers.checkpoint import Checkpoint, captured_objects, topic_record
from producers.conflict_topic import ConflictTopic
from producers.gtids import GtidSet
from producers.items import KIND_DDL, KIND_ROWS, Conflict, Ddl, End, Head, Item, Refresh, Rows
from producers.outbox import Outbox
from producers.refresh import Refresher
from producers.row_events import KeyedChange, changes_of, ddl_event, source_of
from producers.tables import CapturedTable
from schemas.avro_bytes import varint
from schemas.envelope import CREATED, REFRESHED, RowEncoder, tail
from schemas.list_records import DDL_SCHEMA, TRANSACTION_SCHEMA, encode_ddl, transaction_encoder
from schemas.parts import PART_SCHEMA, part_bytes, parts
from schemas.records import KIND_REFRESH, EventCount, TransactionRecord
from schemas.registry import schema_id, schema_text
from schemas.topics import checkpoints_topic, ddl_topic, schemas_topic, transactions_topic

PIECE_EVENTS = 2000  # of a transaction in one list record
PIECE_BYTES = 8 << 20  # likewise, so that an applier, which waits for a whole piece, needs no more than that
COMMIT_EVENTS = 20_000  # in one Kafka transaction, when more input waits
COMMIT_SECONDS = 0.2
IDLE_CHECKPOINT_SECONDS = 10.0  # how far a checkpoint may lag behind a binlog without listed transactions
_OWN_SCHEMAS = {schema_id(schema): schema_text(schema) for schema in (TRANSACTION_SCHEMA, DDL_SCHEMA, PART_SCHEMA)}


class Publisher:
    """Turns one side's items into messages, and keeps the place that they stand for."""

    def __init__(
        self, topology: Topology, side: str, outbox: Outbox, checkpoint: Checkpoint, *, server_uuid: str, fk_checks: bool
    ) -> None:
        self._topology = topology
        self._side = side
        self._outbox = outbox
        self._fk_checks = fk_checks
        self._list_topic = transactions_topic(topology.name, side)
        self._ddl_topic = ddl_topic(topology.name, side)
        self._conflicts = ConflictTopic(topology, side)
        self._control_partition = side_partition(topology, side)
        self._part_bytes = part_bytes(topology.topics.max_message_bytes)
        self._encode_transaction = transaction_encoder()
        # where capture stands
        self._checkpoint = checkpoint
        self._objects = captured_objects(topology, side)
        self._sequence = checkpoint.sequence
        self._seen = checkpoint.seen
        self._own = checkpoint.own_sequence
        self._own_gtid, self._committed_at = checkpoint.own_gtid, checkpoint.committed_at
        self._refresher = Refresher(checkpoint.own_sequence, checkpoint.repaired)
        self._gtids = None if checkpoint.gtid_executed is None else GtidSet(checkpoint.gtid_executed)
        self._server_uuid = server_uuid  # of the server that is read, which may have taken over from the checkpoint's
        self._place = (checkpoint.file, checkpoint.pos, checkpoint.file_begun, checkpoint.server_uuid)
        self._prepared, self._running, self._held = checkpoint.prepared, checkpoint.running, frozenset(checkpoint.held)
        self._moved = False  # since the last commit
        self._saved = time.monotonic()
        # the source transaction that is being published
        self._counts: dict[tuple[str, int], int] = defaultdict(int)
        self._piece = self._piece_events = self._piece_bytes = self._order = 0
        self._sources: dict[tuple[str, int, int], tuple[bytes, bytes]] = {}  # by topic and schemas
        # the Kafka transaction
        self._events = 0
        self._schemas: set[int] = set()  # published
        self._new_schemas = dict(_OWN_SCHEMAS)
        self._known_topics = dict(checkpoint.topics)
        self._new_topics: dict[str, str] = {}
        self.rows = self.transactions = 0  # published since the start

    def add(self, items: list[Item]) -> None:
        """Take what has been read of the binlog."""
        for item in items:
            if isinstance(item, Rows):
                self._rows(item)
            elif isinstance(item, End):
                self._end(item)
            elif isinstance(item, Refresh):
                self._refresher.told(item, self._sequence)
            elif isinstance(item, Conflict):
                self._conflict(item)
            else:
                self._ddl(item)

    def close(self) -> None:
        """Give up what is not committed."""
        self._refresher.clear()

    def gtids_without(self, gtid: str) -> str | None:
        """The GTID set read so far but for one transaction; None without GTIDs."""
        tsid, _, number = gtid.rpartition(":")
        return None if self._gtids is None else self._gtids.without(tsid, int(number))

    @property
    def due(self) -> bool:
        """Whether the open Kafka transaction should be committed although more input waits."""
        began = self._outbox.began
        return self._events >= COMMIT_EVENTS or (began > 0 and time.monotonic() - began > COMMIT_SECONDS)

    @property
    def open(self) -> bool:
        """Whether something waits to be committed; a checkpoint alone waits for a while."""
        return self._outbox.began > 0 or (self._moved and time.monotonic() - self._saved > IDLE_CHECKPOINT_SECONDS)

    def checkpoint(self) -> Checkpoint:
        """Where capture stands: behind the last source transaction that `add` was given the end of."""
        file, pos, begun, server_uuid = self._place
        return Checkpoint(
            stream=self._checkpoint.stream,
            sequence=self._sequence,
            seen=self._seen,
            gtid_executed=None if self._gtids is None else str(self._gtids),
            file=file,
            pos=pos,
            server_uuid=server_uuid,
            own_sequence=self._own,
            file_begun=begun,
            prepared=self._prepared,
            running=self._running,
            held=tuple(sorted(self._held)),
            own_gtid=self._own_gtid,
            committed_at=self._committed_at,
            began=self._checkpoint.began,
            repaired=dict(self._refresher.repaired),
            objects=self._objects,
        )

    def commit(self) -> None:
        """Commit everything up to the last source transaction's end, the checkpoint with it.

        Raises KafkaException; what was not committed is read again from the last checkpoint.
        """
        outbox, name, partition = self._outbox, self._topology.name, self._control_partition
        outbox.begin()
        failpoints.reach("producer.before_produce")
        checkpoint = self.checkpoint()
        for identity, text in self._new_schemas.items():
            outbox.put(schemas_topic(name), partition, str(identity).encode(), text.encode())
        for topic, topic_id in self._new_topics.items():
            outbox.put(checkpoints_topic(name), partition, *topic_record(topic, topic_id))
        outbox.put(checkpoints_topic(name), partition, *checkpoint.record())
        outbox.commit()
        self._schemas |= self._new_schemas.keys()
        self._new_schemas.clear()
        self._known_topics |= self._new_topics
        self._new_topics.clear()
        self._events = 0
        self._moved = False
        self._saved = time.monotonic()

    def _rows(self, item: Rows) -> None:
        head, table = item.head, item.table
        encoder = table.encoder
        assert encoder is not None
        if not self._order:
            self._first_event()
        if head.origin is None:
            if table.judged:
                self._refresher.own(item, self._sequence + 1)
        elif table.keys is not None:
            self._refresher.applied(item, self._sequence)
        source = self._source(head, table)
        if item.size > self._part_bytes:
            self._large_rows(head, table, changes_of(item.op, item.images, encoder.key), source)
        else:
            self._small_rows(item, encoder, source)
        self._outbox.flush_when_full()
        self.rows += len(item.images)
        self._events += len(item.images)
        failpoints.reach("producer.mid_transaction")

    def _small_rows(self, item: Rows, encoder: RowEncoder, source: tuple[bytes, bytes]) -> None:
        head, topic = item.head, item.table.topic
        partitions = self._outbox.partitions(topic)
        put, counts = self._outbox.put, self._counts
        sequence = varint(self._sequence + 1)
        for key, before, after, moved in changes_of(item.op, item.images, encoder.key):
            partition = crc32(key) % partitions
            put(topic, partition, key, encoder.value(sequence, self._order, before, after, *source, moved))
            counts[topic, partition] += 1
            self._order += 1
            self._piece_events += 1
            if self._piece_events >= PIECE_EVENTS and not (moved and after is None):  # the halves of a move stay together
                self._list(head, last=False)
                counts = self._counts
        self._piece_bytes += item.size
        if self._piece_bytes >= PIECE_BYTES:
            self._list(head, last=False)

    def _large_rows(
        self,
        head: Head,
        table: CapturedTable,
        changes: Iterable[KeyedChange],
        source: tuple[bytes, bytes],
        created: bytes = CREATED,
    ) -> None:
        """Rows that may be larger than a record should be: an event in parts shares no piece of the list with another one."""
        topic, size, encoder = table.topic, self._part_bytes, table.encoder
        assert encoder is not None
        partitions = self._outbox.partitions(topic)
        for key, before, after, moved in changes:
            partition = crc32(key) % partitions
            pieces = encoder.pieces(varint(self._sequence + 1), self._order, before, after, *source, moved, created)
            length = sum(map(len, pieces))
            in_parts = length > size
            if in_parts and self._counts:
                self._list(head, last=False)
            records = parts(self._sequence + 1, self._order, pieces, size) if in_parts else iter((b"".join(pieces),))
            for record in records:
                self._outbox.put(topic, partition, key, record)
                self._outbox.flush_when_full()
                self._counts[topic, partition] += 1
                self._piece_events += 1
                self._piece_bytes += len(record)
                if self._piece_bytes >= PIECE_BYTES or self._piece_events >= PIECE_EVENTS:
                    self._list(head, last=False)
            if in_parts and self._counts:
                self._list(head, last=False)
            self._order += 1

    def _source(self, head: Head, table: CapturedTable) -> tuple[bytes, bytes]:
        """The encoded source block and tail of one transaction's events in one table; notes a new schema or topic."""
        encoder, topic = table.encoder, table.topic
        assert encoder is not None
        version = topic, encoder.value_id, encoder.key_id
        if (known := self._sources.get(version)) is not None:
            return known
        for identity, schema in ((encoder.value_id, encoder.value_schema), (encoder.key_id, encoder.key_schema)):
            if identity not in self._schemas and identity not in self._new_schemas:  # the key may have changed alone
                self._new_schemas[identity] = schema_text(schema)
        if topic not in self._known_topics and topic not in self._new_topics:
            self._outbox.partitions(topic)  # makes it where it is missing
            self._new_topics[topic] = self._outbox.topic_id(topic)
        name = f"{self._topology.name}.{self._side}"
        source = encoder.source(source_of(head, table, name, self._side))
        self._sources[version] = source, tail(time.time_ns() // 1_000_000, head.gtid)
        return self._sources[version]

    def _ddl(self, item: Ddl) -> None:
        self._first_event()
        event = ddl_event(item, self._sequence + 1, self._checkpoint.stream)
        self._outbox.put(self._ddl_topic, 0, None, encode_ddl(event))
        self._counts[self._ddl_topic, 0] = 1
        self._order = 1
        if item.head.begun:  # CREATE TABLE … SELECT: its rows follow, and are applied as a transaction of their own
            self._close(replace(item.head, kind=KIND_DDL))

    def _conflict(self, item: Conflict) -> None:
        """A conflict goes out whether or not its transaction is listed: one that stops a direction is alone in its own."""
        self._outbox.begin()
        self._outbox.put(*self._conflicts.record(item.row))
        self._outbox.flush_when_full()
        self._events += 1

    def _first_event(self) -> None:
        self._outbox.begin()
        self._sources.clear()

    def _end(self, item: End) -> None:
        head = item.head
        if head.kind:
            if head.kind not in (KIND_ROWS, KIND_DDL):
                self._first_event()
            self._close(head)
            if head.kind == KIND_ROWS and head.origin is None:
                self._own = self._sequence
            if head.kind in (KIND_ROWS, KIND_DDL) and not (head.origin_transactions and head.origin_sequence):
                self._own_gtid = head.gtid
        self._committed_at = max(self._committed_at, head.committed_at)
        self._send_back(head)
        if self._gtids is not None and head.tsid:
            self._gtids.add(head.tsid, head.number)
        self._place = (item.file, item.pos, item.begun, self._server_uuid)
        if item.prepared is not None:
            self._prepared = dict(item.prepared)
        if item.running is not None:
            self._running = dict(item.running)
        self._held = item.held
        if head.origin_sequence and (head.kind != KIND_DDL or head.origin_sequence > self._seen):
            self._seen = head.origin_sequence  # goes back when the other direction is begun anew
        self._moved = True

    def _close(self, head: Head) -> None:
        """The transaction's last record; what comes next is of another one."""
        self._list(head, last=True)
        self._sequence += 1
        self.transactions += 1
        self._piece = self._piece_events = self._piece_bytes = self._order = 0

    def _send_back(self, head: Head) -> None:
        """List what the transaction's origin has to be told, as a transaction of this side's own."""
        self._refresher.end(self._sequence + 1)
        if self._refresher.rows:
            answer = replace(head, kind=KIND_REFRESH, origin=None, origin_sequence=0, origin_transactions=0, barrier=0)
            self._first_event()
            for table, before, after in self._refresher.changes():
                assert table.encoder is not None
                image = before if after is None else after
                assert image is not None
                change = (table.encoder.key(image), before, after, False)
                self._large_rows(answer, table, [change], self._source(answer, table), REFRESHED)
                self._events += 1
            self._close(answer)
            self._own = self._sequence
        self._refresher.clear()

    def _list(self, head: Head, *, last: bool) -> None:
        """One record of the transaction list: what of the transaction was published since the one before.

        Raises CaptureError where the transaction takes longer than a Kafka transaction may last.
        """
        if self._outbox.overdue and not last:
            raise CaptureError(
                f"the transaction takes longer than a Kafka transaction may last; {self._order} of its events were sent",
                code="transaction_too_long",
                hint="raise transaction.timeout.ms below `kafka` in topology.yaml, and where it is less the brokers' "
                "transaction.max.timeout.ms (15 minutes unless set), start the producer again, and `resume`",
                where=Where(side=self._side, gtid=head.gtid),
            )
        record = TransactionRecord(
            sequence=self._sequence + 1,
            piece=self._piece,
            last=last,
            kind=head.kind,
            stream=self._checkpoint.stream,
            gtid=head.gtid,
            committed_at=head.committed_at,
            origin=head.origin,
            origin_sequence=head.origin_sequence,
            origin_transactions=head.origin_transactions,
            seen=head.seen,
            fk_checks=self._fk_checks,
            barrier=head.barrier,
            events=tuple(EventCount(topic, partition, number) for (topic, partition), number in self._counts.items()),
            unchecked=head.unchecked,
            held=tuple(sorted(head.held)),
        )
        self._outbox.put(self._list_topic, 0, None, self._encode_transaction(record))
        self._events += 1
        self._counts = defaultdict(int)
        self._piece += 1
        self._piece_events = self._piece_bytes = 0
