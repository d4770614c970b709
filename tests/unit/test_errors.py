"""The exception tree, its exit codes, and what each client error leads to."""

import errno
import pickle
import socket
import ssl

import pymysql.err
import pytest

from bisync_topology.error_table import KAFKA, MYSQL
from bisync_topology.errors import (
    ApplyError,
    BisyncError,
    CaptureError,
    Category,
    CheckFailed,
    ConflictStop,
    DirectionFailed,
    InternalError,
    LostOwnership,
    Repeat,
    Unreachable,
    UsageError,
    Where,
    advice,
    classify,
    classify_kafka,
    exit_code,
    kafka_rule,
    rule_for,
)


def test_text_has_message_place_and_remedy() -> None:
    """The text of an error is message, place in parentheses, remedy behind a dash."""
    error = CaptureError(
        "VECTOR columns are not supported",
        where=Where(side="east", table="shop.t", gtid="3e11:7", log_file="binlog.000003", log_pos=1234),
        hint="skip east west --gtid 3e11:7 --reason …",
        code="unsupported_type",
    )
    assert str(error) == (
        "VECTOR columns are not supported (east, shop.t, gtid 3e11:7, binlog.000003:1234)"
        " — skip east west --gtid 3e11:7 --reason …"
    )
    assert error.code == "unsupported_type"


def test_text_without_place_and_remedy_is_the_message() -> None:
    """Nothing is printed for what is not known."""
    assert str(CheckFailed("rows differ")) == "rows differ"


@pytest.mark.parametrize(
    ("where", "text"),
    [
        (Where(), ""),
        (Where(topic="shop.east.transactions", partition=0, offset=15), "shop.east.transactions[0]@15"),
        (Where(topic="t"), "t"),
        (Where(partition=2), "topic[2]"),
        (Where(log_pos=4), "binlog:4"),
        (Where(log_file="binlog.000001"), "binlog.000001"),
        (Where(side="west", offset=0), "west, topic@0"),
    ],
)
def test_place_prints_what_is_known(where: Where, text: str) -> None:
    """Each part of a place is optional, and zero is a value."""
    assert str(where) == text
    assert bool(where) is bool(text)


@pytest.mark.parametrize(
    ("error", "code", "category"),
    [
        (UsageError("x"), 2, Category.STOP),
        (CheckFailed("x"), 1, Category.STOP),
        (DirectionFailed("x"), 3, Category.STOP),
        (CaptureError("x"), 3, Category.STOP),
        (ApplyError("x"), 3, Category.STOP),
        (ConflictStop("x", conflict_id="west-17"), 3, Category.STOP),
        (Unreachable("x"), 4, Category.RECONNECT),
        (LostOwnership("x"), 1, Category.FENCED),
        (Repeat("x"), 70, Category.RETRY_TRANSACTION),
        (InternalError("x"), 70, Category.INTERNAL),
        (BisyncError("x"), 70, Category.INTERNAL),
    ],
)
def test_every_class_has_its_exit_code_and_category(error: BisyncError, code: int, category: Category) -> None:
    """Exit codes are those that the interface promises; each class leads to one reaction."""
    assert exit_code(error) == code
    assert classify(error) is category


def test_conflict_names_what_to_resolve() -> None:
    """A stop at a conflict carries the id that `conflicts resolve` takes."""
    error = ConflictStop("row exists", conflict_id="west-17", hint="conflicts resolve west-17 --use source")
    assert error.conflict_id == "west-17"
    assert error.code == "conflict"


def test_codes_are_stable_and_distinct() -> None:
    """Programs read codes: each class has one of its own."""
    classes = [
        UsageError,
        CheckFailed,
        DirectionFailed,
        CaptureError,
        ApplyError,
        Unreachable,
        LostOwnership,
        InternalError,
        Repeat,
    ]
    assert [error("x").code for error in classes] == [
        "usage",
        "check_failed",
        "direction_failed",
        "capture_failed",
        "apply_failed",
        "unreachable",
        "lost_ownership",
        "internal",
        "repeat",
    ]


