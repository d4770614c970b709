"""What an account may do, read from SHOW GRANTS, and the statement that grants what it lacks. Pure.

Privileges stand on all databases, on databases (a pattern in which `_` and `%` are wildcards) or on a table; a `REVOKE` line is
a partial revoke of a global one. Column privileges are left out: rows are read and written whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

REPLICATION = ("REPLICATION SLAVE", "REPLICATION CLIENT")
ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
SEEN = ("TRIGGER",)  # beside ROWS: a server shows triggers to nobody else
CONTROL = (*ROWS, "CREATE", "ALTER")  # a later version adds columns
DDL_TABLES = ("CREATE", "ALTER", "DROP", "INDEX", "REFERENCES")  # of tables that are carried by name
DDL_DATABASE = (*DDL_TABLES, "CREATE VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER")  # of whole databases
_ALL = "ALL PRIVILEGES"
# What MariaDB calls them since 10.5 → MySQL's names
_OTHER_NAMES = {
    "BINLOG MONITOR": "REPLICATION CLIENT",
    "REPLICATION REPLICA": "REPLICATION SLAVE",
    "REPLICATION REPLICA ADMIN": "REPLICATION SLAVE ADMIN",
    "DELETE VERSIONING ROWS": "DELETE HISTORY",
    "ALL": _ALL,
}
_NAME = r"`(?:[^`]|``)*`|\*"
_LINE = re.compile(rf"(?P<verb>GRANT|REVOKE) (?P<privileges>.+?) ON (?:TABLE )?(?P<db>{_NAME})\.(?P<table>{_NAME}) (?:TO|FROM) ")


@dataclass(frozen=True, slots=True)
class _Line:
    privileges: frozenset[str]
    db: str | None  # None: every database; else a pattern, unless a table is named
    table: str | None
    revoked: bool

    def covers(self, db: str, table: str | None) -> bool:
        if self.db is None:
            return True
        if self.table is None:
            return _pattern(self.db).fullmatch(db) is not None
        return (self.db, self.table) == (db, table)

    def has(self, privilege: str) -> bool:
        return privilege in self.privileges or _ALL in self.privileges


class Grants:
    """The privileges of one account."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = [parsed for parsed in map(_parse, lines) if parsed is not None]

    def everywhere(self, privilege: str) -> bool:
        """Whether it is granted on *.*, as those must be that concern the server."""
        return any(line.db is None and line.has(privilege) for line in self._lines if not line.revoked)

    def on(self, privilege: str, db: str, table: str | None = None) -> bool:
        """Whether it is granted on a table, or on a whole database when no table is named."""
        for line in self._lines:
            if line.has(privilege) and not line.revoked and line.covers(db, table) and not self._revoked(line, privilege, db):
                return True
        return False

    def _revoked(self, grant: _Line, privilege: str, db: str) -> bool:
        return grant.db is None and any(
            line.revoked and line.db is not None and _unquoted(line.db) == db and line.has(privilege) for line in self._lines
        )


def grant(privileges: Iterable[str], db: str | None, table: str | None, account: str) -> str:
    """The statement that grants privileges: on everything, on a database or on a table."""
    if db is None:
        place = "*.*"
    elif table is None:
        plain = re.sub(r"([\\_%])", r"\\\1", db)  # these are wildcards in the name of a database, and there only
        place = f"{quote(plain)}.*"
    else:
        place = f"{quote(db)}.{quote(table)}"
    return f"GRANT {', '.join(privileges)} ON {place} TO {account_text(account)}"


def account_text(account: str) -> str:
    """An account, user@host, as statements name it."""
    user, _, host = account.rpartition("@")
    return f"'{_text(user)}'@'{_text(host)}'"


def quote(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("`", "``") + "`"


def _text(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "''")


def _parse(line: str) -> _Line | None:
    """Read a line; None for one that is about roles, routines or proxies."""
    parts = _LINE.match(line)
    if parts is None:
        return None
    listed = re.sub(r"\([^)]*\)", "()", parts["privileges"]).split(",")
    names = (part.strip() for part in listed)
    privileges = frozenset(_OTHER_NAMES.get(name, name) for name in names if not name.endswith("()"))
    db, table = (None if text == "*" else text[1:-1].replace("``", "`") for text in (parts["db"], parts["table"]))
    return _Line(privileges, db, table, parts["verb"] == "REVOKE")


def _pattern(db: str) -> re.Pattern[str]:
    """The pattern of a database-level grant: `%` any run, `_` one character, a backslash before either its plain self."""
    parts = re.findall(r"\\.|.", db, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


def _unquoted(db: str) -> str:
    return re.sub(r"\\(.)", r"\1", db)
