"""The benchmark's arithmetic: medians, ratios, targets, what /proc says. Nothing is timed here."""

import json

from rich.console import Console

from benchmarks.contenders import transactions_of
from benchmarks.measure import CatchUp
from benchmarks.processes import Usage, cpu_of, peak_of, spent
from benchmarks.results import INSERTS, NATIVE, OURS, UPDATES, Results, percentile


def run(transactions: int, rows: int, seconds: float, *, start: float = 1.0, measured: int | None = None) -> CatchUp:
    """A run with one process."""
    return CatchUp(
        transactions=transactions,
        rows=rows,
        seconds=seconds,
        seconds_with_start=seconds + start,
        measured=transactions if measured is None else measured,
        costs={"mysqld": Usage(seconds, 100.0)},
    )


def results(*, ours_seconds: float = 8.0, late: float = 0.02, equal: bool = True) -> Results:
    """Native takes 2 s for the inserts and 20 s for the updates."""
    return Results(
        catch_ups={
            INSERTS: {NATIVE: [run(200, 200_000, 2)], OURS: [run(200, 200_000, ours_seconds)]},
            UPDATES: {NATIVE: [run(50_000, 50_000, 20)], OURS: [run(50_000, 50_000, 5)]},
        },
        latencies={NATIVE: [0.002] * 100, OURS: [0.01] * 98 + [late] * 2},
        equal=equal,
        machine={"cores": 2},
    )


def test_rates_are_taken_from_the_first_progress_on() -> None:
    """What had been applied when the clock began does not count as applied in its time."""
    measured = run(200, 200_000, 2.0, measured=100)
    assert (measured.transactions_per_second, measured.rows_per_second) == (50, 50_000)


def test_medians_ratios_and_targets() -> None:
    """Targets are told apart by direction: ratios at least, latency at most."""
    found = results()
    assert (found.ratio(INSERTS), found.ratio(UPDATES)) == (0.25, 4.0)
    assert [target.met for target in found.targets()] == [True, True, True]
    slow = results(ours_seconds=8.1, late=0.2)
    assert [target.met for target in slow.targets()] == [False, True, False]


def test_the_median_run_counts() -> None:
    """One disturbed run of three changes nothing."""
    found = results()
    repeated = Results(
        catch_ups={
            **found.catch_ups,
            INSERTS: {NATIVE: [run(200, 200_000, 2)], OURS: [run(200, 200_000, s) for s in (4, 4, 90)]},
        },
        latencies=found.latencies,
        equal=True,
        machine={},
    )
    assert repeated.ratio(INSERTS) == 0.5


def test_percentiles() -> None:
    """The smallest value that at least this share does not exceed."""
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.9, 0.99, 1.0)] == [50, 90, 99, 100]
    assert percentile([7.0], 0.5) == percentile([7.0], 0.99) == 7.0


def test_json_and_tables_hold_the_same_figures() -> None:
    """The JSON can be written, and the table says pass, miss and the ratio."""
    found = results(late=0.2)
    written = json.loads(json.dumps(found.as_json()))
    assert written["catch_up"]["inserts"]["ours"][0]["rows_per_second"] == 25_000
    assert written["catch_up"]["updates"]["ratio"] == 4.0
    assert [target["met"] for target in written["targets"]] == [True, True, False]
    console = Console(width=100)
    with console.capture() as captured:
        console.print(found.shown())
    text = captured.get()
    assert "25,000" in text and "0.25 ×" in text and text.count("pass") == 3 and text.count("miss") == 1


def test_a_side_that_differs_is_a_miss() -> None:
    """Figures of a run that ended unequal are marked as worthless."""
    console = Console(width=100)
    with console.capture() as captured:
        console.print(results(equal=False).shown())
    assert "miss  all three servers hold the same rows" in captured.get()


def test_gtid_sets_are_counted_by_server() -> None:
    """Transactions of other servers, which a set also names, do not count; gaps do not either."""
    mine = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    other = "11111111-71ca-11e1-9e33-c80aa9429562"
    assert transactions_of(f"{other}:1-99,\n{mine}:1-5:11-12:20", mine) == 8
    assert transactions_of("", mine) == 0


def test_proc_is_read_whatever_a_process_is_called() -> None:
    """A name with parentheses and blanks does not shift the fields."""
    stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 1 0 0 0 250 150 0 0 20 0 1 0 100 0 0"
    assert cpu_of(stat) == 4.0
    assert peak_of("Name:\tx\nVmPeak:\t 99 kB\nVmHWM:\t 2048 kB\n") == 2.0
    assert peak_of("Name:\tkernel thread\n") == 0.0


def test_what_was_spent_between_two_readings() -> None:
    """A process that began in between is counted from its beginning; the peak is that of its life."""
    before = {"mysqld": Usage(10.0, 500.0)}
    after = {"mysqld": Usage(12.5, 600.0), "producer": Usage(1.5, 80.0)}
    assert spent(before, after) == {"mysqld": Usage(2.5, 600.0), "producer": Usage(1.5, 80.0)}
