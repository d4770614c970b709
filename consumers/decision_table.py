"""Every cell of the conflict table: a change, the rows that it meets, a policy → what is done, what is left, what is recorded.

The situations are listed here with small rows; what comes of them is asked of `decide` and `refresh_of`. From it the tables of
docs/conflicts.md are written (consumers/decision_page.py), and a test makes each cell on a real server. No connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from bisync_topology.topology import Deletes, Policy
from consumers.conflict import Decision, Delete, Insert, LocalRow, Rules, decide, decide_refused
from consumers.refresh import Refresh, refresh_of
from schemas.records import Row, RowEvent

# The table of all situations: id is its primary key, code is unique, parent refers to an id, qty and sold may be delta columns.
COLUMNS = ("id", "code", "name", "note", "version", "qty", "sold", "parent")
ID, CODE, NAME, NOTE, VERSION, QTY, SOLD, PARENT = range(8)
KEYS = ((ID,), (CODE,))
DELTAS = (QTY, SOLD)
_BY_ID = itemgetter(ID)
_BEFORE, _HERE, _COMES = 1, 2, 3  # versions: of rows as they were, of those changed here, of what comes


class Situation(NamedTuple):
    """A change and the rows of the target that it meets.

    change, here: in words. deltas: qty and sold are delta columns. refused: a foreign key of the target refuses the change.
    """

    change: str
    here: str
    before: Row | None
    after: Row | None
    rows: tuple[Row, ...] = ()
    deltas: bool = False
    refused: bool = False


class Column(NamedTuple):
    """A policy, and what of the rows or settings it depends on.

    judging: of a convergent policy: the target is the arbiter; else the source is. newer: what comes has a greater version than
    the rows here that were changed.
    """

    title: str
    policy: Policy
    judging: bool = False
    newer: bool = False
    deletes: Deletes = Deletes.WIN

    def rules(self, situation: Situation) -> Rules:
        """How it decides."""
        return Rules(
            self.policy,
            forced=self.policy.converges and not self.judging,
            judging=self.judging,
            deletes_win=self.deletes is Deletes.WIN,
            version_of=(lambda row: row[VERSION]) if self.policy is Policy.NEWEST else None,
            deltas=frozenset(DELTAS if situation.deltas else ()),
            keyed=frozenset(n for key in KEYS for n in key),
        )


class Outcome(NamedTuple):
    """A cell. rows: those of the situation that are left, in order of id. told: what is sent back to the other side."""

    event: RowEvent
    met: tuple[Row, ...]  # before it, in order of id
    local: tuple[LocalRow, ...]
    decision: Decision
    rows: tuple[Row, ...]
    told: Refresh | None


ONE_SIDE = tuple(Column(str(policy), policy) for policy in (Policy.TASK_FAILED, Policy.IGNORE, Policy.OVERWRITE))
FORCED = Column("not at the arbiter", Policy.SITE_PRIORITY)
ARBITER = (
    Column("site_priority", Policy.SITE_PRIORITY, judging=True),
    Column("newest, newer", Policy.NEWEST, judging=True, newer=True),
    Column("newest, not newer", Policy.NEWEST, judging=True),
    Column("merge", Policy.MERGE, judging=True),
)
CONVERGENT = (FORCED, *ARBITER)


def variants(column: Column) -> tuple[Column, ...]:
    """A column once for each setting of `deletes` that its policy knows."""
    if not column.judging or column.policy is Policy.SITE_PRIORITY:
        return (column,)
    return tuple(column._replace(deletes=deletes) for deletes in Deletes)


def cells() -> Iterator[tuple[Situation, Column]]:
    """Every cell, variants and all."""
    for situation in SITUATIONS:
        for column in (*ONE_SIDE, *CONVERGENT):
            for variant in variants(column):
                yield situation, variant


def outcome(situation: Situation, column: Column) -> Outcome:
    """What comes of a situation under a policy."""
    before, after, *rows = (
        _versioned(row, column) for row in (situation.before, situation.after, *sorted(situation.rows, key=_BY_ID))
    )
    met = tuple(row for row in rows if row is not None)
    event = RowEvent(1, 0, "c" if before is None else "d" if after is None else "u", before, after)
    local, rules = found(event, met), column.rules(situation)
    refused = situation.refused and not rules.forced  # what is forced is done with the key unchecked: consumers/resolve.py
    decision = decide_refused(event, local, rules) if refused else decide(event, local, rules)
    told = refresh_of(event, local, decision) if rules.judging and not decision.clean else None
    return Outcome(event, met, local, decision, done(met, decision), told)


def found(event: RowEvent, rows: Sequence[Row]) -> tuple[LocalRow, ...]:
    """The local rows that the locked reads by every key of the images give."""
    before, after = event.before, event.after
    local = [
        LocalRow(
            row,
            at_before=before is not None and row[ID] == before[ID],
            at_after=after is not None and row[ID] == after[ID],
            shares_unique=after is not None and row[CODE] == after[CODE],
            is_before=row == before,
            is_after=row == after,
        )
        for row in rows
    ]
    return tuple(row for row in local if row.at_before or row.at_after or row.shares_unique)


def done(rows: Sequence[Row], decision: Decision) -> tuple[Row, ...]:
    """The rows once the decision's actions are done."""
    left = list(rows)
    for action in decision.actions:
        if not isinstance(action, Insert):
            left.remove(action.local)
        if isinstance(action, Delete):
            continue
        row = action.row
        if not isinstance(action, Insert) and action.columns is not None:
            row = tuple(row[n] if n in action.columns else value for n, value in enumerate(action.local))
        left.append(row)
    return tuple(sorted(left, key=_BY_ID))


