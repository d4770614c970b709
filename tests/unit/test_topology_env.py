"""Environment variables over topology.yaml."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bisync_topology.topology import SslMode, Topology
from bisync_topology.topology_file import TopologyError, load

TEXT = """\
name: shop
kafka: {bootstrap.servers: "127.0.0.1:9092"}
sides:
  east: {mysql: {host: localhost, port: 1, user: u, password: p}}
  far-west: {mysql: {host: localhost, port: 2, user: u, password: p}}
directions:
  - {from: east, to: far-west, objects: [shop]}
"""


def read(folder: Path, environ: Mapping[str, str]) -> Topology:
    """Load the file under these variables."""
    file = folder / "topology.yaml"
    file.write_text(TEXT, "utf-8")
    return load(file, environ)


def test_every_kind_of_key(tmp_path: Path) -> None:
    """Variables reach plain keys, nested ones, entries by name and number, Kafka properties, lists and mappings."""
    topology = read(
        tmp_path,
        {
            "BISYNC_NAME": "other",
            "bisync_control_schema": "sync",
            "BISYNC_KAFKA__BOOTSTRAP_SERVERS": "k1:9092",
            "BISYNC_KAFKA__linger.ms": "5",
            "BISYNC_TOPICS__RETENTION": "2h",
            "BISYNC_TOPICS__MAX_MESSAGE_BYTES": "1MiB",
            "BISYNC_SIDES__EAST__MYSQL__HOST": "127.0.0.2",
            "BISYNC_SIDES__FAR_WEST__MYSQL__PORT": "3308",
            "BISYNC_SIDES__EAST__MYSQL__SSL__MODE": "required",
            "BISYNC_SIDES__EAST__PRIORITY": "7",
            "BISYNC_DIRECTIONS__0__DDL": "true",
            "BISYNC_DIRECTIONS__0__OBJECTS": '["a", "b.c"]',
            "BISYNC_DIRECTIONS__0__OBJECTS__1": "b.d",
            "BISYNC_DIRECTIONS__0__TABLES": '{"b.d": {"delta_columns": ["n"], "deletes": null}}',
        },
    )
    direction = topology.directions[0]
    assert (topology.name, topology.control_schema) == ("other", "sync")
    assert topology.kafka == {"bootstrap.servers": "k1:9092", "linger.ms": "5"}
    assert (topology.topics.retention_ms, topology.topics.max_message_bytes) == (7_200_000, 1_048_576)
    assert (topology.sides["east"].mysql.host, topology.sides["far-west"].mysql.port) == ("127.0.0.2", 3308)
    assert (topology.sides["east"].mysql.ssl.mode, topology.sides["east"].priority) == (SslMode.REQUIRED, 7)
    assert (direction.ddl, direction.objects) == (True, ("a", "b.d"))
    assert direction.tables["b.d"].delta_columns == ("n",)


def test_json_constants_are_read_as_in_the_file(tmp_path: Path) -> None:
    """Numbers and constants inside JSON mean what they mean in the file."""
    topics = read(tmp_path, {"BISYNC_TOPICS": '{"partitions": 6, "retention": "1d"}'}).topics
    assert (topics.partitions, topics.retention_ms) == (6, 86_400_000)
    whole = '[{"from": "east", "to": "far-west", "objects": ["x"], "ddl": true}]'
    assert read(tmp_path, {"BISYNC_DIRECTIONS": whole}).directions[0].ddl


def test_a_value_is_taken_as_it_is(tmp_path: Path) -> None:
    """A password with `${` in it needs no escape in the environment, and it is no literal of the file."""
    environ = {"BISYNC_SIDES__EAST__MYSQL__PASSWORD": "${env:X}", "BISYNC_SIDES__EAST__MYSQL__HOST": "db1"}
    assert read(tmp_path, environ).sides["east"].mysql.password.get_secret_value() == "${env:X}"


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    """Variables that other parts read, and those of other programs, are no keys."""
    environ = {"BISYNC_LOG_LEVEL": "debug", "BISYNC_TEST_X": "", "BISYNC_SANDBOX_HOME": "/x", "BISYNC_FAILPOINTS": "a", "BI": ""}
    assert read(tmp_path, environ).name == "shop"


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        (
            "BISYNC_FOO",
            "1",
            "foo: unknown key; allowed are name, kafka, topics, conflicts, verify, initialization, control_schema, sides,"
            " directions",
        ),
        (
            "BISYNC_",
            "1",
            "[]: unknown key; allowed are name, kafka, topics, conflicts, verify, initialization, control_schema, sides,"
            " directions",
        ),
        (
            "BISYNC_TOPICS__PARTITIONZ",
            "1",
            "topics.partitionz: unknown key; allowed are partitions, replication_factor, retention, max_message_bytes"
            " (did you mean `partitions`?)",
        ),
        ("BISYNC_SIDES__EST__PRIORITY", "1", "sides.est: unknown key; allowed are east, far-west (did you mean `east`?)"),
        ("BISYNC_DIRECTIONS__1__DDL", "true", "directions.1: there is no such entry; allowed are 0 to 0"),
        ("BISYNC_DIRECTIONS__FIRST__DDL", "true", "directions.first: there is no such entry; allowed are 0 to 0"),
        ("BISYNC_TOPICS__PARTITIONS__X", "1", "topics.partitions.x: nothing can stand below one value or a missing entry"),
        ("BISYNC_KAFKA__A__B", "1", "kafka.a.b: nothing can stand below one value or a missing entry"),
        ("BISYNC_DIRECTIONS__0__TABLES__X", "1", "directions[0].tables.x: nothing can stand below one value or a missing entry"),
        ("BISYNC_TOPICS__PARTITIONS", "many", "topics.partitions: must be a whole number, not 'many'"),
        (
            "BISYNC_DIRECTIONS__0__TO",
            "est",
            "directions[0].to: there is no side est; allowed are east, far-west (did you mean `east`?)",
        ),
        (
            "BISYNC_DIRECTIONS__0__OBJECTS",
            "shop",
            'directions[0].objects: the variable must hold JSON, as in ["shop", "crm.customers"]',
        ),
        (
            "BISYNC_DIRECTIONS__0__OBJECTS",
            '["a.b.c"]',
            "directions[0].objects[0]: too many dots; a name that contains one is put",
        ),
        ("BISYNC_SIDES", "{}", "sides: exactly two sides are allowed for now; this has none"),
    ],
)
def test_mistakes_name_the_variable(variable: str, value: str, problem: str, tmp_path: Path) -> None:
    """A mistake that came by a variable begins with its name in the place of a position."""
    with pytest.raises(TopologyError) as caught:
        read(tmp_path, {variable: value})
    assert [line for line in caught.value.problems if line.startswith(f"{variable}: {problem}")], caught.value.problems
    assert len(caught.value.problems) == 1
