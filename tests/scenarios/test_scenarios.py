"""A scenario is a folder of SQL: what is there before, what each side's clients do, and what must hold afterwards.

before.sql runs on both sides before anything is captured; east.sql and west.sql are what clients do; both sides must then
hold the same rows in bytes, and each query of expect.sql must be true on both.
"""

from __future__ import annotations

import pytest
from faults.compare import quoted, rows
from faults.harness import SIDES, Cluster

from scenarios.stage import HERE, SCHEMA, play, scenarios

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]


@pytest.mark.parametrize("scenario", scenarios())
def test_scenario(stage: Cluster, scenario: str) -> None:
    """What the scenario's clients did on either side is on both, in bytes, and is what they meant."""
    folder = HERE / scenario
    for side in SIDES:
        play(stage, side, folder / f"{side}.sql")
    stage.wait()
    queries = [query for query in (folder / "expect.sql").read_text(encoding="utf-8").split(";") if query.strip()]
    for side in SIDES:
        with stage.connect(side, database=SCHEMA) as connection, connection.cursor() as cursor:
            for query in queries:
                cursor.execute(query)
                assert cursor.fetchall() == ((1,),), f"{side}: {query.strip()}"
    for (name,) in stage.sql("east", "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s", SCHEMA):
        assert rows(stage, "east", SCHEMA, name) == rows(stage, "west", SCHEMA, name), quoted(SCHEMA, name)
