"""Topics that cannot be created: which errors pass by themselves, and which a person has to mend."""

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bisync_topology.errors import Category, CheckFailed, Unreachable, classify
from bisync_topology.kafka import create_topics
from bisync_topology.topology import Topology


class Broker:
    """An admin client whose broker answers every creation with the same error."""

    def __init__(self, error: int | None) -> None:
        self._error = error

    def create_topics(self, topics: list[Any], **_: object) -> Mapping[str, "Future[None]"]:
        """Futures, as confluent_kafka gives them."""
        answers = {}
        for topic in topics:
            answer = answers[topic.topic] = Future[None]()
            if self._error is None:
                answer.set_result(None)
            else:
                answer.set_exception(KafkaException(KafkaError(self._error, "words of the broker")))
        return answers


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
