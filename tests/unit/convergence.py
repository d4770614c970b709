"""Two sides in memory that change the same few rows, and between them the code that runs between two servers.

Real are Publisher with its overlap index, the wire format, Assembler, Progress, `decide` and `refresh_of`; in memory are the
servers (rows under a primary and a unique key, a log) and Kafka (lists of records). What happens when is drawn from a seed:
local transactions, what is produced and delivered, pauses, restarts that read again what had come, crashes inside a commit.
What would stop a direction is decided for its target.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from bisync_topology.scope import TableRules
from bisync_topology.topology import Deletes, Policy, Topology
from consumers.assemble import Assembler
from consumers.changes import Change, changes_of
from consumers.conflict import ConflictType, Decision, Delete, Insert, LocalRow, Rules, Set, decide
from consumers.progress import Progress
from consumers.refresh import refresh_of
from consumers.statements import Statements
from consumers.tables import AppliedTable
from consumers.target import TargetTable, plan
from producers.checkpoint import Checkpoint, checkpoint_of
from producers.items import KIND_ROWS, End, Head, Item, Refresh, Rows
from producers.publish import Publisher
from producers.tables import CapturedTable
from schemas.envelope import RowDecoder, RowEncoder
from schemas.images import ABSENT, MARK, PRESENT
from schemas.key_values import KeyPart, Keys
from schemas.list_records import transaction_decoder
from schemas.records import REFRESH, Row
from schemas.tables import Column, Table
from schemas.topics import table_topic, transactions_topic

EAST, WEST = "east", "west"  # east is the arbiter
KEYS, CODES, VALUES = ("a", "A", "b", "B", "c"), (None, 1, 2, 3), ("x", "y", "z")  # keys are case-blind: three of them
STEPS = 60
ID, CODE, VALUE, VERSION, QTY, SOLD = range(6)
DELTAS = (QTY, SOLD)
_TEXT = {"kind": "text", "sql_type": "varchar(9)", "charset": "utf8mb4", "collation": "utf8mb4_0900_ai_ci"}
COLUMNS = (
    Column(name="id", nullable=False, **_TEXT),  # type: ignore[arg-type]
    Column(name="code", kind="int", sql_type="int"),
    Column(name="value", **_TEXT),  # type: ignore[arg-type]
    Column(name="version", kind="int", sql_type="int"),
    Column(name="qty", kind="int", sql_type="int"),
    Column(name="sold", kind="int", sql_type="int"),
)
TABLE = Table(db="shop", name="t", columns=COLUMNS, key=(0,))
ENCODER = RowEncoder(TABLE)
_TARGET = TargetTable(
    db="shop",
    name="t",
    columns=COLUMNS,
    key=(0,),
    unique_keys=((0,), (1,)),
    indexes=("PRIMARY", "code"),
    prefixes=((None,), (None,)),
    needs_value=frozenset(),
    sets_itself=frozenset(),
)
_STATEMENTS = Statements(plan(TABLE, _TARGET))
_DECODER = RowDecoder(ENCODER.value_schema)
KEYS_OF = Keys("shop.t", [[KeyPart("id", None, "utf8mb4_0900_ai_ci")], [KeyPart("code", None, None)]], COLUMNS)
_PARTITIONS = 2


def topology() -> Topology:
    """The two sides, both ways."""
    mysql = {"host": "127.0.0.1", "user": "u", "password": "p"}
    return Topology.model_validate(
        {
            "name": "shop",
            "kafka": {"bootstrap.servers": "127.0.0.1:1"},
            "sides": {EAST: {"mysql": mysql | {"port": 1}}, WEST: {"mysql": mysql | {"port": 2}}},
            "directions": [{"from": a, "to": b, "objects": ["shop"]} for a, b in ((EAST, WEST), (WEST, EAST))],
        }
    )


TOPOLOGY = topology()


class Broker:
    """Kafka: topics' partitions, and of each producer what is not committed yet."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[bytes]] = defaultdict(list)


