"""One topology under load for the tests of this folder."""

from collections.abc import Iterator

import pytest

from faults.harness import Cluster, open_folder, started
from faults.load import Load, running
from sandbox.instances import Sandbox


@pytest.fixture(scope="package")
def fault_servers() -> Iterator[Sandbox]:
    """Two MySQL servers and a broker of these tests' own: they are killed and restarted."""
    with open_folder("faults") as root, started(Sandbox(root)) as sandbox:
        yield sandbox


@pytest.fixture
def loaded(topology_of_module: tuple[Cluster, Load]) -> tuple[Cluster, Load]:
    """The module's topology; servers that a failed test has left away are started."""
    topology_of_module[0].sandbox.start()
    return topology_of_module


@pytest.fixture(scope="module")
def topology_of_module(fault_servers: Sandbox, request: pytest.FixtureRequest) -> Iterator[tuple[Cluster, Load]]:
    """A topology of the module's own, its four processes running, and a load that is not started yet."""
    name = request.module.__name__.rpartition(".")[2].removeprefix("test_")
    cluster = Cluster(fault_servers, name=name)
    cluster.configure()
    with running(cluster) as topology:
        yield topology
