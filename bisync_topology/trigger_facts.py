"""The triggers of a side, fetched: those on tables that an applier writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from pymysql.connections import Connection

from bisync_topology.scope import UnionScope, like_any
from bisync_topology.topology import Topology
from bisync_topology.triggers import Trigger

_QUERY = """\
SELECT TRIGGER_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, DEFINER, SQL_MODE,
 CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION, DEFAULT_COLLATION_NAME, ACTION_STATEMENT
 FROM information_schema.TRIGGERS JOIN information_schema.SCHEMATA ON SCHEMA_NAME = TRIGGER_SCHEMA WHERE {where}
 ORDER BY TRIGGER_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"""
_FIELDS = (
    *("db", "table", "name", "timing", "event", "definer", "sql_mode", "charset"),
    *("connection_collation", "database_collation", "database_now", "body"),
)


def read_triggers(connection: Connection[Any], topology: Topology, side: str) -> tuple[Trigger, ...]:
    """Those on tables that a direction carries into the side, in order, as far as the account sees them.

    Strings of a body have lost the introducers of their character sets: who makes one again reads it by SHOW CREATE TRIGGER.
    """
    scope = UnionScope(topology.directions_into(side), control_schema=topology.control_schema)
    likes = scope.likes()
    if not likes:
        return ()
    return tuple(each for each in triggers_of(connection, likes) if scope.includes(each.db, each.table))


def triggers_of(connection: Connection[Any], likes: Sequence[str]) -> list[Trigger]:
    """Those of the databases that patterns of LIKE match, in order; else as `read_triggers`."""
    return _rows(connection, like_any("TRIGGER_SCHEMA", likes), *likes)


def read_trigger(connection: Connection[Any], db: str, name: str) -> Trigger | None:
    """One by its name; None where there is none. It does not say which others run after it."""
    return next(iter(_rows(connection, "TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s", db, name)), None)


def _rows(connection: Connection[Any], where: str, *arguments: str) -> list[Trigger]:
    with connection.cursor() as cursor:
        cursor.execute(_QUERY.format(where=where), arguments)
        rows: list[Mapping[str, str]] = [dict(zip(_FIELDS, row, strict=True)) for row in cursor.fetchall()]
    found = []
    for _, group in groupby(rows, key=lambda row: [row[name] for name in ("db", "table", "timing", "event")]):
        together = list(group)
        for number, row in enumerate(together, start=1):
            found.append(Trigger(**row, followers=tuple(each["name"] for each in together[number:])))
    return found
