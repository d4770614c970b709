"""Pieces of transactions → changes in source order, in runs; no server."""

from collections.abc import Sequence

import pytest

from bisync_topology.errors import ApplyError
from bisync_topology.scope import ResolvedSettings
from bisync_topology.topology import Deletes, Dml, Policy
from consumers.assemble import Assembled
from consumers.changes import Change, Unfinished, changes_of, runs
from consumers.conflict import Rules
from consumers.statements import Statements
from consumers.tables import AppliedTable
from consumers.target import TargetTable, plan
from schemas.avro_bytes import varint
from schemas.envelope import RowDecoder, RowEncoder
from schemas.parts import parts
from schemas.records import EventCount, Row, RowEvent, TransactionRecord
from schemas.tables import Column, Table

COLUMNS = (
    Column(name="id", kind="int", sql_type="int", nullable=False),
    Column(name="v", kind="text", sql_type="varchar(20)", charset="utf8mb4", collation="utf8mb4_bin"),
)


def encoder(name: str) -> RowEncoder:
    """The encoder of a table of two columns."""
    return RowEncoder(Table(db="shop", name=name, columns=COLUMNS, key=(0,)))


def applied(name: str, dml: Sequence[Dml] = tuple(Dml), *, in_scope: bool = True) -> tuple[int, AppliedTable]:
    """(schema id, table) as an applier has it."""
    made = encoder(name)
    settings = ResolvedSettings(
        key=None,
        on_conflict=Policy.TASK_FAILED,
        deletes=Deletes.WIN,
        dml=frozenset(dml),
        version_column=None,
        delta_columns=frozenset(),
    )
    target = TargetTable(
        db="shop",
        name=name,
        columns=COLUMNS,
        key=(0,),
        unique_keys=((0,),),
        indexes=("PRIMARY",),
        prefixes=tuple((None,) * len(key) for key in ((0,),)),
        needs_value=frozenset(),
        sets_itself=frozenset(),
    )
    statements = Statements(plan(made.table, target)) if in_scope else None
    decoder, rules = RowDecoder(made.value_schema), Rules(settings.on_conflict)
    table = AppliedTable(name=f"shop.{name}", decoder=decoder, settings=settings, rules=rules, statements=statements)
    return made.value_id, table


def event(name: str, order: int, before: Row | None, after: Row | None, *, moved: bool = False) -> bytes:
    """A framed event of transaction 5."""
    made = encoder(name)
    source = made.source(
        {
            "version": "1",
            "connector": "bisync",
            "name": "shop.east",
            "ts_ms": 0,
            "ts_us": 0,
            "db": "shop",
            "table": name,
            "server_id": 1,
            "gtid": "u:1",
            "file": "f",
            "pos": 4,
            "origin": "east",
        }
    )
    return made.value(varint(5), order, before, after, source, varint(0) + b"\x06u:1", moved)


def piece(values: list[bytes], partitions: int = 1) -> Assembled:
    """A complete piece with these events."""
    events = tuple(EventCount("shop.east.shop.a", n, 1) for n in range(partitions))
    record = TransactionRecord(5, 0, True, "rows", "s", "u:1", 0, None, 0, 0, 0, False, 0, events)
    return Assembled(record, values, {}, False)


def shape(changes: list[Change]) -> list[tuple[str, str, object, object]]:
    """What the tests compare."""
    return [(change.table.name, change.event.op, change.event.before, change.event.after) for change in changes]


def test_events_of_several_partitions_come_in_the_order_of_the_source() -> None:
    """Partitions hold their own order only; the events' own order puts the tables and partitions together again."""
    tables = dict([applied("a"), applied("b")])
    values = [event("a", 0, None, (1, "x")), event("a", 2, None, (2, "y")), event("b", 1, None, (9, "z"))]
    found = changes_of(piece(values, partitions=2), tables.__getitem__)
    assert shape(found) == [
        ("shop.a", "c", None, (1, "x")),
        ("shop.b", "c", None, (9, "z")),
        ("shop.a", "c", None, (2, "y")),
    ]


def test_the_halves_of_a_moved_update_are_one_update_again() -> None:
    """A key change travels as delete and insert in two partitions; conflict rules and filters see the update that it was."""
    tables = dict([applied("a", [Dml.UPDATE])])
    values = [event("a", 1, None, (2, "x"), moved=True), event("a", 0, (1, "x"), None, moved=True)]
    assert shape(changes_of(piece(values, partitions=2), tables.__getitem__)) == [("shop.a", "u", (1, "x"), (2, "x"))]


def test_dml_filters_let_through_what_they_name() -> None:
    """A direction that carries inserts alone drops updates and deletes, and a moved update with both its halves."""
    tables = dict([applied("a", [Dml.INSERT])])
    values = [
        event("a", 0, None, (1, "x")),
        event("a", 1, (1, "x"), (1, "y")),
        event("a", 2, (1, "y"), None),
        event("a", 3, (3, "x"), None, moved=True),
        event("a", 4, None, (4, "x"), moved=True),
    ]
    assert shape(changes_of(piece(values), tables.__getitem__)) == [("shop.a", "c", None, (1, "x"))]


