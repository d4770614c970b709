"""What a statement in the binlog is about: its verb, the kind of its object, and names. Not a parser.

A statement is carried as its original text, never put together anew; this tells only whether and where it is to go.
It reads what MySQL 5.7 to 9.x and MariaDB write in a QUERY_EVENT. Whatever it cannot read is UNKNOWN, with the names
found so far; no text makes it raise.
"""

import enum
import re
from dataclasses import dataclass

from bisync_topology.ddl_clauses import end_of_names, read_altered, read_created, skip_if_exists, skip_modifiers, skip_wait
from bisync_topology.dml import find_changed
from bisync_topology.sql_tokens import Cursor, NotUnderstood


class Category(enum.StrEnum):
    """What a statement changes."""

    TABLE = "table"
    DATABASE = "database"
    OBJECT = "object"  # view, trigger, routine, event, sequence, package, library, spatial reference system
    TEMPORARY = "temporary"  # only where the text says so: ALTER or DROP TABLE can also mean a temporary table
    ACCOUNT = "account"
    ADMIN = "admin"
    DML = "dml"
    TRANSACTION = "transaction"
    XA = "xa"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What could be read; names are (database, name), unquoted, in the case as written."""

    category: Category
    verb: str  # canonical: "CREATE TABLE", "XA START"; never holds names or values; "" where the text has none
    objects: tuple[tuple[str, str], ...] = ()  # tables, views and sequences that it changes; DML: all that it may change
    sources: tuple[tuple[str, str], ...] = ()  # tables that it only looks at: LIKE, and REFERENCES of foreign keys
    names: tuple[tuple[str, str], ...] = ()  # triggers, routines, events, packages: their names are apart from tables'
    database: str | None = None  # of a DATABASE statement
    selects: bool = False  # CREATE TABLE … SELECT: its rows come from the statement
    start_transaction: tuple[int, int] | None = None  # where CREATE TABLE's START TRANSACTION clause is in the text


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KINDS = {
    **dict.fromkeys(_words("TABLE TABLES INDEX"), Category.TABLE),
    **dict.fromkeys(_words("DATABASE SCHEMA"), Category.DATABASE),
    **dict.fromkeys(_words("VIEW TRIGGER PROCEDURE FUNCTION EVENT SEQUENCE PACKAGE LIBRARY REFERENCE"), Category.OBJECT),
    **dict.fromkeys(_words("USER ROLE"), Category.ACCOUNT),
    **dict.fromkeys(_words("TABLESPACE LOGFILE SERVER RESOURCE INSTANCE"), Category.ADMIN),
}
_CANONICAL = {"TABLES": "TABLE", "SCHEMA": "DATABASE", "REFERENCE": "SPATIAL REFERENCE SYSTEM"}
_CANONICAL |= {"LOGFILE": "LOGFILE GROUP", "RESOURCE": "RESOURCE GROUP"}
_ADMIN = _words("FLUSH INSTALL UNINSTALL RESET PURGE CHANGE STOP KILL SHUTDOWN RESTART CLONE CACHE")
_MAINTENANCE = _words("ANALYZE OPTIMIZE REPAIR CHECK CHECKSUM")
_DML = _words("INSERT REPLACE UPDATE DELETE LOAD WITH CALL DO SELECT IMPORT")
_DATABASE_OPTIONS = _words("DEFAULT CHARACTER CHAR CHARSET COLLATE ENCRYPTION READ COMMENT UPGRADE")
_SHOWN = 3  # names in a description


def read_statement(sql: str, default_db: str, *, ansi_quotes: bool = False, backslash_escapes: bool = True) -> Statement:
    """Read one statement. The two flags are ANSI_QUOTES and the opposite of NO_BACKSLASH_ESCAPES in its sql_mode.

    A second statement behind a semicolon makes UNKNOWN of what names tables, views or databases. The body of a routine,
    trigger or event is not read: there a server that takes one statement at a time (no MULTI_STATEMENTS) is the guard.
    """
    cursor = Cursor(sql, default_db, ansi_quotes=ansi_quotes, backslash_escapes=backslash_escapes)
    reader = _Reader(cursor, default_db)
    try:
        category = reader.read()
    except NotUnderstood:
        category = Category.UNKNOWN
    return Statement(
        category=category,
        verb=reader.verb,
        objects=tuple(dict.fromkeys(reader.objects)),
        sources=tuple(dict.fromkeys(reader.sources)),
        names=tuple(dict.fromkeys(reader.names)),
        database=reader.database,
        selects=reader.selects,
        start_transaction=reader.start_transaction,
    )


def describe(statement: Statement) -> str:
    """Name it in a message: `ALTER TABLE shop.stock`. Holds no values, so no secrets, and no line breaks."""
    named = [f"{_shown(database)}.{_shown(name)}" for database, name in (*statement.names, *statement.objects)]
    if statement.database is not None:
        named.append(_shown(statement.database))
    more = len(named) - _SHOWN
    listed = ", ".join(named[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
    text = f"{statement.verb} {listed}".strip()
    return f"{text or 'statement'} (not understood)" if statement.category is Category.UNKNOWN else text


def _shown(name: str) -> str:
    if re.fullmatch(r"[\w$]+", name):
        return name
    doubled = name.replace("`", "``")
    return f"`{''.join(c if c.isprintable() else '?' for c in doubled)}`"


class _Reader:
    """Reads one statement; holds what it has found, also where it then fails."""

    def __init__(self, cursor: Cursor, default_db: str) -> None:
        self.cursor = cursor
        self.default_db = default_db
        self.verb = ""
        self.objects: list[tuple[str, str]] = []
        self.sources: list[tuple[str, str]] = []
        self.names: list[tuple[str, str]] = []
        self.database: str | None = None
        self.selects = False
        self.start_transaction: tuple[int, int] | None = None

    def read(self) -> Category:
        verb = self.cursor.key
        self._add()
        if verb in ("CREATE", "ALTER", "DROP"):
            return self._definition(verb)
        if verb in _DML:
            return self._dml(verb)
        if verb in _MAINTENANCE:
            return self._maintenance()
        if verb in _ADMIN:
            self.cursor.take("NO_WRITE_TO_BINLOG", "LOCAL")
            self._add()
            return Category.ADMIN
        return self._other(verb)

    def _other(self, verb: str) -> Category:
        cursor = self.cursor
        if verb == "RENAME":
            return self._rename()
        if verb == "TRUNCATE":
            cursor.take("TABLE")
            self.verb = "TRUNCATE TABLE"
            self.objects.append(cursor.table())
            end_of_names(cursor)
            return Category.TABLE
        if verb == "XA":
            if cursor.key not in ("START", "BEGIN", "END", "PREPARE", "COMMIT", "ROLLBACK", "RECOVER"):
                raise NotUnderstood
            self._add("START" if cursor.key == "BEGIN" else "")
            return Category.XA
        if verb in ("GRANT", "REVOKE"):
            return Category.ACCOUNT
        if verb == "SET":
            return self._set()
        if verb == "ROLLBACK":
            cursor.take("WORK")
            self.verb += " TO SAVEPOINT" if cursor.key == "TO" else ""
            return Category.TRANSACTION
        if verb == "START":
            self._add()
            return Category.TRANSACTION if self.verb == "START TRANSACTION" else Category.ADMIN
        if verb == "RELEASE" and cursor.key == "SAVEPOINT":
            self._add()
            return Category.TRANSACTION
        if verb == "BEGIN" and cursor.key == "NOT":  # MariaDB's compound statement
            return Category.UNKNOWN
        return Category.TRANSACTION if verb in ("BEGIN", "COMMIT", "SAVEPOINT") else Category.UNKNOWN

    def _definition(self, verb: str) -> Category:
        cursor = self.cursor
        temporary = skip_modifiers(cursor).temporary
        kind = cursor.key
        if kind not in _KINDS:
            raise NotUnderstood
        cursor.advance()
        canonical = _CANONICAL.get(kind, kind)
        self.verb = f"{verb} {'TEMPORARY ' if temporary else ''}{canonical}"
        category = _KINDS[kind]
        if category in (Category.ACCOUNT, Category.ADMIN) or kind == "REFERENCE":
            return category
        if category is Category.DATABASE:
            return self._database(verb)
        if canonical == "TABLE":
            return self._table(verb, Category.TEMPORARY if temporary else category)
        if kind == "INDEX":
            cursor.find(frozenset({"ON"}))
            self.objects.append(cursor.table())
            cursor.find(frozenset())
            return category
        return self._object(verb, kind, Category.TEMPORARY if temporary else category)

    def _database(self, verb: str) -> Category:
        cursor = self.cursor
        skip_if_exists(cursor)
        word = cursor.key
        if verb != "ALTER" or word not in _DATABASE_OPTIONS:
            self.database = cursor.name()
        else:  # ALTER DATABASE CHARSET utf8mb4 is about the default database; CHARSET is no reserved word, though
            name = cursor.name()
            named = cursor.key in _DATABASE_OPTIONS and word in ("CHARSET", "ENCRYPTION", "COMMENT", "UPGRADE")
            self.database = name if named else self.default_db
        cursor.find(frozenset())
        return Category.DATABASE

    def _table(self, verb: str, category: Category) -> Category:
        skip_if_exists(self.cursor)
        if verb == "DROP":
            self.cursor.tables(self.objects)
            end_of_names(self.cursor)
            return category
        self.objects.append(self.cursor.table())
        if verb == "CREATE":
            self.selects, self.start_transaction = read_created(self.cursor, self.objects, self.sources)
        else:
            read_altered(self.cursor, self.objects, self.sources)
        return category

    def _object(self, verb: str, kind: str, category: Category) -> Category:
        cursor = self.cursor
        if kind == "PACKAGE":
            cursor.take("BODY")
        skip_if_exists(cursor)
        if kind in ("VIEW", "SEQUENCE"):
            cursor.tables(self.objects)
            if verb == "DROP":
                end_of_names(cursor)
                return category
            cursor.find(frozenset())
            return category
        self.names.append(cursor.table())
        if kind == "TRIGGER" and verb == "CREATE":
            cursor.find(frozenset({"ON"}))
            self.objects.append(cursor.table())
        elif kind == "EVENT" and verb == "ALTER" and cursor.find(frozenset({"RENAME", "DO"})) == "RENAME":
            cursor.take("TO")
            self.names.append(cursor.table())
        elif kind == "FUNCTION" and verb == "CREATE" and cursor.key == "RETURNS":
            return Category.ADMIN  # no parameter list: RETURNS … SONAME loads a library into the server
        return category

    def _rename(self) -> Category:
        cursor = self.cursor
        kind = cursor.take("TABLE", "TABLES", "USER")
        self.verb += f" {_CANONICAL.get(kind, kind)}".rstrip()
        if kind == "USER":
            return Category.ACCOUNT
        skip_if_exists(cursor)
        while kind:
            self.objects.append(cursor.table())
            skip_wait(cursor)
            if not cursor.take("TO"):
                raise NotUnderstood
            self.objects.append(cursor.table())
            if not cursor.take(","):
                end_of_names(cursor)
                return Category.TABLE
        raise NotUnderstood

    def _maintenance(self) -> Category:
        self.cursor.take("NO_WRITE_TO_BINLOG", "LOCAL")
        if self.cursor.take("TABLE", "TABLES"):
            self.verb += " TABLE"
            self.cursor.tables(self.objects)
        return Category.ADMIN

    def _set(self) -> Category:
        cursor = self.cursor
        if cursor.take("PASSWORD"):
            self.verb = "SET PASSWORD"
            return Category.ACCOUNT
        if cursor.take("DEFAULT") and cursor.take("ROLE"):
            self.verb = "SET DEFAULT ROLE"
            return Category.ACCOUNT
        if cursor.take("STATEMENT") and cursor.find(frozenset({"FOR"})) and cursor.key != "SET":
            try:
                self.read()  # MariaDB: names are known, but the other server may not know the variables
            finally:
                self.verb = "SET STATEMENT"
        return Category.UNKNOWN

    def _dml(self, verb: str) -> Category:
        if verb == "WITH":
            verb = self.cursor.find(frozenset({"INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT"}))
            self.verb = verb or self.verb
        if verb == "LOAD":
            self._add()
            if self.verb not in ("LOAD DATA", "LOAD XML"):
                return Category.ADMIN  # LOAD INDEX INTO CACHE
        find_changed(self.cursor, verb, self.objects)
        return Category.DML

    def _add(self, word: str = "") -> None:
        """Lengthen the verb by the keyword that the cursor is on, if it is one."""
        if self.cursor.key.replace("_", "").isalpha():
            self.verb = f"{self.verb} {word or self.cursor.key[:32]}".lstrip()
            self.cursor.advance()
