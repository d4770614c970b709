"""Servers of these tests' own, and topologies on them that carry DDL one way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from faults.harness import SIDES, Cluster, open_folder, started

from ddl.stage_ddl import open_topology
from sandbox.instances import Sandbox


@pytest.fixture(scope="package")
def ddl_servers() -> Iterator[Sandbox]:
    """Two MySQL servers and a broker."""
    with open_folder("ddl") as root, started(Sandbox(root)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module", params=[SIDES[0], pytest.param(SIDES[1], marks=pytest.mark.long)])
def carrying(ddl_servers: Sandbox, request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, str]]:
    """A topology of the scenarios that are to be played, and the side whose DDL is carried: each in turn."""
    source: str = request.param
    ours = [item for item in request.session.items if item.path == request.path and hasattr(item, "callspec")]
    names = {item.callspec.params.get("name", "") for item in ours}
    with open_topology(ddl_servers, f"ddl-{source}", source, sorted(names - {""})) as cluster:
        yield cluster, source
