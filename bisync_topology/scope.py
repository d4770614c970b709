"""Which tables a direction carries, and with which settings. Pure: names in, answers out.

The same answers are needed by the applier for each event, by initialization and verify for each table, and by DDL
handling for each statement, so they are given in one place. The grammar of entries is in `object_patterns.py`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bisync_topology.object_patterns import NamePattern, parse
from bisync_topology.topology import SYSTEM_SCHEMAS, Deletes, Direction, Dml, Policy, Topology


class Scope:
    """The tables that `objects` of one direction mean.

    An exclusion wins over every inclusion, wherever it stands in the list. System schemas and the control schema are
    never in scope: their rows describe one server, and progress rows would answer each other for ever.
    """

    def __init__(self, objects: Iterable[str], *, control_schema: str = "bisync") -> None:
        patterns = [parse(entry) for entry in objects]
        self._included = [pattern for pattern in patterns if not pattern.excludes]
        self._exact = {pattern.exact for pattern in self._included}  # lists of thousands of tables are found at once
        self._wide = [pattern for pattern in self._included if not pattern.exact]
        self._excluded = [pattern for pattern in patterns if pattern.excludes]
        self._control_schema = control_schema
        self._answers: dict[tuple[str, str], bool] = {}  # grows with the tables seen, not with events

    def includes(self, database: str, table: str) -> bool:
        """Tell whether the direction carries this table."""
        name = (database, table)
        answer = self._answers.get(name)
        if answer is None:
            answer = self._answers[name] = self._decide(database, table)
        return answer

    def includes_database(self, database: str) -> bool:
        """Tell whether the database itself is carried, as for CREATE DATABASE: an entry names it as a whole."""
        return self.reaches(database) and any(p.table is None and p.database.matches(database) for p in self._included)

    def reaches(self, database: str) -> bool:
        """Tell whether any table of this database can be carried."""
        return (
            self._may_hold_tables(database)
            and any(p.database.matches(database) for p in self._included)
            and not any(p.table is None and p.database.matches(database) for p in self._excluded)
        )

    def takes_new(self, database: str, table: str) -> bool:
        """Tell whether a table that is made now is carried: by its database or a glob. A name means one that is there."""
        return self.includes(database, table) and any(pattern.matches(database, table) for pattern in self._wide)

    def databases(self) -> tuple[NamePattern, ...]:
        """Give patterns of the databases that can hold tables in scope, to narrow a query with `like()`.

        They are wider than the scope: each table found is still to be put to `includes`.
        """
        return tuple(dict.fromkeys(pattern.database for pattern in self._included))

    def likes(self) -> tuple[str, ...]:
        """Give them as patterns of LIKE."""
        return tuple(pattern.like() for pattern in self.databases())

    def _decide(self, database: str, table: str) -> bool:
        return (
            self._may_hold_tables(database)
            and ((database, table) in self._exact or any(pattern.matches(database, table) for pattern in self._wide))
            and not any(pattern.matches(database, table) for pattern in self._excluded)
        )

    def _may_hold_tables(self, database: str) -> bool:
        return database != self._control_schema and database.lower() not in SYSTEM_SCHEMAS


def splits(full_name: str) -> Iterator[tuple[str, str]]:
    """(database, table) of `db.table`; several where the names themselves have dots."""
    parts = full_name.split(".")
    for n in range(1, len(parts)):
        yield ".".join(parts[:n]), ".".join(parts[n:])


class UnionScope:
    """The tables that any of several directions carries, as what a producer publishes."""

    def __init__(self, directions: Iterable[Direction], *, control_schema: str) -> None:
        self._scopes = [Scope(direction.objects, control_schema=control_schema) for direction in directions]

    def includes(self, database: str, table: str) -> bool:
        """Tell whether one of the directions carries this table."""
        return any(scope.includes(database, table) for scope in self._scopes)

    def includes_database(self, database: str) -> bool:
        """Tell whether one of the directions carries the database as a whole."""
        return any(scope.includes_database(database) for scope in self._scopes)

    def reaches(self, database: str) -> bool:
        """Tell whether one of the directions can carry any table of this database."""
        return any(scope.reaches(database) for scope in self._scopes)

    def likes(self) -> tuple[str, ...]:
        """See Scope.likes."""
        return tuple(dict.fromkeys(like for scope in self._scopes for like in scope.likes()))


def like_any(column: str, likes: Sequence[str]) -> str:
    """A condition that takes `likes` as its arguments: the column is like one of them."""
    return f"({' OR '.join([f'{column} LIKE %s'] * len(likes))})"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedSettings:
    """What holds for one table in one direction: nothing is left open."""

    key: str | None  # of the entry in `tables` that applies; None: the direction's own settings alone
    on_conflict: Policy
    deletes: Deletes
    dml: frozenset[Dml]
    version_column: str | None
    delta_columns: frozenset[str]


def policies(topology: Topology) -> set[Policy]:
    """Every policy that the topology sets anywhere."""
    own = {settings.on_conflict for each in topology.directions for settings in each.tables.values()}
    return {each.on_conflict for each in topology.directions} | {policy for policy in own if policy is not None}


class TableRules:
    """The settings of each table of one direction."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._answers: dict[tuple[str, str], ResolvedSettings] = {}

    def settings(self, database: str, table: str) -> ResolvedSettings:
        """Give what holds for this table, as `settings_for` does, and remember it."""
        name = (database, table)
        answer = self._answers.get(name)
        if answer is None:
            answer = self._answers[name] = settings_for(self._direction, database, table)
        return answer


def settings_for(direction: Direction, database: str, table: str) -> ResolvedSettings:
    """Give what holds for this table: the one entry of `tables` that fits best, over the direction's own settings.

    Best is the exact name, then a glob inside one database, then a glob over databases; among equals the first in
    the file. Entries do not add up: what holds for a table is read in one place.
    """
    fitting = [key for key in direction.tables if parse(key).matches(database, table)]
    key = min(fitting, key=lambda candidate: parse(candidate).rank, default=None)
    own = direction.tables[key] if key is not None else None
    return ResolvedSettings(
        key=key,
        on_conflict=(own and own.on_conflict) or direction.on_conflict,
        deletes=(own and own.deletes) or direction.deletes,
        dml=frozenset(direction.dml if own is None or own.dml is None else own.dml),
        version_column=own.version_column if own else None,
        delta_columns=frozenset(own.delta_columns if own else ()),
    )
