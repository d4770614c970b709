"""The models of topology.yaml by themselves."""

from typing import Any

import pydantic
import pytest

from bisync_topology.errors import UsageError
from bisync_topology.topology import Deletes, Dml, Policy, SslMode, TopicSettings, Topology


def topology(**more: Any) -> Topology:
    """Build the smallest topology, with some keys set."""
    sides = {name: {"mysql": {"host": name, "user": "u", "password": "p"}} for name in ("east", "west")}
    directions = [{"from": "east", "to": "west", "objects": ["a"]}, {"from": "west", "to": "east", "objects": ["a"]}]
    values = {"name": "shop", "kafka": {"bootstrap.servers": "k"}, "sides": sides, "directions": directions}
    return Topology.model_validate(values | more)


def test_defaults() -> None:
    """What may be left out has the documented default."""
    smallest = topology()
    mysql, direction = smallest.sides["east"].mysql, smallest.directions[0]
    assert smallest.control_schema == "bisync"
    assert smallest.topics == TopicSettings.model_validate({"partitions": 3, "retention": "7d", "max_message_bytes": "64MiB"})
    assert smallest.topics.replication_factor == -1
    assert smallest.conflicts.retention_ms == 90 * 86_400_000
    assert (mysql.port, mysql.ssl.mode) == (3306, SslMode.PREFERRED)
    assert (direction.ddl, direction.dml, direction.initialize, direction.tables) == (False, tuple(Dml), (), {})
    assert (direction.on_conflict, direction.deletes) == (Policy.TASK_FAILED, Deletes.WIN)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("90s", 90_000), ("30m", 1_800_000), ("12h", 43_200_000), ("7d", 604_800_000), ("2w", 1_209_600_000), ("forever", -1)],
)
def test_retention(text: str, milliseconds: int) -> None:
    """Retention is written with a unit and kept in Kafka's milliseconds, of topics and of conflicts."""
    assert TopicSettings.model_validate({"retention": text}).retention_ms == milliseconds
    assert topology(conflicts={"retention": text}).conflicts.retention_ms == milliseconds


@pytest.mark.parametrize("text", ["7", "d", "-1d", "1.5d", "7 days", "0d", "7D", ""])
def test_retention_without_a_clear_unit_is_refused(text: str) -> None:
    """A number alone could be seconds or milliseconds: it is not guessed."""
    with pytest.raises(pydantic.ValidationError, match="must be a number with a unit"):
        TopicSettings.model_validate({"retention": text})


@pytest.mark.parametrize(
    ("text", "size"),
    [("64MiB", 67_108_864), ("1GB", 10**9), ("1000", 1000), ("512 kib", 524_288), ("2000B", 2000), ("2KB", 2000)],
)
def test_sizes(text: str, size: int) -> None:
    """Sizes are bytes, with binary and decimal units."""
    assert TopicSettings.model_validate({"max_message_bytes": text}).max_message_bytes == size


@pytest.mark.parametrize("text", ["2GiB", "999", "1TiB", "-1", "1.5MiB"])
def test_sizes_that_no_broker_takes_are_refused(text: str) -> None:
    """Kafka's client takes between 1,000 and 10^9 bytes."""
    with pytest.raises(pydantic.ValidationError):
        TopicSettings.model_validate({"max_message_bytes": text})


def test_directions_by_their_ends() -> None:
    """Directions and sides are found by name, and a wrong name is the user's mistake."""
    both = topology()
    assert both.direction("west", "east") is both.directions[1]
    assert both.directions_into("west") == (both.directions[0],)
    assert both.directions_from("west") == (both.directions[1],)
    assert both.other("east") == "west"
    with pytest.raises(UsageError, match="no direction east to north; there are: east to west, west to east"):
        both.direction("east", "north")
    with pytest.raises(UsageError, match="no side north; there are: east, west"):
        both.other("north")


def test_models_are_frozen() -> None:
    """A loaded topology does not change under those who read it."""
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        topology().name = "x"


def test_an_unpaired_certificate_is_refused() -> None:
    """A client certificate without its key cannot be used."""
    side = {"mysql": {"host": "h", "user": "u", "password": "p", "ssl": {"cert": "a.pem"}}}
    with pytest.raises(pydantic.ValidationError, match="cert and key go together"):
        topology(sides={"east": side, "west": side})


def test_convergent_policies() -> None:
    """Exactly the three policies with an arbiter converge."""
    assert [policy.value for policy in Policy if policy.converges] == ["site_priority", "newest", "merge"]
