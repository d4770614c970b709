"""Kafka with accounts, certificates and ACLs: exactly what docs/operations.md asks for is enough, and less is said."""

import os
import signal
from collections.abc import Iterable, Mapping

import pytest
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType
from secured import Grant, SecuredBroker
from topologies import World, eventually

from bisync_topology import operate
from bisync_topology.errors import CheckFailed
from bisync_topology.kafka import admin, check_access
from bisync_topology.kafka_access import CREATE, Access, applier_access, producer_access, reader_access
from bisync_topology.topology_file import load
from schemas.topics import transactions_topic

pytestmark = pytest.mark.servers
QUICK = {"BISYNC_TEST_START_SECONDS": "2"}
CANARY = "canary-9d1f-of-the-tests"


def needed(world: World) -> list[Grant]:
    """The ACLs that docs/operations.md lists."""
    name, read, write = world.name, AclOperation.READ, AclOperation.WRITE
    describe, create, literal = AclOperation.DESCRIBE, AclOperation.CREATE, ResourcePatternType.LITERAL
    groups = [f"{name}.reader", *(f"{name}.{side}.applier" for side in world.sides)]
    return [
        (ResourceType.TOPIC, f"{name}.", ResourcePatternType.PREFIXED, (read, write, create, describe)),
        *((ResourceType.GROUP, group, literal, (read,)) for group in groups),
        *((ResourceType.TRANSACTIONAL_ID, f"{name}.{side}.producer", literal, (write, describe)) for side in world.sides),
    ]


def carried(world: World) -> None:
    """A change each way, and what `status` and the logs say of it."""
    world.exchange()
    assert CANARY not in world.run("status", "-o", "json") + world.run("precheck", expect=None) + world.said()


def test_with_an_account(world: World, secured: SecuredBroker) -> None:
    """SASL_SSL with SCRAM: refused with a wrong password, then without ACLs, and let in with them. No secret is said."""
    secured.add_user("bisync", CANARY)
    secured.grant("User:bisync", [])
    world.topology["kafka"] = dict(secured.by_password("bisync", "wrong"))
    said = world.run("up", expect=2, **QUICK)
    assert "Kafka" in said and "sasl.*" in said and "Traceback" not in said, said
    world.topology["kafka"] = dict(secured.by_password("bisync", CANARY))
    said = world.run("up", expect=1, **QUICK)
    assert "AUTHORIZATION_FAILED" in said and "grant the Kafka principal" in said and "Traceback" not in said, said
    secured.grant("User:bisync", needed(world))
    carried(world)


def test_with_a_certificate(world: World, secured: SecuredBroker) -> None:
    """Mutual TLS: the certificate's name is the principal. Without one of this authority nobody is let in."""
    settings = dict(secured.by_certificate("bisync-client"))
    secured.grant("User:CN=bisync-client", needed(world))
    world.topology["kafka"] = {name: value for name, value in settings.items() if "certificate" not in name and "key" not in name}
    said = world.run("up", expect=None, **QUICK)
    assert "Kafka" in said and "Traceback" not in said, said
    world.topology["kafka"] = settings
    carried(world)


PROCESSES = ("producer east", "producer west", "applier east", "applier west")


def needs(world: World) -> dict[str, list[Access]]:
    """What each process needs, and `operator`, who gives commands."""
    topology = load(world.file, {})
    needed = {f"producer {side}": producer_access(topology, side) for side in world.sides}
    needed |= {f"applier {side}": applier_access(topology, side) for side in world.sides}
    return {**needed, "operator": reader_access(topology)}


def grants(accesses: Iterable[Access]) -> list[Grant]:
    """Them as the broker takes them."""
    patterns = {True: ResourcePatternType.PREFIXED, False: ResourcePatternType.LITERAL}
    return [
        (ResourceType[a.kind.upper().replace("-", "_")], a.name, patterns[a.prefixed], (AclOperation[a.operation.upper()],))
        for a in accesses
    ]


def as_environ(kafka: Mapping[str, str]) -> dict[str, str]:
    """What differs between principals, as the environment of a process."""
    return {f"BISYNC_KAFKA__{name.upper().replace('.', '_')}": value for name, value in kafka.items()}


def running(world: World, *names: str) -> None:
    """Wait until these processes run."""

    def all_run() -> bool:
        states = {each["name"]: each["state"] for each in world.status()["processes"]}
        return all(states[name] == "running" for name in names)

    eventually(all_run, world.said)


def both_ways(world: World, table: str) -> None:
    """A change each way arrives."""
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    world.sql("west", f"INSERT INTO {table} VALUES (2, 2)")
    world.run("wait")
    assert world.sql("east", f"SELECT COUNT(*) FROM {table}") == world.sql("west", f"SELECT COUNT(*) FROM {table}") == ((2,),)


