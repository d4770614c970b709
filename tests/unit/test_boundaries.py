"""Who may import which client: the edges alone, so that everything between them is tested without servers.

Imports are read from the source, also those inside functions; a pure module must not reach a client through another one.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bisync_topology", "producers", "consumers", "initialization", "recovery", "verification", "schemas")
CLIENTS = frozenset({"confluent_kafka", "pymysql", "pymysqlreplication"})

KAFKA_EDGE = {
    "bisync_topology.kafka",  # settings, topics, errors
    "bisync_topology.kafka_access",  # what a process is allowed to do
    "bisync_topology.precheck_kafka_facts",  # what a broker says of itself
    "bisync_topology.kafka_records",  # reading outside of the main stream
    "bisync_topology.worker",  # the last handler of a process
    "producers.outbox",
    "producers.publish",
    "producers.pipeline",
    "consumers.consume",
    "consumers.pipeline",
}
PURE = (
    "producers.rows",
    "producers.long_values",
    "producers.table_map",
    "producers.json_binary",
    "producers.json_diff",
    "producers.xa",
    "producers.events",
    "producers.gtids",
    "producers.payload",
    "producers.tagged_gtid",
    "producers.overlaps",
    "consumers.assemble",
    "consumers.conflict",
    "consumers.merging",
    "consumers.chunk_sql",
    "consumers.chunks",
    "consumers.typed_documents",
    "consumers.decision_table",
    "consumers.decision_page",
    "consumers.references",
    "consumers.statements",
    "consumers.row_identity",
    "consumers.split",
    "consumers.long_rows",
    "consumers.long_statements",
    "initialization.definitions",
    "initialization.table_text",
    "initialization.structure_plan",
    "initialization.initialized",
    "recovery.listing",
    "recovery.standing",
    "recovery.replay_plan",
    "recovery.recover_plan",
    "verification.columns",
    "verification.keys",
    "verification.suspects",
    "verification.settle",
    "verification.structure",
    "verification.report",
    "bisync_topology.ddl",
    "bisync_topology.ddl_clauses",
    "bisync_topology.ddl_edits",
    "bisync_topology.ddl_triggers",
    "bisync_topology.ddl_names",
    "bisync_topology.ddl_columns",
    "bisync_topology.dml",
    "bisync_topology.sql_tokens",
    "bisync_topology.sql_modes",
    "bisync_topology.triggers",
    "bisync_topology.precheck_version",
    "bisync_topology.scope",
    "bisync_topology.object_patterns",
)
# What pure modules may use although it knows a client: errors.py names PyMySQL's exceptions, target.py holds the target's
# types beside the queries that fill them, refresh.py what is to be sent back beside what writes it.
EXCEPTED = {"bisync_topology.errors", "consumers.target", "consumers.refresh"}


def modules() -> dict[str, Path]:
    """Every module of the project but the sandbox."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


@cache
def imported(name: str) -> frozenset[str]:
    """Every module that one names in an import, wherever that stands; `from a import b` names both a and a.b."""
    return frozenset(_imports(ast.parse(modules()[name].read_text(encoding="utf-8"))))


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def clients_of(name: str) -> set[str]:
    """The client libraries that a module itself imports."""
    return {found.split(".")[0] for found in imported(name)} & CLIENTS


def importers(client: str) -> set[str]:
    """Modules that import a client."""
    return {name for name in modules() if client in clients_of(name)}


def test_capture_alone_knows_the_replication_library() -> None:
    """Its private seam is in one file, so that a new version of it can break one file only."""
    assert importers("pymysqlreplication") == {"producers.capture"}


def test_kafka_is_known_at_its_edges_alone() -> None:
    """Everything else gets records and gives records."""
    assert importers("confluent_kafka") <= KAFKA_EDGE


@pytest.mark.parametrize("name", [*PURE, *sorted(name for name in modules() if name.startswith("schemas"))])
def test_pure_modules_reach_no_client(name: str) -> None:
    """Decoding, the wire, rules and statements are tested without a server, and stay so."""
    waiting, reached = [name], {name}
    while waiting:
        current = waiting.pop()
        assert not clients_of(current), f"{name} reaches {clients_of(current)} through {current}"
        for found in imported(current) & modules().keys() - EXCEPTED - reached:
            reached.add(found)
            waiting.append(found)


def test_producers_and_consumers_do_not_know_each_other() -> None:
    """They meet in topics and control tables; an applier reads the checkpoint's record, and nothing else of the producer."""
    for name in modules():
        other = {"producers": "consumers", "consumers": "producers"}.get(name.split(".")[0])
        found = {module for module in imported(name) & modules().keys() if module.split(".")[0] == other}
        assert found <= {"producers.checkpoint", "producers.executed"}, name


def test_the_wire_knows_nothing_of_either_end() -> None:
    """schemas/ is what both ends share: it imports nothing else of the project."""
    for name in modules():
        if name.startswith("schemas"):
            assert not {found.split(".")[0] for found in imported(name)} & (set(PACKAGES) - {"schemas"}), name
