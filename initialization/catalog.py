"""What a side has of a direction's objects, each with the session that its maker had, as SHOW CREATE and information_schema say.

Bodies of routines, triggers, events and views are in their maker's character set, while names and comments among them are UTF-8;
so texts are fetched as bytes. It is no snapshot: initialization/settled.py reads it at a moment when nothing changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from pymysql.connections import Connection

from bisync_topology.errors import ApplyError, Where
from bisync_topology.grants import Grants, grant, quote
from bisync_topology.mysql import connect
from bisync_topology.scope import Scope, like_any
from bisync_topology.topology import MySQL
from bisync_topology.trigger_facts import triggers_of
from initialization.definitions import Definition, Kind, Name
from schemas.statement_text import decode_statement

READING = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT")  # on a whole database that is read
ROUTINES = "SHOW_ROUTINE"  # on *.*: without it the bodies of others' routines are not seen
_VALID = "VIEW"  # what a view's comment says where all that it is made of is there


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What is read, and where. more: a narrower choice among what is in scope."""

    side: str
    scope: Scope
    more: Callable[[Name], bool] = lambda name: True

    def wants(self, name: Name) -> bool:
        """Whether an object is to be read."""
        if name.kind is Kind.TABLE:
            return self.scope.includes(name.db, name.name) and self.more(name)
        whole = self.scope.includes_database(name.db)
        return whole and (name.kind is not Kind.VIEW or self.scope.includes(name.db, name.name)) and self.more(name)


def read_catalog(mysql: MySQL, reading: Reading) -> dict[Name, Definition]:
    """Read a side. Raises ApplyError where the account does not see everything, MySQLError as where an object has gone."""
    with closing(connect(mysql)) as connection, closing(connect(mysql, use_unicode=False)) as raw:
        catalog = _Catalog(connection, raw, reading)
        found = [each for names in catalog.names() for each in catalog.read(names) if each is not None]
        return {each.name: each for each in found}