class Outbox:
    """As producers.outbox.Outbox: what was put is there once it is committed."""

    overdue = False

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._waiting: list[tuple[str, int, bytes]] = []
        self.began = 0.0

    def begin(self) -> None:
        """A transaction is open from now on."""
        self.began = 1e18

    def put(self, topic: str, partition: int, key: bytes | None, value: bytes) -> None:
        """Queue a message."""
        self._waiting.append((topic, partition, value))

    def partitions(self, topic: str) -> int:
        """How many a topic has."""
        return _PARTITIONS

    def topic_id(self, topic: str) -> str:
        """Of a topic that was made."""
        return topic

    def flush_when_full(self) -> None:
        """Nothing is flushed before the commit."""

    def commit(self) -> None:
        """Let appliers see what was put."""
        for topic, partition, value in self._waiting:
            self._broker.records[topic, partition].append(value)
        self._waiting.clear()
        self.began = 0.0


@dataclass
class Marker:
    """What an applier writes into its progress row."""

    sequence: int
    transactions: int
    seen: int


@dataclass
class Logged:
    """A transaction in a side's log: changes (op, images) and rows of `refreshes` (role, image), in their order."""

    marker: Marker | None
    entries: list[tuple[str, Any]] = field(default_factory=list)


def same(one: str, other: str) -> bool:
    """The collation's equality."""
    return one.lower() == other.lower()


class Rowstore:
    """A table in a server's memory; a violated key is an error, as it is there."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}

    def copy(self) -> Rowstore:
        """The same rows."""
        made = Rowstore()
        made.rows = dict(self.rows)
        return made

    def at(self, row: Row) -> Row | None:
        """The row at another one's key."""
        return self.rows.get(str(row[ID]).lower())

    def delete(self, row: Row) -> tuple[str, list[Row]]:
        """Take the row at a key away; gives what is logged."""
        return "d", [self.rows.pop(str(row[ID]).lower())]

    def insert(self, row: Row) -> tuple[str, list[Row]]:
        """Put a row that is not there."""
        assert self.fits(row), f"duplicate entry for {row} among {list(self.rows.values())}"
        self.rows[str(row[ID]).lower()] = row
        return "c", [row]

    def update(self, local: Row, row: Row) -> tuple[str, list[Row]] | None:
        """Set a row; nothing is logged of one that stays as it is."""
        before = self.rows.pop(str(local[ID]).lower())
        assert self.fits(row), f"duplicate entry for {row} among {list(self.rows.values())}"
        self.rows[str(row[ID]).lower()] = row
        return None if before == row else ("u", [before, row])

    def fits(self, row: Row) -> bool:
        """Whether neither of its key values is taken."""
        return self.at(row) is None and all(row[CODE] is None or row[CODE] != other[CODE] for other in self.rows.values())

    def found(self, before: Row | None, after: Row | None) -> list[LocalRow]:
        """What the locked reads by every key of the images give."""
        found = []
        for row in self.rows.values():
            local = LocalRow(
                row,
                at_before=before is not None and same(str(row[ID]), str(before[ID])),
                at_after=after is not None and same(str(row[ID]), str(after[ID])),
                shares_unique=after is not None and after[CODE] is not None and row[CODE] == after[CODE],
                is_before=row == before,
                is_after=row == after,
            )
            if local.at_before or local.at_after or local.shares_unique:
                found.append(local)
        return found


