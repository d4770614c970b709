"""Loading topology.yaml: what is read, and every mistake with its exact line, column and words."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bisync_topology.errors import exit_code
from bisync_topology.topology import Topology
from bisync_topology.topology_file import TopologyError, load

SECRETS = {"EAST": "hunter-east", "WEST": "hunter-west"}
VALID = """\
name: shop
kafka:
  bootstrap.servers: 127.0.0.1:9092
topics: {partitions: 3, retention: 7d}
sides:
  east:
    mysql: {host: db1, user: bisync, password: "${env:EAST}"}
    priority: 1
  west:
    mysql: {host: db2, user: bisync, password: "${env:WEST}"}
    priority: 2
directions:
  - from: east
    to: west
    objects: [shop]
  - from: west
    to: east
    objects: [shop]
"""


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(text: str, environ: Mapping[str, str] | None = None) -> Topology:
    """Load a text as topology.yaml."""
    path = Path("topology.yaml")
    path.write_text(text, "utf-8")
    return load(path, SECRETS | dict(environ or {}))


def problems(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Give what is wrong, without the file's name."""
    with pytest.raises(TopologyError) as caught:
        read(text, environ)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.removeprefix("topology.yaml:") for problem in caught.value.problems]


def test_valid_file() -> None:
    """The file that the other tests break is right."""
    topology = read(VALID)
    assert [str(direction) for direction in topology.directions] == ["east to west", "west to east"]
    assert topology.sides["west"].mysql.password.get_secret_value() == "hunter-west"


