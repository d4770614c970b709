"""The precheck of tables, and of the two sides against each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bisync_topology.grants import Grants, quote
from bisync_topology.object_patterns import parse
from bisync_topology.precheck_facts import Name, SideFacts, TableFacts
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.scope import Scope, settings_for
from bisync_topology.topology import Direction, Dml, Policy, Step, Topology


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Give the items of tables, once both sides have answered."""
    yield from _server_uuids(facts)
    for side, found in facts.items():
        yield from _keys(side, found.tables)
        yield from _engines(side, found.tables)
    for direction in topology.directions:
        yield from _on_both_sides(topology, direction, facts)
        yield from _entries(topology, direction, facts)
    yield from _policies(topology, facts)


def _server_uuids(facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    uuids = {side: found.variables.get("server_uuid", "") for side, found in facts.items()}
    seen = ", ".join(f"{side} {uuid}" for side, uuid in uuids.items())
    if len(set(uuids.values())) == len(uuids):
        yield Item("server_uuid", None, PASS, f"they differ: {seen}")
        return
    why = "both sides are one server, or one is a copy of the other's files; their transactions could not be told apart"
    fix = "point topology.yaml at two servers; for a copy: stop it, remove auto.cnf from its data folder, start it"
    yield Item("server_uuid", None, FAIL, f"they are the same: {seen}", why, fix)


def _keys(side: str, tables: Mapping[Name, TableFacts]) -> Iterator[Item]:
    bare = {name: table for name, table in sorted(tables.items()) if not table.keyed}
    if not bare:
        yield Item("key", side, PASS, f"{_count(len(tables))} in scope, each with a key")
    for name, table in bare.items():
        columns = ", ".join(map(quote, table.key_hint))
        yield Item(
            "key",
            side,
            FAIL,
            f"{_dotted(name)} has neither a primary key nor a unique key of NOT NULL columns",
            "without one, no row can be told from another",
            f"ALTER TABLE {_quoted(name)} ADD PRIMARY KEY ({columns});  -- or of the columns that name a row; on both sides. "
            f'To leave the table out, add "!{_dotted(name)}" to objects',
        )


def _engines(side: str, tables: Mapping[Name, TableFacts]) -> Iterator[Item]:
    others = {name: table.engine for name, table in sorted(tables.items()) if table.engine.lower() != "innodb"}
    if not others:
        yield Item("engine", side, PASS, f"{_count(len(tables))}, InnoDB")
    for name, engine in others.items():
        why = "a change and its progress commit in one transaction, which other engines do not roll back"
        yield Item("engine", side, FAIL, f"{_dotted(name)} is {engine}", why, f"ALTER TABLE {_quoted(name)} ENGINE = InnoDB;")


def _on_both_sides(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    carried = _carried(topology, direction, facts[direction.from_].tables)
    visible = Grants(facts[direction.to].grants)  # what the account must not see is an item of the privileges
    missing = [name for name in carried if name not in facts[direction.to].tables and visible.on("SELECT", *name)]
    if missing and Step.STRUCTURE in direction.initialize:
        yield Item("tables", direction.to, PASS, f"{direction}: {_count(len(missing))} will be made, as `initialize` says")
        return
    if not missing:
        yield Item("tables", direction.to, PASS, f"{direction}: {_count(len(carried))}, there on both sides")
    for name in missing:
        create = facts[direction.from_].tables[name].create
        yield Item(
            "tables",
            direction.to,
            FAIL,
            f"{_dotted(name)} is on {direction.from_} and not on {direction.to}",
            "its rows would have nowhere to go, and the direction does not initialize the structure",
            f"USE {quote(name[0])}; {create};" if create else f"create it on {direction.to} as it is on {direction.from_}",
        )


def _entries(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    present = [name for found in facts.values() for name in _carried(topology, direction, found.tables)]
    for pattern in map(parse, direction.objects):
        if pattern.excludes or any(pattern.matches(*name) for name in present):
            continue
        seen = f"{direction}: `{pattern.text}` means no table that the account sees on either side"
        fix = "is the name right, and does the account have SELECT there?"
        yield Item("objects", direction.from_, WARN, seen, "a misspelt name carries nothing, in silence", fix)


def unequal_pairs(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[tuple[Direction, Direction, list[Name]]]:
    """Tables that both directions carry under policies which do not converge: those of a pair of policies at a time."""
    for first, second in _opposite(topology):
        pairs: dict[tuple[Policy, Policy], list[Name]] = {}
        for name in _carried(topology, first, facts[first.from_].tables):
            one, two = settings_for(first, *name).on_conflict, settings_for(second, *name).on_conflict
            if _includes(topology, second, name) and not (one.converges and two.converges):
                pairs.setdefault((one, two), []).append(name)
        for names in pairs.values():
            yield first, second, names


def one_way(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[tuple[Direction, Policy, list[Name]]]:
    """Tables that one direction alone carries, under a policy that needs both."""
    for direction in topology.directions:
        back = next((each for each in topology.directions if (each.from_, each.to) == (direction.to, direction.from_)), None)
        found: dict[Policy, list[Name]] = {}
        for name in _carried(topology, direction, facts[direction.from_].tables):
            policy = settings_for(direction, *name).on_conflict
            if policy.converges and (back is None or not _includes(topology, back, name)):
                found.setdefault(policy, []).append(name)
        for policy, names in found.items():
            yield direction, policy, names


def filtered(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[tuple[Direction, list[Name]]]:
    """Tables under a convergent policy of which a direction leaves some changes out."""
    for direction in topology.directions:
        names = [
            name
            for name in _carried(topology, direction, facts[direction.from_].tables)
            if (settings := settings_for(direction, *name)).on_conflict.converges and settings.dml != frozenset(Dml)
        ]
        if names:
            yield direction, names


def _policies(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Warn of policies under which the sides may end unequal, or a direction stops."""
    convergent = " | ".join(policy for policy in Policy if policy.converges)
    told = False
    for first, second, names in unequal_pairs(topology, facts):
        told = True
        one, two = (settings_for(each, *names[0]).on_conflict for each in (first, second))
        if one is two is Policy.TASK_FAILED:
            what = "both directions stop, and wait for somebody to decide"
        elif Policy.TASK_FAILED in (one, two):
            stops, goes_on = (first, second) if one is Policy.TASK_FAILED else (second, first)
            what = f"{stops} stops, and waits for somebody to decide; {goes_on} does not, so that the sides may end unequal"
        else:
            what = "they may end unequal, whatever the order, and nothing stops"
        why = f"where both sides change the same row at once, {what}"
        fix = f"on_conflict: {convergent}, the same in both directions; or keep writes of a row to one side"
        yield Item("policies", None, WARN, f"{one} {first}, {two} {second}: {_such_as(names)}", why, fix)
    for direction, policy, names in one_way(topology, facts):
        told = True
        seen = f"{policy} {direction}, and no direction back: {_such_as(names)}"
        if direction.to == topology.arbiter:
            why = f"{direction.to} is the arbiter, and what it decides against {direction.from_} is not carried back there"
            fix = f"carry them from {direction.to} to {direction.from_} too, or on_conflict: overwrite"
        else:
            why = (
                f"{direction.from_} is the arbiter, which never sees what {direction.to} writes; that is overwritten as it is met"
            )
            fix = f"carry them from {direction.to} to {direction.from_} too, or say so: on_conflict: overwrite"
        yield Item("policies", direction.to, WARN, seen, why, fix)
    for direction, names in filtered(topology, facts):
        told = True
        seen = f"{direction} leaves changes out (dml) of {_such_as(names)}, whose policy converges"
        why = "what is left out is at one side only, and stays so"
        yield Item("policies", direction.to, WARN, seen, why, "dml: [insert, update, delete]")
    if not told:
        yield Item(
            "policies",
            None,
            PASS,
            "no table goes both ways under a policy that does not converge, or one way under one that does",
        )


def _opposite(topology: Topology) -> Iterator[tuple[Direction, Direction]]:
    for number, first in enumerate(topology.directions):
        for second in topology.directions[number + 1 :]:
            if (first.from_, first.to) == (second.to, second.from_):
                yield first, second


def _carried(topology: Topology, direction: Direction, tables: Mapping[Name, TableFacts]) -> list[Name]:
    scope = Scope(direction.objects, control_schema=topology.control_schema)
    return sorted(name for name in tables if scope.includes(*name))


def _includes(topology: Topology, direction: Direction, name: Name) -> bool:
    return Scope(direction.objects, control_schema=topology.control_schema).includes(*name)


def _such_as(names: list[Name]) -> str:
    others = f" and {_count(len(names) - 1)} more" if len(names) > 1 else ""
    return _dotted(names[0]) + others


def _count(number: int) -> str:
    return f"{number} table{'s' * (number != 1)}"


def _dotted(name: Name) -> str:
    return ".".join(name)


def _quoted(name: Name) -> str:
    return ".".join(map(quote, name))
