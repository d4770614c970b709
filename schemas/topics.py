"""Topic names: escaped injectively, never refused.

Kafka allows `[A-Za-z0-9._-]{1,249}` and treats `.` and `_` as the same in metric names, so that it refuses a topic that
differs from another in them alone. A side, database or table name is therefore written so that no two collide even then:
every byte outside `[A-Za-z0-9_]` becomes `-hh`, and in a side or database name `_` too (`a_b`.`c` and `a`.`b_c` would
collide); in the table name, the last part, `_` stays. What grows beyond 249 characters is cut and ends in `-h` and a hash.
"""

import hashlib
import re

MAX_LENGTH = 249
_PLAIN = re.compile(rb"[A-Za-z0-9_]")
_PLAIN_NO_UNDERSCORE = re.compile(rb"[A-Za-z0-9]")
_CONTROL = ("checkpoints", "schemas", "conflicts")  # beside the sides


def _escape(name: str, plain: re.Pattern[bytes]) -> str:
    return "".join(chr(n) if plain.match(bytes([n])) else f"-{n:02x}" for n in name.encode("utf-8"))


def _capped(topic: str) -> str:
    if len(topic) <= MAX_LENGTH:
        return topic
    digest = hashlib.sha256(topic.encode()).hexdigest()[:32]
    return f"{topic[: MAX_LENGTH - 34]}-h{digest}"


def side_prefix(name: str, side: str) -> str:
    """`<name>.<side>`, also the topic of the side's DDL; a side called like a control topic has its first letter escaped."""
    escaped = _escape(side, _PLAIN_NO_UNDERSCORE)
    return f"{name}.-{ord(side[0]):02x}{escaped[1:]}" if side in _CONTROL else f"{name}.{escaped}"


def ddl_topic(name: str, side: str) -> str:
    """One partition: the side's DDL events."""
    return side_prefix(name, side)


def table_topic(name: str, side: str, db: str, table: str) -> str:
    """The row events of one table of one side, keyed by primary key."""
    return _capped(f"{side_prefix(name, side)}.{_escape(db, _PLAIN_NO_UNDERSCORE)}.{_escape(table, _PLAIN)}")


def transactions_topic(name: str, side: str) -> str:
    """One partition: the side's transactions in commit order."""
    return f"{side_prefix(name, side)}.transactions"


def checkpoints_topic(name: str) -> str:
    """Compacted, a partition a side: the producers' positions and the topics they made."""
    return f"{name}.{_CONTROL[0]}"


def schemas_topic(name: str) -> str:
    """Compacted, a partition a side: Avro schemas by id."""
    return f"{name}.{_CONTROL[1]}"


def conflicts_topic(name: str) -> str:
    """A partition a side: conflicts on record at it, as JSON by their ids."""
    return f"{name}.{_CONTROL[2]}"


def consumer_group(name: str, side: str) -> str:
    """Where an applier's positions can be seen by ordinary lag tools."""
    return f"{name}.{side}.applier"
