"""The index of unseen changes: what overlaps is found, whatever is forgotten; the form of a key errs to one side."""

from hypothesis import given
from hypothesis import strategies as st

from producers import overlaps
from producers.overlaps import OverlapIndex
from schemas.key_values import WILD, KeyPart, Keys
from schemas.tables import Column

TEXT = Column(name="name", kind="text", sql_type="varchar(20)", charset="utf8mb4")
NUMBER = Column(name="n", kind="int", sql_type="int")


def of(part: KeyPart, value: object, column: Column = TEXT) -> object:
    """The form of one value under a key of one column."""
    found = [value for _, value in Keys("shop.t", [[part]], [column]).of((value,))]
    return found[0] if found else "no value"


def test_text_is_folded_where_its_collation_is_known() -> None:
    """Case, spaces and marks tell nothing apart; what is not ASCII, or of another collation, may be anything."""
    known = KeyPart("name", None, "utf8mb4_0900_ai_ci")
    assert of(known, "A b-C") == of(known, "abc ") == ("abc",)
    assert of(known, "Straße") is WILD
    assert of(KeyPart("name", None, "utf8mb4_swedish_ci"), "abc") is WILD
    assert of(KeyPart("name", None, "utf8mb4_bin"), "Straße ") == ("Straße",)
    assert of(KeyPart("name", 3, "utf8mb4_0900_ai_ci"), "abcé") == ("abc",)


def test_a_null_is_in_nobody_s_way() -> None:
    """A unique key does not bind rows that have a NULL in it; an expression may give anything."""
    assert of(KeyPart("n", None, None), None, NUMBER) == "no value"
    assert of(KeyPart("n", None, None), 5, NUMBER) == (5,)
    assert of(KeyPart(None, None, None), 5, NUMBER) is WILD


def test_a_key_of_columns_that_the_rows_do_not_have() -> None:
    """A column that was added or renamed since: the key may hold anything equal."""
    keys = Keys("shop.t", [[KeyPart("n", None, None)], [KeyPart("later", None, None)]], [NUMBER])
    assert list(keys.of((1,))) == [(("shop.t", ("n",)), (1,)), (("shop.t", ("later",)), WILD)]
    assert keys.alone((1,)) == (1,)


A, B, ANY = (("t", ("k",)), (1,)), (("t", ("k",)), (2,)), (("t", ("k",)), WILD)


def test_what_was_not_seen_overlaps() -> None:
    """A value of a later change than the one that was seen, or of any where it is WILD."""
    index = OverlapIndex(0)
    index.add([A], 5)
    assert index.overlaps([A], 4) and not index.overlaps([A], 5)
    assert not index.overlaps([B], 4)
    assert index.overlaps([ANY], 4) and not index.overlaps([ANY], 5)
    index.add([ANY], 6)
    assert index.overlaps([B], 5) and not index.overlaps([B], 6)


def test_what_the_index_knows_nothing_of_overlaps() -> None:
    """Before its beginning, and after it had too many values."""
    assert OverlapIndex(7).overlaps([A], 6) and not OverlapIndex(7).overlaps([A], 7)


_value = st.tuples(st.just(("t", ("k",))), st.sampled_from([(1,), (2,), (3,), WILD]))


@given(st.lists(st.tuples(_value, st.integers(0, 3)), max_size=30), st.integers(1, 6), st.data())
def test_never_less_than_a_plain_list(
    changes: list[tuple[tuple[tuple[str, tuple[str, ...]], object], int]], most: int, data: st.DataObject
) -> None:
    """Whatever is forgotten or cut off, an overlap that a list of all changes shows is found."""
    kept, overlaps.MAX_VALUES = overlaps.MAX_VALUES, most
    try:
        index, known, seen = OverlapIndex(0), [], 0
        for sequence, (value, step) in enumerate(changes, start=1):
            index.add([value], sequence)
            known.append((sequence, value))
            seen = min(seen + step, sequence)
            index.forget(seen)
            asked = data.draw(_value)
            later = [v for number, v in known if number > seen]
            if any(v == asked or WILD in (v[1], asked[1]) for v in later):
                assert index.overlaps([asked], seen)
    finally:
        overlaps.MAX_VALUES = kept