class Side:
    """A server, its producer, and the applier that writes into it."""

    def __init__(self, name: str, broker: Broker, rules: Rules, rng: Random) -> None:
        self.name, self.other = name, WEST if name == EAST else EAST
        self.rng, self.broker = rng, broker
        self.store = Rowstore()
        self.log: list[Logged] = []
        self.conflicts: list[tuple[ConflictType, str]] = []
        self._captured = CapturedTable(
            role="rows",
            db="shop",
            name="t",
            topic=table_topic("shop", name, "shop", "t"),
            table=TABLE,
            encoder=ENCODER,
            judged=rules.policy.converges and name == TOPOLOGY.arbiter,
            keys=KEYS_OF,
        )
        self._checkpoint = Checkpoint(
            stream=name, sequence=0, seen=0, gtid_executed=None, file="log", pos=0, server_uuid=name, file_begun=0
        )
        self._start_producer()
        # the applier
        settings = TableRules(TOPOLOGY.directions_into(name)[0]).settings("shop", "t")
        converges = rules.policy.converges
        rules = rules._replace(forced=converges and name == WEST, judging=converges and name == EAST)
        self._applied_table = AppliedTable(
            name="shop.t", decoder=_DECODER, settings=settings, rules=rules, statements=_STATEMENTS
        )
        self._list = (transactions_topic("shop", self.other), 0)
        self._applied, self._offsets = 0, {self._list: 0}
        self._start_applier()

    # The server

    def change(self, draw: Callable[[Random, Rowstore], Iterator[tuple[str, list[Row]]]]) -> None:
        """Commit a local transaction."""
        logged = Logged(None, list(draw(self.rng, self.store)))
        if logged.entries:
            self.log.append(logged)

    # The producer

    def _start_producer(self) -> None:
        self._read = self._checkpoint.pos
        self._marker = self._checkpoint.seen
        self.publisher = Publisher(
            TOPOLOGY,
            self.name,
            Outbox(self.broker),
            self._checkpoint,
            server_uuid=self.name,
            fk_checks=False,  # type: ignore[arg-type]
        )

    def produce(self, number: int) -> bool:
        """Publish some transactions of the log; gives whether there were any."""
        logged = self.log[self._read : self._read + number]
        for transaction in logged:
            self._read += 1
            self.publisher.add(self._items(transaction))
        if logged:
            self.publisher.commit()
            self._checkpoint = checkpoint_of(self.publisher.checkpoint().__dict__ | {"prepared": {}})
        return bool(logged)

    def restart_producer(self) -> None:
        """Some transactions are published and not committed; then it begins again at its checkpoint."""
        for transaction in self.log[self._read : self._read + self.rng.randrange(3)]:
            self.publisher.add(self._items(transaction)[: self.rng.choice((None, 1, 2))])
        self.publisher.close()
        self._start_producer()

    def _items(self, logged: Logged) -> list[Item]:
        head = Head(
            gtid=f"{self.name}:{self._read}", tsid="", number=self._read, committed_at=self._read, server_id=1, file="log",
            pos=self._read, seen=self._marker,
        )  # fmt: skip
        if logged.marker is not None:
            head.origin, head.origin_sequence = self.other, logged.marker.sequence
            head.origin_transactions, head.origin_seen = logged.marker.transactions, logged.marker.seen
            self._marker = logged.marker.sequence
        items: list[Item] = []
        for what, content in logged.entries:
            if what in (MARK, PRESENT, ABSENT):
                items.append(Refresh(head, self._captured, what, content))
            else:
                head.kind = KIND_ROWS
                items.append(Rows(head, self._captured, what, content, 100))
        return [*items, End(head, "log", self._read)]

    # The applier

    def _start_applier(self) -> None:
        back = {partition: self.rng.randint(0, offset) for partition, offset in self._offsets.items()}
        if self.rng.random() < 0.5:
            back = dict(self._offsets)
        self._fetched = {self._list: 0, **back}
        self._assembler = Assembler(
            list_topic=self._list[0], source_side=self.other, own_side=self.name, stream=self.other,
            applied_sequence=self._applied,
        )  # fmt: skip
        self._assembler.assigned(self._fetched)
        self._decode = transaction_decoder()

    def restart_applier(self) -> None:
        """It begins again, and may read again from any earlier place."""
        self._start_applier()

    def deliver(self, number: int, pieces: int) -> bool:
        """Fetch some records of each partition and apply what is complete, as one transaction; gives whether anything moved."""
        moved = False
        for partition in list(self._fetched):
            start = self._fetched[partition]
            values = self.broker.records[partition][start : start + number]
            if not values:
                continue
            moved = True
            self._fetched[partition] = start + len(values)
            numbered = list(enumerate(values, start))
            if partition == self._list:
                self._assembler.add_list([(offset, self._decode(value)) for offset, value in numbered])
                for named in self._assembler.unassigned:
                    self._fetched.setdefault(named, 0)
                self._assembler.assigned(list(self._assembler.unassigned))
            else:
                self._assembler.add_events(partition, numbered)
        taken = self._assembler.take(pieces)
        if taken:
            self._apply(taken)
        return moved or bool(taken)

    def _apply(self, taken: list[Any]) -> None:
        progress, changes = Progress(), []
        for piece in taken:
            found = changes_of(piece, lambda identity: self._applied_table)
            progress.add(piece, applied=bool(found))
            changes += found
        store, met = self.store.copy(), []
        logged = Logged(Marker(progress.sequence, progress.transactions, progress.seen_by(arbiter=self.name == TOPOLOGY.arbiter)))
        for change in changes:
            met += self._change(store, change, logged)
        if self.rng.random() < 0.03:  # killed before the commit: all of it is undone
            self._start_applier()
            return
        self.store, self._applied = store, progress.sequence
        self._offsets |= progress.positions
        self.conflicts += met
        self.log.append(logged)

    def _change(self, store: Rowstore, change: Change, logged: Logged) -> list[tuple[ConflictType, str]]:
        event, rules = change.event, change.table.rules
        if event.op == REFRESH:
            rules = rules._replace(forced=True)
        local = store.found(event.before, event.after)
        decision = decide(event, local, rules)
        decided = decision.decision == "pending"
        if decided:
            decision = Decision(decision.type, "target")
        if decided or (rules.judging and not decision.clean):
            back = refresh_of(event, local, decision)
            logged.entries += [(MARK, row) for row in back.marked]
            logged.entries += [(ABSENT, row) for row in back.absent]
            logged.entries += [(PRESENT, row) for row in back.present]
        for action in decision.actions:
            if isinstance(action, Insert):
                logged.entries.append(store.insert(action.row))
            elif isinstance(action, Delete):
                logged.entries.append(store.delete(action.local))
            else:
                assert isinstance(action, Set)
                columns = range(len(action.row)) if action.columns is None else action.columns
                row = tuple(action.row[n] if n in columns else value for n, value in enumerate(action.local))
                entry = store.update(action.local, row)
                logged.entries += [entry] if entry is not None else []
        return [] if decision.type is None or event.op == REFRESH else [(decision.type, decision.decision)]


