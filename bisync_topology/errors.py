"""What can go wrong, what a process does about it, and what the user is told.

    BisyncError
    ├── UsageError         exit 2   the command line or topology.yaml is wrong
    ├── CheckFailed        exit 1   what was asked does not hold: precheck, verify, a time-out
    ├── DirectionFailed    exit 3   a direction stops; this is recorded as its failed state
    │   ├── CaptureError            the producer met a change that it cannot carry faithfully
    │   └── ApplyError              the applier met a change that it cannot apply
    │       └── ConflictStop        policy task_failed: the conflict waits for `conflicts resolve`
    ├── Unreachable        exit 4   a server or broker is away; running processes wait for it
    ├── Repeat                      the applier has learnt something and does its transaction again
    ├── LostOwnership      exit 1   another process owns this work now; nothing may be written
    └── InternalError      exit 70  a defect of this program

`classify` and `classify_kafka` map everything else that a client library raises to a `Category`, by the table in
`error_table.py`, in which each entry has its advice beside it. Kafka errors are classified by their name, because
only the Kafka edge modules import that client.
"""

import errno
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import pymysql.err

from bisync_topology.error_table import AWAY, BROKER, DISK, KAFKA, MYSQL, TLS, Category, Rule

__all__ = [
    "ApplyError",
    "BisyncError",
    "CaptureError",
    "Category",
    "CheckFailed",
    "ConflictStop",
    "DirectionFailed",
    "InternalError",
    "LostOwnership",
    "Repeat",
    "Rule",
    "Unreachable",
    "UsageError",
    "Where",
    "advice",
    "classify",
    "classify_kafka",
    "exit_code",
    "kafka_rule",
    "rule_for",
    "words",
]

