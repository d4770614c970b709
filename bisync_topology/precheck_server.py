"""The precheck of one server's binary log: settings, filters, the marker, how long it is kept, the place to go on from. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_seen import ABSENT, HIDDEN, UNTRIED, SideFacts
from bisync_topology.topology import RETENTION_FOREVER, Topology

MARKER_WHY = (
    "the marker of applied transactions is a row like it; unseen, they would be sent back: the classic cause of ping-pong"
)
_WEEK = 7 * 86_400
_RECONNECT = "then reconnect the server's clients, as sessions keep what they began with"


@dataclass(frozen=True)
class _Setting:
    """A server variable that must have one value for its changes to be read without loss."""

    name: str
    wanted: str
    why: str
    fix: str | None = None
    absent: str = ""  # what it counts as on a server that has no such variable


SETTINGS = (
    _Setting(
        "log_bin",
        "ON",
        "changes are read from the binary log",
        "write `log_bin = binlog` below [mysqld] in the server's option file, and restart it",
    ),
    _Setting(
        "binlog_format",
        "ROW",
        "in any other format the log has statements, whose effect at another server may differ",
        absent="ROW",
    ),
    _Setting(
        "binlog_row_image",
        "FULL",
        "conflicts are found by comparing whole rows; MINIMAL and NOBLOB leave columns out",
    ),
    _Setting(
        "binlog_row_metadata",
        "FULL",
        "names, signs and character sets of columns are read from it; without it ENUM and unsigned values are lost",
    ),
)


def evaluate(topology: Topology, side: str, facts: SideFacts) -> Iterator[Item]:
    """Give the items of one side that answers."""
    if not topology.directions_from(side):
        return  # nothing is read from its log
    for setting in SETTINGS:
        yield _setting(setting, side, facts)
    yield _gtid_mode(side, facts)
    yield _server_id(side, facts)
    yield _replica_updates(side, facts)
    yield _order(side, facts)
    yield _partial_json(side, facts)
    yield from _filters(topology, side, facts)
    yield _marker(topology, side, facts)
    yield _kept(topology, side, facts)
    yield _position(side, facts)


def _setting(setting: _Setting, side: str, facts: SideFacts) -> Item:
    value = facts.variables.get(setting.name, setting.absent)
    seen = value or "empty"
    if value.upper() == setting.wanted:
        return Item(setting.name, side, PASS, seen)
    fix = setting.fix or f"SET PERSIST {setting.name} = '{setting.wanted}';  -- {_RECONNECT}"
    return Item(setting.name, side, FAIL, f"{seen}; it must be {setting.wanted or 'empty'}", setting.why, fix)


def _gtid_mode(side: str, facts: SideFacts) -> Item:
    mode = facts.variables.get("gtid_mode", "OFF")
    if mode == "ON":
        return Item("gtid_mode", side, PASS, "ON")
    return Item(
        "gtid_mode",
        side,
        WARN,
        f"{mode}: positions are kept as binlog file and offset",
        "they mean nothing on another server, so that a failover cannot be followed",
        "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; "
        "SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;  -- before the first `up`",
    )


def _server_id(side: str, facts: SideFacts) -> Item:
    number = facts.variables.get("server_id", "0")
    if number != "0":
        return Item("server_id", side, PASS, number)
    why = "a server without a number refuses every reader of its binary log"
    return Item(
        "server_id",
        side,
        FAIL,
        "0; it must have a number of its own",
        why,
        "SET PERSIST server_id = 1;  -- or any other of its own",
    )


def _filters(topology: Topology, side: str, facts: SideFacts) -> Iterator[Item]:
    if facts.filters is None:
        return  # not allowed to be seen: an item of the privileges
    do_db, ignore_db = ([name for name in text.split(",") if name] for text in facts.filters)
    needed = [topology.control_schema, *sorted({db for db, _ in facts.tables})]
    hidden = [db for db in needed if db in ignore_db or (do_db and db not in do_db)]
    if not hidden:
        seen = f"no filter hides {', '.join(needed)}" if do_db or ignore_db else "the binary log has no filter"
        yield Item("binlog_filter", side, PASS, seen)
    for db in hidden:
        option = f"binlog-ignore-db = {db}" if db in ignore_db else f"binlog-do-db = {', '.join(do_db)}"
        control = db == topology.control_schema
        yield Item(
            "binlog_filter",
            side,
            FAIL,
            f"{option} keeps database {db} out of the binary log",
            MARKER_WHY if control else "its changes could not be read",
            f"take `{option}` out of the server's option file and restart it"
            if db in ignore_db
            else f"add `binlog-do-db = {db}` to the server's option file, or take all such lines out, and restart it",
        )


def _replica_updates(side: str, facts: SideFacts) -> Item:
    """What MySQL's own replication brings into this server is read from its binlog like anything else, if it is there."""
    name = "log_replica_updates" if "log_replica_updates" in facts.variables else "log_slave_updates"
    value = facts.variables.get(name, "ON")
    if value == "ON":
        return Item("log_replica_updates", side, PASS, "ON")
    fix = f"SET PERSIST_ONLY {name} = ON;  -- then restart the server"
    if not facts.channels:
        why = "should it become a replica of another server, what that brings would not reach the other side"
        return Item("log_replica_updates", side, WARN, f"{value}; it is no replica now", why, fix)
    seen = f"{value}, and it is a replica of another server"
    return Item("log_replica_updates", side, FAIL, seen, "what replication brings is not in its binlog, and would be lost", fix)


