"""What is done about a change when the rows here are not as its source saw them: no clock, no connection.

`decide` is the whole of it; docs/conflicts.md has its table, generated from this code. *The row* is the one at the before
image's key. *In its way* are other rows that hold the after image's primary key or one of its unique values.

The decision on record is `source` where the change is applied, also where it is already there, `target` where the rows
here stay, `merged` where the row here takes a part of the change, and `pending` where the direction stops and waits for a
decision. To give way is to be deleted, each row by its own key, before anything is put: an upsert would change in silence
whichever row shares a unique value. The one exception is the row that holds an inserted image's primary key: it is set in
place, since a delete would take the rows that refer to it along. What is there already, an inserted or updated row that
equals the image, is no conflict, and counted. Where a foreign key refuses, no row could give way so that the change is
right: its parent is missing here, or has children here that its source did not see.

Under a convergent policy one side is the arbiter. It judges the other side's changes by the policy; its own are taken
there by force, which is `source` whatever the rows there (docs/adr/0007-convergence.md).
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from bisync_topology.topology import Policy
from consumers.merging import difference, same, summed
from schemas.records import Row, RowEvent

Winner = Literal["source", "target", "merged", "pending"]


class ConflictType(enum.StrEnum):
    """How the rows here stood against a change."""

    INSERT_EXISTS = "insert_exists"
    INSERT_UNIQUE = "insert_unique"
    UPDATE_MISSING = "update_missing"
    UPDATE_DIFFERS = "update_differs"
    UPDATE_UNIQUE = "update_unique"
    DELETE_MISSING = "delete_missing"
    DELETE_DIFFERS = "delete_differs"
    FOREIGN_KEY = "foreign_key"


class Rules(NamedTuple):
    """How the conflicts of one table are decided in one direction.

    forced: the source is the arbiter, whose changes are taken. judging: the target is, and sends back what it decides.
    version_of: the version of a row, for newest; versions compare. deltas: positions of the columns whose differences add up.
    keyed: positions of the columns of any unique key. generated: of those that the target generates, which are neither compared
    nor written. initializing: rows are still being copied, so that one may be missing.
    """

    policy: Policy
    forced: bool = False
    judging: bool = False
    deletes_win: bool = True
    version_of: Callable[[Row], Any] | None = None
    deltas: frozenset[int] = frozenset()
    keyed: frozenset[int] = frozenset()
    generated: frozenset[int] = frozenset()
    initializing: bool = False


class LocalRow(NamedTuple):
    """A row of the target that was found, and locked, by a key value of the before or after image."""

    row: Row
    at_before: bool = False  # it has the before image's primary key
    at_after: bool = False  # it has the after image's primary key
    shares_unique: bool = False  # it has a unique value of the after image, other than the primary key
    is_before: bool = False  # it equals the before image in all columns
    is_after: bool = False  # it equals the after image in all columns


class Insert(NamedTuple):
    """Put a row that is not there."""

    row: Row


class Set(NamedTuple):
    """Give a local row, found by its key, the values of another: all of them, or those of some columns."""

    local: Row
    row: Row
    columns: tuple[int, ...] | None = None


class Delete(NamedTuple):
    """Take away a local row, found by its key."""

    local: Row


Action = Insert | Set | Delete


class Decision(NamedTuple):
    """What to do, and what to put on record.

    type: None where there was no conflict.
    actions: in the order in which they are to be done.
    already: what the change wants is there already, and no conflict.
    clean: the rows here are as the source saw them, so that what it has afterwards is what is here afterwards.
    """

    type: ConflictType | None
    decision: Winner
    actions: tuple[Action, ...] = ()
    already: bool = False
    clean: bool = False


class _Case(NamedTuple):
    """A line of the table: `actions` are those of the source's winning; `settled`: the policies of one side have no say."""

    type: ConflictType | None
    actions: tuple[Action, ...] = ()
    settled: bool = False
    clean: bool = False
    current: LocalRow | None = None  # the row
    in_its_way: Sequence[LocalRow] = ()


