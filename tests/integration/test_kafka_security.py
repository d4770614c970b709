"""Kafka with accounts, certificates and ACLs: exactly what docs/operations.md asks for is enough, and less is said."""

import pytest
from confluent_kafka.admin import AclOperation, ResourcePatternType, ResourceType
from secured import Grant, SecuredBroker
from topologies import World

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