def test_errors_survive_pickling() -> None:
    """An error can cross to another process with its place and remedy."""
    error = ApplyError("x", hint="y", code="z", where=Where(side="east"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # our own bytes


@pytest.mark.parametrize("number", [1205, 1213, 1317, 1637, 3101, 3572])
def test_lock_errors_repeat_the_transaction(number: int) -> None:
    """A deadlock, a time-out on a lock or too many transactions at once: repeated on the same connection."""
    assert classify(pymysql.err.OperationalError(number, "")) is Category.RETRY_TRANSACTION


@pytest.mark.parametrize("number", [1040, 1053, 1203, 1290, 1836, 1927, 2003, 2006, 2013, 3032, 3168, 3169, 4031])
def test_lost_connections_are_made_again(number: int) -> None:
    """A server that is away, full, read-only or offline for now or that killed the session is waited for."""
    error = pymysql.err.OperationalError(number, "")
    assert classify(error) is Category.RECONNECT
    assert exit_code(error) == 4


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (3, "Error writing file './binlog.000001' (OS errno 28 - No space left on device)"),
        (1021, "Disk full (/tmp/#sql1_1.MAI)"),
        (1026, "Error writing file './shop/stock.ibd' (errno: 28 - No space left on device)"),
        (1030, "Got error 28 - 'No space left on device' from storage engine"),
        (1114, "The table 'stock' is full"),
        (1878, "Temporary file write failure."),
        (3675, "Create table/tablespace 'stock' failed, as disk is full."),
    ],
)
def test_a_full_disk_is_waited_for_and_said(number: int, text: str) -> None:
    """Whatever InnoDB, the binlog or a temporary file says of it: space can be freed, and work goes on by itself."""
    error = pymysql.err.OperationalError(number, text)
    assert (classify(error), rule_for(error).code) == (Category.RECONNECT, "disk_full")
    assert "disk space" in (advice(error) or "")


@pytest.mark.parametrize("text", ["Got error 168 - 'Unknown (generic) error from engine' from storage engine", "Got error 280"])
def test_an_engine_that_refuses_for_another_reason_stops(text: str) -> None:
    """1030 is any error of a storage engine: only its text tells a full disk."""
    assert rule_for(pymysql.err.OperationalError(1030, text)).code == "mysql_error"


@pytest.mark.parametrize(
    "error",
    [
        pymysql.err.InterfaceError(0, ""),
        pymysql.err.Error("Already closed"),
        pymysql.err.InternalError("Packet sequence number wrong - got 2 expected 1"),
        ConnectionRefusedError(111, "Connection refused"),
        ConnectionResetError(),
        TimeoutError(),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.ENETUNREACH, "Network is unreachable"),
        OSError(errno.EHOSTDOWN, "Host is down"),
        OSError(errno.ENETDOWN, "Network is down"),
        OSError(errno.ENONET, "Machine is not on the network"),
        socket.gaierror(-2, "Name or service not known"),
        ssl.SSLEOFError(8, "EOF occurred in violation of protocol"),
    ],
)
def test_a_broken_link_without_a_number_is_made_again(error: Exception) -> None:
    """PyMySQL reports some lost connections without a server's number, the operating system all of them."""
    assert classify(error) is Category.RECONNECT


@pytest.mark.parametrize("number", [1044, 1045, 1142, 1227])
def test_denied_access_stops_with_advice(number: int) -> None:
    """What the server denies is for the user to grant; it is a configuration error on the command line."""
    error = pymysql.err.OperationalError(number, "denied")
    assert classify(error) is Category.STOP
    assert "precheck" in (advice(error) or "")
    assert exit_code(error) == 2


def test_an_untrusted_certificate_is_not_a_server_that_is_away() -> None:
    """PyMySQL wraps a failed verification in 2003; waiting would never help."""
    error = pymysql.err.OperationalError(2003, "Can't connect")
    error.original_exception = ssl.SSLCertVerificationError(1, "certificate verify failed")  # type: ignore[attr-defined]
    assert rule_for(error).code == "tls"
    assert rule_for(error.original_exception).code == "tls"  # type: ignore[attr-defined]
    assert classify(error) is Category.STOP


def test_an_unknown_server_error_stops_without_advice() -> None:
    """A number that nobody thought of is for a person to read, never repeated for ever."""
    error = pymysql.err.ProgrammingError(1064, "syntax")
    assert (classify(error), advice(error), exit_code(error)) == (Category.STOP, None, 70)