def _order(side: str, facts: SideFacts) -> Item:
    value = facts.variables.get("binlog_order_commits", "ON")
    if value == "ON":
        return Item("binlog_order_commits", side, PASS, "ON")
    why = "commits become visible in another order than the binlog's: what is read at a place in it may lack some before it"
    return Item("binlog_order_commits", side, WARN, value, why, "SET PERSIST binlog_order_commits = ON;")


def _partial_json(side: str, facts: SideFacts) -> Item:
    value = facts.variables.get("binlog_row_value_options", "")
    return Item("binlog_row_value_options", side, PASS, f"{value}, which is read" if value else "empty")


def _marker(topology: Topology, side: str, facts: SideFacts) -> Item:
    marker, name = facts.marker, topology.control_schema
    if marker.state == ABSENT:
        return Item(
            "marker", side, PASS, f"`{name}` is not there yet; `up` makes it, and reads a row back before it starts anything"
        )
    if marker.state == UNTRIED:
        fix = "mend that, and run `precheck` again"
        return Item("marker", side, WARN, f"no row could be written and read back: {marker.words}", MARKER_WHY, fix)
    if marker.state != HIDDEN:
        return Item("marker", side, PASS, f"a row written to `{name}` was read back from the binlog")
    first = facts.variables.get("init_connect", "")
    fix = f"take what hides `{name}` out of the server's option file (binlog-do-db, binlog-ignore-db), and restart it"
    if "sql_log_bin" in first:
        fix = "SET PERSIST init_connect = '';"
        if "'" not in first:
            first = f"init_connect is '{first}'"
    seen = f"a row written to `{name}` is not in the binlog {marker.words}" + (f"; {first}" if "sql_log_bin" in first else "")
    return Item("marker", side, FAIL, seen, MARKER_WHY, fix)


def _kept(topology: Topology, side: str, facts: SideFacts) -> Item:
    """Binlogs are to outlast an outage as Kafka's topics do: the one is for producers, the other for appliers."""
    seconds = int(facts.variables.get("binlog_expire_logs_seconds", "0"))
    if not seconds or facts.variables.get("binlog_expire_logs_auto_purge", "ON") == "OFF":
        return Item("binlog_retention", side, PASS, "binlogs are kept for ever")
    wanted = topology.topics.retention_ms // 1000
    if topology.topics.retention_ms == RETENTION_FOREVER:
        wanted = _WEEK
    if seconds >= wanted:
        return Item("binlog_retention", side, PASS, f"binlogs are kept for {span(seconds)}")
    why = "a producer, a broker, or a first copy that takes longer loses its place, and the direction is to be begun anew"
    seen = f"binlogs are kept for {span(seconds)}, topics for {span(wanted)}"
    return Item("binlog_retention", side, WARN, seen, why, f"SET PERSIST binlog_expire_logs_seconds = {wanted};")


def _position(side: str, facts: SideFacts) -> Item:
    error = facts.position
    if error is None:
        seen = (
            "the server still has what was not captured yet"
            if facts.captured
            else "none yet: a first start begins at the present end"
        )
        return Item("position", side, PASS, seen)
    # a server that was set back has appliers that bring it to the present: they are not to be kept from it
    result = WARN if error.code == "server_restored" else FAIL
    return Item("position", side, result, error.message, "what lies between was not carried, and never will be", error.hint)


def span(seconds: int) -> str:
    """`7 days`, `90 s`."""
    for length, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % length == 0 and seconds >= length:
            return f"{seconds // length} {name}{'s' * (seconds != length)}"
    return f"{seconds} s"
