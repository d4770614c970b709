"""docker-compose.yml, its topology and its accounts, each held to its own rules: no Docker engine runs where these tests do."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bisync_topology import process
from bisync_topology.grants import CONTROL, REPLICATION, ROWS, SEEN, Grants
from bisync_topology.supervisor import processes
from bisync_topology.topology import Topology
from bisync_topology.topology_file import load
from sandbox.mysql import DEFAULTS

HOME = Path(__file__).parents[2]
COMPOSE = HOME / "docker-compose.yml"
SERVERS = {"mysql-east", "mysql-west", "kafka"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as Compose reads it: merged, without anchors."""
    content: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text())
    return content


@pytest.fixture
def topology(tmp_path: Path) -> Topology:
    """docker/topology.yaml with its secrets in a folder of the test."""
    text = (HOME / "docker/topology.yaml").read_text()
    for side in ("east", "west"):
        (tmp_path / f"{side}_password").write_text(f"of {side}\n")
    file = tmp_path / "topology.yaml"
    file.write_text(text.replace("/run/secrets", str(tmp_path)))
    return load(file, {})


def test_file_follows_the_compose_specification() -> None:
    """`check-jsonschema` finds nothing wrong by the specification's own schema."""
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", "vendor.compose-spec", COMPOSE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_images(compose: dict[str, Any]) -> None:
    """Two MySQL 8.4, the broker in the version that the sandbox tests with, everything else from the Dockerfile."""
    services = compose["services"]
    assert {services[f"mysql-{side}"]["image"] for side in ("east", "west")} == {"mysql:8.4"}
    kafka = re.search("<kafka.version>(.*)</", (HOME / "sandbox/pom.xml").read_text())
    assert kafka is not None
    assert services["kafka"]["image"] == f"apache/kafka:{kafka[1]}"
    ours = [service for name, service in services.items() if name not in SERVERS]
    assert all(service["build"] == "." for service in ours)


def test_a_service_a_process(compose: dict[str, Any], topology: Topology) -> None:
    """Each producer and applier that `up` would start is a service, that starts behind the precheck, and no other is."""
    services = {name: s for name, s in compose["services"].items() if name not in SERVERS | {"precheck"}}
    wanted = {f"{kind}-{side}": [kind, side] for kind, side in processes(topology)}
    assert {name: service["command"] for name, service in services.items()} == wanted
    assert all(s["depends_on"] == {"precheck": {"condition": "service_completed_successfully"}} for s in services.values())
    assert set(compose["services"]["precheck"]["depends_on"]) == SERVERS


def test_every_service_has_a_healthcheck(compose: dict[str, Any]) -> None:
    """Of servers by their own clients, of our processes by what they say of themselves; the precheck ends by itself."""
    services = compose["services"]
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"precheck"}
    for name, service in services.items():
        if "-" in name and name.partition("-")[0] in (process.PRODUCER, process.APPLIER):
            assert service["healthcheck"]["test"] == ["CMD", "healthcheck", *service["command"]]


def test_servers_log_what_capture_reads(compose: dict[str, Any]) -> None:
    """Both servers have the settings that the sandbox's have, and differ in what must differ."""
    commands = {
        side: dict(option.removeprefix("--").split("=") for option in compose["services"][f"mysql-{side}"]["command"])
        for side in ("east", "west")
    }
    for options in commands.values():
        for name in ("gtid-mode", "enforce-gtid-consistency", "binlog-row-image", "binlog-row-metadata"):
            assert options[name] == DEFAULTS[name]
        assert options["auto-increment-increment"] == "2"
    differing = {name for name in commands["east"] if commands["east"][name] != commands["west"][name]}
    assert differing == {"server-id", "auto-increment-offset"}


def test_topology_loads_and_is_one_that_runs(topology: Topology) -> None:
    """The file that the services mount is right, takes its passwords from the secrets, and needs nothing that is not built."""
    for side in ("east", "west"):
        assert topology.sides[side].mysql.password.get_secret_value() == f"of {side}"
        assert topology.sides[side].mysql.host == f"mysql-{side}"
    assert topology.kafka == {"bootstrap.servers": "kafka:9092"}


def test_no_password_in_the_files(compose: dict[str, Any]) -> None:
    """Passwords come from the environment of whoever starts it and reach containers as files only."""
    assert all(set(secret) == {"environment"} for secret in compose["secrets"].values())
    example = dict(line.split("=") for line in (HOME / "docker/env.example").read_text().split() if "=" in line)
    assert set(example) == {secret["environment"] for secret in compose["secrets"].values()}
    assert not any(example.values())
    for service in compose["services"].values():
        assert not (service.get("secrets") and service.get("read_only")), "Compose refuses such secrets in a read-only container"
        for name, value in service.get("environment", {}).items():
            assert "PASSWORD" not in name or value.startswith("/run/secrets/")


def test_accounts_have_the_least_privileges() -> None:
    """docker/init.sql grants what precheck asks for, and nothing beyond it."""
    lines = re.findall(r"^(GRANT .*);$", (HOME / "docker/init.sql").read_text(), re.MULTILINE)
    quoted = [re.sub(r" ON (\w+)\.", r" ON `\1`.", line) for line in lines]
    grants = Grants(quoted)
    assert all(grants.everywhere(name) for name in REPLICATION)
    assert all(grants.on(name, "bisync") for name in CONTROL)
    assert all(grants.on(name, "shop") for name in ROWS)
    granted = [set(re.search("GRANT (.*) ON", line)[1].split(", ")) for line in lines]  # type: ignore[index]
    assert granted == [set(REPLICATION), {*ROWS, *SEEN}, set(CONTROL)]
