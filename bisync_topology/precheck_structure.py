"""The precheck of tables that both sides have and that are not alike, and of what their foreign keys do by themselves. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bisync_topology.grants import quote
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_seen import ColumnFacts, Name, SideFacts, TableFacts
from bisync_topology.precheck_tables import carried, count, dotted, quoted
from bisync_topology.precheck_version import numbers
from bisync_topology.topology import Direction, Topology

COLUMN, UNIQUE, FOREIGN = "column", "unique key", "foreign key"
_LOGS_CASCADES = (9, 6)


@dataclass(frozen=True)
class Difference:
    """What the source has and the target has not, or has otherwise."""

    kind: str
    name: str
    words: str
    changes: bool = False  # the target has one of that name
    generated: bool = False


def differences(source: TableFacts, target: TableFacts) -> Iterator[Difference]:
    """Give what rows of the source may not fit for; what the target has beside is its own."""
    mine = {name.casefold(): column for name, column in target.columns.items()}
    for name, column in source.columns.items():
        other = mine.get(name.casefold())
        if other is None:
            yield Difference(COLUMN, name, f"{name} is missing")
        elif column != other and _shown(column) != _shown(other):
            words = f"{name} is {_shown(column)} there and {_shown(other)} here"
            yield Difference(COLUMN, name, words, changes=True, generated=column.generated != other.generated)
    present = {_folded(parts) for parts in target.unique.values()}
    for index, parts in source.unique.items():
        if _folded(parts) not in present:
            yield Difference(
                UNIQUE, index, f"the unique key {index} ({', '.join(map(str, parts))}) is missing", index in target.unique
            )
    rules = {reference.rule for reference in target.references}
    names = {reference.name for reference in target.references}
    for reference in source.references:
        if reference.rule not in rules:
            yield Difference(FOREIGN, reference.name, f"the foreign key {reference} is missing", reference.name in names)


def alter(table: Name, create: str | None, found: Iterable[Difference]) -> str:
    """The statement that makes the target's table as the source's. create: the source's SHOW CREATE TABLE."""
    lines = [line.strip().rstrip(",") for line in (create or "").splitlines()[1:]]
    clauses = [clause for each in found for clause in _clauses(each, lines)]
    if not clauses:
        return f"make {dotted(table)} here as it is there"
    return f"ALTER TABLE {quoted(table)} {', '.join(clauses)};"


def _clauses(each: Difference, lines: list[str]) -> Iterator[str]:
    name = re.escape(quote(each.name))
    if each.kind == COLUMN:
        line = next((line for line in lines if re.match(f"{name} ", line)), None)
        if line is not None:
            yield f"{'MODIFY' if each.changes else 'ADD'} COLUMN {line}"
        return
    is_primary = each.name == "PRIMARY"
    form = f"CONSTRAINT {name} " if each.kind == FOREIGN else "PRIMARY KEY " if is_primary else f"UNIQUE KEY {name} "
    line = next((line for line in lines if re.match(form, line)), None)
    if line is not None:
        if each.changes:
            what = "FOREIGN KEY" if each.kind == FOREIGN else "INDEX"
            yield "DROP PRIMARY KEY" if is_primary else f"DROP {what} {quote(each.name)}"
        yield f"ADD {line}"


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Give the items, once both sides have answered."""
    told: set[Name] = set()
    for direction in topology.directions:
        yield from _structure(topology, direction, facts, told)
        yield from _cascades(topology, direction, facts)
        yield from _generated_keys(topology, direction, facts)
        yield from _collations(topology, direction, facts)


def _structure(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts], told: set[Name]) -> Iterator[Item]:
    source, target = facts[direction.from_], facts[direction.to]
    unlike = False
    both = [name for name in carried(topology, direction, source.tables) if name in target.tables]
    for name in both:
        table = source.tables[name]
        if table.columns.keys() == target.tables[name].columns.keys() == set():
            continue
        found = [each for each in differences(table, target.tables[name]) if not _told_apart(each, table, source.variables)]
        refused = target.tables[name].refused.get(direction.from_, "")
        if not found or (name in told and not refused and all(each.changes for each in found)):
            continue  # what differs is told once, of the direction that is first in the file
        told.add(name)
        unlike = True
        begun = (direction.from_, direction.to) in target.begun
        why = "values may come out otherwise than they were, or be refused"
        if refused:
            why = f"the direction stops there: {refused}"
        seen = f"{direction}: {dotted(name)} is another table: {'; '.join(each.words for each in found)}"
        # what has begun may have a statement on its way that makes them alike, and stops by itself where it has not
        result = FAIL if refused and not begun else WARN
        yield Item("structure", direction.to, result, seen, why, alter(name, table.create, found))
    if not unlike:
        yield Item("structure", direction.to, PASS, f"{direction}: {count(len(both))}, alike on both sides")


def _told_apart(difference: Difference, table: TableFacts, variables: Mapping[str, str]) -> bool:
    """Whether it is another item: a generated column of a key, a foreign key whose cascades are not logged."""
    if difference.kind == FOREIGN:
        cascading = any(each.cascades for each in table.references if each.name == difference.name)
        return cascading and not logs_cascades(variables)
    return difference.generated and any(difference.name in parts for parts in table.unique.values())


def _cascades(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Cascades that are not logged are made by the target itself, by foreign keys of its own."""
    source, target = facts[direction.from_], facts[direction.to]
    found = [
        (name, each)
        for name in carried(topology, direction, source.tables)
        for each in source.tables[name].references
        if each.cascades
    ]
    if logs_cascades(source.variables):
        if found:
            yield Item("cascades", direction.to, PASS, f"{direction}: {direction.from_} logs what they change")
        return
    unlike, result = False, _unless_on_its_way(direction, target)
    for name, reference in found:
        mine = target.tables[name].references if name in target.tables else ()
        if name in target.tables and reference.rule not in {each.rule for each in mine}:
            unlike = True
            why = f"{direction.from_} does not log what it changes, and the target does not make the same change by itself"
            difference = Difference(FOREIGN, reference.name, "", reference.name in {each.name for each in mine})
            fix = alter(name, source.tables[name].create, [difference])
            yield Item(
                "cascades", direction.to, result, f"{direction}: {dotted(name)} lacks the foreign key {reference}", why, fix
            )
    if found and not unlike:
        yield Item("cascades", direction.to, PASS, f"{direction}: not logged at {direction.from_}; the target makes the same")


