"""The precheck of what surrounds the tables: parents left out, events, definers, rows that are there already, databases. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bisync_topology.grants import account_text, quote
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_policies import opposite
from bisync_topology.precheck_seen import Name, SideFacts
from bisync_topology.precheck_tables import carried, dotted, includes, quoted, such_as
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Events, Step, Topology


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Give the items, once both sides have answered."""
    for direction in topology.directions:
        yield from _parents(topology, direction, facts[direction.from_])
        yield from _empty(topology, direction, facts)
        if direction.ddl or Step.STRUCTURE in direction.initialize:
            yield from _zones(direction, facts)
            yield from _databases(topology, direction, facts)
    yield from _events(topology, facts)
    for side in facts:
        yield from _definers(topology, side, facts)


def _parents(topology: Topology, direction: Direction, source: SideFacts) -> Iterator[Item]:
    found: dict[Name, list[Name]] = {}
    for name in carried(topology, direction, source.tables):
        for reference in source.tables[name].references:
            if not includes(topology, direction, reference.parent):
                found.setdefault(reference.parent, []).append(name)
    for parent, children in sorted(found.items()):
        seen = f"{direction}: {dotted(parent)} is not carried, and is the parent of {such_as(sorted(set(children)))}"
        why = "a row whose parent is not at the target is refused there, or stands there without it"
        yield Item("parents", direction.to, WARN, seen, why, f'add "{dotted(parent)}" to objects')
    if not found:
        yield Item("parents", direction.to, PASS, f"{direction}: the parents of all tables are carried too")


def _empty(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Of tables that are copied for the first time: at a first start, and those that come into `objects` later.

    One that was in `objects` before, and is not on record, was made since: its rows came with the streams. A direction that has
    begun with nothing on record was begun anew: it is copied onto what is there.
    """
    if Step.DATA not in direction.initialize:
        return
    target = facts[direction.to]
    key = direction.from_, direction.to
    noted = target.noted.get(key, frozenset())
    if key in target.begun and not noted:
        yield Item("target_empty", direction.to, PASS, f"{direction}: it has begun already, and goes on by its own record")
        return
    captured = Scope(facts[direction.from_].objects, control_schema=topology.control_schema)
    first = _first(topology, direction)
    names = [
        name
        for name in sorted(target.filled - noted)
        if includes(topology, direction, name)
        and not (first is not None and includes(topology, first, name))
        and not (noted and captured.includes(*name))
    ]
    for name in names:
        seen = f"{direction}: {dotted(name)} has rows on {direction.to} already"
        why = "rows are copied into an empty table; what is there would be mixed with them"
        quiet = "SET sql_log_bin = 0; " if noted else ""  # its binlog is read on, with the new table in it
        fix = f"{quiet}TRUNCATE TABLE {quoted(name)};  -- or, if both sides are alike, `initialize: []` for it"
        yield Item("target_empty", direction.to, FAIL, seen, why, fix)
    if not names:
        yield Item("target_empty", direction.to, PASS, f"{direction}: no table to be copied has rows on {direction.to}")


def _first(topology: Topology, direction: Direction) -> Direction | None:
    """The direction that initializes the tables of both, where the file lists it before."""
    for each in topology.directions[: topology.directions.index(direction)]:
        if Step.DATA in each.initialize:
            return each
    return None


def _zones(direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    if facts[direction.to].named_zones or not facts[direction.from_].named_zones:
        yield Item("time_zones", direction.to, PASS, f"{direction}: names of time zones that one knows are known to the other")
        return
    seen = f"{direction}: {direction.from_} knows time zones by name, {direction.to} does not"
    why = "a statement of a session whose time_zone is a name is refused there, and held"
    fix = "mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql    # at that server"
    yield Item("time_zones", direction.to, WARN, seen, why, fix)


def _databases(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """What a table is made with that names no character set."""
    source, target = facts[direction.from_].databases, facts[direction.to].databases
    scope = Scope(direction.objects, control_schema=topology.control_schema)
    unlike = [
        name
        for name in sorted(source.keys() & target.keys())
        if source[name] != target[name] and any(pattern.matches(name) for pattern in scope.databases())
    ]
    for name in unlike:
        seen = f"{direction}: {name} has {source[name]} on {direction.from_} and {target[name]} on {direction.to}"
        why = "a CREATE TABLE that names no character set makes another table there"
        yield Item("databases", direction.to, WARN, seen, why, f"ALTER DATABASE {quote(name)} COLLATE {source[name]};")
    if not unlike:
        yield Item("databases", direction.to, PASS, f"{direction}: default collations are equal")


def _events(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    (first, one), (second, two) = facts.items()
    both = {
        name
        for each, back in opposite(topology)
        for name in one.events.keys() & two.events.keys()
        if _in_both(each, back, name[0])
    }
    twice = sorted(name for name in both if one.events[name] and two.events[name])
    off = [side for side, found in facts.items() if found.variables.get("event_scheduler", "ON") != "ON"]
    if not twice or off:
        seen = f"{len(both)} on both sides, none runs on both" if both else "the account sees none that is on both sides"
        yield Item("events", None, PASS, seen + (f"; event_scheduler of {off[0]} is not ON" if twice else ""))
        return
    meant = any(direction.events is Events.ENABLED for direction in topology.directions)
    side = topology.directions[0].to
    names = ", ".join(map(dotted, twice[:5])) + (f" and {len(twice) - 5} more" if len(twice) > 5 else "")
    why = "what each writes arrives at the other too: done twice, or in conflict"
    fix = "\n".join(f"ALTER EVENT {quoted(name)} DISABLE;" for name in twice)
    seen = f"enabled on {first} and {second}: {names}" + (", as `events: enabled` says" if meant else "")
    yield Item("events", side, WARN, seen, why, fix)


def _in_both(one: Direction, two: Direction, db: str) -> bool:
    return all(any(pattern.matches(db) for pattern in Scope(each.objects).databases()) for each in (one, two))


def _definers(topology: Topology, side: str, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Accounts of objects that are to run here and do not exist here."""
    mine, theirs = facts[side], facts[topology.other(side)]
    if mine.accounts is None:
        note = "the account may not read mysql.user: who is a definer and does not exist is not seen"
        yield Item("definers", side, PASS, note)
        return
    found: dict[str, str] = {}
    written = {(trigger.db, trigger.name) for trigger in mine.triggers}
    for each in mine.definers:
        if each.account not in mine.accounts and (each.kind != "trigger" or (each.db, each.name) in written):
            found.setdefault(each.account, f"{each.kind} {each.db}.{each.name}")
    coming = [each for each in topology.directions_into(side) if each.ddl or Step.STRUCTURE in each.initialize]
    for direction in coming:
        scope = Scope(direction.objects, control_schema=topology.control_schema)
        for each in theirs.definers:
            if scope.includes_database(each.db) and each.account not in mine.accounts:
                found.setdefault(each.account, f"{each.kind} {each.db}.{each.name} of {direction.from_}")
    for account, what in sorted(found.items()):
        why = "it runs as an account that is not here, and is refused; a trigger of applied rows stops the direction"
        fix = f"CREATE USER {account_text(account)} ACCOUNT LOCK;  -- and grant it what its objects need"
        yield Item("definers", side, WARN, f"{account}, definer of {what}, does not exist on {side}", why, fix)
    if not found:
        yield Item("definers", side, PASS, "all exist")
