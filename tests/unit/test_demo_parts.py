"""The demo's parts that need no server: the comparison that judges it, the rates and the screen that show it."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from demo import screen
from demo.compare import Compared, merge
from demo.figures import Figures, _Course
from demo.pulse import percentile

FIGURES = Figures(
    source="east",
    target="west",
    state="syncing",
    written=1_234_567,
    applied=1_234_560,
    transactions=123_456,
    rate=12_345,
    peak=123_456,
    history=tuple(range(24)),
    lag=0.012,
    latency=0.021,
    latency_p50=0.02,
    latency_p99=1.5,
    dropped=123_456,
)


def side(rows: dict[int, bytes]) -> list[tuple[bytes | None, ...]]:
    """A table as a server gives it: key first, ascending as a number."""
    return [(str(key).encode(), rows[key]) for key in sorted(rows)]


@given(st.dictionaries(st.integers(-20, 20), st.binary(max_size=2)), st.dictionaries(st.integers(-20, 20), st.binary(max_size=2)))
def test_merge_counts_as_sets_do(first: dict[int, bytes], second: dict[int, bytes]) -> None:
    """Equal, differing and one-sided rows are told apart, wherever they lie."""
    found = merge("t", 1, iter(side(first)), iter(side(second)))
    both = first.keys() & second.keys()
    assert found.equal == sum(first[key] == second[key] for key in both)
    assert found.differing == len(both) - found.equal
    assert (found.only_first, found.only_second) == (len(first.keys() - both), len(second.keys() - both))
    assert found.same == (first == second)


def test_null_is_not_the_empty_string() -> None:
    """Bytes are compared as they come, and NULL is not bytes."""
    assert not merge("t", 1, iter([(b"1", None)]), iter([(b"1", b"")])).same


def test_a_rate_is_that_of_the_last_second() -> None:
    """What was long ago does not lower it, and the highest one is remembered."""
    course = _Course()
    rates = [course.rate(now, rows) for now, rows in ((0.0, 0), (0.5, 500), (1.0, 1000), (1.5, 5000), (2.0, 9000), (4.0, 9000))]
    assert rates == [0, 1000, 1000, 4500, 8000, 0]
    assert course.peak == 8000


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_percentiles_of_pulses(share: float) -> None:
    """None of nothing, the only one of one, between the least and the greatest of many."""
    assert percentile([], share) is None
    assert percentile([0.5], share) == 0.5
    values = [random.random() for _ in range(50)]
    found = percentile(values, share)
    assert found is not None and min(values) <= found <= max(values)


def test_the_screen_fits_a_terminal_of_eighty_columns() -> None:
    """No line is cut, also with large numbers."""
    console = Console(width=80, force_terminal=False)
    tables = [Compared(table="order_lines", equal=1_234_567, bytes=123_456_789)]
    with console.capture() as captured:
        console.print(screen.live("writing", 5, 15, [FIGURES, FIGURES]))
        console.print(screen.comparison(tables, "east", "west"))
        console.print(screen.summary([FIGURES, FIGURES], tables, 43))
    text = captured.get()
    assert "…" not in text
    assert "own-origin dropped" in text and "EQUAL  1,234,567 rows" in text and "20 ms / 1.5 s" in text


def test_the_verdict_is_not_equal_when_a_row_differs() -> None:
    """One differing row, or nothing compared at all, is not equal."""
    for tables in ([Compared(table="t", equal=5, differing=1)], []):
        console = Console(width=80)
        with console.capture() as captured:
            console.print(screen.summary([FIGURES], tables, 1))
        assert "NOT EQUAL" in captured.get()


def test_a_line_for_a_log_names_everything() -> None:
    """Both directions, rows, rate, lag, conflicts and dropped in one line."""
    line = screen.line("writing", 5, [FIGURES, FIGURES])
    assert "\n" not in line
    assert line.count("east→west 1,234,560 rows 12,345/s lag 12 ms conflicts 0 dropped 123,456") == 2


def test_a_sparkline_is_as_high_as_its_values() -> None:
    """The highest is a full block, nothing is a blank, and nothing at all is empty."""
    assert screen.sparkline([0, 4, 8]) == " ▄█"
    assert screen.sparkline([]) == ""
    assert screen.sparkline([0, 0]) == "  "
