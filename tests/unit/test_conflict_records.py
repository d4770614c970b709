"""What becomes of conflicts on record, told to control tables that note it."""

from types import SimpleNamespace
from typing import Any

import pytest

from bisync_topology.errors import ConflictStop
from bisync_topology.topology import Policy
from consumers import records
from consumers.changes import Change
from consumers.conflict import ConflictType, Decision, LocalRow
from consumers.records import ConflictRecorder
from consumers.resolve import Resolved
from schemas.records import RowEvent


class Noted:
    """Control tables of one conflict that was pending before: transaction 7, event 0, number 17. Notes what is written."""

    def __init__(self, *known: tuple[int, int, int, str | None]) -> None:
        self.known = known
        self.written: list[tuple[str, tuple[object, ...]]] = []
        self.topology = SimpleNamespace(name="shop")
        self.connection = SimpleNamespace(commit=lambda: None, cursor=lambda: self)
        self.lastrowid = 30

    def text(self, name: str) -> str:
        """A statement is its name."""
        return name

    def execute(self, name: str, *arguments: Any) -> tuple[tuple[int, int, int, str | None], ...]:
        """Run a statement, of the tables or of a cursor."""
        if name == "pending_conflicts":
            return self.known
        self.written.append((name, arguments))
        return ()

    def executemany(self, name: str, rows: list[tuple[object, ...]]) -> None:
        """Run a statement of a cursor for several rows."""
        self.written += [(name, (row,)) for row in rows]

    def __enter__(self) -> "Noted":
        """As a cursor."""
        return self

    def __exit__(self, *_: object) -> None:
        """As a cursor."""


def met(decision: str, *, sequence: int = 7, value: str = "new", policy: Policy = Policy.IGNORE) -> Resolved:
    """A conflict of an update at key 1."""
    columns = [SimpleNamespace(name=name) for name in ("id", "v")]
    statements = SimpleNamespace(plan=SimpleNamespace(columns=columns, key=(0,)))
    table: Any = SimpleNamespace(name="shop.t", settings=SimpleNamespace(on_conflict=policy), statements=statements)
    record: Any = SimpleNamespace(sequence=sequence, stream="s", gtid="u:7", committed_at=0)
    event = RowEvent(sequence, 0, "u", (1, "old"), (1, value))
    winner: Any = decision
    return Resolved(Change(table, event, record, 0), Decision(ConflictType.UPDATE_DIFFERS, winner), (LocalRow((1, "mine")),))


def recorder(noted: Noted) -> ConflictRecorder:
    """The recorder of east to west."""
    control: Any = noted
    return ConflictRecorder(control, "east", "west", "s")


def test_a_changed_policy_decides_what_was_pending() -> None:
    """The same conflict is not recorded twice: its record says what was decided at last."""
    noted = Noted((17, 7, 0, None))
    conflicts = recorder(noted)
    conflicts.add(met("target"))
    conflicts.write()
    ((name, arguments),) = noted.written
    assert (name, arguments[1:4], arguments[-1]) == ("update_conflict", ("update_differs", "ignore", "target"), 17)
    assert conflicts.settle(7) == (1, 0)


def test_what_fits_by_then_is_closed_once() -> None:
    """The commit that passes the transaction closes it; a commit that fails leaves it to be closed by the next one."""
    noted = Noted((17, 7, 0, None), (18, 9, 0, None))
    conflicts = recorder(noted)
    for _ in range(2):
        conflicts.passing([met("source").change])
        conflicts.settle(7)
    conflicts.committed(7)
    conflicts.settle(8)
    assert [(name, arguments[1:]) for name, arguments in noted.written] == [("close_one", ("source", "shop", 17))] * 2


def test_what_is_not_carried_any_more_is_closed_as_skipped() -> None:
    """Its table was taken out of the direction, or its kind of change: nobody has applied it."""
    noted = Noted((17, 7, 0, None))
    conflicts = recorder(noted)
    conflicts.settle(7)
    assert [(name, arguments[1:]) for name, arguments in noted.written] == [("close_one", ("skipped", "shop", 17))]