def draw_changes(stamp: Callable[[], int], *, new: bool) -> Callable[[Random, Rowstore], Iterator[tuple[str, list[Row]]]]:
    """One to three random changes that the side's own server accepts; new: each row is one that never was."""

    def drawn(rng: Random, store: Rowstore) -> Iterator[tuple[str, list[Row]]]:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            kind = rng.choice(("insert", "insert", "update", "update", "delete", "code", "move", "again", "swap", "qty", "null"))
            version = stamp() if rng.random() < 0.7 or new else 0
            kind = "update" if new and kind in ("again", "swap") else kind
            rows = list(store.rows.values())
            if kind == "insert":
                row: Row = (rng.choice(KEYS), rng.choice(CODES), rng.choice(VALUES), version, 10, rng.choice((None, 0)))
                if store.fits(row):
                    yield store.insert(row)
                continue
            if not rows:
                continue
            row = rng.choice(rows)
            if kind == "delete":
                yield store.delete(row)
            elif kind == "again":  # the very row is deleted and put back
                yield store.delete(row)
                yield store.insert(row)
            elif kind == "swap" and len(rows) > 1:
                other = rng.choice([each for each in rows if each is not row])
                for local, code in ((row, None), (other, row[CODE]), ((*row[:CODE], None, *row[CODE + 1 :]), other[CODE])):
                    entry = store.update(local, (*local[:CODE], code, *local[CODE + 1 :]))
                    if entry is not None:
                        yield entry
            else:
                changed = {
                    "update": (*row[:VALUE], rng.choice(VALUES), version, *row[QTY:]),
                    "code": (row[ID], rng.choice(CODES), row[VALUE], version, *row[QTY:]),
                    "move": (rng.choice(KEYS), *row[CODE:]),
                    "qty": _with(row, rng.choice(DELTAS), rng.choice((-1, 1, 2))),
                    "null": _with(row, SOLD, None),
                }.get(kind, row)
                if new:
                    changed = (*changed[:VERSION], version, *changed[QTY:])
                rest = store.copy()
                rest.delete(row)
                if changed != row and rest.fits(changed):
                    entry = store.update(row, changed)
                    assert entry is not None
                    yield entry

    return drawn


