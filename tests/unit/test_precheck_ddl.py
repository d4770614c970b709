"""The precheck of DDL and triggers without servers: facts in, items out."""

from dataclasses import replace
from typing import Any

import pytest
from test_precheck import GRANTS, VARIABLES, only_failed, results, side, topology
from test_triggers import TRIGGER

from bisync_topology.precheck_item import FAIL, PASS, WARN, Item

BACK = {"from": "west", "to": "east", "objects": ["shop"]}
ALL_ROWS = "SELECT, INSERT, UPDATE, DELETE"
TABLES = "CREATE, ALTER, DROP, INDEX, REFERENCES"
OBJECTS = "CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER"
WITH_DDL = (*GRANTS, f"GRANT {TABLES}, {OBJECTS} ON `shop`.* TO `bisync`@`%`", "GRANT SET_ANY_DEFINER ON *.* TO `bisync`@`%`")
GUARDED = replace(TRIGGER, body="BEGIN IF @bisync_applying IS NULL THEN\nSET @a = 1\n; END IF; END")


def there(*objects: str, **more: Any) -> dict[str, Any]:
    """A direction into west."""
    return {"from": "east", "to": "west", "objects": list(objects) or ["shop"], **more}


def found(name: str, *directions: dict[str, Any], **west: Any) -> list[Item]:
    """Items of that name about west."""
    made = results(west=side("west", **west), of=topology(*(directions or (there(), BACK))))
    return [item for item in made.items if item.item == name and item.side == "west"]


def test_unguarded_triggers_are_named() -> None:
    """With the command, and the guarded form of the first ones; it is a warning."""
    more = tuple(replace(TRIGGER, name=f"t{n}") for n in range(6))
    (item,) = found("triggers", triggers=(GUARDED, *more))
    assert item.result == WARN and item.fix is not None
    assert item.seen.startswith("6 triggers without a guard: shop.t0 (AFTER INSERT ON it`em), ") and "and 1 more" in item.seen
    assert item.fix.startswith("bisync-topology ddl guard-triggers") and item.fix.count("BEGIN IF @bisync_applying IS NULL") == 3
    (item,) = found("triggers", triggers=(replace(TRIGGER, body="SELECT 'not closed"),))
    assert "guard it by hand" in str(item.fix)


def test_guarded_triggers_pass_and_unseen_ones_do_not() -> None:
    """Where the account lacks TRIGGER the server shows none, which is said; a side that is only read is not asked."""
    (item,) = found("triggers", triggers=(GUARDED,))
    assert (item.result, item.seen) == (PASS, "1 on tables that are written here, guarded")
    assert [item.result for item in found("triggers")] == [PASS]
    without = tuple(line.replace(", TRIGGER", "") for line in GRANTS)
    (item,) = found("triggers", grants=without)
    assert (item.result, item.fix) == (WARN, "GRANT TRIGGER ON `shop`.* TO 'bisync'@'%';")
    (item,) = found("triggers", there("shop.item", "shop.other"), BACK, grants=without)
    assert item.fix == "GRANT TRIGGER ON `shop`.`item` TO 'bisync'@'%';\nGRANT TRIGGER ON `shop`.`other` TO 'bisync'@'%';"
    assert found("triggers", BACK, grants=without, triggers=(TRIGGER,)) == []


@pytest.mark.parametrize(
    ("objects", "place", "privileges"),
    [
        (["shop"], "`shop`.*", f"{TABLES}, {OBJECTS}"),
        (["shop.item"], "`shop`.`item`", TABLES),
        (["shop.i*", "!shop.x"], "`shop`.*", TABLES),
        (["sho?"], "`shop`.*", f"{TABLES}, {OBJECTS}"),
        (["shop.*", "shop", "shop.item"], "`shop`.*", f"{TABLES}, {OBJECTS}"),
    ],
)
def test_privileges_for_ddl(objects: list[str], place: str, privileges: str) -> None:
    """Those of all kinds of objects for a whole database, those of tables for tables; a glob takes new tables in."""
    without = tuple(line.replace(", TRIGGER", "") for line in GRANTS)
    lacking = results(west=side("west", grants=without), of=topology(there(*objects, ddl=True), BACK))
    assert only_failed(lacking).fix == f"GRANT {privileges} ON {place} TO 'bisync'@'%';"
    granted = (*without, f"GRANT {privileges} ON {place} TO `bisync`@`%`")
    assert FAIL not in {item.result for item in found("ddl", there(*objects, ddl=True), BACK, grants=granted)}


def test_nothing_is_asked_for_where_ddl_is_not_carried() -> None:
    """Without `ddl: true` there is no item."""
    assert found("ddl") == found("rename") == []


def test_whoever_may_do_it_all() -> None:
    """One item that passes for a whole database; a version before 8.2 has another privilege for definers."""
    wanted = there(ddl=True)
    assert [item.result for item in found("ddl", wanted, BACK, grants=WITH_DDL)] == [PASS]
    older = {**VARIABLES, "version": "8.0.40-log"}
    (item,) = found("ddl", wanted, BACK, grants=WITH_DDL, variables=older)
    assert (item.result, item.fix) == (WARN, "GRANT SET_USER_ID ON *.* TO 'bisync'@'%';")


def test_what_is_held_without_a_setting() -> None:
    """Warnings: creators of functions are not trusted; definers become the account. Tables by name need neither."""
    wanted, off = there(ddl=True), {**VARIABLES, "log_bin_trust_function_creators": "OFF"}
    seen = found("ddl", wanted, BACK, grants=WITH_DDL[:-1], variables=off)
    assert [item.result for item in seen] == [WARN, WARN]
    assert "log_bin_trust_function_creators = ON" in str(seen[0].fix) and "SET_ANY_DEFINER" in str(seen[1].fix)
    assert [item.result for item in found("ddl", wanted, BACK, grants=WITH_DDL, variables={**off, "log_bin": "OFF"})] == [PASS]
    by_name = there("shop.item", ddl=True)
    assert [item.result for item in found("ddl", by_name, BACK, grants=WITH_DDL[:-1], variables=off)] == [PASS]


def test_renames_of_tables_by_name() -> None:
    """They are warned of where DDL is carried for tables by name or glob, and not for whole databases."""
    (item,) = found("rename", there("shop.item", "shop.i*", ddl=True), BACK, grants=WITH_DDL)
    assert item.result == WARN and "shop.item, shop.i*" in item.seen
    assert found("rename", there("shop", "!shop.x", ddl=True), BACK, grants=WITH_DDL) == []
