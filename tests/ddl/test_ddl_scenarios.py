"""Every kind of statement, and every scope, as a folder of SQL: played both ways round beside a row load on the same database.

What a scenario is made of is said in `stage_ddl`.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.compare import rows
from faults.harness import Cluster
from pymysql.constants import CLIENT

from bisync_topology.scope import Scope
from ddl.schema_differences import carried_unguarded, enabled_events, read_schema, schema_differences
from ddl.stage_ddl import Client, Scenario, as_app, ddl_scenarios, logged, other, pass_failures, play, settle
from ddl.ticking import Ticking

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300)]

TABLE = "base table "


@pytest.mark.parametrize("name", ddl_scenarios())
def test_ddl_scenario(carrying: tuple[Cluster, str], name: str) -> None:
    """What clients changed at one side, schema and rows, is on both, and beside it no row of the load was lost or doubled.

    Both sides print the same of every object and hold the same rows; the log of DDL says what became of each statement.
    """
    cluster, source = carrying
    scenario, target = Scenario(name), other(source)
    known = logged(cluster, target)
    try:
        with Ticking(cluster, scenario.database) as ticking:
            beside = Client(cluster, target, scenario.database, scenario.text("west.sql"))
            beside.start()
            play(as_app(cluster, source, scenario.database), scenario.text("east.sql"))
            play(
                cluster.connect(source, database=scenario.database, client_flag=CLIENT.MULTI_STATEMENTS),
                scenario.text("root.sql"),
            )
            beside.finish()
            ticking.wait_for(2)
        settle(cluster)
        if scenario.text("west_after.sql"):
            play(as_app(cluster, target, scenario.database), scenario.text("west_after.sql"))
            settle(cluster)
        ticking.check()
        log_is(scenario, logged(cluster, target)[len(known) :])
        assert_same(cluster, source, scenario)
        for side, file in ((source, "expect.sql"), (target, "expect.sql"), (target, "expect_target.sql")):
            expect(cluster, side, scenario, file)
    finally:
        failures = list(pass_failures(cluster))
    assert not failures
    assert logged(cluster, source) == [], "DDL that was carried never comes back"


def assert_same(cluster: Cluster, source: str, scenario: Scenario) -> None:
    """Schema and rows of what the scenario's scope means."""
    target = other(source)
    scope = Scope(scenario.objects)
    databases = [scenario.database]
    keep: Callable[[str, str], bool] | None = scope.includes
    if scenario.whole:
        found = cluster.sql(source, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA")
        databases, keep = [str(db) for (db,) in found if scope.includes_database(str(db))], None
    ours, theirs = (read_schema(cluster, side, databases, keep) for side in (source, target))
    assert not (lines := schema_differences(ours, theirs)), "\n".join(lines)
    assert not (more := carried_unguarded(cluster, target, databases, frozenset())), f"not guarded at {target}: {more}"
    before = frozenset({f"{scenario.database}.older"})
    assert not (more := enabled_events(cluster, target, databases, before)), f"would run at {target}: {more}"
    for name in ours:
        if name.startswith(TABLE):
            db, _, table = name.removeprefix(TABLE).partition(".")
            assert rows(cluster, source, db, table) == rows(cluster, target, db, table), f"rows of {db}.{table}"


def expect(cluster: Cluster, side: str, scenario: Scenario, file: str) -> None:
    """Each query is true on this side."""
    with cluster.connect(side, database=scenario.database) as connection, connection.cursor() as cursor:
        for query in scenario.queries(file):
            cursor.execute(query)
            assert cursor.fetchall() == ((1,),), f"{side}: {query}"


def log_is(scenario: Scenario, entries: list[tuple[str, str, str]]) -> None:
    """Every line of log.txt is there, in order; whatever else was seen was applied, or ignored."""
    wanted = scenario.log()
    for state, statement, why in entries:
        if wanted and state == wanted[0][0] and statement.startswith(wanted[0][1]):
            wanted.pop(0)
        else:
            assert state in ("applied", "ignored"), f"{state}: {statement}: {why}"
    assert not wanted, f"not in the log: {wanted}; there are: {entries}"