def _versioned(row: Row | None, column: Column) -> Row | None:
    """A row with the version that it has for this column; only newest looks at it."""
    if row is None:
        return None
    version = row[VERSION] if column.policy is Policy.NEWEST else _BEFORE
    if version == _COMES and not column.newer:
        version = _HERE  # a tie
    return (*row[:VERSION], version, *row[VERSION + 1 :])


def _row(
    id_: int,
    code: int,
    name: str = "old",
    note: str = "",
    version: int = _HERE,
    qty: int = 5,
    sold: int | None = 0,
    parent: int | None = None,
) -> Row:
    return (id_, code, name, note, version, qty, sold, parent)


_OLD = _row(1, 10, version=_BEFORE)
_NEW = _row(1, 10, "new", version=_COMES)
_TWO = _row(1, 10, "new", "new", version=_COMES)  # two columns are changed
_CODE = _row(1, 11, "new", version=_COMES)
_KEY = _row(2, 10, "new", version=_COMES)
_BOTH = _row(2, 11, "new", version=_COMES)
_MORE = _row(1, 10, version=_COMES, qty=7)
_MORE_AND_NAME = _row(1, 10, "new", version=_COMES, qty=7)
_MORE_AND_CODE = _row(1, 11, version=_COMES, qty=7)
_MORE_HERE = _row(1, 10, version=_BEFORE, qty=30)  # but for what was added here as before
_MORE_NEW = _row(1, 10, "new", version=_COMES, qty=30)  # and as after
_MINE = _row(1, 10, "here")  # changed here in the column that the source changed
_OTHER = _row(1, 10, note="here")  # in another one
_HOLDS_KEY, _HOLDS_CODE = _row(2, 20, "here"), _row(3, 11, "here")