def test_what_somebody_has_decided_holds_until_its_transaction_is_passed() -> None:
    """A decision is for its change alone, survives a commit that fails, and is gone with the one that passes its transaction."""
    conflicts = recorder(Noted((17, 7, 0, "target"), (18, 9, 0, None)))
    decided, open_one = met("pending").change, met("pending", sequence=9).change
    assert conflicts.told([open_one, decided]) and not conflicts.told([open_one])
    assert (conflicts.resolution(decided), conflicts.resolution(open_one)) == ("target", None)
    conflicts.settle(7)
    conflicts.clear()
    assert conflicts.resolution(decided) == "target"
    conflicts.committed(7)
    assert conflicts.resolution(decided) is None


def test_a_row_that_stays_is_recorded_although_its_change_would_fit() -> None:
    """Decided for the target: the record keeps the type of the conflict that it was, as the change has none by now."""
    noted = Noted((17, 7, 0, "target"))
    conflicts = recorder(noted)
    fits = met("target")
    conflicts.add(fits._replace(decision=Decision(None, "target"), decided=True))
    conflicts.write()
    ((name, arguments),) = noted.written
    assert (name, arguments[1:4]) == ("update_conflict", (None, "ignore", "target"))
    assert conflicts.settle(7) == (1, 0)


def test_decided_for_the_source_and_refused_by_the_server() -> None:
    """The error says that it is the server that refuses, not the policy."""
    conflicts = recorder(Noted((17, 7, 0, "source")))
    conflicts.add(met("pending"))
    with pytest.raises(ConflictStop, match="decided for the source, but the server here still refuses"):
        conflicts.check()


@pytest.mark.parametrize("others", [False, True])
def test_the_commands_that_lead_out(others: bool) -> None:
    """Show, resolve, mend, change the policy, resume; and how to decide about all of them where there are several."""
    text = records.ways_out("west-17", "east", "west", others=others)
    for words in (
        "conflicts show west-17`",
        "conflicts resolve west-17 --use source|target`",
        "by hand",
        "policy",
        "resume east west`",
    ):
        assert words in text
    assert ("--all --from east" in text) is others


def test_pending_ones_are_bounded_by_their_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wide rows stop the direction before a thousand of them are held, with those that were met so far."""
    monkeypatch.setattr(records, "MAX_PENDING_BYTES", 1000)
    conflicts = recorder(Noted())
    with pytest.raises(ConflictStop) as raised:
        for _ in range(100):
            conflicts.add(met("pending", value="x" * 300, policy=Policy.TASK_FAILED))
    assert len(raised.value.pending) == 4
    assert "v: was old there, xxx" in raised.value.message and "mine here" in raised.value.message


@pytest.mark.parametrize("value", ["é" * 70_000, b"\xff" * 70_000])
def test_a_long_value_is_recorded_by_its_digest(value: Any) -> None:
    """Whatever its type: a record of several documents would be larger than a statement may be."""
    noted = Noted()
    conflicts = recorder(noted)
    conflicts.add(met("target", value=value))
    conflicts.write()
    ((name, (arguments,)),) = noted.written
    assert name == "insert_conflict"
    assert isinstance(arguments, tuple) and all(len(str(argument)) < 300 for argument in arguments)


def test_a_conflict_of_a_row_that_is_copied_waits_for_that_row() -> None:
    """Later transactions do not settle it; the row does, by what was decided, and is undecided until then."""
    noted = Noted((17, -5, 0, None), (18, -6, 0, None))
    recorder = ConflictRecorder(noted, "east", "west", "s")  # type: ignore[arg-type]
    recorder.settle(9)
    recorder.committed(9)
    assert noted.written == []
    copied = met("source", sequence=-5)
    recorder.passing([copied.change])
    assert not recorder.undecided
    recorder.add(copied)
    assert recorder.undecided
    recorder.write()
    recorder.settle(9)
    recorder.committed(9)
    assert [name for name, _ in noted.written] == ["update_conflict", "close_one"]
    noted.written.clear()
    recorder.all_copied()
    assert [(name, arguments[1], arguments[3]) for name, arguments in noted.written] == [("close_one", "skipped", 18)]


def test_what_somebody_has_decided_about_a_copied_row_is_no_doubt() -> None:
    """It is not looked at again."""
    noted = Noted((17, -5, 0, "target"))
    recorder = ConflictRecorder(noted, "east", "west", "s")  # type: ignore[arg-type]
    copied = met("target", sequence=-5)
    recorder.passing([copied.change])
    recorder.add(copied)
    assert not recorder.undecided
