"""Directions compared with each other: DDL in one direction, convergent policies the same in both."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bisync_topology.topology_file import TopologyError, load

HEAD = """\
name: shop
kafka: {bootstrap.servers: "127.0.0.1:9092"}
sides:
  east: {mysql: {host: localhost, port: 1, user: u, password: p}}
  west: {mysql: {host: localhost, port: 2, user: u, password: p}}
directions:
"""


def problems(path: Path, there: str, back: str) -> list[str]:
    """Give what is wrong with two directions, one in line 7, the other in line 8."""
    file = path / "topology.yaml"
    file.write_text(f"{HEAD}  - {{from: east, to: west, {there}}}\n  - {{from: west, to: east, {back}}}\n", "utf-8")
    try:
        load(file, {})
    except TopologyError as error:
        return [problem.removeprefix(f"{file}:") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("there", "back", "table"),
    [
        ("objects: [shop]", "objects: [shop]", "shop.x"),
        ("objects: [shop]", "objects: [shop.stock]", "shop.stock"),
        ("objects: ['shop.s*']", "objects: ['*.*k']", "shop.sk"),
        ("objects: ['t?.a']", "objects: ['?1']", "t1.a"),
        ("objects: [shop, '!shop.t*']", "objects: ['shop.t?', 'shop.*x']", "shop.x"),
        ("objects: ['`my shop`']", "objects: ['*']", "`my shop`.x"),
    ],
)
def test_ddl_of_a_table_travels_in_one_direction(there: str, back: str, table: str, tmp_path: Path) -> None:
    """Any table in both directions with DDL is a mistake, found through names, globs and exclusions alike."""
    column = len("  - {from: west, to: east, " + back + ", ddl: ") + 1
    assert problems(tmp_path, f"{there}, ddl: true", f"{back}, ddl: true") == [
        f"8:{column}: directions[1].ddl: is true in both directions for tables such as {table}; one direction may carry their DDL"
    ]


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("objects: [shop], ddl: true", "objects: [shop]"),
        ("objects: [shop], ddl: true", "objects: [crm], ddl: true"),
        ("objects: [shop, '!shop.tmp_*'], ddl: true", "objects: ['shop.tmp_*'], ddl: true"),
        ("objects: ['shop.a*'], ddl: true", "objects: ['shop.b*'], ddl: true"),
        ("objects: ['*', '!shop'], ddl: true", "objects: [shop], ddl: true"),
    ],
)
def test_ddl_both_ways_of_different_tables(there: str, back: str, tmp_path: Path) -> None:
    """Each direction may carry the DDL of tables of its own."""
    assert problems(tmp_path, there, back) == []


SAME = "site_priority, newest, merge and delta_columns are set the same in both directions"


@pytest.mark.parametrize(
    ("there", "back", "found"),
    [
        (
            "on_conflict: site_priority",
            "ddl: false",
            "8:5: directions[1].on_conflict: is task_failed here and site_priority in east to west, for tables such as shop.x",
        ),
        (
            "ddl: false",
            "on_conflict: site_priority",
            "8:58: directions[1].on_conflict: is site_priority here and task_failed in east to west, for tables such as shop.x",
        ),
        (
            "on_conflict: site_priority",
            "on_conflict: merge",
            "8:58: directions[1].on_conflict: is merge here and site_priority in east to west, for tables such as shop.x",
        ),
        (
            "tables: {shop.x: {on_conflict: merge}}",
            "tables: {shop.y: {on_conflict: merge}}",
            "8:5: directions[1].on_conflict: is task_failed here and merge in east to west, for tables such as shop.x",
        ),
        (
            "tables: {shop.x: {on_conflict: newest, version_column: at}}",
            "tables: {'shop.*': {on_conflict: newest, version_column: since}}",
            "8:102: directions[1].tables[shop.*].version_column: is since here and at in east to west, for tables such as shop.x",
        ),
        (
            "on_conflict: merge, deletes: win",
            "on_conflict: merge, deletes: lose",
            "8:74: directions[1].deletes: is lose here and win in east to west, for tables such as shop.x",
        ),
        (
            "tables: {shop.x: {delta_columns: [b, a]}}",
            "tables: {shop.x: {delta_columns: []}}",
            "8:78: directions[1].tables[shop.x].delta_columns: is [] here and [a, b] in east to west, for tables such as shop.x",
        ),
        (
            "on_conflict: merge, tables: {shop.x: {version_column: at}}",
            "on_conflict: merge",
            "8:5: directions[1].version_column: is not set here and at in east to west, for tables such as shop.x",
        ),
    ],
)
def test_convergent_settings_differ(there: str, back: str, found: str, tmp_path: Path) -> None:
    """A convergent policy and what it reads must be the same in both directions of a table."""
    assert f"{found}; {SAME}" in problems(tmp_path, f"objects: [shop], {there}", f"objects: [shop], {back}")


@pytest.mark.parametrize(
    ("there", "back"),
    [
        ("objects: [shop], on_conflict: overwrite", "objects: [shop], on_conflict: ignore"),
        ("objects: [shop], on_conflict: merge", "objects: [crm]"),
        ("objects: [shop], on_conflict: merge", "objects: [shop], tables: {shop: {on_conflict: merge}}"),
        (
            "objects: [shop], on_conflict: site_priority, deletes: win",
            "objects: [shop], on_conflict: site_priority, deletes: lose",
        ),
        (
            "objects: [shop], tables: {shop.x: {on_conflict: newest, version_column: at, delta_columns: [a, b]}}",
            "objects: [shop], tables: {shop.x: {on_conflict: newest, version_column: at, delta_columns: [b, a]}}",
        ),
        ("objects: [shop, '!shop.x'], tables: {shop.x: {on_conflict: merge}}", "objects: [shop]"),
        ("objects: ['*']", "objects: ['*'], tables: {'bisync.*': {on_conflict: merge}}"),
    ],
)
def test_settings_that_need_not_agree(there: str, back: str, tmp_path: Path) -> None:
    """Other policies are free in each direction, and so is what only one direction carries or no policy reads."""
    assert problems(tmp_path, there, back) == []


def test_one_mistake_of_many_tables_is_told_once(tmp_path: Path) -> None:
    """A direction's own policy is reported once, not once for each entry that it touches."""
    found = problems(tmp_path, "objects: [a.b, c.d, e], on_conflict: merge", "objects: [a.b, c.d, e]")
    assert len(found) == 1


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ("on_conflict: newest", "7:58: directions[0].on_conflict: newest needs a version_column, for tables such as shop.x"),
        (
            "tables: {shop.x: {on_conflict: newest}}",
            "7:76: directions[0].tables[shop.x].on_conflict: newest needs a version_column, for tables such as shop.x",
        ),
    ],
)
def test_newest_needs_a_version_column(there: str, found: str, tmp_path: Path) -> None:
    """Without a version, newest has nothing to go by."""
    same = f"objects: [shop], {there}"
    assert f"{found}; set it under `tables`" in problems(tmp_path, same, same)


