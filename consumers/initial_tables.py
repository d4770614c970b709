"""The tables that a direction's copy begins with: what the source has in scope now, noted in `initialization`.

A table that is noted already is left as it is: done, or to be gone on with. So one that comes into `objects` later is copied when
the processes start with the new file. One that has left them is forgotten, as it may be another one when it comes back.
"""

from __future__ import annotations

from typing import Any

import structlog
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from bisync_topology.control import Control
from bisync_topology.initialization import SKIPPED, WAITING, copied_elsewhere, read_tables
from bisync_topology.mysql import connect
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Topology

log = structlog.get_logger()

_TABLES = """\
SELECT TABLE_SCHEMA, TABLE_NAME, COALESCE(TABLE_ROWS, 0) FROM information_schema.TABLES
WHERE TABLE_TYPE = 'BASE TABLE' ORDER BY TABLE_SCHEMA, TABLE_NAME"""


def add_tables(topology: Topology, direction: Direction, control: Control) -> None:
    """Note the tables that are not noted yet. Raises pymysql.err.MySQLError, also where the source is away."""
    with connect(topology.sides[direction.from_].mysql, read_timeout=20.0) as source:
        found = tables_of(source, topology, direction)
    scope = Scope(direction.objects, control_schema=topology.control_schema)
    for table in read_tables(control, direction.from_, direction.to):
        if not scope.includes(*table.name):
            control.execute("leave_table", topology.name, direction.from_, direction.to, *table.name)
    for db, name, rows in found:
        other = copied_elsewhere(topology, direction, db, name)
        state = WAITING if other is None else SKIPPED
        added = control.matched("add_initialization", topology.name, direction.from_, direction.to, db, name, state, rows)
        if added and other is not None:
            log.info("not copied: another direction copies it", table=f"{db}.{name}", direction=str(other))
    control.connection.commit()


def tables_of(source: Connection[Any], topology: Topology, direction: Direction) -> list[tuple[str, str, int]]:
    """(database, table, rows, about) of what the source has in a direction's scope."""
    scope = Scope(direction.objects, control_schema=topology.control_schema)
    with source.cursor(Cursor) as cursor:
        cursor.execute("SET SESSION information_schema_stats_expiry = 0")
        cursor.execute(_TABLES)
        return [(str(db), str(name), int(rows)) for db, name, rows in cursor.fetchall() if scope.includes(str(db), str(name))]
