"""`decide`: every line of the conflict table, and what must hold whatever rows there are."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bisync_topology.topology import Policy
from consumers.conflict import (
    POLICIES,
    Action,
    ConflictType,
    Decision,
    Delete,
    Insert,
    LocalRow,
    Rules,
    Set,
    decide,
    decide_refused,
)
from schemas.records import Row, RowEvent

# Rows are (id, unique code, value). The key is case-blind, as under a _ci collation; equality is exact.
BEFORE, AFTER = ("k", 1, "old"), ("k", 1, "new")


def same_key(one: Row, other: Row) -> bool:
    """The target's comparison of primary keys."""
    return str(one[0]).lower() == str(other[0]).lower()


def found(table: Iterable[Row], event: RowEvent) -> tuple[LocalRow, ...]:
    """What the locked reads by every key would find."""
    before, after = event.before, event.after
    rows = [
        LocalRow(
            row,
            at_before=before is not None and same_key(row, before),
            at_after=after is not None and same_key(row, after),
            shares_unique=after is not None and after[1] is not None and row[1] == after[1],
            is_before=row == before,
            is_after=row == after,
        )
        for row in table
    ]
    return tuple(row for row in rows if row.at_before or row.at_after or row.shares_unique)


def change(before: Row | None, after: Row | None) -> RowEvent:
    """An event with these images."""
    return RowEvent(1, 0, "u" if before and after else "c" if after else "d", before, after)


def applied(table: list[Row], actions: Iterable[Action]) -> list[Row]:
    """A table of two unique keys after the actions; a violated key or a row that is not there fails the test."""
    rows = list(table)
    for action in actions:
        if not isinstance(action, Insert):
            rows.remove(action.local)
        if not isinstance(action, Delete):
            assert not any(same_key(row, action.row) for row in rows), "duplicate primary key"
            assert action.row[1] is None or all(row[1] != action.row[1] for row in rows), "duplicate unique value"
            rows.append(action.row)
    return rows


def verdicts(event: RowEvent, *table: Row) -> dict[Policy, Decision]:
    """The decision of each policy."""
    return {policy: decide(event, found(table, event), Rules(policy))._replace(clean=False) for policy in POLICIES}


def settled(type_: ConflictType | None, *actions: Action) -> dict[Policy, Decision]:
    """The same decision whatever the policy."""
    return dict.fromkeys(POLICIES, Decision(type_, "source", actions, already=type_ is None and not actions))


def judged(type_: ConflictType, *actions: Action) -> dict[Policy, Decision]:
    """A conflict: `actions` is what overwrite does."""
    return {
        Policy.TASK_FAILED: Decision(type_, "pending"),
        Policy.IGNORE: Decision(type_, "target"),
        Policy.OVERWRITE: Decision(type_, "source", actions),
    }


def test_insert_into_a_free_place() -> None:
    """Without a row in its way an insert is no conflict; it is met when another row of its batch was one."""
    assert verdicts(change(None, AFTER), ("other", 2, "")) == settled(None, Insert(AFTER))


def test_insert_of_a_row_that_is_there_already() -> None:
    """The one row in its way is the image itself: done before, and no conflict."""
    assert verdicts(change(None, AFTER), AFTER) == settled(None)


def test_insert_exists_by_primary_key() -> None:
    """Overwriting sets the row in place: deleting it would take the rows that refer to it along."""
    local = ("k", 9, "mine")
    assert verdicts(change(None, AFTER), local) == judged(ConflictType.INSERT_EXISTS, Set(local, AFTER))


def test_insert_exists_by_unique_value() -> None:
    """The row with the unique value is another row: it is deleted by its own key, never changed into the image."""
    local = ("other", 1, "mine")
    assert verdicts(change(None, AFTER), local) == judged(ConflictType.INSERT_UNIQUE, Delete(local), Insert(AFTER))


def test_insert_exists_by_both() -> None:
    """The row with the unique value gives way before the row at the key takes it."""
    mine, other = ("k", 9, "mine"), ("other", 1, "mine")
    assert verdicts(change(None, AFTER), mine, other) == judged(ConflictType.INSERT_EXISTS, Delete(other), Set(mine, AFTER))


