"""What must hold between the mappings of topology.yaml: sides against each other, directions against sides.

Directions are compared by `object_patterns.witnesses`: a name for every combination of entries that can match, so the
answer is exact for globs too and needs no server. Each check takes what was readable, so that a mistake in
one place does not hide those in another.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from bisync_topology.object_patterns import parse, quote, witnesses
from bisync_topology.scope import ResolvedSettings, Scope, settings_for
from bisync_topology.topology import SYSTEM_SCHEMAS, Direction, Policy
from bisync_topology.topology_keys import meant
from bisync_topology.topology_yaml import Document, Key, Problem

RESERVED_SIDES: Final = ("checkpoints", "schemas", "conflicts")  # <name>.checkpoints and so on are topics already
# of librdkafka's: every other one goes through as is
OWN_PROPERTIES: Final = frozenset(
    {
        *("transactional.id", "enable.idempotence", "acks", "request.required.acks", "isolation.level", "enable.partition.eof"),
        *("group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What could be read of a file that may have mistakes elsewhere."""

    document: Document
    directions: dict[int, Direction]  # those that are right in themselves, by their number in the file
    control_schema: str

    def at(self, *key: str | int) -> Any:
        """Give what was written at `key`, or None if the file has another shape."""
        found = self.document.values
        for part in key:
            if isinstance(found, dict):
                found = found.get(part)
            elif isinstance(found, list) and isinstance(part, int):
                found = found[part]
            else:
                return None
        return found

    def text(self, *key: str | int) -> str | None:
        """Give the one value at `key`."""
        found = self.at(*key)
        return found if isinstance(found, str) else None

    def side_names(self) -> list[str]:
        """Give the sides' names, in the order of the file."""
        sides = self.at("sides")
        return list(sides) if isinstance(sides, dict) else []

    def numbers(self) -> range:
        """Give the numbers of the directions."""
        directions = self.at("directions")
        return range(len(directions) if isinstance(directions, list) else 0)


def check(draft: Draft) -> Iterator[Problem]:
    """Give everything that is wrong between the parts of the file."""
    if isinstance(draft.at("kafka"), dict) and not draft.text("kafka", "bootstrap.servers"):
        yield Problem(("kafka",), "bootstrap.servers is required, as in 127.0.0.1:9092", at_key=True)
    yield from _kafka(draft)
    yield from _sides(draft)
    yield from _passwords(draft)
    yield from _ends(draft)
    for number, direction in draft.directions.items():
        yield from _objects(draft, number, direction)
    for (_, first), (number, second) in combinations(draft.directions.items(), 2):
        if (first.from_, first.to) == (second.to, second.from_):
            yield from _pair(draft, first, second, number)


def _kafka(draft: Draft) -> Iterator[Problem]:
    properties = draft.at("kafka")
    for name in properties if isinstance(properties, dict) else ():
        if name in OWN_PROPERTIES:
            yield Problem(
                ("kafka", name), "is the tool's own: nothing is lost or doubled because of it; take it out", at_key=True
            )


def _sides(draft: Draft) -> Iterator[Problem]:
    names = draft.side_names()
    if isinstance(draft.at("sides"), dict) and len(names) != 2:
        found = f"this has {len(names)}: {', '.join(names)}" if names else "this has none"
        yield Problem(("sides",), f"exactly two sides are allowed for now; {found}", at_key=True)
    for name in names:
        if name in RESERVED_SIDES:
            yield Problem(("sides", name), "is a name of the tool's own topics; use another one", at_key=True)
    for one, two in combinations(names, 2):
        if one.lower().replace("-", "_") == two.lower().replace("-", "_"):
            yield Problem(("sides", two), f"differs from {one} only in case or in - against _", at_key=True)
        priority = draft.text("sides", two, "priority")
        if priority and priority == draft.text("sides", one, "priority"):
            message = f"is {priority} as for {one}; each side needs its own, 1 being the arbiter"
            yield Problem(("sides", two, "priority"), message)
        if (server := _server(draft, two)) and server == _server(draft, one):
            message = f"{server[0]}:{server[1]} is the server of {one} too; each side needs its own"
            yield Problem(("sides", two, "mysql", "host"), message)


def _server(draft: Draft, side: str) -> tuple[str, str] | None:
    host, port = draft.text("sides", side, "mysql", "host"), draft.text("sides", side, "mysql", "port")
    if not host:
        return None
    return "127.0.0.1" if host.lower() in ("localhost", "::1", "[::1]") else host.lower(), port or "3306"


def _passwords(draft: Draft) -> Iterator[Problem]:
    for name in draft.side_names():
        key: Key = ("sides", name, "mysql", "password")
        host, password = draft.text("sides", name, "mysql", "host"), draft.text(*key)
        if host and password and draft.document.is_literal(key) and not is_loopback(host):
            allowed = "use ${env:NAME} or ${file:/path}; only loopback hosts may have a literal"
            yield Problem(key, f"a literal is refused for {host}; {allowed}")