# what is replaced in VALID, by what, and the problem that follows
MISTAKES = [
    # keys
    ("name: shop", "nam: shop", "1:1: name: is required"),
    (
        "name: shop",
        "name: shop\nnam: x",
        "2:1: nam: unknown key; allowed are name, kafka, topics, conflicts, verify, initialization, control_schema, sides,"
        " directions"
        " (did you mean `name`?)",
    ),
    (
        "partitions: 3",
        "partitons: 3",
        "4:10: topics.partitons: unknown key; allowed are partitions, replication_factor, retention, max_message_bytes"
        " (did you mean `partitions`?)",
    ),
    ("name: shop", "name: shop\nname: x", "2:1: name: is there twice, first in line 1"),
    ("partitions: 3", "partitions: 3, partitions: 4", "4:25: topics.partitions: is there twice, first in line 4"),
    ('user: bisync, password: "${env:WEST}"', "user: bisync", "10:5: sides.west.mysql.password: is required"),
    ("    to: west\n", "", "13:5: directions[0].to: is required"),
    ("priority: 2", "? [a]\n    : b", "11:7: sides.west: a key must be a name"),
    # values
    (
        "name: shop",
        "name: my.shop",
        "1:7: name: must be 1 to 32 of A-Z a-z 0-9 _ -, and begin with a letter or digit, not 'my.shop'",
    ),
    ("name: shop", "name:", "1:1: name: is required"),
    ("name: shop", "name: [a]", "1:7: name: must be one value, not a list or a mapping"),
    ("name: shop", "name: !x y", "1:7: name: `!` begins a YAML tag here; put the value in quotes"),
    (
        "name: shop",
        "name: shop\ncontrol_schema: Sync",
        "2:17: control_schema: must be 1 to 64 of a-z 0-9 _ -, in lower case, not 'Sync'",
    ),
    (
        "name: shop",
        "name: shop\ncontrol_schema: mysql",
        "2:17: control_schema: must not be one of the server's own schemas, not 'mysql'",
    ),
    (
        "kafka:\n  bootstrap.servers: 127.0.0.1:9092",
        "kafka: {}",
        "2:1: kafka: bootstrap.servers is required, as in 127.0.0.1:9092",
    ),
    ("  bootstrap.servers: 127.0.0.1:9092", "  linger.ms: 5", "2:1: kafka: bootstrap.servers is required, as in 127.0.0.1:9092"),
    (
        "127.0.0.1:9092",
        "127.0.0.1:9092\n  isolation.level: read_uncommitted",
        "4:3: kafka[isolation.level]: is the tool's own: nothing is lost or doubled because of it; take it out",
    ),
    ("127.0.0.1:9092", "127.0.0.1:9092\n  ssl: {a: b}", "4:8: kafka.ssl: must be one value, not a list or a mapping"),
    ("partitions: 3", "partitions: many", "4:22: topics.partitions: must be a whole number, not 'many'"),
    ("partitions: 3", "partitions: 0", "4:22: topics.partitions: must be at least 1, not '0'"),
    ("partitions: 3", "replication_factor: 40000", "4:30: topics.replication_factor: must be at most 32767, not '40000'"),
    ("7d", "7", "4:36: topics.retention: must be a number with a unit s, m, h, d or w, as in 7d, or `forever`, not '7'"),
    (
        "retention: 7d",
        "max_message_bytes: big",
        "4:44: topics.max_message_bytes: must be a number of bytes, or one with a unit KiB, MiB, GiB, KB, MB or GB,"
        " as in 64MiB, not 'big'",
    ),
    ("{partitions: 3, retention: 7d}", "[]", "4:9: topics: must be a mapping, as in {key: value}"),
    ("host: db2", "host: ''", "10:19: sides.west.mysql.host: must not be empty"),
    ("host: db2", "host: db2, port: 70000", "10:30: sides.west.mysql.port: must be at most 65535, not '70000'"),
    (
        "host: db2",
        "host: db2, ssl: {mode: verifyca}",
        "10:36: sides.west.mysql.ssl.mode: must be one of disabled, preferred, required, verify_ca, verify_identity,"
        " not 'verifyca' (did you mean `verify_ca`?)",
    ),
    ("host: db2", "host: db2, ssl: {cert: a.pem}", "10:36: sides.west.mysql.ssl.cert: there is no file {folder}/a.pem"),
    # secrets
    (
        '"${env:WEST}"',
        "hunter2",
        "10:48: sides.west.mysql.password: a literal is refused for db2; use ${env:NAME} or ${file:/path};"
        " only loopback hosts may have a literal",
    ),
    ("${env:WEST}", "${env:NOWHERE}", "10:48: sides.west.mysql.password: environment variable NOWHERE is not set"),
    ("${env:WEST}", "${file:gone}", "10:48: sides.west.mysql.password: cannot read gone: No such file or directory"),
    (
        "${env:WEST}",
        "${WEST}",
        "10:48: sides.west.mysql.password: ${WEST} is no reference: only ${env:NAME} and ${file:/path} are known;"
        " $${ stands for a literal ${",
    ),
    # sides
    ("  west:\n", "  schemas:\n", "9:3: sides.schemas: is a name of the tool's own topics; use another one"),
    ("priority: 2", "priority: 1", "11:15: sides.west.priority: is 1 as for east; each side needs its own, 1 being the arbiter"),
    ("priority: 2", "priority: 0", "11:15: sides.west.priority: must be at least 1, not '0'"),
    (
        "host: db2",
        "host: DB1, port: 3306",
        "10:19: sides.west.mysql.host: db1:3306 is the server of east too; each side needs its own",
    ),
    (
        "priority: 2",
        "priority: 2\n  we: {mysql: {host: db3, user: u, password: ''}}",
        "5:1: sides: exactly two sides are allowed for now; this has 3: east, west, we",
    ),
    # directions
    ("to: west", "to: wset", "14:9: directions[0].to: there is no side wset; allowed are east, west (did you mean `west`?)"),
    ("to: west", "to: east", "14:9: directions[0].to: is east as `from` is; a direction joins two sides"),
    (
        "  - from: west\n    to: east",
        "  - from: east\n    to: west",
        "16:5: directions[1]: east to west is directions[0] already; put all objects there",
    ),
    ("objects: [shop]\n  -", "objects: []\n  -", "15:14: directions[0].objects: must not be empty"),
    ("objects: [shop]\n  -", "objects: shop\n  -", "15:14: directions[0].objects: must be a list, as in [a, b]"),
    (
        "objects: [shop]\n  -",
        "objects: [shop, a.b.c]\n  -",
        "15:21: directions[0].objects[1]: too many dots; a name that contains one is put in backticks, as in `my.db`.`t`",
    ),
    (
        "objects: [shop]\n  -",
        "objects:\n    - mysql\n  -",
        "16:7: directions[0].objects[0]: mysql is never replicated, being of one server; take the entry out",
    ),
    (
        "objects: [shop]\n  -",
        "objects: [shop, bisync]\n  -",
        "15:21: directions[0].objects[1]: bisync is never replicated, being of one server; take the entry out",
    ),
    (
        "objects: [shop]\n  -",
        'objects: [shop, "!shop"]\n  -',
        "15:5: directions[0].objects: no table is left beside what `!` takes out",
    ),
    (
        "objects: [shop]\n  -",
        "objects: [shop, !x]\n  -",
        "15:21: the file: `!` begins a YAML tag here; put the value in quotes",
    ),
    ("to: west", "to: west\n    ddl: maybe", "15:10: directions[0].ddl: must be true or false, not 'maybe'"),
    (
        "to: west",
        "to: west\n    dml: [upsert]",
        "15:11: directions[0].dml[0]: must be one of insert, update, delete, not 'upsert' (did you mean `insert`?)",
    ),
    ("to: west", "to: west\n    initialize: data", "15:17: directions[0].initialize: must be a list, as in [a, b]"),
    (
        "to: west",
        "to: west\n    deletes: loose",
        "15:14: directions[0].deletes: must be one of win, lose, not 'loose' (did you mean `lose`?)",
    ),
    (
        "to: west",
        "to: west\n    on_conflict: newst",
        "15:18: directions[0].on_conflict: must be one of task_failed, ignore, overwrite, site_priority, newest, merge,"
        " not 'newst' (did you mean `newest`?)",
    ),
    (
        "to: west",
        "to: west\n    tables: {shop.a: {version: at}}",
        "15:23: directions[0].tables[shop.a].version: unknown key; allowed are on_conflict, deletes, dml, version_column,"
        " delta_columns (did you mean `version_column`?)",
    ),
    (
        "to: west",
        "to: west\n    tables: {shop.a: }",
        "15:14: directions[0].tables[shop.a]: must be a mapping, as in {key: value}",
    ),
    (
        "to: west",
        'to: west\n    tables: {"!shop.a": {dml: []}}',
        "15:14: directions[0].tables[!shop.a]: `!` takes out objects; settings are given by a name or a glob without it",
    ),
    (
        "to: west",
        "to: west\n    tables: {shop.a: {version_column: n, delta_columns: [n]}}",
        "15:22: directions[0].tables[shop.a]: version_column must not be one of delta_columns: versions do not add up",
    ),
]