_ENGINE_ERROR = 1030  # any of a storage engine; which one, its text says
# what a socket says of a network or a host that is away, for which Python has no class; not every system has all of them
_NO_WAY = {getattr(errno, n) for n in ("EHOSTUNREACH", "ENETUNREACH", "EHOSTDOWN", "ENETDOWN", "ENONET") if hasattr(errno, n)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where an error was met. Every part is optional; `str` prints those that are known, compactly."""

    side: str | None = None  # name of the side in topology.yaml
    gtid: str | None = None  # of the source transaction
    log_file: str | None = None  # binlog file name
    log_pos: int | None = None  # byte position in it
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None  # of the Kafka record
    table: str | None = None  # db.table

    def __str__(self) -> str:
        """Give for example `east, shop.stock, gtid 3e11…:7, binlog.000003:1234, shop.east.transactions[0]@15`."""
        parts = [part for part in (self.side, self.table) if part]
        if self.gtid:
            parts.append(f"gtid {self.gtid}")
        if self.log_file or self.log_pos is not None:
            parts.append(f"{self.log_file or 'binlog'}{_tail(':', self.log_pos)}")
        if self.topic or self.partition is not None or self.offset is not None:
            partition = "" if self.partition is None else f"[{self.partition}]"
            parts.append(f"{self.topic or 'topic'}{partition}{_tail('@', self.offset)}")
        return ", ".join(parts)

    def __bool__(self) -> bool:
        """Tell whether anything at all is known."""
        return any(getattr(self, field.name) is not None for field in fields(self))


def _tail(mark: str, number: int | None) -> str:
    return "" if number is None else f"{mark}{number}"


class BisyncError(Exception):
    """An error that says what happened, where, and what remedies it."""

    exit_status: ClassVar[int] = 70
    default_code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, code: str | None = None, where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint  # the remedy, usually a command
        self.code = code or self.default_code  # stable, for programs that read `status -o json`
        self.where = where or Where()

    def __str__(self) -> str:
        """Give `message (where) — hint`."""
        where = f" ({self.where})" if self.where else ""
        hint = f" — {self.hint}" if self.hint else ""
        return f"{self.message}{where}{hint}"


class UsageError(BisyncError):
    """The command line or the configuration is wrong; nothing was connected to."""

    exit_status = 2
    default_code = "usage"


class CheckFailed(BisyncError):
    """What was asked does not hold: a check failed, rows differ, time ran out."""

    exit_status = 1
    default_code = "check_failed"


class DirectionFailed(BisyncError):
    """A direction cannot go on by itself; recorded as its failed state until `resume` or `skip`."""

    exit_status = 3
    default_code = "direction_failed"


class CaptureError(DirectionFailed):
    """The producer stops before a change that it cannot carry without loss."""

    default_code = "capture_failed"


class ApplyError(DirectionFailed):
    """The applier stops before a change that it cannot apply."""

    default_code = "apply_failed"


class ConflictStop(ApplyError):
    """Conflicts under policy task_failed. pending: all of their transaction's; conflict_id: the first one's, once on record."""

    default_code = "conflict"

    def __init__(
        self,
        message: str,
        *,
        conflict_id: str = "",
        pending: Sequence[Any] = (),
        hint: str | None = None,
        where: Where | None = None,
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.conflict_id = conflict_id
        self.pending = pending


class Unreachable(BisyncError):
    """A MySQL server or the broker is away. Running processes wait it out; `up` gives up at its start."""

    exit_status = 4
    default_code = "unreachable"


class Repeat(BisyncError):
    """A transaction is to be undone and done again, from Kafka if need be, with what was learnt. Nobody has to do anything."""

    default_code = "repeat"


class LostOwnership(BisyncError):
    """Another process owns this producer or applier now. Exit without writing; the supervisor starts a standby."""

    exit_status = 1
    default_code = "lost_ownership"


class InternalError(BisyncError):
    """A defect of this program: an invariant did not hold."""

    exit_status = 70
    default_code = "internal"


def rule_for(exc: BaseException) -> Rule:
    """Find what to do about an exception of this program, of PyMySQL or of the operating system."""
    match exc:
        case BisyncError():
            return Rule(_category_of(exc), exc.code, exc.hint)
        case pymysql.err.MySQLError():
            return _mysql_rule(exc)
        case ssl.SSLCertVerificationError():
            return TLS
        case ConnectionError() | TimeoutError() | socket.gaierror() | ssl.SSLError():
            return AWAY
        case OSError() if exc.errno in _NO_WAY:
            return AWAY
        case _:
            return Rule(Category.INTERNAL, "internal")


def classify(exc: BaseException) -> Category:
    """Say what the process that met `exc` does next. Kafka's errors go through `classify_kafka`."""
    return rule_for(exc).category


def advice(exc: BaseException) -> str | None:
    """Say what the user can do about `exc`, if it is known."""
    return rule_for(exc).advice


def kafka_rule(name: str, *, retriable: bool = False, fatal: bool = False, abortable: bool = False) -> Rule:
    """Find what to do about a Kafka error by its name and librdkafka's three flags.

    A name in the table wins over the flags: a denied topic is called abortable, yet repeating cannot help. A fatal
    error makes only the client instance useless, so that a new one from the last checkpoint is the way on.
    """
    if name in KAFKA:
        return KAFKA[name]
    if fatal:
        return Rule(Category.RECONNECT, "kafka_error", "the Kafka client has given up; a new one begins where it was")
    if retriable:
        return Rule(Category.RECONNECT, "kafka_error", BROKER.advice)
    return Rule(Category.RETRY_TRANSACTION if abortable else Category.STOP, "kafka_error")


def classify_kafka(name: str, retriable: bool = False, fatal: bool = False, abortable: bool = False) -> Category:
    """Say what the process that met a Kafka error does next."""
    return kafka_rule(name, retriable=retriable, fatal=fatal, abortable=abortable).category


def words(exc: BaseException) -> str:
    """Say what happened, without the remedy and without the number that a client library puts before its words."""
    if isinstance(exc, BisyncError):
        return f"{exc.message} ({exc.where})" if exc.where else exc.message
    return str(exc.args[-1]) if exc.args else str(exc)


def exit_code(err: BaseException) -> int:
    """Give the exit code of a command that ends with `err`.

    A raw refusal that has advice is the user's to set right (2); without advice it was not foreseen (70).
    """
    if isinstance(err, BisyncError):
        return err.exit_status
    rule = rule_for(err)
    if rule.category in (Category.RETRY_TRANSACTION, Category.RECONNECT):
        return Unreachable.exit_status
    known = rule.category is Category.STOP and rule.advice is not None
    return UsageError.exit_status if known else InternalError.exit_status


def _category_of(exc: BisyncError) -> Category:
    match exc:
        case Unreachable():
            return Category.RECONNECT
        case LostOwnership():
            return Category.FENCED
        case Repeat():
            return Category.RETRY_TRANSACTION
        case UsageError() | CheckFailed() | DirectionFailed():
            return Category.STOP
        case _:
            return Category.INTERNAL


def _mysql_rule(exc: pymysql.err.MySQLError) -> Rule:
    if isinstance(getattr(exc, "original_exception", None), ssl.SSLCertVerificationError):
        return TLS  # PyMySQL reports it as 2003, as if the server were away
    number = exc.args[0] if exc.args else None
    if isinstance(number, int) and number in MYSQL:
        return MYSQL[number]
    if number == _ENGINE_ERROR and "error 28 " in str(exc.args[-1]):  # ENOSPC
        return DISK
    if isinstance(exc, pymysql.err.InterfaceError) or type(exc) is pymysql.err.Error:
        return AWAY  # (0, '') and 'Already closed': the connection was lost before this call
    if isinstance(number, int):
        return Rule(Category.STOP, "mysql_error")  # the server's own words are in the message
    torn = isinstance(exc, pymysql.err.InternalError)  # 'Packet sequence number wrong': a server going down
    return AWAY if torn else Rule(Category.INTERNAL, "internal")