def test_insert_exists_in_another_case() -> None:
    """A row that the collation holds equal, but that is not the same bytes, is a conflict."""
    local = ("K", 1, "new")
    assert verdicts(change(None, AFTER), local) == judged(ConflictType.INSERT_EXISTS, Set(local, AFTER))


def test_update_as_expected() -> None:
    """The row equals the before image."""
    assert verdicts(change(BEFORE, AFTER), BEFORE) == settled(None, Set(BEFORE, AFTER))


def test_update_that_is_there_already() -> None:
    """Both sides made the same change: nothing to do, and no conflict."""
    assert verdicts(change(BEFORE, AFTER), AFTER) == settled(None)


def test_update_missing_is_inserted() -> None:
    """Under every policy, on record: the source's row would be lost otherwise."""
    assert verdicts(change(BEFORE, AFTER)) == settled(ConflictType.UPDATE_MISSING, Insert(AFTER))


def test_update_missing_with_rows_in_its_way() -> None:
    """What would be inserted meets another row's unique value: the policy decides as for an insert."""
    local = ("other", 1, "mine")
    assert verdicts(change(BEFORE, AFTER), local) == judged(ConflictType.INSERT_UNIQUE, Delete(local), Insert(AFTER))


def test_key_change_that_is_there_already() -> None:
    """The row was moved to its new key here as well."""
    moved = ("m", 1, "new")
    assert verdicts(change(BEFORE, moved), moved) == settled(None)


def test_update_differs() -> None:
    """The row was changed here."""
    local = ("k", 1, "mine")
    assert verdicts(change(BEFORE, AFTER), local) == judged(ConflictType.UPDATE_DIFFERS, Set(local, AFTER))


def test_update_differs_with_rows_in_its_way() -> None:
    """Overwriting a changed row may need another row's unique value too."""
    mine, other, after = ("k", 1, "mine"), ("other", 2, ""), ("k", 2, "new")
    assert verdicts(change(BEFORE, after), mine, other) == judged(ConflictType.UPDATE_DIFFERS, Delete(other), Set(mine, after))


@pytest.mark.parametrize("after", [("k", 2, "new"), ("other", 1, "new")])
def test_update_unique(after: Row) -> None:
    """The row is as expected, but its new unique value, or its new key, is another row's here."""
    other = ("other", 2, "")
    assert verdicts(change(BEFORE, after), BEFORE, other) == judged(ConflictType.UPDATE_UNIQUE, Delete(other), Set(BEFORE, after))


def test_delete() -> None:
    """A row that is gone is as the delete wants it, and on record; a row as expected is deleted; a changed one is a conflict."""
    assert verdicts(change(BEFORE, None)) == settled(ConflictType.DELETE_MISSING)
    assert verdicts(change(BEFORE, None), BEFORE) == settled(None, Delete(BEFORE))
    local = ("k", 1, "mine")
    assert verdicts(change(BEFORE, None), local) == judged(ConflictType.DELETE_DIFFERS, Delete(local))


_row = st.tuples(st.sampled_from("abcABC"), st.none() | st.integers(1, 3), st.sampled_from("xy"))


@st.composite
def _situations(draw: st.DrawFn) -> tuple[list[Row], RowEvent]:
    """A table without violations, and a change whose images are valid in themselves."""
    table: list[Row] = []
    for row in draw(st.lists(_row, max_size=5)):
        if not any(same_key(row, other) or row[1] == other[1] is not None for other in table):
            table.append(row)
    image = _row | st.sampled_from(table) if table else _row
    before, after = draw(st.none() | image), draw(st.none() | image)
    return table, change(before, after if before or after else AFTER)


@given(_situations())
def test_overwrite_ends_in_the_after_image(situation: tuple[list[Row], RowEvent]) -> None:
    """Whatever is here, overwrite puts exactly the image, violates no key, and touches no row that is not in its way."""
    table, event = situation
    local = found(table, event)
    rows = applied(table, decide(event, local, Rules(Policy.OVERWRITE)).actions)
    if event.after is not None:
        assert rows.count(event.after) == 1
    else:
        assert not any(same_key(row, event.before) for row in rows if event.before is not None)
    involved = [row.row for row in local]
    assert [row for row in rows if row != event.after] == [row for row in table if row not in involved and row != event.after]


