"""The precheck of reaching a server: its version, TLS as configured, connections that are free. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from bisync_topology.grants import account_text
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_seen import SideFacts
from bisync_topology.precheck_version import OLDEST, unsupported
from bisync_topology.topology import SslMode, Topology
from bisync_topology.topology_checks import is_loopback

# Connections at once, at most. A producer: lock, control, two of the stream, two of a look at older files. An applier: lock,
# rows, structure, two for statements of structure, two of a look at the binlog. Others: the supervisor's, and two commands.
PRODUCER, APPLIER, OTHERS = 6, 7, 3


def version(side: str, facts: SideFacts) -> Item:
    """Whether the server is one that can be a side."""
    found = facts.variables.get("version", "")
    problem = unsupported(found)
    if not problem:
        return Item("version", side, PASS, f"MySQL {found}")
    oldest = ".".join(map(str, OLDEST))
    why = f"changes are written with VALUES ROW(…), which MySQL has since {oldest}; MariaDB's binlog and SQL are others"
    return Item("version", side, FAIL, problem, why, f"use MySQL {oldest} or later at this side")


def evaluate(topology: Topology, side: str, facts: SideFacts) -> Iterator[Item]:
    """Give the items of one side."""
    yield _tls(topology, side, facts)
    yield _connections(topology, side, facts)


def _tls(topology: Topology, side: str, facts: SideFacts) -> Item:
    mysql = topology.sides[side].mysql
    mode = mysql.ssl.mode
    if facts.tls:
        checked = "verified" if mode in (SslMode.VERIFY_CA, SslMode.VERIFY_IDENTITY) else "the server is not verified"
        return Item("tls", side, PASS, f"{facts.tls}, ssl.mode {mode}: {checked}")
    if mode is SslMode.DISABLED and is_loopback(mysql.host):
        return Item("tls", side, PASS, "in the clear, as ssl.mode says, on this machine")
    why = "whoever is on the way reads rows, and can change them"
    if mode is SslMode.DISABLED:
        fix = f"sides.{side}.mysql.ssl: {{mode: verify_identity, ca: ca.pem}}"
        return Item("tls", side, WARN, f"in the clear, as ssl.mode {mode} says, over the network to {mysql.host}", why, fix)
    fix = (
        "SET PERSIST tls_version = 'TLSv1.2,TLSv1.3'; ALTER INSTANCE RELOAD TLS;"
        f"  -- or say so: sides.{side}.mysql.ssl: {{mode: disabled}}"
    )
    return Item("tls", side, WARN, f"ssl.mode {mode}, and the connection is in the clear: the server has no TLS", why, fix)


def _connections(topology: Topology, side: str, facts: SideFacts) -> Item:
    needed = OTHERS
    needed += PRODUCER if topology.directions_from(side) else 0
    needed += APPLIER if topology.directions_into(side) else 0
    most = int(facts.variables.get("max_connections", "0")) or facts.threads + needed
    free = most - facts.threads
    more = needed - min(needed, facts.own)
    why = "without a connection a process waits, and so does its direction"
    if 0 < facts.user_limit < needed:
        seen = f"{facts.account} may have {facts.user_limit} connections; up to {needed} are needed"
        fix = f"ALTER USER {account_text(facts.account)} WITH MAX_USER_CONNECTIONS {needed};"
        if str(facts.user_limit) == facts.variables.get("max_user_connections"):
            fix = f"SET PERSIST max_user_connections = {needed};  -- or, for this account alone: {fix}"
        return Item("connections", side, FAIL, seen, why, fix)
    if free < more:
        seen = f"max_connections is {most}, {facts.threads} are in use; up to {more} more are needed"
        return Item("connections", side, FAIL, seen, why, f"SET PERSIST max_connections = {facts.threads + more + most // 2};")
    limit = f", {facts.user_limit} for the account" if facts.user_limit else ""
    return Item("connections", side, PASS, f"{free} of {most} free{limit}; up to {needed} are needed")