@pytest.mark.parametrize(("old", "new", "problem"), MISTAKES)
def test_mistake(old: str, new: str, problem: str, tmp_path: Path) -> None:
    """Each mistake is the only problem or among them, with its line, column, key, and what is allowed."""
    assert old in VALID
    assert problem.replace("{folder}", str(tmp_path)) in problems(VALID.replace(old, new, 1))


@pytest.mark.parametrize(("old", "new", "problem"), [mistake for mistake in MISTAKES if mistake[1] != "nam: shop"])
def test_no_mistake_is_told_twice(old: str, new: str, problem: str) -> None:
    """One mistake gives one line; no second one follows from the first."""
    found = problems(VALID.replace(old, new, 1))
    renamed = "  schemas:" in new  # directions that name the side by its old name are mistakes of their own
    assert len(found) == (3 if renamed else 1), found


def test_sides_differ_in_more_than_case() -> None:
    """Names that a variable, or a server that folds case, could not tell apart are refused."""
    assert problems(VALID.replace("west", "East").replace("to: East", "to: east").replace("from: East", "from: east")) == [
        "9:3: sides.East: differs from east only in case or in - against _",
        "14:9: directions[0].to: is east as `from` is; a direction joins two sides",
        "17:9: directions[1].to: is east as `from` is; a direction joins two sides",
    ]