@given(_situations(), st.sampled_from([Policy.IGNORE, Policy.TASK_FAILED]))
def test_a_conflict_that_the_source_does_not_win_changes_nothing(situation: tuple[list[Row], RowEvent], policy: Policy) -> None:
    """Under ignore and task_failed a conflict leaves the table as it was; only a missing row is put back."""
    table, event = situation
    decision = decide(event, found(table, event), Rules(policy))
    if decision.type in (None, ConflictType.UPDATE_MISSING, ConflictType.DELETE_MISSING):
        assert decision.decision == "source"
        applied(table, decision.actions)
    else:
        assert decision.decision == ("target" if policy is Policy.IGNORE else "pending")
        assert decision.actions == ()


@given(_situations(), st.sampled_from(POLICIES))
def test_a_repeated_change_is_no_conflict(situation: tuple[list[Row], RowEvent], policy: Policy) -> None:
    """What was applied once is recognized: the same change again finds nothing to do."""
    table, event = situation
    rows = applied(table, decide(event, found(table, event), Rules(Policy.OVERWRITE)).actions)
    again = decide(event, found(rows, event), Rules(policy))
    if event.after is None or event.before is None or same_key(event.before, event.after):
        missing = ConflictType.DELETE_MISSING if event.after is None else None
        assert again._replace(clean=False) == Decision(missing, "source", (), already=missing is None)


def summed(before: Row, after: Row, here: Row, rules: Rules) -> tuple[object, ...]:
    """What is decided where the last two of three columns add up: type, decision, the row that is put, whether it is there."""
    key = ("k", 1)
    event, local = change(key + before, key + after), key + here
    type_, decision, actions, already, _ = decide(event, found([local], event), rules._replace(deltas=frozenset({3, 4})))
    assert all(isinstance(action, Set) and action.local == local for action in actions)
    return type_, decision, [action.row[2:] for action in actions if isinstance(action, Set)], already


EVERY_RULES = (
    *(Rules(policy) for policy in POLICIES),
    *(Rules(policy, judging=True) for policy in Policy if policy.converges),
    Rules(Policy.SITE_PRIORITY, forced=True),
)


@pytest.mark.parametrize(
    ("before", "after", "here", "left"),
    [
        (("old", 3, 1), ("old", 3, 2), ("old", 9, 1), ("old", 9, 2)),
        (("old", 3, 1), ("old", 3, 2), ("old", 9, 8), ("old", 9, 9)),
        (("old", 3, 1), ("new", 3, 1), ("old", 9, 1), ("new", 9, 1)),
        (("old", 3, 1), ("new", 3, 2), ("new", 9, 1), ("new", 9, 2)),
        (("old", 3, 1), ("new", 3, 2), ("new", 3, 2), ("new", 3, 3)),
        (("old", None, 1), ("old", 5, 2), ("old", None, 8), ("old", 5, 9)),
        (("old", 5, 1), ("old", None, 1), ("old", 5, 8), ("old", None, 8)),
        ((0.0, 3, 1), (-0.0, 3, 1), (0.0, 9, 1), (-0.0, 9, 1)),
        (("old", 3, 1.0), ("new", 3, 1.0), ("old", 9, -0.0), ("new", 9, -0.0)),
    ],
)
def test_what_was_added_here_stays(before: Row, after: Row, here: Row, left: Row) -> None:
    """A row that differs in delta columns alone is no conflict, and each of them keeps its addition, also where none comes."""
    for rules in EVERY_RULES:
        assert repr(summed(before, after, here, rules)) == repr((None, "source", [left], False))


@pytest.mark.parametrize("here", [("new", 3, 1), ("new", 9, 1)])
def test_what_adds_nothing_may_be_there_already(here: Row) -> None:
    """The other columns are as the change has them, and the sums want nothing: that is counted, and no row is touched."""
    for rules in EVERY_RULES:
        assert summed(("old", 3, 1), ("new", 3, 1), here, rules) == (None, "source", [], True)


