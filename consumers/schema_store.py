"""Schema id → decoder, from the compacted schemas topic; read on when an id is not known yet."""

from bisync_topology.errors import ApplyError, Where
from bisync_topology.kafka import side_partition
from bisync_topology.kafka_records import read_partition
from bisync_topology.topology import Topology
from schemas.envelope import RowDecoder
from schemas.registry import schema_id
from schemas.topics import schemas_topic


class SchemaStore:
    """Decoders of one source side's events.

    A schema is published in the same Kafka transaction as its first event, or before, so that one that is not found when its
    event is there was lost.
    """

    def __init__(self, topology: Topology, source_side: str) -> None:
        self._topology = topology
        self._source_side = source_side
        self._schemas: dict[int, dict[str, object]] = {}
        self._decoders: dict[int, RowDecoder] = {}

    def decoder(self, identity: int) -> RowDecoder:
        """The decoder of a schema id. Raises ApplyError for one that was never published, Unreachable without a broker."""
        decoder = self._decoders.get(identity)
        if decoder is None:
            if identity not in self._schemas:
                self._read()
            schema = self._schemas.get(identity)
            topic = schemas_topic(self._topology.name)
            if schema is None or schema_id(schema) != identity:
                raise ApplyError(
                    f"the schema {identity} of an event is not in the schemas topic",
                    code="schema_lost",
                    hint=f"`bisync-topology init --reset {self._source_side} …` begins the direction anew",
                    where=Where(side=self._source_side, topic=topic),
                )
            try:
                decoder = self._decoders[identity] = RowDecoder(schema)
            except ValueError as error:
                raise ApplyError(
                    str(error),
                    code="undecodable",
                    hint="run producers and appliers of one version",
                    where=Where(side=self._source_side, topic=topic),
                ) from error
        return decoder

    def _read(self) -> None:
        topic = schemas_topic(self._topology.name)
        for key, schema in read_partition(self._topology, topic, side_partition(self._topology, self._source_side)):
            if self._schemas.setdefault(int(key), schema) != schema:
                raise ApplyError(
                    f"two schemas have the id {key}: their fingerprints are the same by chance",
                    code="schema_clash",
                    hint="rename a column of one of the two tables on both sides, then `init --reset`",
                    where=Where(side=self._source_side, topic=topic),
                )
