"""Topics that cannot be created, or are not known yet: what passes by itself, and what a person has to mend."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from bisync_topology.errors import Category, CheckFailed, Unreachable, classify
from bisync_topology.kafka import create_topics, rule_of
from bisync_topology.kafka_records import end_offsets
from bisync_topology.topology import Topology


class Broker:
    """An admin client whose broker answers everything with the same error."""

    def __init__(self, error: int | None) -> None:
        self._error = error

    def create_topics(self, topics: list[Any], **_: object) -> Mapping[str, "Future[None]"]:
        """Futures, as confluent_kafka gives them."""
        return {topic.topic: self._answer() for topic in topics}

    def list_offsets(self, partitions: Mapping[TopicPartition, Any], **_: object) -> Mapping[TopicPartition, "Future[None]"]:
        """The same."""
        return {partition: self._answer() for partition in partitions}

    def _answer(self) -> "Future[None]":
        answer = Future[None]()
        if self._error is None:
            answer.set_result(None)
        else:
            answer.set_exception(KafkaException(KafkaError(self._error, "words of the broker")))
        return answer


TOPOLOGY = Topology.model_validate(
    {
        "name": "shop",
        "kafka": {"bootstrap.servers": "127.0.0.1:9092"},
        "sides": {side: {"mysql": {"host": "127.0.0.1", "user": "bisync", "password": "x"}} for side in ("east", "west")},
        "directions": [{"from": "east", "to": "west", "objects": ["shop"]}],
    }
)


@pytest.mark.parametrize(
    "error",
    [
        KafkaError._TRANSPORT,
        KafkaError._TIMED_OUT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NOT_CONTROLLER,
        KafkaError.THROTTLING_QUOTA_EXCEEDED,
        KafkaError.INVALID_REPLICATION_FACTOR,  # what a broker that is stopping says, and a cluster of which too few are up
    ],
)
def test_what_passes_is_waited_for(error: int) -> None:
    """A broker that goes away while a topic is made is an outage like any other: the process must not fail its direction."""
    with pytest.raises(Unreachable, match=r"shop\.east\.t cannot be created") as caught:
        create_topics(Broker(error), TOPOLOGY, {"shop.east.t": (1, {})})  # type: ignore[arg-type]
    assert classify(caught.value) is Category.RECONNECT
    assert caught.value.hint


@pytest.mark.parametrize("error", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.INVALID_CONFIG, KafkaError.POLICY_VIOLATION])
def test_what_the_broker_refuses_stops(error: int) -> None:
    """A refusal is for a person to mend, with the topic in the message."""
    with pytest.raises(CheckFailed, match=r"shop\.east\.t cannot be created"):
        create_topics(Broker(error), TOPOLOGY, {"shop.east.t": (1, {})})  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [None, KafkaError.TOPIC_ALREADY_EXISTS])
def test_what_is_there_is_fine(error: int | None) -> None:
    """Another process may have made it in between."""
    create_topics(Broker(error), TOPOLOGY, {"shop.east.t": (1, {})})  # type: ignore[arg-type]


def test_a_topic_that_was_just_made_is_waited_for() -> None:
    """Its creation is answered before every broker knows it: who asks for its end then has not lost it."""
    with pytest.raises(Unreachable, match=r"does not know topic shop\.checkpoints yet") as caught:
        end_offsets(Broker(KafkaError.UNKNOWN_TOPIC_OR_PART), [("shop.checkpoints", 0)])  # type: ignore[arg-type]
    assert classify(caught.value) is Category.RECONNECT


def test_an_end_that_is_not_known_yet_is_waited_for() -> None:
    """A leader that has just been chosen may not know the end of what all copies have."""
    with pytest.raises(KafkaException) as caught:
        end_offsets(Broker(KafkaError.OFFSET_NOT_AVAILABLE), [("shop.checkpoints", 0)])  # type: ignore[arg-type]
    assert rule_of(caught.value).category is Category.RECONNECT
