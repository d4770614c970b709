"""The precheck of what the account may do on one side. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bisync_topology.grants import CONTROL, REPLICATION, ROWS, Grants, account_text, grant
from bisync_topology.object_patterns import parse
from bisync_topology.precheck_item import FAIL, PASS, Item
from bisync_topology.precheck_seen import Name, SideFacts
from bisync_topology.scope import Scope
from bisync_topology.topology import Direction, Topology


def evaluate(topology: Topology, side: str, facts: SideFacts) -> Iterator[Item]:
    """Each privilege that is missing, by its place, and the statement that grants it."""
    missing = list(_missing(topology, side, facts))
    if not missing:
        yield Item("privileges", side, PASS, f"{facts.account} has those that are needed")
    if missing and facts.roles:  # what they allow is not seen either, as it does not hold
        roles = ", ".join(facts.roles)
        why = "what a role allows holds once it is active; sessions begin with the default roles"
        fix = f"SET DEFAULT ROLE ALL TO {account_text(facts.account)};"
        yield Item("privileges", side, FAIL, f"{facts.account} has {roles}, which its sessions do not begin with", why, fix)
        return
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
