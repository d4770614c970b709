"""Whatever does not fit, and whatever a look says of it: each row of a batch is done once, in an order that it may be done in."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from consumers.row_identity import apart
from consumers.split import Part, apply_split, cut
from schemas.key_values import KeyPart, Keys
from schemas.tables import Column

NUMBER = st.integers(1, 40)
SOME = st.sets(st.integers(0, 39))


class Target:
    """A target on which some rows do not fit, and some pairs of neighbours do not go together in one batch."""

    def __init__(self, bad: set[int], together: set[int], seen: Callable[[int], bool], *, free: bool = False) -> None:
        self.bad, self.together, self.seen, self.free = bad, together, seen, free
        self.done: list[int] = []
        self.alone: list[int] = []
        self.batches: list[list[int]] = []
        self.looks: list[list[int]] = []

    def batch(self, rows: Sequence[int]) -> bool:
        """A guarded batch."""
        self.batches.append(list(rows))
        if self.bad & set(rows) or self.together & set(rows[:-1]):
            return False
        self.done += rows
        return True

    def misfits(self, rows: Sequence[int]) -> set[int]:
        """A look: it may miss some that do not fit, and name some that do."""
        self.looks.append(list(rows))
        return {n for n in rows if self.seen(n)}

    def apart(self, rows: Sequence[int], chosen: Sequence[int]) -> bool:
        """Whether order is of no matter."""
        assert set(chosen) <= set(rows)
        return self.free

    def one(self, rows: Sequence[int]) -> None:
        """The row path."""
        assert self.free or len(rows) == 1
        self.done += rows
        self.alone += rows

    def apply(self, number: int, *, look_first: bool = False) -> bool:
        """Split a batch on it."""
        return apply_split(
            number, look_first=look_first, batch=self.batch, misfits=self.misfits, apart=self.apart, alone=self.one
        )


@given(
    NUMBER, st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)), st.sets(st.integers(0, 39)), st.booleans(), st.booleans()
)
def test_each_row_once(number: int, bad: set[int], together: set[int], said: set[int], first: bool, free: bool) -> None:
    """Rows that do not fit end alone, also where the look says that they do; the look may be wrong in both ways.

    The order is kept where it matters.
    """
    target = Target(bad, together, said.__contains__, free=free)
    any_alone = target.apply(number, look_first=first)
    assert (sorted(target.done) if free else target.done) == list(range(number))
    assert bad & set(range(number)) <= set(target.alone)
    assert any_alone == bool(target.alone)


@given(NUMBER, st.sets(st.integers(0, 39)), st.booleans(), st.booleans())
def test_a_look_that_is_right_costs_one_batch_a_run(number: int, bad: set[int], first: bool, free: bool) -> None:
    """Exactly the misfits go alone, after one look; all that fit are one batch, or each run between them."""
    target = Target(bad, set(), bad.__contains__, free=free)
    target.apply(number, look_first=first)
    assert set(target.alone) == bad & set(range(number))
    runs = [list(part.rows) for part in cut(range(number), target.alone, target.apart) if not part.alone]
    tried = target.batches if target.looks and first else target.batches[1:]
    assert tried == runs or target.batches == [list(range(number))]
    assert len(target.looks) <= 1
    assert not free or len(runs) <= 1


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
    assert (target.batches, target.looks, target.alone) == ([list(range(1000))], [], [])


def test_misfits_that_are_apart_follow_what_fits() -> None:
    """They share no key value with any other row, so that nothing of another row is seen or missed by them."""
    assert list(cut(range(5), {1, 3}, lambda rows, chosen: True)) == [Part([0, 2, 4]), Part([1, 3], alone=True)]
    assert [part.rows for part in cut(range(5), {1, 3}, lambda rows, chosen: False)] == [[0], [1], [2], [3], [4]]


COLUMNS = [Column(name="id", kind="int", sql_type="int"), Column(name="code", kind="text", sql_type="varchar(9)")]
KEYS = Keys("t", [[KeyPart("id", None, None)], [KeyPart("code", None, "utf8mb4_0900_ai_ci")]], COLUMNS)


def test_what_is_apart() -> None:
    """No value of any unique key, before or after, is another row's too; what cannot be told is taken to be."""
    first, second, third = ((1, "a"), (1, "b")), ((2, "c"), (2, None)), ((3, "d"), (3, "d"))
    assert apart(KEYS, [first, second, third], [0, 1, 2])
    assert not apart(KEYS, [first, ((2, "c"), (2, "A")), third], [0])
    assert apart(KEYS, [first, ((2, "c"), (2, "A")), third], [2])
    assert not apart(KEYS, [first, ((2, "c"), (2, "ä")), third], [2])
    assert apart(KEYS, [first, ((2, None), (2, None)), third], [1])
    assert not apart(KEYS, [(None, (1, "é")), (None, (2, "x"))], [0])
