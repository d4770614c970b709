"""The shape of topology.yaml: frozen models, one for each mapping in the file.

Values arrive as the text that was written (`topology_yaml.py` keeps `no` and `0123` as they are), and each field's
type reads it. What concerns more than one mapping (two directions, both sides) is in `topology_checks.py`;
`topology_file.load` runs all of it and is the way to get a `Topology`.
"""

import enum
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bisync_topology import object_patterns
from bisync_topology.errors import UsageError


class SslMode(enum.StrEnum):
    """How a connection to MySQL is secured, in the words of MySQL's own client."""

    DISABLED = "disabled"
    PREFERRED = "preferred"  # TLS if the server has it, unverified
    REQUIRED = "required"  # TLS, unverified
    VERIFY_CA = "verify_ca"
    VERIFY_IDENTITY = "verify_identity"


class Dml(enum.StrEnum):
    """A kind of row change."""

    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class Policy(enum.StrEnum):
    """What happens when both sides changed the same row."""

    TASK_FAILED = "task_failed"
    IGNORE = "ignore"
    OVERWRITE = "overwrite"
    SITE_PRIORITY = "site_priority"
    NEWEST = "newest"
    MERGE = "merge"

    @property
    def converges(self) -> bool:
        """Tell whether both sides end equal under it. It is then set the same in both directions."""
        return self in (Policy.SITE_PRIORITY, Policy.NEWEST, Policy.MERGE)


class Deletes(enum.StrEnum):
    """Under newest and merge: what a delete does against a concurrent update."""

    WIN = "win"
    LOSE = "lose"


class Step(enum.StrEnum):
    """A step of initialization."""

    STRUCTURE = "structure"
    DATA = "data"


