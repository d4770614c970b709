"""A side's catalog as of one moment that has a place in the side's stream, while the side is in use.

A barrier is raised before the catalog is read and another one behind it, and the binlog between is searched for changes of
structure. Where there is none, the catalog is that of the second barrier's moment: a statement before it in the stream is in the
catalog, one behind it is not. Where there is one, everything is read once more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pymysql.err

from bisync_topology.control import Control
from bisync_topology.ddl import Category, read_statement
from bisync_topology.errors import ApplyError, Where
from bisync_topology.mysql import connect
from bisync_topology.sides import raise_barrier
from bisync_topology.sql_modes import read_as
from bisync_topology.topology import Topology
from initialization.catalog import Reading, read_catalog
from initialization.definitions import Definition, Name
from initialization.initialized import TRUNCATE, changed, in_scope
from producers.executed import Place, log_end, statements
from schemas.statement_text import decode_statement

_TRIES = 50
_GONE = (1049, 1146, 1305, 1347, 1360, 1539)  # what was listed is not there any more, or is something else


def read_settled(topology: Topology, reading: Reading, watch: Callable[[], None]) -> tuple[dict[Name, Definition], int]:
    """The catalog, and the number of its barrier. watch: called between tries; what it raises goes on.

    Raises ApplyError where somebody changes the structure again and again, or what `read_catalog` raises.
    """
    side = reading.side
    mysql = topology.sides[side].mysql
    with closing(connect(mysql)) as connection:
        control = Control(connection, topology)
        charsets = {number: charset for number, _, charset, _ in control.execute("read_charsets")}
        for _ in range(_TRIES):
            watch()
            since = log_end(connection)
            raise_barrier(control, side)  # whatever is logged before it is done, and will be seen
            try:
                catalog = read_catalog(mysql, reading)
            except pymysql.err.MySQLError as error:
                if not error.args or error.args[0] not in _GONE:
                    raise
                continue
            barrier = raise_barrier(control, side)
            if not _changes(topology, reading, charsets, since, log_end(connection)):
                return catalog, barrier
    raise ApplyError(
        f"the structure of {side} changes faster than it can be read",
        code="structure_unsettled",
        hint=f"hold back changes of structure at {side} for a moment, then `resume`",
        where=Where(side=side),
    )


def _changes(topology: Topology, reading: Reading, charsets: dict[int, str], since: Place, until: Place) -> bool:
    with closing(statements(topology, reading.side, since, until, "initialization")) as found:
        for query in found:
            if query is None:
                return True  # a server that started anew: its log has another beginning, nothing is to be concluded
            text = decode_statement(query.statement, charsets.get(query.charset[0], "utf8mb4"))
            statement = read_statement(text, query.db, **read_as(query.sql_mode))
            if statement.category is Category.UNKNOWN:
                return True
            names = [*changed(statement, query.db, str), *changed(statement, query.db, str.lower)]
            if statement.verb != TRUNCATE and any(in_scope(reading.scope, name) for name in names):
                return True
    return False
