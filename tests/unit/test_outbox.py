"""Between capture and the Kafka client: how much may wait, and that a full client lets no event overtake another."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from bisync_topology.errors import Unreachable
from producers.outbox import Unconfirmed, _not_queued

FULL, TOO_LARGE = KafkaError(KafkaError._QUEUE_FULL), KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)


def messages(*errors: KafkaError | None) -> list[dict[str, Any]]:
    """Messages as `produce_batch` leaves them."""
    return [{"value": n} | ({} if error is None else {"_error": error}) for n, error in enumerate(errors)]


def test_what_found_no_room_is_sent_again() -> None:
    """Those at the end of a batch, in their order, without the error."""
    assert _not_queued(messages(None, None, FULL, FULL)) == [{"value": 2}, {"value": 3}]
    assert _not_queued(messages(None, None)) == []


def test_an_event_that_would_overtake_is_noticed() -> None:
    """The client had room again for a later one: sent once more, the earlier one would lie behind it."""
    with pytest.raises(Unreachable, match="overtaken"):
        _not_queued(messages(None, FULL, None))


def test_a_refusal_is_an_error() -> None:
    """What will be refused again is not repeated."""
    with pytest.raises(KafkaException):
        _not_queued(messages(None, TOO_LARGE))


def test_what_is_unconfirmed() -> None:
    """A flush is confirmed once no more events wait than those behind it have."""
    unconfirmed = Unconfirmed()
    for events, size in ((10, 1000), (1, 5000), (20, 200)):
        unconfirmed.add(events, size)
    unconfirmed.leave(31)
    assert (unconfirmed.events, unconfirmed.size) == (31, 6200)
    unconfirmed.leave(22)
    assert (unconfirmed.events, unconfirmed.size) == (31, 6200)
    unconfirmed.leave(21)
    assert (unconfirmed.events, unconfirmed.size) == (21, 5200)
    unconfirmed.leave(3)
    assert (unconfirmed.events, unconfirmed.size) == (20, 200)
    unconfirmed.leave(0)
    assert (unconfirmed.events, unconfirmed.size) == (0, 0)
