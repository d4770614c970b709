"""The precheck of tables: keys, engines, whether both sides have them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bisync_topology.grants import Grants, quote
from bisync_topology.object_patterns import parse
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_seen import Name, SideFacts, TableFacts
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Step, Topology


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Give the items of tables, once both sides have answered."""
    for side, found in facts.items():
        yield from _keys(side, found.tables)
        yield from _engines(side, found.tables)
        yield from _expressions(topology, side, facts)
    for direction in topology.directions:
        yield from _on_both_sides(topology, direction, facts)
        yield from _entries(topology, direction, facts)


def _keys(side: str, tables: Mapping[Name, TableFacts]) -> Iterator[Item]:
    bare = {name: table for name, table in sorted(tables.items()) if not table.keyed}
    if not bare:
        yield Item("key", side, PASS, f"{count(len(tables))} in scope, each with a key")
    for name, table in bare.items():
        columns = ", ".join(map(quote, table.key_hint))
        yield Item(
            "key",
            side,
            FAIL,
            f"{dotted(name)} has neither a primary key nor a unique key of NOT NULL columns",
            "without one, no row can be told from another",
            f"ALTER TABLE {quoted(name)} ADD PRIMARY KEY ({columns});  -- or of the columns that name a row; on both sides. "
            f'To leave the table out, add "!{dotted(name)}" to objects',
        )


def _expressions(topology: Topology, side: str, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """A unique key over an expression tells rows apart by what no row image has. A table that is to be made gets it too."""
    tables = facts[side].tables
    written = {name for direction in topology.directions_into(side) for name in carried(topology, direction, tables)}
    for direction in topology.directions_from(side):
        if direction.initialize:
            written |= set(carried(topology, direction, tables)) - facts[direction.to].tables.keys()
    found = [(name, index) for name in sorted(written) for index, parts in tables[name].unique.items() if None in parts]
    if not found:
        yield Item("unique_key", side, PASS, "none is over an expression")
    for name, index in found:
        why = "rows in the way of a change are found by the values of columns; the direction into this table would stop"
        fix = f"ALTER TABLE {quoted(name)} DROP INDEX {quote(index)};  -- or make it a key of a generated column, on both sides"
        yield Item("unique_key", side, FAIL, f"{dotted(name)}: unique key {index} is over an expression", why, fix)


def _engines(side: str, tables: Mapping[Name, TableFacts]) -> Iterator[Item]:
    others = {name: table.engine for name, table in sorted(tables.items()) if table.engine.lower() != "innodb"}
    if not others:
        yield Item("engine", side, PASS, f"{count(len(tables))}, InnoDB")
    for name, engine in others.items():
        why = "a change and its progress commit in one transaction, which other engines do not roll back"
        yield Item("engine", side, FAIL, f"{dotted(name)} is {engine}", why, f"ALTER TABLE {quoted(name)} ENGINE = InnoDB;")


def _on_both_sides(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    source, target = facts[direction.from_], facts[direction.to]
    names = carried(topology, direction, source.tables)
    visible = Grants(target.grants)  # what the account must not see is an item of the privileges
    missing = [name for name in names if name not in target.tables and visible.on("SELECT", *name)]
    clashing = [name for name in missing if name in target.views]
    if not missing or (Step.STRUCTURE in direction.initialize and not clashing):
        state = f"{len(missing)} of them to be made" if missing else "there on both sides"
        yield Item("tables", direction.to, PASS, f"{direction}: {count(len(names))}, {state}")
        return
    for name in missing:
        if name in clashing:
            seen = f"{dotted(name)} is a table on {direction.from_} and a view on {direction.to}"
            fix = f"DROP VIEW {quoted(name)};  -- then make the table, or have it made by `initialize: [structure]`"
            yield Item("tables", direction.to, FAIL, seen, "rows are written to tables", fix)
        elif Step.STRUCTURE not in direction.initialize:
            create = source.tables[name].create
            why = "its rows would have nowhere to go"
            on_its_way = direction.ddl and (direction.from_, direction.to) in target.begun
            yield Item(
                "tables",
                direction.to,
                WARN if on_its_way else FAIL,
                f"{dotted(name)} is on {direction.from_} and not on {direction.to}",
                f"unless its statement is on its way, {why}" if on_its_way else why,
                f"USE {quote(name[0])}; {create};" if create else f"create it on {direction.to} as it is on {direction.from_}",
            )


def _entries(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    present = [name for found in facts.values() for name in carried(topology, direction, found.tables)]
    for pattern in map(parse, direction.objects):
        if pattern.excludes or any(pattern.matches(*name) for name in present):
            continue
        if pattern.table is None and any(pattern.database.matches(db) for found in facts.values() for db in found.databases):
            continue  # an empty database
        seen = f"{direction}: `{pattern.text}` means no table that the account sees on either side"
        fix = "is the name right, and does the account have SELECT there?"
        yield Item("objects", direction.from_, WARN, seen, "a misspelt name carries nothing, in silence", fix)


def carried(topology: Topology, direction: Direction, tables: Mapping[Name, TableFacts]) -> list[Name]:
    """Give the tables that a direction carries."""
    scope = Scope(direction.objects, control_schema=topology.control_schema)
    return sorted(name for name in tables if scope.includes(*name))


def includes(topology: Topology, direction: Direction, name: Name) -> bool:
    """Tell whether a direction carries a table."""
    return Scope(direction.objects, control_schema=topology.control_schema).includes(*name)


def such_as(names: list[Name]) -> str:
    """Name the first of some tables, and count the others."""
    others = f" and {count(len(names) - 1)} more" if len(names) > 1 else ""
    return dotted(names[0]) + others


def count(number: int) -> str:
    """`1 table`, `2 tables`."""
    return f"{number} table{'s' * (number != 1)}"


def dotted(name: Name) -> str:
    """A table as people write it."""
    return ".".join(name)


def quoted(name: Name) -> str:
    """A table as statements name it."""
    return ".".join(map(quote, name))
