"""The precheck of one server: its settings, and the privileges of the account. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bisync_topology.grants import CONTROL, REPLICATION, ROWS, Grants, grant
from bisync_topology.object_patterns import parse
from bisync_topology.precheck_facts import Name, SideFacts
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Topology

_RECONNECT = "then reconnect the server's clients, as sessions keep what they began with"


@dataclass(frozen=True)
class _Setting:
    """A server variable that must have one value for its changes to be read without loss."""

    name: str
    wanted: str
    why: str
    fix: str | None = None
    absent: str = ""  # what it counts as on a server that has no such variable


_SETTINGS = (
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
    yield from _privileges(topology, side, facts)
    if not topology.directions_from(side):
        return  # nothing is read from its log
    for setting in _SETTINGS:
        yield _setting(setting, side, facts)
    yield _gtid_mode(side, facts)
    yield _server_id(side, facts)
    yield from _filters(topology, side, facts)


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
            "the marker of applied transactions is in it; unseen, they would be sent back: the classic cause of ping-pong"
            if control
            else "its changes could not be read",
            f"take `{option}` out of the server's option file and restart it"
            if db in ignore_db
            else f"add `binlog-do-db = {db}` to the server's option file, or take all such lines out, and restart it",
        )


def _privileges(topology: Topology, side: str, facts: SideFacts) -> Iterator[Item]:
    missing = list(_missing(topology, side, facts))
    if not missing:
        yield Item("privileges", side, PASS, f"{facts.account} has those that are needed")
    for privileges, db, table in missing:
        place = "*.*" if db is None else f"{db}.{table or '*'}"
        yield Item(
            "privileges",
            side,
            FAIL,
            f"{facts.account} lacks {', '.join(privileges)} on {place}",
            _why_needed(topology, db),
            grant(privileges, db, table, facts.account) + ";",
        )


def _why_needed(topology: Topology, db: str | None) -> str:
    if db is None:
        return "the binary log and its position are read with them"
    if db == topology.control_schema:
        return "progress and origin of what is applied are kept there"
    return "its rows are read, compared and written, and its columns looked up"


def _missing(topology: Topology, side: str, facts: SideFacts) -> Iterator[tuple[tuple[str, ...], str | None, str | None]]:
    """(privileges, database, table) that the account lacks; database None: on everything, table None: on all of it."""
    grants = Grants(facts.grants)
    if topology.directions_from(side):
        lacking = tuple(name for name in REPLICATION if not grants.everywhere(name))
        if lacking:
            yield lacking, None, None
    lacking = tuple(name for name in CONTROL if not grants.on(name, topology.control_schema))
    if lacking:
        yield lacking, topology.control_schema, None
    told: dict[tuple[str, str | None], tuple[str, ...]] = {}
    for direction in topology.directions:
        needed = ROWS if direction.to == side else ("SELECT",)
        for db, table in places(direction, topology.control_schema, facts.tables):
            lacking = tuple(name for name in needed if not grants.on(name, db, table))
            told[db, table] = tuple(name for name in ROWS if name in (*told.get((db, table), ()), *lacking))
    for (db, table), lacking in told.items():
        if lacking and not (table is not None and set(lacking) <= set(told.get((db, None), ()))):
            yield lacking, db, table


def places(direction: Direction, control_schema: str, tables: Iterable[Name]) -> Iterator[tuple[str, str | None]]:
    """What a direction needs privileges on: the databases and tables that its entries name, and what its globs find."""
    scope = Scope(direction.objects, control_schema=control_schema)
    for pattern in map(parse, direction.objects):
        if pattern.excludes:
            continue
        if pattern.exact is not None:
            yield pattern.exact
        elif pattern.table is None and pattern.database.literal is not None:
            yield pattern.database.literal, None
        else:
            found = sorted(name for name in tables if pattern.matches(*name) and scope.includes(*name))
            yield from found
            if not found and pattern.database.literal is not None:
                yield pattern.database.literal, None