# The policies of one side, which do not look at the rows; a convergent one is a line of `_judge`.
_WINNERS: Mapping[Policy, Winner] = {Policy.TASK_FAILED: "pending", Policy.IGNORE: "target", Policy.OVERWRITE: "source"}
POLICIES = tuple(_WINNERS)
_NOT_COPIED = (ConflictType.UPDATE_MISSING, ConflictType.DELETE_MISSING)  # what a row that is not copied yet looks like


def decide(event: RowEvent, local: Sequence[LocalRow], rules: Rules) -> Decision:
    """Decide about one change. `local`: every row found by the images' key values, each once."""
    case = _case(event, local)
    if rules.initializing and case.type in _NOT_COPIED:
        return Decision(None, "source", case.actions, clean=True)
    deltas = _deltas(event, case.current, rules)
    if deltas and not case.in_its_way and (added := _added(event, case.current, rules, deltas)) is not None:
        return Decision(None, "source", added, already=not added)
    if case.type is None:
        return Decision(None, "source", case.actions, already=not case.actions, clean=case.clean)
    winner = _judge(event, case, rules)
    if winner == "source":
        return Decision(case.type, winner, _with_deltas(case, deltas))
    if winner == "pending" or case.current is None or event.after is None:
        return Decision(case.type, winner)
    taken = _taken(event, case, rules, deltas) if rules.policy is Policy.MERGE else {}
    taken |= {n: value for n, value in enumerate(summed(case.current.row, case.current.row, deltas)) if deltas.get(n)}
    if not taken:
        return Decision(case.type, winner)
    merged = tuple(taken.get(n, value) for n, value in enumerate(case.current.row))
    return Decision(case.type, "merged", (Set(case.current.row, merged, tuple(sorted(taken))),))


def decide_refused(event: RowEvent, local: Sequence[LocalRow], rules: Rules) -> Decision:
    """Decide about a change that a foreign key of the target refuses; nothing of it is done. The source cannot win."""
    if rules.policy.converges:
        return Decision(ConflictType.FOREIGN_KEY, "target")
    winner = _WINNERS[rules.policy]
    return Decision(ConflictType.FOREIGN_KEY, "pending" if winner == "source" else winner)


def _judge(event: RowEvent, case: _Case, rules: Rules) -> Winner:
    """A policy's column of the table."""
    if rules.forced or case.type is ConflictType.DELETE_MISSING:
        return "source"
    if not rules.policy.converges:
        return "source" if case.settled else _WINNERS[rules.policy]
    if rules.policy is Policy.SITE_PRIORITY:
        return "target"
    if event.after is None:
        return "source" if rules.deletes_win else "target"
    if event.before is not None and case.current is None:  # changed there, deleted here
        if rules.deletes_win:
            return "target"
        if not case.in_its_way:
            return "source"
    if rules.version_of is None:
        return "target"
    rivals = [*([case.current] if case.current is not None else []), *case.in_its_way]
    newest = max(rules.version_of(rival.row) for rival in rivals)
    return "source" if rules.version_of(event.after) > newest else "target"


def _deltas(event: RowEvent, current: LocalRow | None, rules: Rules) -> dict[int, object]:
    """Position → what the change added, maybe 0. One that has a NULL in any of the rows is a column like others.

    Of a row that gets another primary key nothing adds up: what was added here is on its way to the old key's row.
    """
    if current is None or current.is_before or event.before is None or event.after is None:
        return {}
    if not (current.at_before and current.at_after):
        return {}
    rows = event.before, event.after, current.row
    return {n: difference(event.before[n], event.after[n]) for n in rules.deltas if all(row[n] is not None for row in rows)}