def test_all_mistakes_at_once_in_the_order_of_the_file() -> None:
    """Mistakes of YAML, of values, between parts and of the environment come together; none hides another."""
    text = (
        VALID.replace("name: shop", "name: a.b\nname: c")
        .replace("${env:EAST}", "${env:NOWHERE}")
        .replace("host: db2", "host: db1, port: x")
        .replace("to: west", "to: wset")
        .replace("objects: [shop]\n  -", "objects: [a.b.c, 'a b']\n    on_conflict: newst\n  -")
    )
    assert problems(text, {"BISYNC_NMAE": "x"}) == [
        "1:7: name: must be 1 to 32 of A-Z a-z 0-9 _ -, and begin with a letter or digit, not 'a.b'",
        "2:1: name: is there twice, first in line 1",
        "8:48: sides.east.mysql.password: environment variable NOWHERE is not set",
        "11:30: sides.west.mysql.port: must be a whole number, not 'x'",
        "15:9: directions[0].to: there is no side wset; allowed are east, west (did you mean `west`?)",
        "16:15: directions[0].objects[0]: too many dots; a name that contains one is put in backticks, as in `my.db`.`t`",
        "16:22: directions[0].objects[1]: ' ' at character 2 is not allowed there; allowed are letters, digits, _ $ -,"
        " the wildcards * and ?, and any name put whole in backticks, as in `my.db`.`my table`",
        "17:18: directions[0].on_conflict: must be one of task_failed, ignore, overwrite, site_priority, newest, merge,"
        " not 'newst' (did you mean `newest`?)",
        "BISYNC_NMAE: nmae: unknown key; allowed are name, kafka, topics, conflicts, verify, initialization, control_schema,"
        " sides, directions"
        " (did you mean `name`?)",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1: the file: must be a mapping, as in {key: value}"),
        ("- a", "1:1: the file: must be a mapping, as in {key: value}"),
        ("a: [1,\n", "2:1: the file: not valid YAML: while parsing a flow node, expected the node content"),
        ("a: b: c", "1:5: the file: not valid YAML: mapping values are not allowed here"),
        ("a: *.x", "1:4: the file: not valid YAML: found undefined alias '.x'; put a value that begins with * in quotes"),
        ("a: 1\n---\nb: 2", "2:1: the file: not valid YAML: expected a single document in the stream"),
        ("a: \x07", "1:1: the file: not valid YAML: "),
    ],
)
def test_not_a_topology_at_all(text: str, problem: str) -> None:
    """Broken YAML is one problem with its position."""
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith(problem)


def test_missing_file_is_a_usage_error() -> None:
    """A file that is not there is said so, with what to do, and exits 2."""
    with pytest.raises(
        TopologyError, match=r"topology\.yaml: cannot be read: No such file or directory; -f FILE names"
    ) as caught:
        load(Path("topology.yaml"), {})
    assert exit_code(caught.value) == 2


def test_file_in_another_encoding() -> None:
    """A file that is not UTF-8 is refused, not guessed at."""
    Path("topology.yaml").write_bytes("name: Zürich".encode("latin1"))
    with pytest.raises(TopologyError, match=r"topology\.yaml:1:1: the file is not UTF-8 text"):
        load(Path("topology.yaml"), {})


def test_the_path_is_printed_as_it_was_given() -> None:
    """A position can be clicked on: it begins with the path that the user gave."""
    path = Path("conf/east.yaml")
    path.parent.mkdir()
    path.write_text("name: [", "utf-8")
    with pytest.raises(TopologyError, match=r"^conf/east\.yaml:1:8: "):
        load(path, {})


def test_nothing_secret_is_repeated() -> None:
    """Neither an error nor the loaded object shows a password, or what a reference brought in, or a Kafka property."""
    text = VALID.replace("host: db2", "host: db2, port: '${env:EAST}'").replace("name: shop", "name: '${env:WEST}!'")
    text = text.replace("127.0.0.1:9092", "127.0.0.1:9092\n  sasl.password: hunter-kafka\n  ssl.key.password: [hunter-key]")
    text = text.replace('"${env:WEST}"', "[hunter-list]")
    assert "hunter" not in "".join(problems(text))
    loaded = read(VALID.replace("127.0.0.1:9092", "127.0.0.1:9092\n  sasl.password: hunter-kafka"))
    assert "hunter" not in repr(loaded) + str(loaded)
    assert loaded.kafka["sasl.password"] == "hunter-kafka"


