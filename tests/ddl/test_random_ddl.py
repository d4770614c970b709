"""Random valid DDL in the middle of rows of both sides, 25 statements by default; 200 with BISYNC_TEST_DDLS=200 (`make ddl`)."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from random import Random

import pymysql
import pytest
from faults.compare import assert_equal
from faults.harness import SIDES, Cluster

from ddl.random_ddl import DATABASE, VALUES, Shop
from ddl.schema_differences import read_schema, schema_differences
from ddl.stage_ddl import as_app, logged, open_topology, play_unlogged, settle
from ddl.ticking import Ticking
from sandbox.instances import Sandbox

pytestmark = [pytest.mark.servers, pytest.mark.timeout(1800)]

DDLS = int(os.environ.get("BISYNC_TEST_DDLS", "25"))
SEED = int(os.environ.get("BISYNC_TEST_DDL_SEED", "1"))
# A column or a table that is not there, or not yet, at the side that writes: its statement may still be under way
NOT_THERE = (1054, 1146, 1364)


@pytest.fixture(scope="module")
def random_shop(ddl_servers: Sandbox) -> Iterator[Cluster]:
    """DDL of one database goes from east to west."""
    with open_topology(ddl_servers, "random-ddl", "east", [], [DATABASE], databases=[DATABASE]) as cluster:
        yield cluster


class OtherSide:
    """Rows that west writes to shared tables, in the columns that these had at first, while their structure changes."""

    def __init__(self, cluster: Cluster, shop: Shop, seed: int) -> None:
        self.cluster = cluster
        self.shop = shop
        self.random = Random(seed)
        self.written = 0
        self.errors: list[BaseException] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> OtherSide:
        """Write while the block runs."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop; raises what it met."""
        self._stop.set()
        self._thread.join(60)
        if self.errors:
            raise self.errors[0]

    def _run(self) -> None:
        try:
            with as_app(self.cluster, "west", DATABASE) as connection, connection.cursor() as cursor:
                number = 1_000_000
                while not self._stop.wait(0.02):
                    number += 1
                    table = self.random.choice([table for table in list(self.shop.tables) if table.shared])
                    column, family = self.random.choice(list(table.families.items()))
                    one, two = (VALUES[family](self.random) for _ in range(2))
                    for statement in (
                        f"INSERT INTO `{table.name}` (id) VALUES ({number})",
                        f"INSERT INTO `{table.name}` (id, `{column}`) VALUES ({number + 5_000_000}, {one})",
                        f"UPDATE `{table.name}` SET `{column}` = {two} WHERE id IN ({number - 2}, {number + 5_000_000 - 4})",
                        f"UPDATE `{table.name}` SET id = id + 1000000 WHERE id = {number - 3}",
                        f"DELETE FROM `{table.name}` WHERE id = {number - 7 + 1000000}",
                    ):
                        try:
                            self.written += cursor.execute(statement)
                        except pymysql.err.MySQLError as error:
                            if error.args[0] not in NOT_THERE:
                                raise
        except BaseException as error:  # noqa: BLE001  raised where the block ends
            self.errors.append(error)


def test_random_ddl(random_shop: Cluster) -> None:
    """Whatever order they come in, both schemas and all rows end equal; every statement was applied, once, and none came back."""
    cluster, shop = random_shop, Shop(SEED)
    play_unlogged(cluster, DATABASE, "; ".join(shop.before()))
    statements: list[str] = []
    with Ticking(cluster, DATABASE) as ticking, OtherSide(cluster, shop, SEED) as other:
        with as_app(cluster, "east", DATABASE) as connection, connection.cursor() as cursor:
            for _ in range(DDLS):
                for table in shop.random.sample(shop.tables, 2):
                    for change in shop.rows(table, "east"):
                        cursor.execute(change)
                statements.append(shop.statement())
                try:
                    cursor.execute(statements[-1])
                except pymysql.err.MySQLError as error:
                    raise AssertionError(f"not valid: {statements}") from error
        ticking.wait_for(5)
    told = "\n".join(statements)
    settle(cluster, 120)
    assert other.written > 0
    ticking.check()
    log = logged(cluster, "west")
    assert [(state, why) for state, _, why in log if state != "applied"] == [], told
    assert len(log) == len(statements), told
    assert logged(cluster, "east") == []
    east, west = (read_schema(cluster, side, [DATABASE]) for side in SIDES)
    assert not (lines := schema_differences(east, west)), "\n".join([*lines, told])
    assert assert_equal(cluster, DATABASE) > 0