def _added(event: RowEvent, current: LocalRow | None, rules: Rules, deltas: Mapping[int, object]) -> tuple[Action, ...] | None:
    """What a change does that is no conflict, as the row differs in sums alone from what it was before or is after it."""
    assert current is not None and event.before is not None and event.after is not None
    rest = [n for n in range(len(current.row)) if n not in deltas and n not in rules.generated]
    as_before, as_after = (all(same(current.row[n], image[n]) for n in rest) for image in (event.before, event.after))
    if not (as_before or as_after or current.is_after):
        return None
    # A row that is set to what it is would not be in the binlog, where the other side's answer is read. One that seems to be as
    # before and as after, such as with 0.0 and -0.0, is set.
    if not any(deltas.values()) and (current.is_after or not as_before):
        return ()
    return (Set(current.row, summed(event.after, current.row, deltas)),)


def _with_deltas(case: _Case, deltas: Mapping[int, object]) -> tuple[Action, ...]:
    if not deltas:
        return case.actions
    return tuple(
        action._replace(row=summed(action.row, action.local, deltas)) if isinstance(action, Set) else action
        for action in case.actions
    )


def _taken(event: RowEvent, case: _Case, rules: Rules, deltas: Mapping[int, object]) -> dict[int, object]:
    """Of a change to a row that was changed here too: the columns that only the source changed, and their values.

    Where other rows are in its way, those of keys are not taken: the rows here stay.
    """
    assert case.current is not None and event.before is not None and event.after is not None
    taken = {}
    for n, (before, after) in enumerate(zip(event.before, event.after, strict=True)):
        if n in deltas or n in rules.generated or (case.in_its_way and n in rules.keyed):
            continue
        if before != after and same(case.current.row[n], before):
            taken[n] = after
    return taken


def _case(event: RowEvent, local: Sequence[LocalRow]) -> _Case:
    current = next((found for found in local if found.at_before), None) if event.before is not None else None
    if event.after is None:
        return _delete(current)
    in_its_way = [found for found in local if (found.at_after or found.shares_unique) and found is not current]
    if event.before is None:
        return _insert(event.after, in_its_way)
    if current is not None:
        return _update(current, event.after, in_its_way)
    if not in_its_way:
        return _Case(ConflictType.UPDATE_MISSING, (Insert(event.after),), settled=True)
    return _insert(event.after, in_its_way)


def _insert(image: Row, in_its_way: Sequence[LocalRow]) -> _Case:
    if not in_its_way:
        return _Case(None, (Insert(image),), clean=True)
    if len(in_its_way) == 1 and in_its_way[0].is_after:
        return _Case(None)
    holder = next((found for found in in_its_way if found.at_after), None)
    put = Insert(image) if holder is None else Set(holder.row, image)
    actions: tuple[Action, ...] = (*_give_way(found for found in in_its_way if found is not holder), put)
    kind = ConflictType.INSERT_UNIQUE if holder is None else ConflictType.INSERT_EXISTS
    return _Case(kind, actions, in_its_way=in_its_way)


def _update(current: LocalRow, image: Row, in_its_way: Sequence[LocalRow]) -> _Case:
    unseen = current.is_before and current.row != image  # by the comparison, such as the type of a value inside a document
    if current.is_after and not unseen:
        return _Case(None, clean=current.is_before, current=current)
    actions: tuple[Action, ...] = (*_give_way(in_its_way), Set(current.row, image))
    if not current.is_before:
        return _Case(ConflictType.UPDATE_DIFFERS, actions, current=current, in_its_way=in_its_way)
    kind = ConflictType.UPDATE_UNIQUE if in_its_way else None
    return _Case(kind, actions, clean=kind is None, current=current, in_its_way=in_its_way)


def _delete(current: LocalRow | None) -> _Case:
    if current is None:
        return _Case(ConflictType.DELETE_MISSING, settled=True)
    kind = None if current.is_before else ConflictType.DELETE_DIFFERS
    return _Case(kind, (Delete(current.row),), clean=kind is None, current=current)


def _give_way(rows: Iterable[LocalRow]) -> tuple[Delete, ...]:
    return tuple(Delete(found.row) for found in rows)
