"""What is done about a change when the rows here are not as its source saw them: one table, no clock, no connection.

`decide` reads this table from the top; the first line that fits a change counts. *The row* is the one at the before
image's key. *In its way* are other rows that hold the after image's primary key or one of its unique values. The last
line is `decide_refused`: only the server can say so, after `decide`.

| change | the rows here                        | conflict       | task_failed | ignore  | overwrite                   |
|--------|--------------------------------------|----------------|-------------|---------|-----------------------------|
| insert | none in its way                      | –              | inserted    | inserted| inserted                    |
|        | one in its way, equal to the image   | –              | nothing     | nothing | nothing                     |
|        | a row at its key                     | insert_exists  | pending     | nothing | they give way, row is put   |
|        | rows with its unique values only     | insert_unique  | pending     | nothing | they give way, row is put   |
| update | row missing, none in its way         | update_missing | inserted    | inserted| inserted                    |
|        | row missing, otherwise               | as an insert of the after image                                  |
|        | row equals the after image           | –              | nothing     | nothing | nothing                     |
|        | row equals before, none in its way   | –              | set         | set     | set                         |
|        | row equals before, rows in its way   | update_unique  | pending     | nothing | they give way, row is set   |
|        | row differs from before              | update_differs | pending     | nothing | they give way, row is set   |
| delete | row missing                          | delete_missing | nothing     | nothing | nothing                     |
|        | row equals before                    | –              | deleted     | deleted | deleted                     |
|        | row differs from before              | delete_differs | pending     | nothing | deleted                     |
| any    | a foreign key of the target refuses  | foreign_key    | pending     | nothing | pending                     |

The decision on record is `source` where the change is applied, also where it is already there, `target` where the rows
here stay, and `pending` where the direction stops and waits for a decision. To give way is to be deleted, each row by
its own key, before anything is put: an upsert would change in silence whichever row shares a unique value. The one
exception is the row that holds an inserted image's primary key: it is set in place, since a delete would take the rows
that refer to it along. What is there already, an inserted or updated row that equals the image, is no conflict, and
counted. Where a foreign key refuses, no row could give way so that the change is right: its parent is missing here, or
has children here that its source did not see.
"""

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from bisync_topology.topology import Policy
from schemas.records import Row, RowEvent

Winner = Literal["source", "target", "pending"]


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
    """Give a local row, found by its key, all values of another."""

    local: Row
    row: Row


class Delete(NamedTuple):
    """Take away a local row, found by its key."""

    local: Row


Action = Insert | Set | Delete


class Decision(NamedTuple):
    """What to do, and what to put on record.

    type: None where there was no conflict.
    actions: in the order in which they are to be done.
    already: what the change wants is there already, and no conflict.
    """

    type: ConflictType | None
    decision: Winner
    actions: tuple[Action, ...] = ()
    already: bool = False


class _Case(NamedTuple):
    """A line of the table: `actions` are those of the source's winning; `settled`: the policy has no say."""

    type: ConflictType | None
    actions: tuple[Action, ...] = ()
    settled: bool = False


# A policy's column of the table. A policy that looks at the rows or their versions is one more function here.
_JUDGES: Mapping[Policy, Callable[[RowEvent, Sequence[LocalRow]], Winner]] = {
    Policy.TASK_FAILED: lambda event, local: "pending",
    Policy.IGNORE: lambda event, local: "target",
    Policy.OVERWRITE: lambda event, local: "source",
}
POLICIES = tuple(_JUDGES)  # those that `decide` knows


def decide(event: RowEvent, local: Sequence[LocalRow], policy: Policy) -> Decision:
    """Decide about one change. `local`: every row found by the images' key values, each once."""
    case = _case(event, local)
    if case.type is None or case.settled:
        return Decision(case.type, "source", case.actions, already=case.type is None and not case.actions)
    winner = _JUDGES[policy](event, local)
    return Decision(case.type, winner, case.actions if winner == "source" else ())


def decide_refused(event: RowEvent, local: Sequence[LocalRow], policy: Policy) -> Decision:
    """Decide about a change that a foreign key of the target refuses; nothing of it is done. The source cannot win."""
    winner = _JUDGES[policy](event, local)
    return Decision(ConflictType.FOREIGN_KEY, "pending" if winner == "source" else winner)


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
        return _Case(None, (Insert(image),))
    if len(in_its_way) == 1 and in_its_way[0].is_after:
        return _Case(None)
    holder = next((found for found in in_its_way if found.at_after), None)
    put = Insert(image) if holder is None else Set(holder.row, image)
    actions: tuple[Action, ...] = (*_give_way(found for found in in_its_way if found is not holder), put)
    return _Case(ConflictType.INSERT_UNIQUE if holder is None else ConflictType.INSERT_EXISTS, actions)


def _update(current: LocalRow, image: Row, in_its_way: Sequence[LocalRow]) -> _Case:
    unseen = current.is_before and current.row != image  # by the comparison, such as the type of a value inside a document
    if current.is_after and not unseen:
        return _Case(None)
    actions: tuple[Action, ...] = (*_give_way(in_its_way), Set(current.row, image))
    if not current.is_before:
        return _Case(ConflictType.UPDATE_DIFFERS, actions)
    return _Case(ConflictType.UPDATE_UNIQUE if in_its_way else None, actions)


def _delete(current: LocalRow | None) -> _Case:
    if current is None:
        return _Case(ConflictType.DELETE_MISSING, settled=True)
    return _Case(None if current.is_before else ConflictType.DELETE_DIFFERS, (Delete(current.row),))


def _give_way(rows: Iterable[LocalRow]) -> tuple[Delete, ...]:
    return tuple(Delete(found.row) for found in rows)