def test_newest_for_all_with_a_version_column_for_all(tmp_path: Path) -> None:
    """A policy of the direction and a glob with the version column complete each other."""
    same = "objects: [shop], on_conflict: newest, tables: {'*': {version_column: updated_at}}"
    assert problems(tmp_path, same, same) == []


def test_priorities_follow_the_order_when_absent(tmp_path: Path) -> None:
    """Without priorities the first side is the arbiter; with one given the other side takes the lowest free."""
    file = tmp_path / "topology.yaml"
    file.write_text(HEAD + "  - {from: east, to: west, objects: [shop]}\n", "utf-8")
    assert {name: side.priority for name, side in load(file, {}).sides.items()} == {"east": 1, "west": 2}
    file.write_text(file.read_text("utf-8").replace("west: {", "west: {priority: 1, "), "utf-8")
    topology = load(file, {})
    assert (topology.sides["east"].priority, topology.arbiter) == (2, "west")


VALID: dict[str, Any] = {
    "name": "shop",
    "kafka": {"bootstrap.servers": "k:1"},
    "topics": {"partitions": 1},
    "control_schema": "bisync",
    "sides": {
        "east": {"mysql": {"host": "localhost", "port": 1, "user": "u", "password": "p"}, "priority": 1},
        "west": {"mysql": {"host": "localhost", "port": 2, "user": "u", "password": "p"}, "priority": 2},
    },
    "directions": [
        {"from": "east", "to": "west", "objects": ["shop"], "tables": {"shop.a": {"on_conflict": "merge"}}},
        {"from": "west", "to": "east", "objects": ["shop"], "tables": {"shop.a": {"on_conflict": "merge"}}},
    ],
}


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(min_value=0, max_value=200),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.text(max_size=8)
                | st.sampled_from(["*", "!a", "mysql", "\0", "${x}"]),
                lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
                max_leaves=6,
            ),
        ),
        max_size=3,
    )
)
def test_any_shape_is_loaded_or_refused(tmp_path: Path, changes: list[tuple[int, Any]]) -> None:
    """Whatever stands in the place of whatever, there is a topology or a list of problems with positions: never a crash."""
    values = copy.deepcopy(VALID)
    for number, junk in changes:
        places = list(_places(values))
        holder, key = places[number % len(places)]
        holder[key] = junk
    file = tmp_path / "topology.yaml"
    file.write_text(json.dumps(values), "utf-8")
    try:
        load(file, {})
    except TopologyError as error:
        assert error.problems
        assert all(problem.startswith(f"{file}:1:") for problem in error.problems)
