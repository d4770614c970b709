"""The account that a side needs, with no privilege more: one for capture and apply alike."""

from collections.abc import Sequence

import pymysql
from pymysql.cursors import Cursor

USER = "bisync"
PASSWORD = "bisync"  # the sandbox's servers listen on the loopback address only

CAPTURE = "REPLICATION SLAVE, REPLICATION CLIENT"
ROWS = "SELECT, INSERT, UPDATE, DELETE"
TABLES = "CREATE, ALTER, DROP, INDEX"
SEEN = "TRIGGER"  # whoever has not got it does not see that there are triggers
READ = "SHOW VIEW, EVENT"  # the statements that make them
ROUTINES = "SHOW_ROUTINE"  # likewise, of routines; on all databases
OBJECTS = "REFERENCES, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, LOCK TABLES"


def grants(
    synced_schemas: Sequence[str],
    control_schema: str = "bisync",
    user: str = USER,
    host: str = "%",
    *,
    ddl: bool = False,
    initialize: bool = False,
) -> list[str]:
    """Give the GRANT statements of the account; with `ddl` it may also change the synced schemas, and all in them.

    That is needed where a direction has `ddl: true` or initializes the structure, and for `ddl guard-triggers`. With `initialize`
    it may read the whole structure, too.
    """
    account = f"{literal(user)}@{literal(host)}"
    on_synced = f"{ROWS}, {SEEN}, {TABLES}, {OBJECTS}" if ddl else f"{ROWS}, {SEEN}"
    if initialize:
        on_synced += f", {READ}"
    return [
        f"GRANT {CAPTURE} ON *.* TO {account}",
        *([f"GRANT {ROUTINES} ON *.* TO {account}"] if initialize else ()),
        *(f"GRANT {on_synced} ON {all_of(schema)} TO {account}" for schema in synced_schemas),
        f"GRANT {ROWS}, {TABLES} ON {all_of(control_schema)} TO {account}",
    ]


def create_accounts(
    conn: "pymysql.Connection[Cursor]",
    synced_schemas: Sequence[str],
    control_schema: str = "bisync",
    user: str = USER,
    password: str = PASSWORD,
    host: str = "%",
    *,
    ddl: bool = False,
    initialize: bool = False,
) -> None:
    """Create the account, or set its password anew, and grant what `grants` lists."""
    account = f"{literal(user)}@{literal(host)}"
    with conn.cursor() as cursor:
        cursor.execute(f"CREATE USER IF NOT EXISTS {account}")
        cursor.execute(f"ALTER USER {account} IDENTIFIED BY {literal(password)}")
        for statement in grants(synced_schemas, control_schema, user, host, ddl=ddl, initialize=initialize):
            cursor.execute(statement)


def all_of(schema: str) -> str:
    r"""Quote a schema for GRANT, where `_` and `%` are wildcards: `my_shop` alone, not `myXshop` too, is my\_shop."""
    escaped = schema.replace("\\", "\\\\").replace("_", r"\_").replace("%", r"\%").replace("`", "``")
    return f"`{escaped}`.*"


def literal(text: str) -> str:
    """Quote a string as SQL; doubled quotes are right whatever the sql_mode."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
