"""What one server says of itself and of our account there: fetched, not judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import pymysql.err
from pymysql.connections import Connection

from bisync_topology.control import Control
from bisync_topology.initialization import read_tables
from bisync_topology.mysql import connect
from bisync_topology.precheck_marker import prove
from bisync_topology.precheck_seen import ABSENT, UNTRIED, Marker, Name, SideFacts, TableFacts
from bisync_topology.precheck_table_facts import Carried, filled
from bisync_topology.precheck_version import numbers, unsupported
from bisync_topology.sides import NOT_THERE
from bisync_topology.topology import Step, Topology
from bisync_topology.trigger_facts import read_triggers

VARIABLES = (
    *("auto_increment_increment", "auto_increment_offset", "binlog_expire_logs_auto_purge", "binlog_expire_logs_seconds"),
    *("binlog_format", "binlog_order_commits", "binlog_row_image", "binlog_row_metadata", "binlog_row_value_options"),
    *("event_scheduler", "gtid_mode", "init_connect", "innodb_native_foreign_keys", "log_bin"),
    *("log_bin_trust_function_creators", "log_replica_updates", "log_slave_updates", "lower_case_table_names"),
    *("max_allowed_packet", "max_connections", "max_user_connections", "server_id", "server_uuid", "sql_mode", "version"),
)
_CLOCK = "SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
_ACCOUNTS = "SELECT CONCAT(User, '@', Host) FROM mysql.user"
_STATUS = "SHOW STATUS WHERE Variable_name IN ('Ssl_cipher', 'Ssl_version', 'Threads_connected')"
_ZONE = "SELECT CONVERT_TZ('2000-01-01 00:00:00', '+00:00', 'UTC') IS NOT NULL"


def read_side(topology: Topology, side: str, *, marked: bool = False) -> SideFacts:
    """Ask one server; marked: whether the marker is tried too. Raises MySQLError or OSError where it is away or refuses.

    Of a version that is not supported nothing but its settings is asked, as it may know none of the rest.
    """
    with connect(topology.sides[side].mysql) as connection:
        query = _asking(connection)
        query("SET SESSION sql_mode = ''")  # else ANSI_QUOTES would change how grants are printed
        named = ", ".join(["%s"] * len(VARIABLES))
        variables = {
            name: str(value) for name, value in query(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({named})", *VARIABLES)
        }
        account = str(query("SELECT CURRENT_USER()")[0][0])
        if unsupported(variables["version"]):
            return SideFacts(variables=variables, account=account)
        status: dict[str, str] = dict(query(_STATUS))
        carried = Carried(connection, topology)
        tables = carried.tables()
        accounts = _allowed(query, _ACCOUNTS)
        return SideFacts(
            variables=variables,
            account=account,
            grants=tuple(str(row[0]) for row in query("SHOW GRANTS")),
            roles=_idle_roles(query),
            filters=_filters(query, variables["version"]),
            tables=tables,
            views=carried.views(),
            triggers=read_triggers(connection, topology, side),
            events=carried.events(),
            definers=carried.definers(),
            accounts=None if accounts is None else frozenset(str(row[0]) for row in accounts),
            databases=carried.databases(),
            collations=carried.collations(),
            named_zones=bool(query(_ZONE)[0][0]),
            tls=" ".join(filter(None, (status["Ssl_version"], status["Ssl_cipher"]))),
            threads=int(status["Threads_connected"]),
            own=sum(row[1] == account.rpartition("@")[0] for row in query("SHOW PROCESSLIST")),
            user_limit=int(query("SELECT @@max_user_connections")[0][0]),
            channels=len(_allowed(query, _channels(variables["version"])) or ()),
            clock=_clock(query),
            marker=_marker(connection, topology, side, variables) if marked else Marker(state=ABSENT),
            begun=_begun(connection, topology),
            noted=_noted(connection, topology, side),
            filled=_filled(connection, topology, side, tables),
        )


_Query = Callable[..., tuple[tuple[Any, ...], ...]]
_Row = TypeVar("_Row")


def _asking(connection: Connection[Any]) -> _Query:
    def query(statement: str, *arguments: str) -> tuple[tuple[Any, ...], ...]:
        with connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return tuple(cursor.fetchall())

    return query


def _allowed(query: _Query, statement: str) -> tuple[tuple[Any, ...], ...] | None:
    """Its rows; None where the account may not ask, which is an item of its own where it matters."""
    try:
        return query(statement)
    except pymysql.err.MySQLError:
        return None


def _channels(version: str) -> str:
    return "SHOW REPLICA STATUS" if numbers(version) >= (8, 0, 22) else "SHOW SLAVE STATUS"


def _filters(query: _Query, version: str) -> tuple[str, str] | None:
    rows = _allowed(query, "SHOW BINARY LOG STATUS" if numbers(version) >= (8, 2) else "SHOW MASTER STATUS")
    if rows is None:
        return None
    return (str(rows[0][2] or ""), str(rows[0][3] or "")) if rows else ("", "")


def _idle_roles(query: _Query) -> tuple[str, ...]:
    """Roles that are granted to the account and that its sessions do not have: what they allow is not there."""
    active = str(query("SELECT CURRENT_ROLE()")[0][0])
    granted = query(
        "SELECT CONCAT('`', REPLACE(ROLE_NAME, '`', '``'), '`@`', REPLACE(ROLE_HOST, '`', '``'), '`')"
        " FROM information_schema.APPLICABLE_ROLES"
    )
    return tuple(sorted({str(row[0]) for row in granted} - set(active.split(","))))


def _clock(query: _Query) -> float:
    """How far the server's clock is ahead of ours, in seconds; the way there and back counts half."""
    before = time.time()
    theirs = int(query(_CLOCK)[0][0]) / 1_000_000
    return theirs - (before + time.time()) / 2


def _marker(connection: Connection[Any], topology: Topology, side: str, variables: dict[str, str]) -> Marker:
    if variables.get("log_bin") != "ON":
        return Marker(state=UNTRIED, words="it has no binary log")
    return prove(connection, topology, side)


def _begun(connection: Connection[Any], topology: Topology) -> frozenset[tuple[str, str]]:
    """Directions that have run, or begun to be initialized: their rows are there."""
    rows = _recorded(lambda: Control(connection, topology).execute("read_directions", topology.name))
    return frozenset((row[0], row[1]) for row in rows)


def _noted(connection: Connection[Any], topology: Topology, side: str) -> dict[tuple[str, str], frozenset[Name]]:
    """The tables of each direction into a side whose copy has begun, or is to begin, by its own record."""
    control = Control(connection, topology)
    found: dict[tuple[str, str], frozenset[Name]] = {}
    for each in topology.directions_into(side):
        if Step.DATA in each.initialize:
            tables = _recorded(partial(read_tables, control, each.from_, each.to))
            found[each.from_, each.to] = frozenset(table.name for table in tables)
    return found


def _recorded(read: Callable[[], Sequence[_Row]]) -> Sequence[_Row]:
    """What control tables hold; nothing where they are not there yet."""
    try:
        return read()
    except pymysql.err.MySQLError as error:
        if error.args[0] in NOT_THERE or error.args[0] == 1142:  # the privilege that is lacking is an item of its own
            return ()
        raise


def _filled(connection: Connection[Any], topology: Topology, side: str, tables: dict[Name, TableFacts]) -> frozenset[Name]:
    wanted = [each for each in topology.directions_into(side) if Step.DATA in each.initialize]
    return filled(connection, topology, wanted, tables) if wanted else frozenset()
