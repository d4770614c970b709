"""Items → what an event says: its key and images, where it comes from, a statement with its context. Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from producers.items import Ddl, Head
from producers.tables import CapturedTable
from schemas.records import DdlEvent, Row

VERSION = "0.1.0"
KeyedChange = tuple[bytes, Row | None, Row | None, bool]  # key, before, after, moved


def changes_of(op: str, images: list[Row], key_of: Callable[[Row], bytes]) -> Iterator[KeyedChange]:
    """(key, before, after, moved) of each event.

    An update that changes the key is a delete under the old one and an insert under the new, tied together by the list.
    """
    if op == "c":
        for image in images:
            yield key_of(image), None, image, False
    elif op == "d":
        for image in images:
            yield key_of(image), image, None, False
    else:
        pairs = iter(images)
        for before, after in zip(pairs, pairs, strict=True):
            old, new = key_of(before), key_of(after)
            if old == new:
                yield new, before, after, False
            else:
                yield old, before, None, True
                yield new, None, after, True


def source_of(head: Head, table: CapturedTable, name: str, side: str) -> dict[str, Any]:
    """The source block of one transaction's events in one table. name: `<topology>.<side>`."""
    return {
        "version": VERSION,
        "connector": "bisync",
        "name": name,
        "ts_ms": head.committed_at // 1000,
        "ts_us": head.committed_at,
        "db": table.db,
        "table": table.name,
        "server_id": head.server_id,
        "gtid": head.gtid,
        "file": head.file,
        "pos": head.pos,
        "origin": head.origin or side,
    }


def ddl_event(item: Ddl, sequence: int, stream: str) -> DdlEvent:
    """A statement as it was written, with the context that gives it its meaning."""
    query = item.query
    return DdlEvent(
        sequence=sequence,
        order=0,
        statement=item.statement,
        default_db=query.db,
        sql_mode=query.sql_mode,
        time_zone=query.time_zone,
        charset=query.charset,
        tables=item.tables,
        raw=item.raw,
        flags=query.flags,
        origin=item.head.origin,
        lower_case=item.lower_case,
        utf8mb4_collation=query.utf8mb4_collation,
        explicit_timestamp=query.explicit_timestamp,
        executed_at=query.executed_at,
        invoker=query.invoker,
        auto_increment=query.auto_increment,
        stream=stream,
    )
