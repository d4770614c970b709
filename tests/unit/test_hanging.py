"""Which of a producer's transactions that the broker left open were committed: decided without one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisync_topology.errors import CaptureError
from producers.hanging import Hanging, to_commit

A, B, C = ("x.east.a", 0), ("x.east.b", 2), ("x.schemas", 0)


def hanging(*sequences: int | None) -> Hanging:
    """What hangs in a partition, its records' sequences in order."""
    found = Hanging()
    for sequence in sequences:
        found.add(sequence)
    return found


def test_up_to_the_checkpoint_it_was_committed() -> None:
    """The checkpoint is part of every commit: what it includes was committed, what goes beyond it was not."""
    found = {A: hanging(4, 5), B: hanging(6)}
    assert to_commit("east", "west", found, 5) == {A}
    assert to_commit("east", "west", found, 6) == {A, B}
    assert to_commit("east", "west", found, 3) == set()


def test_records_without_a_sequence_are_true_in_any_case() -> None:
    """A schema is what its number says; a topic's id likewise. They may stand even where their transaction does not."""
    assert to_commit("east", "west", {C: hanging(None, None), A: hanging(None, 7)}, 6) == {C}


def test_one_partition_in_two_ways_is_refused() -> None:
    """A marker ends all that hangs in a partition: where that is both committed and not, it is for a person to decide."""
    with pytest.raises(CaptureError) as caught:
        to_commit("east", "west", {A: hanging(5, 6, 7)}, 6)
    assert caught.value.code == "transaction_torn"
    assert "init --reset east west" in str(caught.value)


@given(st.dictionaries(st.tuples(st.text(), st.integers(0, 9)), st.integers(1, 50), max_size=8), st.integers(0, 50))
def test_every_partition_is_ended_by_its_own_sequence(sequences: dict[tuple[str, int], int], decided: int) -> None:
    """Each partition is decided by what hangs in it, whatever the others hold."""
    found = {partition: hanging(sequence) for partition, sequence in sequences.items()}
    expected = {partition for partition, sequence in sequences.items() if sequence <= decided}
    assert to_commit("east", "west", found, decided) == expected
