"""The tables of docs/conflicts.md cover what there is, and their words mean what the legend says.."""

import pytest

from bisync_topology.topology import Policy
from consumers.conflict import ConflictType, RowEvent
from consumers.decision_page import BEGIN, END, done, phrase, replaced
from consumers.decision_table import (
    ARBITER,
    CODE,
    DELTAS,
    FORCED,
    ID,
    ONE_SIDE,
    SITUATIONS,
    Column,
    Outcome,
    Situation,
    cells,
    outcome,
)
from schemas.records import Row

CELLS = list(cells())


def in_its_way(event: RowEvent, row: Row) -> bool:
    """Whether a row other than the one at the before image's key holds a key value of the after image."""
    assert event.after is not None
    holds = row[ID] == event.after[ID] or row[CODE] == event.after[CODE]
    return holds and (event.before is None or row[ID] != event.before[ID])


def sums(cell: Outcome) -> dict[int, object]:
    """What each delta column has once what the change added is added to what is here; not one with a NULL."""
    before, after = cell.event.before, cell.event.after
    assert before is not None and after is not None
    (current,) = (row for row in cell.met if row[ID] == before[ID])
    numbers = {n: (current[n], before[n], after[n]) for n in DELTAS}
    return {n: here + new - old for n, (here, old, new) in numbers.items() if None not in (here, old, new)}  # type: ignore[operator]


def test_every_type_of_conflict_and_every_policy_is_there() -> None:
    """No type of conflict is without a situation that leads to it, no policy without a column, no situation twice."""
    assert {outcome(situation, column).decision.type for situation, column in CELLS} == {None, *ConflictType}
    assert {column.policy for _, column in CELLS} == set(Policy)
    assert len({situation[2:] for situation in SITUATIONS}) == len({situation[:2] for situation in SITUATIONS}) == len(SITUATIONS)


@pytest.mark.parametrize(("situation", "column"), CELLS)
def test_words_mean_what_the_legend_says(situation: Situation, column: Column) -> None:
    """The rows that are left and the decision on record follow from a cell's words."""
    cell = outcome(situation, column)
    words, event, kind = done(situation, column).split(", "), cell.event, cell.decision.type
    decision = None if kind is None else cell.decision.decision
    merged = "merged" in words or words == ["stays", "sum"]
    wanted = {"pending": "pending", "stays": "target"}.get(words[0], "source")
    assert decision in (None, "merged" if merged else wanted)
    assert (kind is None) == ("unchecked" in words) or not situation.refused
    if words[0] in ("pending", "stays", "nothing") and "sum" not in words:
        assert cell.rows == cell.met
    if "inserted" in words or "set" in words:
        assert event.after is not None
        (put,) = (row for row in cell.rows if row[ID] == event.after[ID])
        summed = sums(cell) if "sum" in words else {}
        assert put == tuple(summed.get(n, value) for n, value in enumerate(event.after))
        assert ("sum" in words) == (put != event.after)
        beside = [row for row in cell.rows if row != put]
        assert not any(in_its_way(event, row) for row in beside)
        current = event.before is not None and any(row[ID] == event.before[ID] for row in cell.met)
        in_place = event.before[ID] if current and event.before is not None else event.after[ID]
        gave_way = any(in_its_way(event, row) and row[ID] != in_place for row in cell.met)
        assert ("they give way" in words) == gave_way
    if "deleted" in words:
        assert event.before is not None and event.before[ID] not in [row[ID] for row in cell.rows]
    if merged:
        assert event.before is not None and event.after is not None
        pairs = zip(cell.met, cell.rows, strict=True)
        (changed,) = ((old, new) for old, new in pairs if old != new)
        for n, (old, new) in enumerate(zip(*changed, strict=True)):
            if situation.deltas and n in sums(cell):
                assert new == sums(cell)[n]
            else:
                assert new == old or (old == event.before[n] and new == event.after[n])


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_the_arbiter_sends_is_taken_by_force_whatever_the_policy(situation: Situation) -> None:
    """One column is enough for the side that does not judge; what is done there is what overwrite does."""
    cell = outcome(situation, FORCED)
    for policy in (Policy.NEWEST, Policy.MERGE):
        column = FORCED._replace(policy=policy)
        assert phrase(situation, column) == phrase(situation, FORCED)
        assert outcome(situation, column).decision[0:2] == cell.decision[0:2]
    if not situation.refused:
        assert cell.rows == outcome(situation, ONE_SIDE[-1]).rows


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_not_as_expected_is_answered(situation: Situation) -> None:
    """The arbiter tells the other side of each row at the images' keys, unless the change fitted."""
    for column in ARBITER:
        cell = outcome(situation, column)
        assert (cell.told is None) == cell.decision.clean
        if cell.told is None:
            continue
        for image in (cell.event.before, cell.event.after):
            if image is not None:
                named = {row[ID] for rows in cell.told for row in rows}
                assert image[ID] in named


def test_a_page_keeps_what_is_beside_the_tables() -> None:
    """What is made goes between the markers, and is the same made again."""
    made = replaced(f"head\n{BEGIN}\nold\n{END}\ntail\n")
    assert made.startswith(f"head\n{BEGIN}\n\n**") and made.endswith(f"|\n\n{END}\ntail\n") and "old" not in made.split()
    assert replaced(made) == made