def _unless_on_its_way(direction: Direction, target: SideFacts) -> str:
    """A failure, unless the statement that makes both alike may be in Kafka, so that the direction has to run to get it."""
    return WARN if direction.ddl and (direction.from_, direction.to) in target.begun else FAIL


def logs_cascades(variables: Mapping[str, str]) -> bool:
    """Whether a server runs foreign keys above the engine, so that what they change is in its binlog."""
    old = variables.get("innodb_native_foreign_keys", "ON") != "OFF"
    return numbers(variables.get("version", "0")) >= _LOGS_CASCADES and not old


def _generated_keys(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """A key of a generated column tells rows apart by what each side generates itself."""
    source, target = facts[direction.from_], facts[direction.to]
    seen = unlike = 0
    result = _unless_on_its_way(direction, target)
    for name in carried(topology, direction, source.tables):
        table = source.tables[name]
        keyed = {column for parts in table.unique.values() for column in parts if column is not None}
        generated = [column for column in sorted(keyed) if column in table.columns and table.columns[column].generated]
        seen += len(generated)
        mine = target.tables.get(name)
        for column in generated if mine is not None else ():
            other = mine.columns.get(column) if mine is not None else None
            if other is not None and other.generated != table.columns[column].generated:
                unlike += 1
                theirs, ours = table.columns[column].generated, other.generated or "nothing"
                words = f"{column} is generated as {theirs} there, and as {ours} here"
                why = "a row would have another key here than there, and is not found again"
                fix = alter(name, table.create, [Difference(COLUMN, column, words, changes=True)])
                yield Item("generated_key", direction.to, result, f"{direction}: {dotted(name)}: {words}", why, fix)
    if not unlike:
        words = (
            f"{seen} generated column{'s' * (seen != 1)} in keys, alike on both sides" if seen else "no generated column in a key"
        )
        yield Item("generated_key", direction.to, PASS, f"{direction}: {words}")


def _collations(topology: Topology, direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    source, target = facts[direction.from_], facts[direction.to]
    found: dict[str, list[Name]] = {}
    for name in carried(topology, direction, source.tables):
        for collation in {each.collation for each in source.tables[name].columns.values() if each.collation}:
            if target.collations and collation not in target.collations:
                found.setdefault(collation, []).append(name)
    for collation, names in found.items():
        default = source.collations.get(collation, "utf8mb4_bin")
        charset = default.split("_", maxsplit=1)[0]
        fix = " ".join(f"ALTER TABLE {quoted(name)} CONVERT TO CHARACTER SET {charset} COLLATE {default};" for name in names)
        seen = f"{direction}: {direction.to} does not know {collation}, of {', '.join(map(dotted, names))}"
        why = "the same table cannot be made there, and which keys are equal is told otherwise"
        yield Item("collations", direction.from_, FAIL, seen, why, fix)
    if not found:
        yield Item("collations", direction.from_, PASS, f"{direction}: all are known at both sides")


def _shown(column: ColumnFacts) -> str:
    parts = [column.type, f"COLLATE {column.collation}" if column.collation else "", "" if column.nullable else "NOT NULL"]
    return " ".join(filter(None, [*parts, f"AS ({column.generated})" if column.generated else ""]))


def _folded(parts: Iterable[str | None]) -> tuple[str | None, ...]:
    return tuple(part and part.casefold() for part in parts)
