"""`skip` on the applier's side: it leads past a transaction whatever cannot be read of it."""

from types import SimpleNamespace
from typing import Any

import pytest

from bisync_topology.errors import ApplyError
from bisync_topology.ownership import Report
from consumers.assemble import Assembled
from consumers.groups import Groups
from consumers.passing import Passing
from initialization.initialized import Initialized
from schemas.framing import frame
from schemas.list_records import encode_ddl
from schemas.records import DdlEvent, TransactionRecord

GTID = "u:7"
DDL = encode_ddl(DdlEvent(7, 0, "DROP TABLE t", "shop", 0, "", (255, 255, 255), ("shop.t",)))


class Target:
    """The writer and its parts, as far as groups use them: notes what was skipped and how often it committed."""

    def __init__(self) -> None:
        self.commits: list[Any] = []
        self.passed: list[tuple[str, tuple[str, ...]]] = []
        self.conflicts = SimpleNamespace(skipped=lambda record, tables: self.passed.append((record.gtid, tables)))

    def begin(self, *_: object, **__: object) -> None:
        """Nothing to move."""

    def write(self, changes: Any) -> None:
        """Nothing is applied here."""
        assert not changes

    def keep(self, *_: object) -> Any:
        """No event comes in parts."""
        raise AssertionError

    def commit(self, progress: Any) -> None:
        """Note it."""
        self.commits.append(progress.sequence)


class Tables:
    """One schema is known, every other is lost."""

    def of(self, identity: int) -> Any:
        """Nothing is applied here."""
        raise AssertionError(identity)

    def name(self, identity: int) -> str:
        """`db.table` of a schema id."""
        if identity != 1:
            raise ApplyError("the schema is not there", code="schema_lost")
        return "shop.t"


def piece(kind: str, *values: bytes, number: int = 0, last: bool = True, dropped: bool = False) -> Assembled:
    """A transaction of these events, or a piece of it."""
    record = TransactionRecord(
        sequence=7, piece=number, last=last, kind=kind, stream="s", gtid=GTID, committed_at=0, origin=None, origin_sequence=0,
        origin_transactions=0, seen=0, fk_checks=True, barrier=0, events=(),
    )  # fmt: skip
    return Assembled(record, list(values), {}, dropped=dropped)


def groups(target: Target, *skips: str) -> Groups:
    """A direction whose skips are these."""
    whatever: Any = target
    tables: Any = Tables()
    assembler: Any = SimpleNamespace(repeated=0)
    ownership: Any = SimpleNamespace(report=Report())
    return Groups(
        direction=("east", "west"),
        rows=whatever,
        writer=whatever,
        tables=tables,
        passing=Passing(whatever, assembler, lambda positions: None, ownership, lambda: False),
        loading=SimpleNamespace(note=lambda changes: None, passed=lambda record: None),  # type: ignore[arg-type]
        skips=lambda: frozenset(skips),
        structure=SimpleNamespace(holding=False, meet=None, pass_over=lambda *_: None),  # type: ignore[arg-type]
        own=SimpleNamespace(),  # type: ignore[arg-type]
        initialized=Initialized({}, ()),
    )


@pytest.mark.parametrize(
    ("skipped", "tables"),
    [
        (piece("rows", frame(1) + b"\x0e\0"), ("shop.t",)),
        (piece("rows", frame(2) + b"\x0e\0", frame(1) + b"\x0e\0"), ()),
        (piece("rows", b"\x01" + frame(1)), ()),
        (piece("ddl", DDL), ("shop.t",)),
        (piece("ddl", frame(3) + DDL[5:]), ()),
        (piece("ddl", DDL + b"\0"), ()),
    ],
)
def test_what_cannot_be_read_is_passed(skipped: Assembled, tables: tuple[str, ...]) -> None:
    """A lost schema, a damaged event, a DDL of another version: what they stop with advises `skip`, and it passes them."""
    target = Target()
    groups(target, GTID).apply([skipped])
    assert target.passed == [(GTID, tables)]
    assert target.commits == [7]


@pytest.mark.parametrize("dropped", [False, True])
def test_progress_waits_for_the_last_piece(monkeypatch: pytest.MonkeyPatch, dropped: bool) -> None:
    """A transaction in pieces that is skipped, or dropped, is passed as a whole: no progress is written in its middle."""
    monkeypatch.setattr("consumers.passing.LAZY_SECONDS", -1.0)
    target = Target()
    passing = groups(target, GTID)
    values = () if dropped else (frame(1) + b"\x0e\0",)
    passing.apply([piece("rows", *values, last=False, dropped=dropped)])
    passing.write_progress_when_due()
    assert (passing.between, target.commits, target.passed) == (False, [], [])
    passing.apply([piece("rows", *values, number=1, dropped=dropped)])
    passing.write_progress_when_due()
    assert (passing.between, target.commits) == (True, [7])
    assert target.passed == ([] if dropped else [(GTID, ("shop.t",))])


def test_a_ddl_that_cannot_be_read_stops() -> None:
    """It is an error of the direction with its transaction and the way past it, not the end of the process."""
    with pytest.raises(ApplyError) as raised:
        groups(Target()).apply([piece("ddl", frame(3) + DDL[5:])])
    assert (raised.value.code, raised.value.where.gtid) == ("undecodable", GTID)
    assert f"bisync-topology skip east west --gtid {GTID}" in (raised.value.hint or "")
