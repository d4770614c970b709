"""Conflicts planted among many rows: exactly they are found, and the others are not held up much.

`make conflicts` does it in full size: 10,000 conflicting rows among 1,000,000.
"""

import os
import random
import time
from typing import NamedTuple

import pytest
from topologies import World, eventually

from bisync_topology import operate
from bisync_topology.topology_file import load as load_topology

pytestmark = pytest.mark.servers

ROWS = int(
    os.environ.get("BISYNC_TEST_CONFLICTS_ROWS", "20000")
)  # changed, half of them updated, a quarter inserted, a quarter deleted
PERCENT = float(os.environ.get("BISYNC_TEST_CONFLICTS_PERCENT", "1"))
STEP = 1000  # rows of a transaction
COLUMNS = "id INT PRIMARY KEY, qty INT, code VARCHAR(20) UNIQUE, v VARCHAR(100)"
UPDATED, DELETED, INSERTED = range(1, ROWS // 2 + 1), range(ROWS // 2 + 1, ROWS * 3 // 4 + 1), range(ROWS + 1, ROWS * 5 // 4 + 1)
KINDS = {
    UPDATED: ("update_differs", "update_missing", "update_unique"),
    DELETED: ("delete_differs", "delete_missing"),
    INSERTED: ("insert_exists", "insert_unique"),
}
NO_LOG = "SET SESSION sql_log_bin = 0"

Row = tuple[int, int, str]  # id, qty, code


class Planted(NamedTuple):
    """What west does, unseen by east, so that a kind of conflict comes about; and what is left of it under each policy."""

    sql: str
    stays: tuple[Row, ...]
    wins: tuple[Row, ...]


def planted(kind: str, n: int, table: str) -> Planted:
    """One row's. Rows are (n, n, 'c<n>') at first; an update makes (n, n + 1, 'u<n>') of them, an insert adds (n, n, 'n<n>')."""
    here = f"UPDATE {table} SET qty = -1 WHERE id = {n}"
    gone = f"DELETE FROM {table} WHERE id = {n}"
    updated, inserted = (n, n + 1, f"u{n}"), (n, n, f"n{n}")
    return {
        "update_differs": Planted(here, ((n, -1, f"c{n}"),), (updated,)),
        "update_missing": Planted(gone, (updated,), (updated,)),
        "update_unique": Planted(
            f"INSERT INTO {table} VALUES (-{n}, 0, 'U{n}', '')", ((-n, 0, f"U{n}"), (n, n, f"c{n}")), (updated,)
        ),
        "delete_differs": Planted(here, ((n, -1, f"c{n}"),), ()),
        "delete_missing": Planted(gone, (), ()),
        "insert_exists": Planted(f"INSERT INTO {table} VALUES ({n}, -1, 'w{n}', '')", ((n, -1, f"w{n}"),), (inserted,)),
        "insert_unique": Planted(f"INSERT INTO {table} VALUES (-{n}, 0, 'n{n}', '')", ((-n, 0, f"n{n}"),), (inserted,)),
    }[kind]


def plan() -> dict[int, str]:
    """Which rows are in conflict, and how: at random places, of every kind."""
    dice = random.Random(20261125)
    found = {}
    for rows, kinds in KINDS.items():
        chosen = dice.sample(rows, round(len(rows) * PERCENT / 100))
        found.update((n, kinds[m % len(kinds)]) for m, n in enumerate(chosen))
    return found


def load(world: World, table: str) -> None:
    """The rows that are there at first, on both sides."""
    numbers = f"WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < {DELETED[-1]})"
    insert = f"INSERT INTO {table} {numbers} SELECT id, id, CONCAT('c', id), SHA2(id, 256) FROM n"
    for side in world.sides:
        world.sql(side, NO_LOG, "SET cte_max_recursion_depth = 4294967295", insert)


def change(world: World, table: str) -> None:
    """What east does: transactions of STEP rows, of one kind each."""
    statements = []
    for rows in KINDS:
        for start in range(rows[0], rows[-1] + 1, STEP):
            end = min(start + STEP, rows[-1] + 1)
            if rows is UPDATED:
                sql = f"UPDATE {table} SET qty = qty + 1, code = CONCAT('u', id) WHERE id >= {start} AND id < {end}"
            elif rows is DELETED:
                sql = f"DELETE FROM {table} WHERE id >= {start} AND id < {end}"
            else:
                sql = f"INSERT INTO {table} VALUES " + ",".join(f"({n},{n},'n{n}','{n:064}')" for n in range(start, end))
            statements.append(sql)
    random.Random(len(statements)).shuffle(statements)
    before = world.direction()["lag_events"]
    world.sql("east", *statements)
    eventually(lambda: world.direction()["lag_events"] == before + len(statements), world.said, seconds=600)


def rate(world: World) -> float:
    """Let the direction into west go on with what waits; rows/s from its first commit to its last, by the applier's clock."""
    sql = f"SELECT applied_rows, applied_at FROM {world.control}.applied WHERE source_side = 'east'"
    with world.sides["west"].connect() as connection, connection.cursor() as cursor:
        seen: list[tuple[int, int]] = []

        def applied() -> bool:
            cursor.execute(sql)
            seen.extend(cursor.fetchall())
            return seen[-1][0] - seen[0][0] == ROWS

        applied()
        operate.resume(load_topology(world.file, {}), "east", "west")
        deadline = time.monotonic() + 60 + ROWS / 200
        while not applied():
            assert time.monotonic() < deadline, world.said()
            time.sleep(0.02)
    pause(world)
    first, last = next(row for row in seen if row[0] > seen[0][0]), seen[-1]
    return (last[0] - first[0]) / ((last[1] - first[1]) / 1e6)


def pause(world: World) -> None:
    """Hold the direction into west."""
    operate.pause(load_topology(world.file, {}), "east", "west")
    eventually(lambda: world.direction()["state"] == "paused", world.said)


def digest(world: World, side: str, table: str, where: str = "TRUE") -> tuple[object, ...]:
    """Number of rows, and a sum over all their bytes."""
    return world.sql(side, f"SELECT COUNT(*), SUM(CRC32(CONCAT_WS('#', id, qty, code, v))) FROM {table} WHERE {where}")[0]


def test_exactly_the_planted_rows_are_found(world: World) -> None:
    """Each planted row is on record once, as what it is, and no other; it is the target's or the source's, as the policy says.

    Every other row is as its source has it. Prints rows/s with and without conflicts.
    """
    plain = world.table("plain", COLUMNS)
    tables = {policy: world.table(f"{policy}_", COLUMNS) for policy in ("ignore", "overwrite")}
    for each in (plain, *tables.values()):
        load(world, each)
    world.topology["directions"][0]["tables"] = {table: {"on_conflict": policy} for policy, table in tables.items()}
    world.up()
    world.run("wait")
    pause(world)
    change(world, plain)
    without = rate(world)
    assert digest(world, "east", plain) == digest(world, "west", plain)
    assert world.sql("west", f"SELECT COUNT(*) FROM {world.control}.conflicts") == ((0,),)

    kinds = plan()
    for side in world.sides:
        values = ",".join(f"({n}),(-{n})" for n in kinds)
        made = f"CREATE TABLE {world.db}.chosen (id INT PRIMARY KEY)"
        world.sql(side, NO_LOG, made, f"INSERT INTO {world.db}.chosen VALUES {values}")
    for policy, table in tables.items():
        plants = {n: planted(kind, n, table) for n, kind in kinds.items()}
        world.sql("west", NO_LOG, "BEGIN", *(each.sql for each in plants.values()), "COMMIT")
        change(world, table)
        beside = rate(world)
        print(f"{policy}: {without:,.0f} rows/s without conflicts, {beside:,.0f} with {len(kinds):,} among {ROWS:,}: ", end="")
        print(f"{beside / without:.2f}")
        recorded(world, table, policy, kinds)
        rows = sorted(row for each in plants.values() for row in (each.wins if policy == "overwrite" else each.stays))
        chosen = f"SELECT id FROM {world.db}.chosen"
        assert world.sql("west", f"SELECT id, qty, code FROM {table} WHERE id IN ({chosen}) ORDER BY id") == tuple(rows)
        mine, theirs = (digest(world, side, table, f"id NOT IN ({chosen})") for side in ("west", "east"))
        assert mine == theirs
        assert mine[0] == len(UPDATED) + len(INSERTED) - sum(n not in DELETED for n in kinds)
    assert world.direction()["conflicts"] == 2 * len(kinds)


def recorded(world: World, table: str, policy: str, kinds: dict[int, str]) -> None:
    """The record has each planted row once, and no other."""
    settled = ("update_missing", "delete_missing")
    winner = "source" if policy == "overwrite" else "target"
    sql = f"SELECT row_key->'$.id', type, decision FROM {world.control}.conflicts WHERE table_name = '{table}'"
    found = sorted((int(n), kind, decision) for n, kind, decision in world.sql("west", sql))
    assert found == sorted((n, kind, "source" if kind in settled else winner) for n, kind in kinds.items())