def test_each_process_under_its_own_certificate(world: World, secured: SecuredBroker) -> None:
    """Mutual TLS, a principal a process, each with exactly the ACLs of docs/operations.md, topics made by the producers."""
    table = world.table()
    settings = {name: secured.by_certificate(f"{world.name}-{name.replace(' ', '-')}") for name in (*PROCESSES, "operator")}
    world.topology["kafka"] = dict(settings["operator"])
    for name, accesses in needs(world).items():
        secured.grant(f"User:CN={world.name}-{name.replace(' ', '-')}", grants(accesses))
    for name in PROCESSES:
        world.start(*name.split(), **as_environ(settings[name]))
    running(world, *PROCESSES)
    both_ways(world, table)
    world.run("precheck")


def test_one_acl_less(world: World, secured: SecuredBroker) -> None:
    """SCRAM, a principal a process. Each ACL that producer or applier lacks stops its direction at once, and is named with the
    command that grants it; with all of them, and no other, changes flow, and commands work.
    """
    table, needed = world.table(), needs(world)
    users = {name: f"{world.name}-{name.replace(' ', '-')}" for name in (*PROCESSES, "operator")}
    settings = {name: secured.by_password(user, f"{CANARY}-{user}") for name, user in users.items()}
    world.topology["kafka"] = dict(settings["operator"])
    topology = load(world.file, {})
    for name, user in users.items():
        secured.add_user(user, f"{CANARY}-{user}")
        secured.grant(f"User:{user}", grants(needed[name]))

    def denied(name: str, direction: tuple[str, str], lacks: Access, told: str, *without: Access) -> None:
        """Without an ACL, and perhaps others, the direction fails and says so."""
        secured.grant(f"User:{users[name]}", grants(access for access in needed[name] if access not in (lacks, *without)))
        operate.resume(topology, *direction)
        errors = []

        def said() -> bool:
            errors[:] = [world.direction(direction[0])["error"] or {}]
            return told in errors[0].get("message", "")

        eventually(said, lambda: f"{lacks}: {errors}")
        assert errors[0]["code"] == "kafka_denied", errors
        what = f"--operation {lacks.operation} --{lacks.kind} "
        assert what in errors[0]["hint"] and f"'User:{users[name]}'" in errors[0]["hint"], errors

    producer, applier = ("producer east", ("east", "west")), ("applier east", ("west", "east"))
    for name in ("producer west", "producer east"):
        secured.grant(f"User:{users[name]}", grants(a for a in needed[name] if a.operation != CREATE))
        world.start(*name.split(), **as_environ(settings[name]))
    creates = [a for a in needed["producer east"] if a.operation == CREATE]
    eventually(lambda: world.direction()["state"] == "failed", world.said)
    for n, access in enumerate(creates):  # all topics are asked for at once, and those before this one are granted
        topic = transactions_topic(world.name, "east") if access.prefixed else access.name
        denied(*producer, access, f"Create on topic {topic}", *creates[n:])
    for name in ("producer west", "producer east"):
        secured.grant(f"User:{users[name]}", grants(needed[name]))
    operate.resume(topology, "east", "west")
    operate.resume(topology, "west", "east")
    running(world, "producer east", "producer west")
    for name in ("applier east", "applier west"):
        world.start(*name.split(), **as_environ(settings[name]))
    running(world, *PROCESSES)
    both_ways(world, table)
    world.run("precheck")
    world.run("pause", "east", "west")
    world.run("resume", "east", "west")
    for name in ("producer east", "applier east"):
        stopped(world, name)
    for name, direction in (producer, applier):
        first = next(a for a in needed[name] if a.operation != CREATE)
        secured.grant(f"User:{users[name]}", grants(a for a in needed[name] if a != first))
        world.start(*name.split(), **as_environ(settings[name]))
        for access in needed[name]:
            if access.operation != CREATE:
                denied(name, direction, access, str(access))
        secured.grant(f"User:{users[name]}", grants(needed[name]))
        operate.resume(topology, *direction)
    running(world, *PROCESSES)
    world.run("wait")
    for lacks in needed["operator"]:
        secured.grant(f"User:{users['operator']}", grants(a for a in needed["operator"] if a != lacks))
        with pytest.raises(CheckFailed) as raised:
            check_access(admin(topology), topology, reader_access(topology))
        assert str(lacks) in str(raised.value)


def stopped(world: World, name: str) -> None:
    """End a process."""
    pid = next(each["pid"] for each in world.status()["processes"] if each["name"] == name)
    os.kill(pid, signal.SIGTERM)
    eventually(
        lambda: next(each["state"] for each in world.status()["processes"] if each["name"] == name) == "stopped", world.said
    )