def draw_sums(rng: Random, store: Rowstore) -> Iterator[tuple[str, list[Row]]]:
    """Something is added to a row that both sides have."""
    row = rng.choice(list(store.rows.values()))
    entry = store.update(row, _with(row, rng.choice(DELTAS), rng.choice((-2, -1, 1, 3))))
    assert entry is not None
    yield entry


def draw_beside_sums(stamp: Callable[[], int]) -> Callable[[Random, Rowstore], Iterator[tuple[str, list[Row]]]]:
    """The same, or another column is changed, or both at once."""

    def drawn(rng: Random, store: Rowstore) -> Iterator[tuple[str, list[Row]]]:
        if rng.random() < 0.4:
            yield from draw_sums(rng, store)
            return
        row = rng.choice(list(store.rows.values()))
        changed = (*row[:VALUE], rng.choice(VALUES), stamp(), *row[QTY:])
        entry = store.update(row, _with(changed, rng.choice(DELTAS), rng.choice((0, 0, 1, 3))))
        assert entry is not None
        yield entry

    return drawn


def _with(row: Row, column: int, added: int | None) -> Row:
    """A row with a sum; NULL and what is added are what is added."""
    value = None if added is None else int(str(row[column] or 0)) + added
    return (*row[:column], value, *row[column + 1 :])


def rules(policy: Policy, deletes: Deletes = Deletes.WIN, *, deltas: bool = False) -> Rules:
    """A policy's rules for the table here, of no side yet."""
    return Rules(
        policy,
        deletes_win=deletes is Deletes.WIN,
        version_of=(lambda row: (0,) if row[VERSION] is None else (1, row[VERSION])) if policy is Policy.NEWEST else None,
        deltas=frozenset(DELTAS) if deltas else frozenset(),
        keyed=frozenset({ID, CODE}),
    )


def history(
    rng: Random,
    rules: Rules,
    *,
    first: tuple[Row, ...] = (),
    sums: bool = False,
    beside: bool = False,
    new: bool = False,
    steps: int = STEPS,
    on_start: Callable[[Side], None] = lambda side: None,
) -> dict[str, Side]:
    """One history, delivered to the end.

    first: rows that both sides have at the start. sums: nothing but additions. beside: these, and changes of other columns.
    new: each changed row is one that never was.
    on_start: is given each side.
    """
    broker = Broker()
    sides = {name: Side(name, broker, rules, rng) for name in (EAST, WEST)}
    for row in first:
        for side in sides.values():
            side.store.insert(row)
    for side in sides.values():
        on_start(side)
    clock = iter(range(1, 1 << 30))
    draw = draw_beside_sums(lambda: next(clock)) if beside else draw_changes(lambda: next(clock), new=new)
    draw = draw_sums if sums else draw
    paused: dict[str, int] = dict.fromkeys(sides, 0)
    for step in range(steps):
        side = sides[rng.choice((EAST, WEST))]
        chance = rng.random()
        if chance < 0.35:
            side.change(draw)
        elif chance < 0.55:
            side.produce(rng.randint(1, 4))
        elif chance < 0.88:
            if step >= paused[side.name]:
                side.deliver(rng.randint(1, 6), rng.randint(1, 4))
        elif chance < 0.92:
            paused[side.name] = step + rng.randrange(15)
        elif chance < 0.96:
            side.restart_applier()
        else:
            side.restart_producer()
    settle(sides)
    return sides


def settle(sides: dict[str, Side]) -> None:
    """Produce and deliver until nothing moves: changes come to an end, or the test does."""
    for _ in range(10_000):
        moved = [side.produce(5) for side in sides.values()] + [side.deliver(50, 5) for side in sides.values()]
        if not any(moved):
            return
    raise AssertionError("the two sides go on answering each other")


def unequal(sides: dict[str, Side]) -> bool:
    """Whether the sides differ in any byte."""
    east, west = (sorted(side.store.rows.values(), key=repr) for side in sides.values())
    return east != west
