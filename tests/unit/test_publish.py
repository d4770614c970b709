"""What a producer publishes beside its events, without servers."""

import binlog_encoder as enc
from convergence import TOPOLOGY, Broker, Outbox
from test_transactions import FILE, Log

from producers import events
from producers.checkpoint import Checkpoint
from producers.publish import Publisher
from schemas.framing import framed_id
from schemas.topics import schemas_topic, table_topic


class KeyedOutbox(Outbox):
    """The keys of each topic, too."""

    def __init__(self) -> None:
        super().__init__(Broker())
        self.keys: dict[str, list[bytes | None]] = {}

    def put(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        """Queue a message."""
        self.keys.setdefault(topic, []).append(key)
        super().put(topic, partition, key, value)


def test_the_schemas_of_keys_after_a_change_of_the_key_alone() -> None:
    """Rows are as they were, keys are not: both schemas that keys name are in the topic, each once."""
    outbox = KeyedOutbox()
    first = Checkpoint(stream="s", sequence=0, seen=0, gtid_executed=None, file=FILE, pos=4, server_uuid="u")
    publisher = Publisher(TOPOLOGY, "east", outbox, first, server_uuid="u", fk_checks=False)  # type: ignore[arg-type]
    log = Log()
    row = enc.image([b"\1\0\0\0", b"\2\0\0\0"])
    for number, key in enumerate((0, 0, 1), 1):
        if key:
            log.gtid(10).query("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b)")
        table_map = enc.table_map_body([enc.int_col("a"), enc.int_col("b")], (key,))
        log.begin(number).write(events.TABLE_MAP, table_map).rows(events.WRITE_ROWS, row).xid()
        publisher.add(log.items)
        publisher.commit()
        log.items.clear()
    named = [framed_id(key or b"") for key in outbox.keys[table_topic("shop", "east", "shop", "t")]]
    published = [int(key or b"") for key in outbox.keys[schemas_topic("shop")]]
    assert named[0] == named[1] != named[2]
    assert set(named) <= set(published)
    assert len(published) == len(set(published))
