"""What an account may do, read from SHOW GRANTS, and the statement for what it lacks."""

import pytest

from bisync_topology.grants import ROWS, Grants, grant

SANDBOX = (
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `bisync`@`%`",
    "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER ON `bisync`.* TO `bisync`@`%`",
    "GRANT SELECT, INSERT ON `shop`.* TO `bisync`@`%`",
)


def test_levels_are_told_apart() -> None:
    """A privilege on one database is neither one on another nor one on the server."""
    grants = Grants(SANDBOX)
    assert grants.everywhere("REPLICATION SLAVE")
    assert not grants.everywhere("SELECT")
    assert grants.on("SELECT", "shop") and grants.on("SELECT", "shop", "item")
    assert not grants.on("UPDATE", "shop") and not grants.on("SELECT", "crm")


def test_a_table_grant_covers_the_table_alone() -> None:
    """What is granted on a table holds for it, and not for its database."""
    grants = Grants(["GRANT SELECT, UPDATE ON `crm`.`cust``omers` TO `u`@`h` WITH GRANT OPTION"])
    assert grants.on("UPDATE", "crm", "cust`omers")
    assert not grants.on("UPDATE", "crm") and not grants.on("UPDATE", "crm", "other")


def test_all_privileges_and_everything() -> None:
    """ALL PRIVILEGES on a database has each privilege, USAGE on everything none."""
    grants = Grants(["GRANT USAGE ON *.* TO `u`@`h`", "GRANT ALL PRIVILEGES ON `shop`.* TO `u`@`h`"])
    assert all(grants.on(name, "shop", "t") for name in (*ROWS, "CREATE"))
    assert not grants.everywhere("REPLICATION SLAVE") and not grants.on("SELECT", "crm")
    assert Grants(["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"]).on("SELECT", "crm")


@pytest.mark.parametrize(
    ("pattern", "db", "covers"),
    [
        (r"my\_shop", "my_shop", True),
        (r"my\_shop", "myXshop", False),
        ("my_shop", "myXshop", True),
        ("tenant%", "tenant12", True),
        (r"a\%", "ab", False),
    ],
)
def test_database_patterns(pattern: str, db: str, covers: bool) -> None:
    """`_` and `%` in the database of a grant are wildcards unless a backslash stands before them."""
    assert Grants([f"GRANT SELECT ON `{pattern}`.* TO `u`@`h`"]).on("SELECT", db) is covers


def test_column_privileges_are_none() -> None:
    """A privilege on some columns is not one on the table; those beside it in the list count."""
    grants = Grants(["GRANT SELECT (`a`, `b`), INSERT ON `shop`.`t` TO `u`@`h`"])
    assert not grants.on("SELECT", "shop", "t")
    assert grants.on("INSERT", "shop", "t")


def test_partial_revokes() -> None:
    """A REVOKE line takes a global privilege away for one database."""
    grants = Grants(["GRANT SELECT, INSERT ON *.* TO `u`@`h`", "REVOKE SELECT ON `secret`.* FROM `u`@`h`"])
    assert grants.on("SELECT", "shop") and grants.on("INSERT", "secret")
    assert not grants.on("SELECT", "secret")


def test_lines_about_other_things_are_passed_over() -> None:
    """Roles, proxies and routines grant no rows."""
    lines = [
        "GRANT `reader`@`%` TO `u`@`h`",
        "GRANT PROXY ON ``@`` TO `root`@`localhost` WITH GRANT OPTION",
        "GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `u`@`h`",
    ]
    assert not Grants(lines).on("SELECT", "shop")


def test_the_statement_names_account_and_place() -> None:
    """The statement can be run as it is: wildcards of a database's name are escaped, a table's are not, quotes doubled."""
    assert grant(ROWS, "my_shop", None, "o'hara@%") == (r"GRANT SELECT, INSERT, UPDATE, DELETE ON `my\_shop`.* TO 'o''hara'@'%'")
    assert grant(["SELECT"], "my_shop", "a_b", "u@h@localhost") == "GRANT SELECT ON `my_shop`.`a_b` TO 'u@h'@'localhost'"
    assert grant(["REPLICATION SLAVE"], None, None, "u@%") == "GRANT REPLICATION SLAVE ON *.* TO 'u'@'%'"