SYSTEM_SCHEMAS: Final = frozenset({"mysql", "sys", "information_schema", "performance_schema"})
CONTROL_SCHEMA: Final = "bisync"  # when the file does not say
RETENTION_FOREVER: Final = -1  # Kafka's own value for retention.ms
_DURATIONS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SIZES = {"": 1, "B": 1, "KB": 1000, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def _duration_ms(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value == "forever":
        return RETENTION_FOREVER
    parts = re.fullmatch(r"(\d+)\s*([smhdw])", value)
    if parts is None or int(parts[1]) == 0:
        raise ValueError("must be a number with a unit s, m, h, d or w, as in 7d, or `forever`")
    return int(parts[1]) * _DURATIONS[parts[2]]


def _bytes(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", value)
    if parts is None or parts[2].upper() not in _SIZES:
        raise ValueError("must be a number of bytes, or one with a unit KiB, MiB, GiB, KB, MB or GB, as in 64MiB")
    return int(parts[1]) * _SIZES[parts[2].upper()]


def _name(value: str) -> str:
    # `.` separates the parts of a topic's name; 32 leaves room for the table in Kafka's 249 characters
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", value):
        raise ValueError("must be 1 to 32 of A-Z a-z 0-9 _ -, and begin with a letter or digit")
    return value


def schema_name(value: str) -> str:
    """Give the name of the control schema back, or raise ValueError that says what is allowed."""
    # lower case only: servers with lower_case_table_names=1 would show another name in the binlog than was written
    if not re.fullmatch(r"[a-z0-9_-]{1,64}", value):
        raise ValueError("must be 1 to 64 of a-z 0-9 _ -, in lower case")
    if value in SYSTEM_SCHEMAS:
        raise ValueError("must not be one of the server's own schemas")
    return value


def _object_entry(value: str) -> str:
    object_patterns.parse(value)
    return value


def _table_entry(value: str) -> str:
    if object_patterns.parse(value).excludes:
        raise ValueError("`!` takes out objects; settings are given by a name or a glob without it")
    return value


def _beside_the_file(value: Path, info: ValidationInfo) -> Path:
    if not info.context:
        return value  # built in a program, not read from a file
    path = (Path(info.context["folder"]) / value.expanduser()).absolute()
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path


Name = Annotated[str, AfterValidator(_name)]
ObjectEntry = Annotated[str, AfterValidator(_object_entry)]
TableEntry = Annotated[str, AfterValidator(_table_entry)]
PemFile = Annotated[Path, AfterValidator(_beside_the_file)]
NonEmpty = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, data: Any) -> Any:
        """Let `tables:` with nothing behind it mean the default, as a reader of YAML expects."""
        if not isinstance(data, Mapping):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


class Ssl(_Model):
    """TLS towards one MySQL server. Paths are relative to the folder of topology.yaml."""

    mode: SslMode = SslMode.PREFERRED
    ca: PemFile | None = None  # PEM; without it, verify_* trust the operating system's authorities
    cert: PemFile | None = None  # PEM of the client certificate, together with key
    key: PemFile | None = None

    @model_validator(mode="after")
    def _pair(self) -> "Ssl":
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together; one of them is missing")
        return self


class MySQL(_Model):
    """How one server is reached."""

    host: NonEmpty
    port: int = Field(default=3306, ge=1, le=65535)
    user: NonEmpty
    password: SecretStr
    ssl: Ssl = Ssl()


class Side(_Model):
    """One of the servers that take writes."""

    mysql: MySQL
    priority: int = Field(default=0, ge=1)  # 1 is the arbiter of convergent policies; unique; absent: by order


class TopicSettings(_Model):
    """How topics are created; topics that exist keep what they have."""

    partitions: int = Field(default=3, ge=1)  # of a table's topic
    replication_factor: int = Field(default=-1, ge=1, le=32767)  # -1, when absent: the broker's default
    retention_ms: Annotated[int, BeforeValidator(_duration_ms)] = Field(default=7 * 86_400_000, alias="retention")
    max_message_bytes: Annotated[int, BeforeValidator(_bytes)] = Field(default=64 * 2**20, ge=1000, le=10**9)


class ConflictSettings(_Model):
    """The record of conflicts."""

    # of those that are settled, in the table; of all, in the topic that is made for them
    retention_ms: Annotated[int, BeforeValidator(_duration_ms)] = Field(default=90 * 86_400_000, alias="retention")


class VerifySettings(_Model):
    """How `up` compares both sides in the background; 0: it does not."""

    every_ms: Annotated[int, BeforeValidator(_duration_ms)] = Field(default=0, alias="every", ge=0)
    max_rows_per_second: int = Field(default=20_000, ge=1)


class InitializationSettings(_Model):
    """How the rows that are there already are copied. See docs/adr/0010-data-initialization.md."""

    readers: int = Field(default=2, ge=1, le=16)  # connections to a direction's source
    chunk_rows: int = Field(default=10_000, ge=1, le=1_000_000)  # read at once; fewer where rows are large
    max_rows_per_second: int = Field(default=0, ge=0)  # of a direction; 0: as fast as it goes
    max_lag_seconds: float = Field(default=10.0, gt=0)  # by which the target's lag pauses the copy


class TableSettings(_Model):
    """Settings of one table or a glob of tables; None: what the direction says. See `scope.settings_for`."""

    on_conflict: Policy | None = None
    deletes: Deletes | None = None
    dml: tuple[Dml, ...] | None = None
    version_column: NonEmpty | None = None  # its greater value is the newer row
    delta_columns: tuple[NonEmpty, ...] = ()  # numeric; the difference is applied, so both sides' changes add up

    @model_validator(mode="after")
    def _apart(self) -> "TableSettings":
        if self.version_column in self.delta_columns:
            raise ValueError("version_column must not be one of delta_columns: versions do not add up")
        return self


class Events(enum.StrEnum):
    """Whether an event that was created at the source runs on the target too."""

    DISABLED = "disabled"  # as on MySQL's replicas: what it does at the source comes as rows
    ENABLED = "enabled"


class Direction(_Model):
    """Changes of one side on their way to the other."""

    from_: str = Field(alias="from")
    to: str
    objects: tuple[ObjectEntry, ...] = Field(min_length=1)  # see `scope.Scope`
    ddl: bool = False
    events: Events = Events.DISABLED  # how events of the source arrive, where `ddl` carries them
    dml: tuple[Dml, ...] = tuple(Dml)
    on_conflict: Policy = Policy.TASK_FAILED
    deletes: Deletes = Deletes.WIN
    tables: dict[TableEntry, TableSettings] = {}
    initialize: tuple[Step, ...] = ()

    def __str__(self) -> str:
        """Give `east to west`."""
        return f"{self.from_} to {self.to}"


class Topology(_Model):
    """The whole file."""

    name: Name  # prefix of topics, consumer groups and control rows
    kafka: dict[str, str] = Field(repr=False)  # librdkafka properties; may hold secrets, hence not in repr
    topics: TopicSettings = TopicSettings()
    conflicts: ConflictSettings = ConflictSettings()
    verify: VerifySettings = VerifySettings()
    initialization: InitializationSettings = InitializationSettings()
    control_schema: Annotated[str, AfterValidator(schema_name)] = CONTROL_SCHEMA
    sides: dict[Name, Side]
    directions: tuple[Direction, ...] = Field(min_length=1)

    @field_validator("sides", mode="after")
    @classmethod
    def _rank(cls, sides: dict[str, Side]) -> dict[str, Side]:
        """Give sides without a priority the lowest free ones, in the order of the file."""
        taken = {side.priority for side in sides.values()}
        free = (number for number in itertools.count(1) if number not in taken)
        return {name: side if side.priority else side.model_copy(update={"priority": next(free)}) for name, side in sides.items()}

    def direction(self, from_: str, to: str) -> Direction:
        """Give the direction, or raise UsageError that names those there are."""
        for direction in self.directions:
            if (direction.from_, direction.to) == (from_, to):
                return direction
        raise UsageError(f"there is no direction {from_} to {to}; there are: {', '.join(map(str, self.directions))}")

    def directions_into(self, side: str) -> tuple[Direction, ...]:
        """Give what the applier of `side` serves, in the order of the file."""
        return tuple(direction for direction in self.directions if direction.to == side)

    def directions_from(self, side: str) -> tuple[Direction, ...]:
        """Give what the producer of `side` serves, in the order of the file."""
        return tuple(direction for direction in self.directions if direction.from_ == side)

    def other(self, side: str) -> str:
        """Give the name of the opposite side, or raise UsageError for a name that is no side's."""
        if side not in self.sides:
            raise UsageError(f"there is no side {side}; there are: {', '.join(self.sides)}")
        return next(name for name in self.sides if name != side)

    @property
    def arbiter(self) -> str:
        """Give the side that decides under convergent policies: the one with the best (lowest) priority."""
        return min(self.sides, key=lambda name: self.sides[name].priority)