@pytest.mark.parametrize(
    ("before", "after", "here", "put", "kept"),
    [
        (("old", None, 1), ("old", 5, 2), ("old", 7, 4), ("old", 5, 5), ("old", 7, 5)),
        (("old", 5, 1), ("old", None, 2), ("old", 7, 4), ("old", None, 5), ("old", 7, 5)),
        (("old", 5, 1), ("old", 7, 2), ("old", None, 4), ("old", 7, 5), ("old", None, 5)),
        (("old", 5, 1), ("new", 5, 1), ("here", 7, 4), ("new", 7, 4), None),
    ],
)
def test_sums_beside_a_conflict(before: Row, after: Row, here: Row, put: Row, kept: Row | None) -> None:
    """They are made whoever wins. A delta column with a NULL adds up to nothing: it is like any other column."""
    for rules in EVERY_RULES:
        found = summed(before, after, here, rules)
        if rules.forced or rules.policy is Policy.OVERWRITE:
            assert found == (ConflictType.UPDATE_DIFFERS, "source", [put], False)
        elif rules.policy is Policy.TASK_FAILED:
            assert found == (ConflictType.UPDATE_DIFFERS, "pending", [], False)
        else:
            assert found == (ConflictType.UPDATE_DIFFERS, "merged" if kept else "target", [kept] if kept else [], False)


def test_nothing_adds_up_over_a_change_of_the_key() -> None:
    """What was added here goes to the old key's row at the other side: kept at the new one, the sides would end unequal."""
    event, local = change(("k", 1, 3), ("l", 1, 3)), ("k", 1, 9)
    for rules in EVERY_RULES:
        decision = decide(event, found([local], event), rules._replace(deltas=frozenset({2})))
        assert decision.type is ConflictType.UPDATE_DIFFERS
        put = [action.row for action in decision.actions if isinstance(action, Set)]
        if rules.policy is Policy.MERGE:  # the arbiter has both columns' changes, and sends the row back
            assert put == [("l", 1, 9)]
        else:
            assert put == ([("l", 1, 3)] if rules.forced or rules.policy is Policy.OVERWRITE else [])


def test_a_generated_column_decides_nothing() -> None:
    """Its value follows from the others: it is not what a row is kept for or merged for, and sums beside it are no conflict."""
    generated = frozenset({2})
    for rules in EVERY_RULES:
        made = rules._replace(generated=generated)
        assert summed((0, 3, 1), (0, 4, 1), (1, 9, 1), made) == (None, "source", [(0, 10, 1)], False)
    merge = Rules(Policy.MERGE, judging=True, generated=generated)
    for after, local, merged in [
        ((1, 5, 1), (0, 7, 1), None),  # both changed what it is made of
        ((1, 5, 2), (0, 7, 1), (0, 7, 2)),
    ]:
        event = change(("k", 1, 0, 3, 1), ("k", 1, *after))
        decision = decide(event, found([("k", 1, *local)], event), merge)
        actions = () if merged is None else (Set(("k", 1, *local), ("k", 1, *merged), (4,)),)
        assert decision == Decision(ConflictType.UPDATE_DIFFERS, "merged" if merged else "target", actions)


def test_what_a_foreign_key_refuses() -> None:
    """Nothing is done; it waits for a decision also under overwrite, as no row here can give way to make it right."""
    event, local = change(None, AFTER), found([], change(None, AFTER))
    assert {policy: decide_refused(event, local, Rules(policy)) for policy in POLICIES} == {
        Policy.TASK_FAILED: Decision(ConflictType.FOREIGN_KEY, "pending"),
        Policy.IGNORE: Decision(ConflictType.FOREIGN_KEY, "target"),
        Policy.OVERWRITE: Decision(ConflictType.FOREIGN_KEY, "pending"),
    }


@given(_situations(), st.sampled_from(POLICIES))
def test_a_conflict_is_one_whatever_the_policy(situation: tuple[list[Row], RowEvent], policy: Policy) -> None:
    """The policy decides who wins, not whether there is a conflict; the order of the reads decides nothing."""
    table, event = situation
    local = found(table, event)
    decision = decide(event, local, Rules(policy))
    assert decision.type == decide(event, local, Rules(Policy.OVERWRITE)).type
    assert decision.type == decide(event, local[::-1], Rules(policy)).type