def test_references_are_filled_in_anywhere() -> None:
    """Variables and files can stand anywhere in a value, files beside topology.yaml, and `$${` is a literal."""
    Path("secret").write_text("s3cret\n", "utf-8")
    topology = read(
        VALID.replace("name: shop", 'name: "shop-${env:STAGE}"')
        .replace("${env:EAST}", "a${file:secret}-$${env:X}-${env:EAST}")
        .replace("127.0.0.1:9092", "${env:BROKER}:9092"),
        {"STAGE": "test", "BROKER": "k1"},
    )
    assert topology.name == "shop-test"
    assert topology.kafka == {"bootstrap.servers": "k1:9092"}
    assert topology.sides["east"].mysql.password.get_secret_value() == "as3cret-${env:X}-hunter-east"


def test_an_absolute_secret_file(tmp_path: Path) -> None:
    """A mounted secret is read as it is but for the newline at its end."""
    (tmp_path / "run").write_text(" a\nb\r\n", "utf-8")
    topology = read(VALID.replace("${env:EAST}", f"${{file:{tmp_path}/run}}"))
    assert topology.sides["east"].mysql.password.get_secret_value() == " a\nb"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_a_literal_password_is_allowed_on_this_machine(host: str) -> None:
    """Loopback hosts may have a literal password, which needs no quotes whatever it looks like."""
    topology = read(VALID.replace("host: db2", f"host: '{host}'").replace('"${env:WEST}"', "0123"))
    assert topology.sides["west"].mysql.password.get_secret_value() == "0123"


def test_values_stay_as_written() -> None:
    """`no` is a name and Kafka's properties keep their text: YAML's types change nothing."""
    topology = read(VALID.replace("shop", "no").replace("127.0.0.1:9092", "a:1\n  x: true\n  y: 0.10\n  z: 1e3"))
    assert topology.name == "no"
    assert topology.directions[0].objects == ("no",)
    assert topology.kafka == {"bootstrap.servers": "a:1", "x": "true", "y": "0.10", "z": "1e3"}


def test_json_is_yaml() -> None:
    """The same file as JSON, also indented with tabs, loads; null is the default."""
    text = """{
\t"name": "shop", "kafka": {"bootstrap.servers": "k:9092"}, "topics": null,
\t"sides": {
\t\t"east": {"mysql": {"host": "localhost", "port": 3306, "user": "u", "password": "p"}, "priority": 1},
\t\t"west": {"mysql": {"host": "localhost", "port": 3307, "user": "u", "password": "p"}, "priority": 2}},
\t"directions": [{"from": "east", "to": "west", "objects": ["log.*"], "ddl": true}]
}"""
    topology = read(text)
    assert topology.directions[0].ddl
    assert topology.topics.partitions == 3


def test_anchors_and_merges() -> None:
    """Settings shared by both directions can be written once; what a merge brings gives way without being a duplicate."""
    topology = read(
        VALID.replace(
            "to: west\n    objects: [shop]", "to: west\n    <<: &same {objects: [shop], on_conflict: site_priority}"
        ).replace("to: east\n    objects: [shop]", "to: east\n    objects: [shop, crm]\n    <<: [*same]")
    )
    assert [direction.on_conflict for direction in topology.directions] == ["site_priority", "site_priority"]
    assert topology.directions[1].objects == ("shop", "crm")


def test_an_alias_in_its_own_anchor_ends() -> None:
    """A YAML structure without end is refused."""
    assert any("is nested too deeply" in problem for problem in problems(VALID.replace("name: shop", "name: &x [*x]")))
    assert "16:5: directions[1].objects: is required" not in problems(VALID.replace("name: shop", "name: &x {<<: *x}"))


def test_the_example_is_valid() -> None:
    """The topology.yaml that ships is right, and no other mistake hides behind its variables."""
    example = Path(__file__).parents[2] / "topology.yaml"
    topology = load(example, {"EAST_PASSWORD": "a", "WEST_PASSWORD": "b"})
    assert topology.arbiter == "east"
    assert topology.directions[0].tables["shop.stock"].delta_columns == ("qty",)
