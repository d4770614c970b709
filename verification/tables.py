"""The tables to compare: those in the scope of any direction, on either side, each beside its like on the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pymysql.cursors import Cursor

from bisync_topology.errors import ApplyError
from bisync_topology.object_patterns import ObjectPattern
from bisync_topology.scope import UnionScope, like_any
from bisync_topology.topology import Topology
from consumers.target import TargetTable, quote_name, read_table
from schemas.tables import Column
from verification.columns import Both, digest
from verification.keys import Key
from verification.sessions import Session
from verification.structure import differences

Name = tuple[str, str]  # database, table


@dataclass(frozen=True, kw_only=True)
class Half:
    """One side's part of a pair. digest: of a row, an expression that gives the same on both sides for equal rows.

    documents: columns that are JSON on both sides, in an order that both share. rest: the digest without them.
    """

    table: TargetTable
    key: Key
    digest: str
    documents: tuple[Column, ...] = ()
    rest: str = ""

    @property
    def name(self) -> str:
        """The table's name, quoted."""
        return f"{quote_name(self.table.db)}.{quote_name(self.table.name)}"

    @property
    def source(self) -> str:
        """What follows FROM: the key's own index, so that a range of it is read and nothing is sorted."""
        return f"{self.name} FORCE INDEX ({quote_name(self.key.index)})" if self.key.whole else self.name


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A table of both sides, and how it is compared."""

    name: Name
    halves: tuple[Half, Half]  # from, to


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found of one name. pair None: it cannot be compared, and why is said. schema: what differs in the structure."""

    name: Name
    pair: Pair | None
    why: str = ""
    schema: tuple[str, ...] = ()
    rows: int = 0  # about how many, for a progress bar


def names(session: Session, topology: Topology, only: Iterable[ObjectPattern] = ()) -> dict[Name, int]:
    """The base tables in scope on a side, as far as the account sees them, and about how many rows each has."""
    scope = UnionScope(topology.directions, control_schema=topology.control_schema)
    only, likes = list(only), scope.likes()
    with session.connection.cursor(Cursor) as cursor:
        cursor.execute(
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_ROWS FROM information_schema.TABLES"
            f" WHERE TABLE_TYPE = 'BASE TABLE' AND {like_any('TABLE_SCHEMA', likes)} ORDER BY 1, 2",
            likes,
        )
        return {
            (db, name): int(rows or 0)
            for db, name, rows in cursor.fetchall()
            if scope.includes(db, name) and (not only or any(each.matches(db, name) for each in only))
        }


def find(sessions: tuple[Session, Session], known: tuple[Mapping[Name, int], Mapping[Name, int]]) -> Iterator[Found]:
    """Every table of either side. known: what `names` gave. Raises pymysql.err.MySQLError."""
    for name in sorted({*known[0], *known[1]}):
        here = [name in each for each in known]
        rows = max(each.get(name, 0) for each in known)
        if not all(here):
            there = sessions[here.index(True)].side
            lacking = sessions[here.index(False)].side
            yield Found(name=name, pair=None, why=f"it is on {there} alone", schema=(f"{lacking} has no such table",), rows=rows)
            continue
        creates = [_create(session, name) for session in sessions]
        schema = tuple(differences(creates[0], creates[1], sessions[0].side, sessions[1].side))
        try:
            pair = make_pair(name, (read_table(sessions[0].connection, *name), read_table(sessions[1].connection, *name)))
        except ApplyError as error:
            yield Found(name=name, pair=None, why=error.message, schema=schema, rows=rows)
        else:
            yield Found(name=name, pair=pair, schema=schema, rows=rows)


def _create(session: Session, name: Name) -> str:
    with session.connection.cursor(Cursor) as cursor:
        cursor.execute(f"SHOW CREATE TABLE {quote_name(name[0])}.{quote_name(name[1])}")
        return str(cursor.fetchall()[0][1])


def make_pair(name: Name, tables: tuple[TargetTable, TargetTable]) -> Pair:
    """Put a table beside its like. Pure. Raises ApplyError where rows of one cannot be told to be those of the other."""
    named = [tables[0].columns[n].name for n in tables[0].key]
    keys = [_key(table, named) for table in tables]
    for mine, other in zip(keys[0].columns, keys[1].columns, strict=True):
        if (mine.kind, mine.collation) != (other.kind, other.collation) or (
            mine.kind in ("enum", "set", "bit") and mine.sql_type != other.sql_type
        ):
            raise ApplyError(f"the key's column {mine.name} is another one on either side, so that their keys have another order")
    columns = _both(tables)
    halves = []
    for n, (table, key) in enumerate(zip(tables, keys, strict=True)):
        ordered = [(both[n], both[1 - n]) for both in columns]
        documents = [both for both in ordered if both[0].kind == both[1].kind == "json"]
        halves.append(
            Half(
                table=table,
                key=key,
                digest=digest(ordered),
                documents=tuple(mine for mine, _ in documents),
                rest=digest([both for both in ordered if both not in documents]),
            )
        )
    return Pair(name=name, halves=(halves[0], halves[1]))


def _both(tables: tuple[TargetTable, TargetTable]) -> list[Both]:
    """The columns that both sides have and that neither generates, in an order that both share."""
    others = {column.name.casefold(): column for column in tables[1].columns}
    pairs = [(column, others[column.name.casefold()]) for column in tables[0].columns if column.name.casefold() in others]
    return sorted(
        (both for both in pairs if not any(column.generated for column in both)), key=lambda both: both[0].name.casefold()
    )


def _key(table: TargetTable, names: list[str]) -> Key:
    """The table's unique key over these columns, in their order where it has one so."""
    wanted = [name.casefold() for name in names]
    for positions, index, prefixes in zip(table.unique_keys, table.indexes, table.prefixes, strict=True):
        columns = [table.columns[n] for n in positions]
        found = [column.name.casefold() for column in columns]
        if sorted(found) == sorted(wanted) and not any(column.nullable for column in columns):
            by_name: dict[str, Column] = dict(zip(found, columns, strict=True))
            return Key(columns=tuple(by_name[name] for name in wanted), index=index, whole=not any(prefixes))
    raise ApplyError(
        f"its key ({', '.join(names)}) is none on the other side, so that no row can be told to be another one's like"
    )
