"""The target's foreign keys: their SQL, and which of their keys a transaction's changes touched. No connection.

Changes of a source that logs cascades are applied with foreign keys unchecked, the child of a cascade before its parent.
What may be left without a parent then is a key: one that a row has come to refer to, or one that a parent has given up.
Two statements look at the keys of one foreign key. Both read with locks and find each row by an index, so that they wait for,
and then hold off, just the sessions that change the same parents.

A parent that is found stays locked to the commit: nobody takes it away meanwhile. One that is gone was locked when it was
deleted: a session that puts a child of it waits, and is refused once we have committed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from consumers.conflict import Action, Delete, Insert
from consumers.statements import match_listed
from consumers.target import quote_name
from schemas.records import Row
from schemas.tables import Column
from schemas.values import literal_of

Key = tuple[object, ...]  # canonical values in the order of the foreign key's columns; none of them NULL
Side = Literal["child", "parent"]  # whose change is to blame for a key without a parent

MAX_KEYS = 1000  # of a statement
MAX_BYTES = 1 << 20  # of its keys


@dataclass(frozen=True, kw_only=True)
class End:
    """The child's or the parent's table, its columns in the key's order, and the index that finds rows by them."""

    table: str  # quoted
    columns: tuple[Column, ...]
    index: str | None  # None: the server chooses

    def one(self, alias: str) -> str:
        """A subquery that finds and locks a row with the key that is listed as `v`: 1, or NULL where there is none."""
        force = f" FORCE INDEX ({quote_name(self.index)})" if self.index else ""
        names = [f"{alias}.{quote_name(column.name)}" for column in self.columns]
        match = " AND ".join(
            match_listed(column, name, f"v.column_{n}")
            for n, (column, name) in enumerate(zip(self.columns, names, strict=True), 1)
        )
        return f"(SELECT 1 FROM {self.table} AS {alias}{force} WHERE {match} LIMIT 1 FOR SHARE)"


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """One foreign key of the target."""

    name: str  # `db.constraint`, which is unique on a server
    child: End
    parent: End

    def lists(self, keys: Iterable[Key]) -> Iterator[tuple[list[Key], str]]:
        """Split keys by number and bytes; each part with the list that the two statements take."""
        literals = [literal_of(column) for column in self.child.columns]
        part: list[Key] = []
        rows: list[str] = []
        size = 0
        for key in keys:
            row = ",".join([literal(value) for literal, value in zip(literals, key, strict=True)])
            if part and (len(part) == MAX_KEYS or size + len(row) > MAX_BYTES):
                yield part, ",".join(rows)
                part, rows, size = [], [], 0
            rows.append(f"ROW({len(part)},{row})")
            part.append(key)
            size += len(row)
        if part:
            yield part, ",".join(rows)

    def count_parents(self, listed: str) -> str:
        """How many of the keys have a parent: if all, nothing is wrong with them."""
        return f"SELECT COUNT({self.parent.one('p')}) FROM (VALUES {listed}) AS v"

    def orphaned(self, listed: str) -> str:
        """The numbers, in their list, of keys that a child has and no parent."""
        return (
            f"SELECT v.column_0 FROM (VALUES {listed}) AS v"
            f" WHERE {self.child.one('c')} IS NOT NULL AND {self.parent.one('p')} IS NULL"
        )


class Columns(NamedTuple):
    """A foreign key, and where one of its tables has the key: positions of the source's columns."""

    foreign_key: ForeignKey
    positions: tuple[int, ...]

    def of(self, row: Row | None) -> Key | None:
        """The key that a row has; None where it has none, or a NULL in it, which refers to nothing (MATCH SIMPLE)."""
        if row is None:
            return None
        key = tuple([row[n] for n in self.positions])
        return None if None in key else key


class Links(NamedTuple):
    """What ties a table's rows to others."""

    to_parents: tuple[Columns, ...]
    to_children: tuple[Columns, ...]

    def touched(self, before: Row | None, after: Row | None) -> Iterator[tuple[ForeignKey, Side, Key]]:
        """Keys that a row comes to refer to (child) and that it gives up as a parent (parent)."""
        for columns in self.to_parents:
            new = columns.of(after)
            if new is not None and new != columns.of(before):
                yield columns.foreign_key, "child", new
        for columns in self.to_children:
            old = columns.of(before)
            if old is not None and old != columns.of(after):
                yield columns.foreign_key, "parent", old

    def put(self, before: Row | None, after: Row | None) -> Iterator[tuple[ForeignKey, Key]]:
        """Keys of which a row becomes a parent."""
        for columns in self.to_children:
            new = columns.of(after)
            if new is not None and new != columns.of(before):
                yield columns.foreign_key, new


class Touched:
    """The keys that have to be looked at, and whose change is to blame should one have no parent."""

    def __init__(self) -> None:
        self._keys: dict[str, dict[Key, Side]] = {}
        self._foreign_keys: dict[str, ForeignKey] = {}

    def __len__(self) -> int:
        """How many keys wait."""
        return sum(map(len, self._keys.values()))

    def add(self, links: Links, before: Row | None, after: Row | None, *, unchecked: bool = False) -> None:
        """A row was changed so. unchecked: its source did not ask whether a child that it inserts has a parent.

        Else its source had a parent for every child at the end of its transaction. So where a parent gave its key up and none
        has taken it since, the children here are ones that the source did not see.
        """
        for foreign_key, side, key in links.touched(before, after):
            if unchecked and before is None and side == "child":
                continue
            keys = self._keys.get(foreign_key.name)
            if keys is None:
                keys = self._keys[foreign_key.name] = {}
                self._foreign_keys[foreign_key.name] = foreign_key
            if side == "parent" or keys.get(key) is None:
                keys[key] = side
        for foreign_key, key in links.put(before, after):
            self._keys.get(foreign_key.name, {}).pop(key, None)

    def take(self) -> Iterator[tuple[ForeignKey, Mapping[Key, Side]]]:
        """Give all keys, each with the side to blame, and forget them."""
        keys, self._keys = self._keys, {}
        for name, found in keys.items():
            yield self._foreign_keys[name], found

    def keep(self, foreign_key: ForeignKey, keys: Mapping[Key, Side]) -> None:
        """Keep keys whose parent may still come."""
        self._foreign_keys[foreign_key.name] = foreign_key
        self._keys.setdefault(foreign_key.name, {}).update(keys)

    def clear(self) -> None:
        """Another transaction begins, or this one again."""
        self._keys.clear()


def images(action: Action) -> tuple[Row | None, Row | None]:
    """What an action turns into what."""
    if isinstance(action, Insert):
        return None, action.row
    return action.local, None if isinstance(action, Delete) else action.row


def leading(indexes: Mapping[str, Sequence[str | None]], columns: Sequence[str]) -> str | None:
    """The name of an index that begins with these columns in their order. indexes: name → columns, None for a part of one."""
    wanted = [column.casefold() for column in columns]
    for name, parts in indexes.items():
        if [part and part.casefold() for part in parts[: len(wanted)]] == wanted:
            return name
    return None
