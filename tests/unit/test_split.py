"""Whatever does not fit, and whatever a look says of it: each row of a batch is done once, in order."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from consumers.split import Span, apply_split, cut

NUMBER = st.integers(1, 40)


class Target:
    """A target on which some rows do not fit, and some pairs of neighbours do not go together in one batch."""

    def __init__(self, bad: set[int], apart: set[int], seen: Callable[[int], bool]) -> None:
        self.bad, self.apart, self.seen = bad, apart, seen
        self.done: list[int] = []
        self.alone: list[int] = []
        self.batches: list[Span] = []
        self.looks: list[Span] = []

    def batch(self, start: int, end: int) -> bool:
        """A guarded batch."""
        self.batches.append(Span(start, end))
        rows = range(start, end)
        if self.bad & set(rows) or self.apart & set(rows[:-1]):
            return False
        self.done += rows
        return True

    def misfits(self, start: int, end: int) -> set[int]:
        """A look: it may miss some that do not fit, and name some that do."""
        self.looks.append(Span(start, end))
        return {n for n in range(start, end) if self.seen(n)}

    def one(self, n: int) -> None:
        """The row path."""
        self.done.append(n)
        self.alone.append(n)

    def apply(self, number: int, *, look_first: bool = False) -> bool:
        """Split a batch on it."""
        return apply_split(number, look_first=look_first, batch=self.batch, misfits=self.misfits, alone=self.one)


@given(NUMBER, st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)), st.booleans())
def test_each_row_once_and_in_order(number: int, bad: set[int], apart: set[int], said: set[int], first: bool) -> None:
    """Rows that do not fit end alone, also where the look says that they do; the look may be wrong in both ways."""
    target = Target(bad, apart, said.__contains__)
    any_alone = target.apply(number, look_first=first)
    assert target.done == list(range(number))
    assert bad & set(range(number)) <= set(target.alone)
    assert any_alone == bool(target.alone)


@given(NUMBER, st.sets(st.integers(0, 39)), st.booleans())
def test_a_look_that_is_right_costs_one_batch_a_run(number: int, bad: set[int], first: bool) -> None:
    """Exactly the misfits go alone, after one look; each run between them is one batch."""
    target = Target(bad, set(), bad.__contains__)
    target.apply(number, look_first=first)
    assert set(target.alone) == bad & set(range(number))
    whole = Span(0, number)
    runs = [span for span in cut(whole, target.alone) if not span.alone]
    tried = target.batches if target.looks and first else target.batches[1:]
    assert tried == runs or target.batches == [whole]
    assert len(target.looks) <= 1


@given(st.integers(1, 1000), st.sets(st.integers(0, 999), max_size=3))
def test_without_a_look_halves_find_them(number: int, bad: set[int]) -> None:
    """Where a look finds nothing, three rows of a thousand cost few batches, and no other row goes alone."""
    target = Target(bad, set(), lambda n: False)
    target.apply(number)
    assert set(target.alone) == bad & set(range(number))
    assert len(target.batches) <= 1 + 3 * 2 * 10


def test_a_batch_that_fits_is_tried_and_no_more() -> None:
    """Without conflicts there is no look, and no second statement."""
    target = Target(set(), set(), lambda n: True)
    assert not target.apply(1000)
    assert (target.batches, target.looks, target.alone) == ([Span(0, 1000)], [], [])
