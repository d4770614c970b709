"""The precheck of DDL: what an account needs to apply it, what is not followed, triggers that applied rows would fire. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bisync_topology.grants import DDL_DATABASE, DDL_TABLES, SEEN, Grants, grant
from bisync_topology.object_patterns import ObjectPattern, parse
from bisync_topology.precheck_item import FAIL, PASS, WARN, Item
from bisync_topology.precheck_privileges import places
from bisync_topology.precheck_seen import Name, SideFacts
from bisync_topology.sql_tokens import NotUnderstood
from bisync_topology.topology import Direction, Step, Topology
from bisync_topology.triggers import Trigger

GUARD = "bisync-topology ddl guard-triggers"
_SHOWN = 3  # guarded forms that are printed
Place = tuple[str, str | None]  # database, table; None: all of it


def evaluate(topology: Topology, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    """Give the items, once both sides have answered."""
    for side, found in facts.items():
        if topology.directions_into(side):
            yield from _triggers(topology, side, found)
    for direction in topology.directions:
        if direction.ddl or Step.STRUCTURE in direction.initialize:
            yield from _privileges(direction, facts)
        if direction.ddl:
            yield from _renames(direction)


def unseen(topology: Topology, side: str, facts: SideFacts) -> list[Place]:
    """Where the account cannot see whether a table that is written has triggers: a server shows them for TRIGGER only."""
    grants = Grants(facts.grants)
    found = {
        place
        for direction in topology.directions_into(side)
        for place in places(direction, topology.control_schema, facts.tables)
        if not grants.on("TRIGGER", *place)
    }
    return sorted((place for place in found if place[1] is None or (place[0], None) not in found), key=str)


def _triggers(topology: Topology, side: str, facts: SideFacts) -> Iterator[Item]:
    hidden = unseen(topology, side, facts)
    unguarded = [trigger for trigger in facts.triggers if not trigger.guarded]
    if hidden:
        seen = f"{facts.account} lacks TRIGGER on {_listed(_dotted(place) for place in hidden)}: triggers there are not seen"
        why = "one whose body is not guarded runs for applied rows too, and what it writes is then there twice"
        fix = "\n".join(grant(SEEN, *place, facts.account) + ";" for place in hidden)
        yield Item("triggers", side, WARN, seen, why, fix)
    if unguarded:
        names = _listed(f"{each.db}.{each.name} ({each.timing} {each.event} ON {each.table})" for each in unguarded)
        why = "it runs for applied rows too; what it writes arrives as well, from where it ran first, and is then there twice"
        forms = [form for each in unguarded[:_SHOWN] for form in _guarded(each)]
        seen = f"{len(unguarded)} trigger{'s' * (len(unguarded) != 1)} without a guard: {names}"
        yield Item("triggers", side, WARN, seen, why, "\n".join([f"{GUARD}    # makes them again as", *forms]))
    if not hidden and not unguarded:
        guarded = len(facts.triggers)
        seen = f"{guarded} on tables that are written here, guarded" if guarded else "none on tables that are written here"
        yield Item("triggers", side, PASS, seen)


def _guarded(trigger: Trigger) -> Iterator[str]:
    try:
        yield trigger.create_guarded()
    except NotUnderstood:
        yield f"# {trigger} is not understood: guard it by hand"


def _privileges(direction: Direction, facts: Mapping[str, SideFacts]) -> Iterator[Item]:
    side, target = direction.to, facts[direction.to]
    grants, told = Grants(target.grants), False
    needed = dict(_needed(direction, {name for found in facts.values() for name in found.tables}))
    for place, privileges in needed.items():
        lacking = tuple(name for name in privileges if not grants.on(name, *place))
        if lacking:
            told = True
            seen = f"{direction}: {target.account} lacks {', '.join(lacking)} on {_dotted(place)}"
            why = "ddl is true: the statements of the other side are run under this account; what it may not do is held"
            if not direction.ddl:
                why = "initialize has structure: what is missing is made under this account"
            yield Item("ddl", side, FAIL, seen, why, grant(lacking, *place, target.account) + ";")
    if DDL_DATABASE not in needed.values() or grants.everywhere("SUPER"):
        pass  # triggers and routines are not carried, or nothing is asked of the account
    else:
        if target.variables.get("log_bin") == "ON" and target.variables.get("log_bin_trust_function_creators", "ON") != "ON":
            told = True
            why = "the server lets the account create no trigger and no function, so that these are held"
            fix = "SET PERSIST log_bin_trust_function_creators = ON;"
            yield Item("ddl", side, WARN, f"{direction}: log_bin_trust_function_creators is OFF", why, fix)
        definer = _definer_privilege(target.variables.get("version", ""))
        if not grants.everywhere(definer):
            told = True
            why = "views, triggers, routines and events of others get this account as their DEFINER, and may do what it may do"
            seen = f"{direction}: {target.account} lacks {definer}"
            yield Item("ddl", side, WARN, seen, why, grant((definer,), None, None, target.account) + ";")
    if not told:
        yield Item("ddl", side, PASS, f"{direction}: {target.account} may run what arrives")


def _needed(direction: Direction, tables: Iterable[Name]) -> Iterator[tuple[Place, tuple[str, ...]]]:
    """What is needed where. A glob takes new tables in, so that what it needs is needed in the whole database."""
    wide: dict[Place, tuple[str, ...]] = {}
    for pattern in _included(direction):
        if pattern.exact is not None:
            wide.setdefault(pattern.exact, DDL_TABLES)
            continue
        literal = pattern.database.literal
        found = [literal] if literal is not None else sorted({db for db, _ in tables if pattern.database.matches(db)})
        for db in found:
            if pattern.table is None or wide.get((db, None)) is None:
                wide[db, None] = DDL_DATABASE if pattern.table is None else DDL_TABLES
    for (db, table), privileges in wide.items():
        if table is None or (db, None) not in wide:
            yield (db, table), privileges


def _renames(direction: Direction) -> Iterator[Item]:
    by_table = [pattern.text for pattern in _included(direction) if pattern.table is not None]
    if by_table:
        seen = f"{direction}: {_listed(by_table)} by name: a RENAME may lead a table out of the scope or into it"
        why = "led out, it has its new name at both sides and its rows are carried no more; led in, the statement is held"
        fix = "name the new name in objects too, before; or take the whole database as an object"
        yield Item("rename", direction.to, WARN, seen, why, fix)


def _included(direction: Direction) -> list[ObjectPattern]:
    return [pattern for pattern in map(parse, direction.objects) if not pattern.excludes]


def _definer_privilege(version: str) -> str:
    numbers = tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:2] if part.isdigit())
    return "SET_ANY_DEFINER" if numbers >= (8, 2) else "SET_USER_ID"


def _listed(names: Iterable[str], most: int = 5) -> str:
    found = list(names)
    more = len(found) - most
    return ", ".join(found[:most]) + (f" and {more} more" if more > 0 else "")


def _dotted(place: Place) -> str:
    return f"{place[0]}.{place[1] or '*'}"