def test_an_event_whose_bytes_are_damaged_stops_the_direction() -> None:
    """It is said of which transaction and table it is, and nothing of its piece is applied."""
    tables = dict([applied("a")])
    with pytest.raises(ApplyError) as stop:
        changes_of(piece([event("a", 0, None, (1, "x")), event("a", 1, None, (2, "x"))[:14]]), tables.__getitem__)
    assert (stop.value.code, stop.value.where.gtid, stop.value.where.table) == ("undecodable", "u:1", "shop.a")
    for foreign in (b"", b"\x01\x00\x00\x00\x01", b'{"a": 1}'):
        with pytest.raises(ApplyError) as stop:
            changes_of(piece([foreign]), tables.__getitem__)
        assert stop.value.code == "undecodable"


def test_a_table_out_of_scope_is_not_decoded() -> None:
    """Its events are passed over, even such as could not be decoded."""
    identity, table = applied("a", in_scope=False)
    broken = event("a", 0, None, (1, "x"))[:6]
    assert changes_of(piece([broken]), {identity: table}.__getitem__) == []


def test_runs_join_neighbours_only() -> None:
    """Changes of one table and kind share a statement as long as nothing else stands between them."""
    tables = dict([applied("a"), applied("b")])
    values = [
        event("a", 0, None, (1, "x")),
        event("a", 1, None, (2, "x")),
        event("b", 2, None, (1, "x")),
        event("a", 3, None, (3, "x")),
        event("a", 4, (3, "x"), None),
    ]
    found = changes_of(piece(values), tables.__getitem__)
    assert [(table.name, op, len(run)) for table, op, run in runs(found)] == [
        ("shop.a", "c", 2),
        ("shop.b", "c", 1),
        ("shop.a", "c", 1),
        ("shop.a", "d", 1),
    ]


def in_parts(value: bytes, order: int, size: int) -> list[bytes]:
    """An event of transaction 5 in parts."""
    return list(parts(5, order, [value], size))


def pieces_of(*groups: list[bytes]) -> list[Assembled]:
    """Pieces of transaction 5 with these values; events in parts have pieces of their own."""
    return [piece(group, 1) for group in groups]


def test_an_event_in_parts_is_a_change_once_it_is_whole() -> None:
    """Its parts come in any number of pieces; the change is given with the last one, with statements for long values."""
    identity, table = applied("a")
    records = in_parts(event("a", 0, None, (1, "x" * 100)), 0, 20)
    unfinished = Unfinished(lambda *_: lambda data: "@v")
    found = [changes_of(each, {identity: table}.__getitem__, unfinished) for each in pieces_of(records[:2], records[2:])]
    assert found[0] == []
    ((change,),) = found[1:]
    assert change.event == RowEvent(5, 0, "c", None, (1, "x" * 100))
    assert change.table.long
    assert change.table.for_long_rows.statements is not change.table.statements


@pytest.mark.parametrize("old_in_parts", [True, False])
@pytest.mark.parametrize("new_in_parts", [True, False])
def test_halves_of_a_move_meet_over_pieces(old_in_parts: bool, new_in_parts: bool) -> None:
    """A moved row is one update again, whichever of its halves came in parts."""
    identity, table = applied("a")
    old, new = event("a", 0, (1, "x"), None, moved=True), event("a", 1, None, (2, "y"), moved=True)
    groups = [in_parts(old, 0, 9) if old_in_parts else [old], in_parts(new, 1, 9) if new_in_parts else [new]]
    unfinished = Unfinished(lambda *_: lambda data: "@v")
    first, second = (changes_of(each, {identity: table}.__getitem__, unfinished) for each in pieces_of(*groups))
    assert first == []
    ((change),) = second
    assert (change.event.op, change.event.before, change.event.after) == ("u", (1, "x"), (2, "y"))
    assert change.table.long == (old_in_parts or new_in_parts)


def test_parts_that_are_not_carried_are_no_change() -> None:
    """Out of scope, or of a kind that the direction leaves out: read, or passed over, and never kept on the target."""
    for identity, table in (applied("a", in_scope=False), applied("a", [Dml.DELETE])):
        records = in_parts(event("a", 0, None, (1, "x" * 200_000)), 0, 90_000)
        unfinished = Unfinished(lambda *_: pytest.fail("kept"))
        (only,) = pieces_of(records)
        assert changes_of(only, {identity: table}.__getitem__, unfinished) == []


def test_parts_that_are_no_event_are_named() -> None:
    """Damage inside of an event in parts is an error with its table, as anywhere."""
    identity, table = applied("a")
    whole = event("a", 0, None, (1, "x" * 100))
    (only,) = pieces_of(in_parts(whole[:60], 0, 20))
    with pytest.raises(ApplyError, match="ends inside its row") as caught:
        changes_of(only, {identity: table}.__getitem__, Unfinished(lambda *_: lambda data: "@v"))
    assert (caught.value.code, caught.value.where.table) == ("undecodable", "shop.a")
