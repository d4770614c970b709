"""Convergent policies end equal, in whatever order things happen; without what makes them so they do not.

BISYNC_TEST_HISTORIES: how many seeded histories of each policy (default 200); `make convergence` runs 100,000.
"""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from random import Random

import pytest
from convergence import CODES, DELTAS, EAST, ENCODER, ID, KEYS_OF, TABLE, VALUES, WEST, Side, history, rules, unequal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bisync_topology.topology import Deletes, Policy
from consumers.progress import Progress
from producers.items import Head, Rows
from producers.publish import Publisher
from producers.refresh import Refresher
from producers.tables import CapturedTable
from schemas.records import NOT_ANSWERED

HISTORIES = int(os.environ.get("BISYNC_TEST_HISTORIES", "200"))
CONVERGENT = [policy for policy in Policy if policy.converges]
_CHUNK = 500  # histories of one task
FIRST = (("a", 1, "x", 0, 10, 1), ("b", 2, "y", 0, 20, 2))


def by_seed(policy: Policy, seed: int) -> dict[str, Side]:
    """A history whose seed also chooses what deletes do, and whether quantities add up."""
    deletes = Deletes.WIN if seed % 2 else Deletes.LOSE
    return history(Random(seed), rules(policy, deletes, deltas=seed % 3 == 0), first=FIRST if seed % 5 == 0 else ())


def decided(seed: int) -> dict[str, Side]:
    """A history in which each conflict that stops a direction is decided for its target.

    No row returns: one that does fits a change that knew of another one, and nobody is asked.
    """
    deltas = seed % 3 == 0
    return history(Random(seed), rules(Policy.TASK_FAILED, deltas=deltas), first=FIRST if seed % 2 else (), new=True)


def unequal_of(policy: Policy, seeds: range) -> list[int]:
    """The seeds whose history does not end equal."""
    return [seed for seed in seeds if unequal(by_seed(policy, seed) if policy.converges else decided(seed))]


@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("policy", [*CONVERGENT, Policy.TASK_FAILED])
def test_seeded_histories_end_equal(policy: Policy) -> None:
    """Delays, pauses, restarts, redelivery, several transactions in one, values that return: both sides end equal in bytes.

    So they do where everything is decided for the target, whatever the source has changed by then, and on both sides at once.
    """
    chunks = [range(start, min(start + _CHUNK, HISTORIES)) for start in range(0, HISTORIES, _CHUNK)]
    if len(chunks) == 1:
        assert unequal_of(policy, chunks[0]) == []
        return
    with ProcessPoolExecutor() as pool:
        for done, found in enumerate(pool.map(unequal_of, [policy] * len(chunks), chunks), start=1):
            assert found == []
            if done % 20 == 0:
                print(f"{policy}: {done * _CHUNK} histories", flush=True)


def test_a_history_that_did_not() -> None:
    """A row gets another key, and something is added to it at the other side."""
    assert not unequal(by_seed(Policy.SITE_PRIORITY, 3756))


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.randoms(use_true_random=False), st.sampled_from(CONVERGENT), st.sampled_from(Deletes), st.booleans())
def test_no_history_is_found_that_does_not(rng: Random, policy: Policy, deletes: Deletes, deltas: bool) -> None:
    """The same, where hypothesis looks for the order of things."""
    assert not unequal(history(rng, rules(policy, deletes, deltas=deltas), steps=40))


def _nothing(*_: object) -> None:
    """Overlaps are not looked for, as if the other side had seen everything."""


def _without_refresh(publisher: Publisher, head: object) -> None:
    publisher._refresher.clear()


