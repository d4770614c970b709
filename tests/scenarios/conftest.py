"""The topology on which every scenario is played, on servers of these tests' own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.harness import Cluster, open_folder, started

from sandbox.instances import Sandbox
from scenarios.stage import HERE, SCHEMA, play, scenarios


@pytest.fixture(scope="package")
def stage_servers() -> Iterator[Sandbox]:
    """Two MySQL servers and a broker."""
    with open_folder("scenarios") as root, started(Sandbox(root)) as sandbox:
        yield sandbox


@pytest.fixture(scope="package")
def stage(stage_servers: Sandbox) -> Iterator[Cluster]:
    """Both sides with the tables of all scenarios, and the four processes between them."""
    cluster = Cluster(stage_servers, name="scenarios")
    cluster.configure([SCHEMA])
    for scenario in scenarios():
        for side in ("east", "west"):
            play(cluster, side, HERE / scenario / "before.sql")
    try:
        cluster.start()
        yield cluster
        cluster.stop()
    finally:
        cluster.kill_all()
