"""The applier's reading of its own side's DDL topic, as far as no broker is needed."""

import pytest

from bisync_topology.errors import ApplyError
from bisync_topology.topology import Topology
from consumers.own_statements import OwnStatements
from schemas.framing import frame
from schemas.list_records import encode_ddl
from schemas.records import DdlEvent, TransactionRecord

VALUE = encode_ddl(DdlEvent(7, 0, "DROP TABLE t", "shop", 0, "", (255, 255, 255), ("shop.t",)))


def own_statements(side: str) -> OwnStatements:
    """Of a side of a topology that carries the statements of east."""
    mysql = {"host": "127.0.0.1", "user": "u", "password": "p", "port": 1}
    topology = Topology.model_validate(
        {
            "name": "shop",
            "kafka": {"bootstrap.servers": "127.0.0.1:1"},
            "sides": {"east": {"mysql": mysql}, "west": {"mysql": mysql | {"port": 2}}},
            "directions": [
                {"from": "east", "to": "west", "objects": ["shop"], "ddl": True},
                {"from": "west", "to": "east", "objects": ["shop"]},
            ],
        }
    )
    return OwnStatements(topology, side)


@pytest.mark.parametrize("value", [frame(3) + VALUE[5:], VALUE + b"\0"], ids=["schema", "bytes"])
def test_a_statement_of_another_version_stops_the_direction(value: bytes) -> None:
    """With where it is, not as a defect of this program."""
    with pytest.raises(ApplyError) as raised:
        own_statements("east").take([(4, value)])
    error = raised.value
    assert (error.code, error.where.topic, error.where.offset) == ("undecodable", "shop.east", 4)
    assert error.hint == "run producers and appliers of one version"


def transaction(sequence: int) -> TransactionRecord:
    """One of the other side."""
    return TransactionRecord(
        sequence=sequence, piece=0, last=True, kind="rows", stream="s", gtid="u:1", committed_at=0, origin=None,
        origin_sequence=0, origin_transactions=0, seen=0, fk_checks=True, barrier=0, events=(),
    )  # fmt: skip


def test_how_long_a_transaction_has_waited() -> None:
    """It is one clock over all its repeats, also in pieces; another transaction, or this one after `resume`, has its own."""
    own = own_statements("east")
    assert own.waited(transaction(7)) == 0
    assert own.waited(transaction(7)) > 0
    assert own.waited(transaction(8)) == 0
    assert own.waited(transaction(8)) > 0
    own.give_up()
    assert own.waited(transaction(8)) == 0


def test_statements_that_are_not_carried_are_not_read() -> None:
    """That they are new is all that is of interest, and no row says that it knows of them; those that come again are not new."""
    own = own_statements("west")
    assert own.take([(4, VALUE), (6, b"")])
    assert own.offset == 7
    assert not own.take([(5, VALUE), (6, b"")])
    assert own.history.fate(("shop", "t"), own.history.known_at(0)).name == ("shop", "t")