@pytest.fixture(params=["seen", "refresh"])
def maimed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One part of what makes the sides equal is taken out."""
    if request.param == "seen":
        monkeypatch.setattr(Refresher, "applied", _nothing)
    else:
        monkeypatch.setattr(Publisher, "_send_back", _without_refresh)
    yield str(request.param)


@pytest.mark.parametrize("policy", CONVERGENT)
def test_each_part_is_needed(maimed: str, policy: Policy) -> None:
    """Without `seen`, and without what the arbiter sends back, some histories end unequal."""
    found = [seed for seed in range(100) if unequal(by_seed(policy, seed))]
    print(f"without {maimed}, {policy}: {len(found)} of 100 histories end unequal")
    assert found


@pytest.mark.parametrize(
    ("name", "seen", "sent"), [("shop.t", 6, 1), ("shop.t", 7, 0), ("shop.t", NOT_ANSWERED, 0), ("shop.u", 6, 0)]
)
def test_after_a_start(name: str, seen: int, sent: int) -> None:
    """What had not seen the last row that was sent back is answered, of a table that somebody has decided about and no other."""
    table = CapturedTable(role="rows", db="shop", name="t", table=TABLE, encoder=ENCODER, keys=KEYS_OF)
    head = Head(gtid="", tsid="", number=1, committed_at=0, server_id=1, file="log", pos=4, seen=0, origin=WEST, origin_seen=seen)
    refresher = Refresher(9, {name: 7})
    refresher.applied(Rows(head, table, "c", [FIRST[0]]), 9)
    assert refresher.rows == sent


@pytest.mark.parametrize("missing", ["what had not seen it", "what crosses it"])
def test_what_is_decided_needs_to_be_answered(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sides differ unless what had not seen the rows that are sent back is answered, at the arbiter also what crosses them."""
    if missing == "what had not seen it":
        monkeypatch.setattr(Refresher, "applied", _nothing)
    else:
        seen_by = Progress.seen_by
        monkeypatch.setattr(Progress, "seen_by", lambda progress, *, arbiter: seen_by(progress, arbiter=False))
    found = [seed for seed in range(60) if unequal(decided(seed))]
    print(f"without {missing}: {len(found)} of 60 histories end unequal")
    assert found


@pytest.mark.parametrize("policy", [Policy.IGNORE, Policy.OVERWRITE])
def test_policies_of_one_side_do_not_converge(policy: Policy) -> None:
    """What docs and precheck say of them: there are histories after which the sides differ."""
    assert any(unequal(history(Random(seed), rules(policy))) for seed in range(50))


@pytest.mark.parametrize("policy", [*CONVERGENT, Policy.IGNORE, Policy.OVERWRITE, Policy.TASK_FAILED])
def test_what_both_sides_add_is_all_in_the_sum(policy: Policy) -> None:
    """Under delta_columns no addition of either side is lost or counted twice, whatever the policy, and nothing is a conflict."""
    for seed in range(40):
        sides, expected = _counted(seed, policy, sums=True)
        assert not unequal(sides)
        assert _totals(sides[EAST]) == expected
        if not policy.converges:
            assert [side.conflicts for side in sides.values()] == [[], []]


@pytest.mark.parametrize("policy", [*CONVERGENT, Policy.IGNORE, Policy.OVERWRITE])
def test_it_is_in_the_sum_whoever_wins(policy: Policy) -> None:
    """The same beside changes of other columns, where that is a conflict and where it is none; task_failed waits there."""
    for seed in range(40):
        sides, expected = _counted(seed, policy, beside=True)
        assert [_totals(side) for side in sides.values()] == [expected, expected]
        assert not (policy.converges and unequal(sides))


def _counted(seed: int, policy: Policy, **draws: bool) -> tuple[dict[str, Side], list[int]]:
    """A history of two rows with sums, and what each delta column is to have in both rows together."""
    expected = [sum(int(str(row[n])) for row in FIRST) for n in DELTAS]

    def counting(side: Side, of: Callable[..., None] = Side.change) -> Callable[..., None]:
        def change(draw: object) -> None:
            before = _totals(side)
            of(side, draw)
            expected[:] = [known + now - was for known, now, was in zip(expected, _totals(side), before, strict=True)]

        return change

    def on_start(side: Side) -> None:
        side.change = counting(side)  # type: ignore[method-assign]

    return history(Random(seed), rules(policy, deltas=True), first=FIRST, on_start=on_start, **draws), expected  # type: ignore[arg-type]


def _totals(side: Side) -> list[int]:
    return [sum(int(str(row[n])) for row in side.store.rows.values()) for n in DELTAS]


def test_a_history_is_what_its_seed_says() -> None:
    """The same seed gives the same rows, and rows there are: else nothing would be shown here."""
    one, other = (by_seed(Policy.MERGE, 7) for _ in range(2))
    assert one[WEST].store.rows == other[WEST].store.rows
    rows = [row for seed in range(30) for row in by_seed(Policy.NEWEST, seed)[EAST].store.rows.values()]
    assert {str(row[ID]).lower() for row in rows} == {"a", "b", "c"}
    assert {row[2] for row in rows} == set(VALUES)
    assert {row[1] for row in rows} == set(CODES)
    met = {kind for seed in range(60) for side in by_seed(Policy.NEWEST, seed).values() for kind, _ in side.conflicts}
    assert {str(kind) for kind in met} >= {"insert_exists", "insert_unique", "update_missing", "update_differs", "delete_differs"}
