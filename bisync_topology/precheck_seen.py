"""What the precheck has seen of the sides and of Kafka: facts without judgement, fetched by the modules precheck_*_facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bisync_topology.errors import CaptureError
from bisync_topology.kafka_access import Access
from bisync_topology.triggers import Trigger

Name = tuple[str, str]  # database, table


@dataclass(frozen=True, kw_only=True)
class ColumnFacts:
    """One column. generated: its expression, "" for one that is written."""

    type: str
    nullable: bool = True
    charset: str | None = None
    collation: str | None = None
    generated: str = ""


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A foreign key of a table. on_update, on_delete: CASCADE, SET NULL, RESTRICT, NO ACTION, SET DEFAULT."""

    name: str
    columns: tuple[str, ...]
    parent: Name
    parent_columns: tuple[str, ...]
    on_update: str
    on_delete: str

    @property
    def cascades(self) -> bool:
        """Whether it changes rows of the child by itself."""
        return bool({self.on_update, self.on_delete} & {"CASCADE", "SET NULL", "SET DEFAULT"})

    @property
    def rule(self) -> tuple[object, ...]:
        """What makes two of them equal, whatever their names."""
        rules = ("NO ACTION" if each == "RESTRICT" else each for each in (self.on_update, self.on_delete))
        return (self.columns, self.parent, self.parent_columns, *rules)

    def __str__(self) -> str:
        """Give `(a, b) to db.parent ON UPDATE … ON DELETE …`."""
        rules = f"ON UPDATE {self.on_update} ON DELETE {self.on_delete}"
        return f"({', '.join(self.columns)}) to {'.'.join(self.parent)} {rules}"


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """One base table in scope. keyed: a primary key or a unique key of whole NOT NULL columns."""

    engine: str
    keyed: bool = True
    key_hint: tuple[str, ...] = ()  # columns that a key could be made of
    create: str | None = None  # SHOW CREATE TABLE, where the other side's is unlike it or is not there
    columns: Mapping[str, ColumnFacts] = field(default_factory=dict)
    unique: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)  # index → its columns; None: an expression
    references: tuple[Reference, ...] = ()
    auto_increment: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)  # side from which its rows cannot be written here → why


@dataclass(frozen=True, kw_only=True)
class Definer:
    """An object that runs as somebody: kind in lower case, as in `trigger`."""

    kind: str
    db: str
    name: str
    account: str  # user@host


@dataclass(frozen=True, kw_only=True)
class Marker:
    """What became of the row that was written to be read back. state: SEEN, HIDDEN, ABSENT (no table yet), UNTRIED."""

    state: str
    words: str = ""


SEEN, HIDDEN, ABSENT, UNTRIED = "seen", "hidden", "absent", "untried"


@dataclass(frozen=True, kw_only=True)
class SideFacts:
    """What a side said. filters: databases of binlog_do_db and binlog_ignore_db; None when it was not allowed to say."""

    variables: Mapping[str, str]
    account: str = ""  # user@host, as the server matched it
    grants: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()  # granted and not active, each as `name`@`host`
    filters: tuple[str, str] | None = None
    tables: Mapping[Name, TableFacts] = field(default_factory=dict)
    views: frozenset[Name] = frozenset()  # in scope by their name
    triggers: tuple[Trigger, ...] = ()  # on tables that an applier writes here, as far as the account sees them
    events: Mapping[Name, bool] = field(default_factory=dict)  # in databases that are carried → whether it runs here
    definers: tuple[Definer, ...] = ()  # of the objects in databases that are carried
    accounts: frozenset[str] | None = None  # user@host of all; None when it was not allowed to say
    databases: Mapping[str, str] = field(default_factory=dict)  # that are carried → default collation
    collations: Mapping[str, str] = field(default_factory=dict)  # known here → the default one of its character set
    named_zones: bool = True  # it knows time zones by their names
    tls: str = ""  # protocol and cipher of our own connection; "" in the clear
    threads: int = 0  # connections to the server
    own: int = 0  # of those, of this account
    user_limit: int = 0  # connections that the account may have; 0: any number
    channels: int = 0  # of MySQL's own replication, into this server
    clock: float = 0.0  # seconds by which its clock is ahead of ours
    marker: Marker = Marker(state=ABSENT)
    begun: frozenset[tuple[str, str]] = frozenset()  # directions that have control rows here
    noted: Mapping[tuple[str, str], frozenset[Name]] = field(
        default_factory=dict
    )  # direction → tables whose copy is on record here
    filled: frozenset[Name] = frozenset()  # tables that data is to be copied into, and that have rows
    position: CaptureError | None = None  # the checkpoint's place in the binlog is gone
    captured: bool = False  # there is a checkpoint
    objects: tuple[str, ...] = ()  # what the producer captured that has left it


@dataclass(frozen=True, kw_only=True)
class TopicFacts:
    """One topic. settings: what the broker allowed us to see."""

    partitions: int
    copies: int
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class KafkaFacts:
    """What the broker said. lost: by side, that topics of its checkpoint are gone."""

    brokers: int
    topics: int = 0  # that exist already
    lost: Mapping[str, CaptureError] = field(default_factory=dict)
    details: Mapping[str, TopicFacts] = field(default_factory=dict)
    broker: Mapping[str, str] = field(default_factory=dict)  # settings of a broker that we may see
    denied: tuple[Access, ...] = ()  # what producers and appliers need under this principal
    refused: str = ""  # why the broker would not make a topic of ours
    transactions: Mapping[str, str] = field(default_factory=dict)  # side → why its transactional id cannot be used; "" it can
    used: frozenset[str] = frozenset()  # sides whose producer runs, or has, so that its id was not tried


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything; an exception stands where the answer was not to be had. runs: `up` asks, whose principal runs every process."""

    sides: Mapping[str, SideFacts | Exception]
    kafka: KafkaFacts | Exception
    runs: bool = False