class _Catalog:
    """One look at one side."""

    def __init__(self, connection: Connection[Any], raw: Connection[Any], reading: Reading) -> None:
        self._connection, self._raw, self._reading = connection, raw, reading
        self._collations: dict[str, str] = {}  # of the databases, now
        for session in (connection, raw):
            _run(session, "SET SESSION sql_mode = '', time_zone = '+00:00'")
            if self._has_generated_keys():
                _run(session, "SET SESSION show_gipk_in_create_table_and_information_schema = ON")
        _run(raw, "SET SESSION character_set_results = NULL")

    def names(self) -> Iterator[list[dict[str, Any]]]:
        """Rows of each kind, with `object`."""
        databases = self._rows("SCHEMATA", "SCHEMA_NAME", "SCHEMA_NAME AS db, '' AS name, DEFAULT_COLLATION_NAME AS collation")
        self._collations = {row["db"]: row["collation"] for row in databases}
        self._check_privileges({row["db"] for row in databases if self._reading.scope.includes_database(row["db"])})
        yield self._wanted(databases, lambda row: Kind.DATABASE)
        found = self._rows("TABLES", "TABLE_SCHEMA", "TABLE_SCHEMA AS db, TABLE_NAME AS name, TABLE_TYPE, TABLE_COMMENT")
        yield self._wanted([row for row in found if row["TABLE_TYPE"] == "BASE TABLE"], lambda row: Kind.TABLE)
        yield self._views([row for row in found if row["TABLE_TYPE"] == "VIEW"])
        columns = "ROUTINE_SCHEMA AS db, ROUTINE_NAME AS name, ROUTINE_TYPE, ROUTINE_COMMENT AS comment, DEFINER"
        yield self._wanted(self._rows("ROUTINES", "ROUTINE_SCHEMA", columns), lambda row: Kind(row["ROUTINE_TYPE"].lower()))
        columns = "EVENT_SCHEMA AS db, EVENT_NAME AS name, EVENT_COMMENT AS comment, DEFINER, CREATED"
        yield self._wanted(self._rows("EVENTS", "EVENT_SCHEMA", columns), lambda row: Kind.EVENT)
        triggers = triggers_of(self._connection, self._reading.scope.likes())
        yield self._wanted([{"db": each.db, "name": each.name, "trigger": each} for each in triggers], lambda row: Kind.TRIGGER)

    def read(self, rows: Iterable[dict[str, Any]]) -> Iterator[Definition | None]:
        """The definitions of what `names` gave."""
        for row in rows:
            yield self._of(row["object"], row)

    def _of(self, name: Name, row: dict[str, Any]) -> Definition | None:
        what = "TABLE" if name.kind is Kind.TABLE else name.kind.upper()
        path = quote(name.db) + (f".{quote(name.name)}" if name.name else "")
        shown = self._shown(f"SHOW CREATE {what} {path}")
        match name.kind:
            case Kind.DATABASE | Kind.TABLE:
                return Definition(name=name, text=shown[1].decode())
            case Kind.VIEW:
                charset, collation = (each.decode() for each in shown[2:4])
                return Definition(
                    name=name,
                    text=_decoded(shown[1], charset, ()),
                    definer=row["DEFINER"],
                    charset=charset,
                    collation=collation,
                    uses=tuple(row["uses"]),
                    valid=row["TABLE_COMMENT"] == _VALID,
                )
            case Kind.TRIGGER:
                return self._trigger(name, row, shown)
            case Kind.EVENT:
                mode, zone, text, charset, collation, database = (each and each.decode("latin1") for each in shown[1:7])
                created = int(row["CREATED"].replace(tzinfo=UTC).timestamp() * 1e6)
                more = {"time_zone": zone, "created": created}
            case _:
                mode, text, charset, collation, database = (each and each.decode("latin1") for each in shown[1:6])
                more = {}
        if text is None:
            self._denied([f"{grant((ROUTINES,), None, None, self._account())};"], f"the body of {name} is not seen")
        return Definition(
            name=name,
            text=_decoded(text.encode("latin1"), charset, (row["DEFINER"].rpartition("@")[0], name.name, row["comment"])),
            definer=row["DEFINER"],
            sql_mode=mode,
            charset=charset,
            collation=collation,
            lost=self._lost(name.db, database),
            **more,
        )

    def _trigger(self, name: Name, row: dict[str, Any], shown: tuple[Any, ...]) -> Definition:
        trigger, statement = row["trigger"], shown[2]
        head = trigger.head.encode()
        if not statement.startswith(head):  # it is carried as it is printed, or refused
            body = _decoded(statement, trigger.charset, ()).partition(" FOR EACH ROW ")[2]
        else:
            body = decode_statement(statement[len(head) :], trigger.charset)
        trigger = replace(trigger, body=body)
        return Definition(
            name=name,
            text=trigger.create(),
            definer=trigger.definer,
            sql_mode=trigger.sql_mode,
            charset=trigger.charset,
            collation=trigger.connection_collation,
            lost=self._lost(name.db, trigger.database_collation),
            trigger=trigger,
        )

    def _views(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        views = self._wanted(rows, lambda row: Kind.VIEW)
        definers = (
            {(row["db"], row["name"]): row["DEFINER"] for row in self._rows("VIEWS", "TABLE_SCHEMA", _VIEW)} if views else {}
        )
        uses: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in self._rows("VIEW_TABLE_USAGE", "VIEW_SCHEMA", _USED) if views else ():
            uses.setdefault((row["db"], row["name"]), []).append((row["TABLE_SCHEMA"], row["TABLE_NAME"]))
        return [
            {**row, "DEFINER": definers[key], "uses": sorted(uses.get(key, ()))}
            for row in views
            if (key := (row["db"], row["name"])) in definers
        ]

    def _wanted(self, rows: list[dict[str, Any]], kind: Callable[[dict[str, Any]], Kind]) -> list[dict[str, Any]]:
        named = [{**row, "object": Name(kind(row), row["db"], row["name"])} for row in rows]
        return [row for row in named if self._reading.wants(row["object"])]

    def _rows(self, table: str, column: str, columns: str) -> list[dict[str, Any]]:
        likes = self._reading.scope.likes()
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM information_schema.{table} WHERE {like_any(column, likes)}", likes)
            names = [each[0] for each in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def _lost(self, db: str, collation: str) -> str | None:
        return None if self._collations.get(db) in (None, collation) else collation

    def _shown(self, statement: str) -> tuple[Any, ...]:
        with self._raw.cursor() as cursor:
            cursor.execute(statement)
            row: tuple[Any, ...] = cursor.fetchall()[0]
            return row

    def _has_generated_keys(self) -> bool:
        with self._connection.cursor() as cursor:
            return bool(cursor.execute("SHOW VARIABLES LIKE 'show_gipk_in_create_table_and_information_schema'"))

    def _account(self) -> str:
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            row = cursor.fetchone()
            assert row is not None
            return str(row[0])

    def _check_privileges(self, databases: set[str]) -> None:
        """What a server does not show an account is as if it were not there: so nothing is to be hidden from it."""
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW GRANTS")
            grants = Grants(row[0] for row in cursor.fetchall())
        lacking = {db: [name for name in READING if not grants.on(name, db)] for db in sorted(databases)}
        fixes = [f"{grant(names, db, None, self._account())};" for db, names in lacking.items() if names]
        if databases and not any(map(grants.everywhere, (ROUTINES, "SELECT", "SUPER"))):
            fixes.append(f"{grant((ROUTINES,), None, None, self._account())};")
        if fixes:
            self._denied(fixes, "the account does not see all objects of the databases that are to be initialized")

    def _denied(self, fixes: list[str], what: str) -> None:
        raise ApplyError(
            what,
            code="privilege_missing",
            hint=f"at {self._reading.side}: {' '.join(fixes)} then `resume`",
            where=Where(side=self._reading.side),
        )


_VIEW = "TABLE_SCHEMA AS db, TABLE_NAME AS name, DEFINER"
_USED = "VIEW_SCHEMA AS db, VIEW_NAME AS name, TABLE_SCHEMA, TABLE_NAME"


def _decoded(raw: bytes, charset: str, utf8: Iterable[str]) -> str:
    """A text in a client's character set. utf8: what stands in it as UTF-8 all the same, in this order."""
    text, at = "", 0
    for part in utf8:
        encoded = part.encode()
        found = raw.find(encoded, at) if not part.isascii() else -1
        if found >= 0:
            text += decode_statement(raw[at:found], charset) + part
            at = found + len(encoded)
    return text + decode_statement(raw[at:], charset)


def _run(connection: Connection[Any], statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