def _ends(draft: Draft) -> Iterator[Problem]:
    names = draft.side_names()
    before: dict[tuple[str, str], int] = {}
    for number in draft.numbers():
        ends = {part: draft.text("directions", number, part) for part in ("from", "to")}
        for part, side in ends.items():
            if names and side and side not in names:
                message = f"there is no side {side}; allowed are {', '.join(names)}{meant(side, names)}"
                yield Problem(("directions", number, part), message)
        one, two = ends["from"], ends["to"]
        if not one or not two:
            continue
        if one == two:
            yield Problem(("directions", number, "to"), f"is {two} as `from` is; a direction joins two sides")
        elif (one, two) in before:
            message = f"{one} to {two} is directions[{before[one, two]}] already; put all objects there"
            yield Problem(("directions", number), message, at_key=True)
        before.setdefault((one, two), number)


def _objects(draft: Draft, number: int, direction: Direction) -> Iterator[Problem]:
    for index, entry in enumerate(direction.objects):
        pattern = parse(entry)
        if not pattern.excludes and (pattern.database.literal or "").lower() in {*SYSTEM_SCHEMAS, draft.control_schema}:
            message = f"{pattern.database.literal} is never replicated, being of one server; take the entry out"
            yield Problem(("directions", number, "objects", index), message)
    names = _in_scope(draft, direction)
    if not names and any(parse(entry).excludes for entry in direction.objects):
        yield Problem(("directions", number, "objects"), "no table is left beside what `!` takes out", at_key=True)
    told = set()
    for database, table in names:
        settings = settings_for(direction, database, table)
        if settings.on_conflict is Policy.NEWEST and settings.version_column is None and settings.key not in told:
            told.add(settings.key)
            message = f"newest needs a version_column, for {_such_as(database, table)}; set it under `tables`"
            yield Problem(_set_at(draft, number, settings, "on_conflict"), message)


def _pair(draft: Draft, first: Direction, second: Direction, number: int) -> Iterator[Problem]:
    """Compare a direction with the opposite one, for every kind of table that both carry."""
    ddl_told, told = False, set()
    theirs = Scope(first.objects, control_schema=draft.control_schema)
    for database, table in _in_scope(draft, second, first):
        if not theirs.includes(database, table):
            continue
        if first.ddl and second.ddl and not ddl_told:
            ddl_told = True
            message = f"is true in both directions for {_such_as(database, table)}; one direction may carry their DDL"
            yield Problem(("directions", number, "ddl"), message)
        one, two = settings_for(first, database, table), settings_for(second, database, table)
        for name in _fields_that_agree(one, two):
            seen, wanted = getattr(two, name), getattr(one, name)
            if seen != wanted and (one.key, two.key, name) not in told:
                told.add((one.key, two.key, name))
                message = f"is {_show(seen)} here and {_show(wanted)} in {first}, for {_such_as(database, table)}"
                yield Problem(_set_at(draft, number, two, name), f"{message}; {_WHY_SAME}")
                break


_WHY_SAME = "site_priority, newest, merge and delta_columns are set the same in both directions"


def _fields_that_agree(one: ResolvedSettings, two: ResolvedSettings) -> tuple[str, ...]:
    if not (one.on_conflict.converges or two.on_conflict.converges):
        return ("delta_columns",)
    if Policy.SITE_PRIORITY in (one.on_conflict, two.on_conflict):
        return ("on_conflict", "delta_columns")
    return ("on_conflict", "version_column", "deletes", "delta_columns")


def _in_scope(draft: Draft, direction: Direction, other: Direction | None = None) -> list[tuple[str, str]]:
    """Give a name for every combination of entries, of these directions, that `direction` carries."""
    texts = [text for each in (direction, other) if each for text in (*each.objects, *each.tables)]
    never = map(quote, sorted({*SYSTEM_SCHEMAS, draft.control_schema}))
    scope = Scope(direction.objects, control_schema=draft.control_schema)
    return [name for name in witnesses([parse(text) for text in (*texts, *never)]) if scope.includes(*name)]


def _set_at(draft: Draft, number: int, settings: ResolvedSettings, name: str) -> Key:
    """Give the key that decides a setting: the table's entry if it has it, else the direction."""
    own = draft.directions[number].tables.get(settings.key) if settings.key is not None else None
    if settings.key is not None and own is not None and name in own.model_fields_set:
        return ("directions", number, "tables", settings.key, name)
    return ("directions", number, name)


def _such_as(database: str, table: str) -> str:
    return f"tables such as {quote(database)}.{quote(table)}"


def _show(value: object) -> str:
    return f"[{', '.join(sorted(value))}]" if isinstance(value, frozenset) else str(value or "not set")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