SITUATIONS = (
    Situation("insert", "none in its way", None, _NEW),
    Situation("insert", "one in its way, equal to it", None, _NEW, (_NEW,)),
    Situation("insert", "a row at its key", None, _NEW, (_row(1, 20, "here"),)),
    Situation("insert", "a row with its unique value", None, _NEW, (_row(2, 10, "here"),)),
    Situation("insert", "one at its key, one with its unique value", None, _NEW, (_row(1, 20, "here"), _row(2, 10, "here"))),
    Situation("insert", "a foreign key refuses: no parent", None, _row(1, 10, "new", version=_COMES, parent=99), refused=True),
    Situation("update", "as before", _OLD, _NEW, (_OLD,)),
    Situation("update", "as after", _OLD, _NEW, (_NEW,)),
    Situation("update", "missing", _OLD, _NEW),
    Situation("update", "the same column was changed", _OLD, _NEW, (_MINE,)),
    Situation("update", "another column was changed", _OLD, _NEW, (_OTHER,)),
    Situation("update", "a foreign key refuses: no parent", _OLD, (*_NEW[:PARENT], 99), (_OLD,), refused=True),
    Situation("update of two columns", "one of them was changed", _OLD, _TWO, (_OTHER,)),
    Situation("update of a unique value", "as before, none in its way", _OLD, _CODE, (_OLD,)),
    Situation("update of a unique value", "as before, a row has the value", _OLD, _CODE, (_OLD, _HOLDS_CODE)),
    Situation("update of a unique value", "another column was changed, a row has the value", _OLD, _CODE, (_OTHER, _HOLDS_CODE)),
    Situation("update of a unique value", "missing, a row has the value", _OLD, _CODE, (_HOLDS_CODE,)),
    Situation("update of the key", "as before, none in its way", _OLD, _KEY, (_OLD,)),
    Situation("update of the key", "moved to the same key, as after", _OLD, _KEY, (_KEY,)),
    Situation("update of the key", "moved to another key", _OLD, _KEY, (_row(3, 10),)),
    Situation("update of the key", "another column was changed", _OLD, _KEY, (_OTHER,)),
    Situation("update of the key", "as before, a row at the new key", _OLD, _KEY, (_OLD, _HOLDS_KEY)),
    Situation("update of the key", "missing, a row at the new key", _OLD, _KEY, (_HOLDS_KEY,)),
    Situation("update of key and unique value", "as before, a row has each", _OLD, _BOTH, (_OLD, _HOLDS_KEY, _HOLDS_CODE)),
    Situation("update of key and unique value", "missing, a row has each", _OLD, _BOTH, (_HOLDS_KEY, _HOLDS_CODE)),
    Situation("delete", "as before", _OLD, None, (_OLD,)),
    Situation("delete", "missing", _OLD, None),
    Situation("delete", "changed", _OLD, None, (_MINE,)),
    Situation("delete", "a foreign key refuses: a child", _OLD, None, (_OLD, _row(2, 20, "child", parent=1)), refused=True),
    Situation("update of a delta column", "only it was changed", _OLD, _MORE, (_MORE_HERE,), deltas=True),
    Situation("update of a delta column", "another one was changed", _OLD, _MORE, (_row(1, 10, version=_BEFORE, sold=4),), True),
    Situation("update of another column", "only a delta column was changed", _OLD, _NEW, (_MORE_HERE,), deltas=True),
    Situation("update of another column", "as after, but for a delta column", _OLD, _NEW, (_MORE_NEW,), deltas=True),
    Situation("update of another column", "it and a delta column were changed", _OLD, _NEW, (_row(1, 10, "here", qty=30),), True),
    Situation(
        "update of a delta column and another",
        "as after, but for the delta column",
        _OLD,
        _MORE_AND_NAME,
        (_MORE_NEW,),
        deltas=True,
    ),
    Situation(
        "update of a delta column and another", "both were changed", _OLD, _MORE_AND_NAME, (_row(1, 10, "here", qty=30),), True
    ),
    Situation(
        "update of a delta column and a unique value",
        "the delta column was changed, a row has the value",
        _OLD,
        _MORE_AND_CODE,
        (_MORE_HERE, _HOLDS_CODE),
        deltas=True,
    ),
    Situation(
        "update of a delta column and one that was NULL",
        "both were changed",
        _row(1, 10, version=_BEFORE, sold=None),
        _row(1, 10, version=_COMES, qty=7, sold=3),
        (_row(1, 10, qty=30, sold=9),),
        deltas=True,
    ),
    Situation("delete", "only a delta column was changed", _OLD, None, (_MORE_HERE,), deltas=True),
)