@pytest.mark.parametrize(
    "error", [ValueError("x"), AssertionError(), OSError(errno.EBADF, "x"), pymysql.err.ProgrammingError("Cursor closed")]
)
def test_everything_else_is_a_defect(error: Exception) -> None:
    """What no table knows is an internal error."""
    assert classify(error) is Category.INTERNAL
    assert exit_code(error) == 70


@pytest.mark.parametrize("name", ["_FENCED", "PRODUCER_FENCED", "INVALID_PRODUCER_EPOCH"])
def test_a_fenced_producer_looks_at_its_lock(name: str) -> None:
    """Fencing is told apart even though librdkafka calls it fatal."""
    assert classify_kafka(name, retriable=False, fatal=True, abortable=False) is Category.FENCED


@pytest.mark.parametrize(
    "name",
    [
        "_ALL_BROKERS_DOWN",
        "_TRANSPORT",
        "_TIMED_OUT",
        "COORDINATOR_NOT_AVAILABLE",
        "OFFSET_NOT_AVAILABLE",
        "LISTENER_NOT_FOUND",
        "UNKNOWN_TOPIC_ID",
        "THROTTLING_QUOTA_EXCEEDED",
    ],
)
def test_a_broker_that_is_away_is_waited_for(name: str) -> None:
    """Errors of the way to the broker are waited out, and what it says while it or its leaders change."""
    assert classify_kafka(name) is Category.RECONNECT


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("INVALID_TRANSACTION_TIMEOUT", "lower transaction.timeout.ms below `kafka`"),
        ("UNSUPPORTED_VERSION", "version"),
        ("_UNSUPPORTED_FEATURE", "version"),
    ],
)
def test_what_the_broker_will_never_do_stops(name: str, words: str) -> None:
    """A new client would be told the same, though librdkafka calls it fatal: the advice names what is to be changed."""
    rule = kafka_rule(name, fatal=True)
    assert rule.category is Category.STOP
    assert words in (rule.advice or "")


def test_a_full_broker_is_waited_for_and_said() -> None:
    """A broker without disk space is waited out, with advice that status can show."""
    rule = kafka_rule("KAFKA_STORAGE_ERROR", retriable=True)
    assert rule.category is Category.RECONNECT
    assert "disk" in (rule.advice or "")


@pytest.mark.parametrize("name", ["TOPIC_AUTHORIZATION_FAILED", "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "_AUTHENTICATION"])
def test_the_name_wins_over_the_flags(name: str) -> None:
    """A denied topic is called abortable, yet repeating cannot help."""
    assert classify_kafka(name, abortable=True, retriable=True) is Category.STOP


@pytest.mark.parametrize(
    ("retriable", "fatal", "abortable", "category"),
    [
        (True, False, False, Category.RECONNECT),
        (False, True, False, Category.RECONNECT),
        (False, False, True, Category.RETRY_TRANSACTION),
        (False, False, False, Category.STOP),
    ],
)
def test_unknown_kafka_errors_go_by_their_flags(retriable: bool, fatal: bool, abortable: bool, category: Category) -> None:
    """A name that is not listed is judged by what librdkafka says of it."""
    assert classify_kafka("SOMETHING_NEW", retriable, fatal, abortable) is category


def test_a_fatal_error_is_not_a_broker_that_is_away() -> None:
    """It is said by a broker that runs."""
    assert "is the broker running" in (kafka_rule("SOMETHING_NEW", retriable=True).advice or "")
    assert "is the broker running" not in (kafka_rule("SOMETHING_NEW", fatal=True).advice or "")


def test_every_entry_has_advice() -> None:
    """The table never names an error without saying what to do about it."""
    assert [key for table in (MYSQL, KAFKA) for key, rule in table.items() if not rule.advice] == []


def test_kafka_names_exist() -> None:
    """Each name in the table is one that the client really uses."""
    kafka = pytest.importorskip("confluent_kafka").KafkaError
    codes = {getattr(kafka, name) for name in dir(kafka) if name.lstrip("_").isupper()}
    assert set(KAFKA) <= {kafka(code).name() for code in codes if isinstance(code, int)}
