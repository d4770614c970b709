"""Statements of the control tables: columns that came later are in both, what makes a table and what adds to an older one."""

import pymysql.err
import pytest

from bisync_topology.control import DUPLICATE_COLUMN, TABLES, Control, added_columns, statements
from bisync_topology.topology import Topology

TOPOLOGY = Topology.model_validate(
    {
        "name": "shop",
        "kafka": {"bootstrap.servers": "k:9092"},
        "sides": {side: {"mysql": {"host": "h", "user": "u", "password": "p"}} for side in ("east", "west")},
        "directions": [{"from": "east", "to": "west", "objects": ["shop"]}],
    }
)


class Server:
    """A server with these columns. Notes what it is told; adding a column fails with this error, if any."""

    def __init__(self, columns: list[tuple[str, str]], error: int = 0) -> None:
        self.columns = columns
        self.error = error
        self.told: list[str] = []

    def cursor(self) -> "Server":
        """A cursor is the server itself."""
        return self

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str, arguments: object = None) -> None:
        """Note a statement."""
        self.told.append(sql)
        if self.error and sql.startswith("ALTER"):
            raise pymysql.err.OperationalError(self.error, "no")

    def fetchall(self) -> list[tuple[str, str]]:
        """The columns that there are."""
        return self.columns


def create(server: Server) -> list[str]:
    """Make the control tables; gives the statements that altered one."""
    control = Control(server, TOPOLOGY)  # type: ignore[arg-type]
    control.create()
    control.upgrade()
    return [sql for sql in server.told if sql.startswith("ALTER")]


def test_every_added_column_is_in_the_table_as_it_is_made_now() -> None:
    """A new installation and an old one come to the same columns."""
    assert ("conflicts", "resolution") in added_columns()
    for table, column in added_columns():
        assert table in TABLES
        assert f"\n  {column} " in statements()[f"create_{table}"]


def test_only_what_is_missing_is_added() -> None:
    """To tables that are there without it; one that is made now has it, and one that has it is left alone."""
    old = [(table, "topology") for table in TABLES]
    assert len(create(Server(old))) == len(added_columns())
    assert create(Server([])) == []
    assert create(Server([*old, *added_columns()])) == []


def test_another_process_may_be_first() -> None:
    """That a column is there meanwhile is no error; any other refusal is."""
    old = [(table, "topology") for table in TABLES]
    assert create(Server(old, DUPLICATE_COLUMN))
    with pytest.raises(pymysql.err.OperationalError, match="1142"):
        create(Server(old, 1142))
