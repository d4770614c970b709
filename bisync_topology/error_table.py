"""What each error of a client library leads to: the error policy, as one table with its advice.

Numbers are those of MySQL's and MariaDB's server errors (1000 and up; below, of their files) and of the client library
(2000 to 2061); names are librdkafka's. `errors.classify` and `errors.classify_kafka` look things up here. What is not listed
stops the direction: an error nobody thought of is for a person to read, not to be repeated for ever.
"""

import enum
from dataclasses import dataclass


class Category(enum.Enum):
    """What the process that met an error does next."""

    RETRY_TRANSACTION = "retry_transaction"  # same connection, same transaction again, after a short pause
    RECONNECT = "reconnect"  # drop the client, wait, begin from the last committed position
    STOP = "stop"  # repeating cannot help: the direction fails, with advice
    FENCED = "fenced"  # ownership is in doubt: look at the lock before anything is written
    INTERNAL = "internal"  # a defect: exit 70


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the error policy."""

    category: Category
    code: str
    advice: str | None = None


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RETRY, _RECONNECT, _STOP = Category.RETRY_TRANSACTION, Category.RECONNECT, Category.STOP
AWAY = Rule(_RECONNECT, "server_away", "is the MySQL server running, and are host and port in topology.yaml right?")
_FULL = Rule(_RECONNECT, "connections_full", "raise max_connections (or max_user_connections) on the server")
_LOGIN = Rule(_STOP, "access_denied", "check user and password in topology.yaml; `precheck` prints the GRANTs needed")
_GRANT = Rule(_STOP, "privilege_missing", "`precheck` prints the GRANT statement that is missing")
DISK = Rule(_RECONNECT, "disk_full", "free disk space on the server; work goes on by itself then")
_READ_ONLY = Rule(_RECONNECT, "read_only", "the server is read-only; work goes on once read_only is switched off")
_NOT_READY = Rule(_RECONNECT, "not_ready", "the server starts, or its cluster node has not joined; work goes on once it has")
_LOCKS = Rule(_RETRY, "lock_conflict", "another session holds the row; repeated by itself")
_INTERRUPTED = Rule(_RETRY, "interrupted", "the statement was killed or timed out; repeated by itself")
_ALTERED = Rule(_RETRY, "table_changing", "somebody is altering the table; repeated by itself")
_PURGED = Rule(_STOP, "binlog_unreadable", "if the source has purged that binlog, `init --reset FROM TO` begins anew")
TLS = Rule(_STOP, "tls", "check sides.*.mysql.ssl (mode, ca) in topology.yaml against the server's certificate")
_DRIFT = Rule(_STOP, "schema_differs", "both sides need the same table; `ddl list` shows what was not applied")
_PARENT = Rule(_STOP, "foreign_key", "rows of parent and child differ between the sides; `verify` shows which")

MYSQL: dict[int, Rule] = {
    # the transaction was rolled back, or one statement of it was; the connection is good
    **dict.fromkeys((1205, 1213, 1614, 3058, 3101, 3572), _LOCKS),
    **dict.fromkeys((1317, 1969, 3024), _INTERRUPTED),
    **dict.fromkeys((1412, 1684), _ALTERED),
    1637: Rule(_RETRY, "transactions_full", "the server has as many transactions as it can take; repeated by itself"),
    # the connection is gone or was not to be had; 1927 is MariaDB's 3169 (session killed), 4031 the idle time-out
    **dict.fromkeys((1053, 1079, 1158, 1159, 1160, 1161, 1927, 2002, 2003, 2005, 2006, 2013, 2055, 3169, 4031), AWAY),
    **dict.fromkeys((1040, 1135, 1203, 1226), _FULL),
    **dict.fromkeys((3, 1021, 1026, 1114, 1878, 3675), DISK),  # 1114 is what InnoDB says; 1030 is one by its text alone
    **dict.fromkeys((1290, 1836), _READ_ONLY),
    **dict.fromkeys((1047, 3168), _NOT_READY),
    3032: Rule(_RECONNECT, "offline_mode", "the server is in offline mode; work goes on once offline_mode is switched off"),
    # the server says no, and will again
    **dict.fromkeys((1045, 1251, 1698, 1820, 1862, 2059, 2061, 3118), _LOGIN),
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370), _GRANT),
    **dict.fromkeys((1054, 1136, 1146), _DRIFT),
    **dict.fromkeys((1216, 1217, 1451, 1452), _PARENT),
    **dict.fromkeys((1236, 1789), _PURGED),
    1049: Rule(_STOP, "database_missing", "create the database on this side, or let `initialize: [structure]` do it"),
    1129: Rule(_STOP, "host_blocked", "run `TRUNCATE TABLE performance_schema.host_cache` on the server"),
    1130: Rule(_STOP, "host_refused", "the account does not allow this host: CREATE USER for the host we connect from"),
    1153: Rule(_STOP, "packet_too_large", "raise max_allowed_packet on the target to the source's value"),
    1197: Rule(_STOP, "transaction_too_large", "raise max_binlog_cache_size on the target"),
    1206: Rule(_STOP, "lock_table_full", "raise innodb_buffer_pool_size on the target"),
    1419: Rule(_STOP, "function_creators", "SET GLOBAL log_bin_trust_function_creators = ON on the target"),
    2026: TLS,
}

_FENCED = Rule(Category.FENCED, "fenced", "a newer producer took over, or a transaction outlived its time-out")
BROKER = Rule(_RECONNECT, "broker_away", "is the broker running, and is kafka.bootstrap.servers in topology.yaml right?")
_STORAGE = Rule(_RECONNECT, "broker_storage", "the broker cannot write its log: free its disk; work goes on by itself")
_ACL = Rule(_STOP, "kafka_denied", "grant the Kafka principal Read, Write, Create and Describe with this prefix")
_SASL = Rule(_STOP, "kafka_login", "check the sasl.* and ssl.* properties under `kafka` in topology.yaml")
_LOST = Rule(_STOP, "records_lost", "records are gone from the topic (retention?): `init --reset FROM TO` begins anew")
_BROKER_VERSION = Rule(
    _STOP, "broker_version", "this version of the broker does not know what is asked of it: upgrade the broker"
)
_SIZE = Rule(_STOP, "record_too_large", "raise topics.max_message_bytes in topology.yaml, and on the existing topics")

KAFKA: dict[str, Rule] = (
    _named(_FENCED, "_FENCED PRODUCER_FENCED INVALID_PRODUCER_EPOCH _FATAL")
    | _named(BROKER, "_ALL_BROKERS_DOWN _TRANSPORT _RESOLVE _TIMED_OUT _TIMED_OUT_QUEUE _MSG_TIMED_OUT _WAIT_COORD")
    | _named(BROKER, "_WAIT_CACHE _DESTROY _PURGE_QUEUE _PURGE_INFLIGHT COORDINATOR_NOT_AVAILABLE NOT_COORDINATOR")
    | _named(BROKER, "COORDINATOR_LOAD_IN_PROGRESS LEADER_NOT_AVAILABLE NOT_LEADER_FOR_PARTITION NOT_CONTROLLER")
    | _named(BROKER, "BROKER_NOT_AVAILABLE REPLICA_NOT_AVAILABLE REQUEST_TIMED_OUT NETWORK_EXCEPTION")
    | _named(BROKER, "NOT_ENOUGH_REPLICAS NOT_ENOUGH_REPLICAS_AFTER_APPEND CONCURRENT_TRANSACTIONS")
    | _named(BROKER, "_NOENT UNKNOWN_PRODUCER_ID INVALID_PRODUCER_ID_MAPPING FENCED_LEADER_EPOCH UNKNOWN_LEADER_EPOCH")
    | _named(BROKER, "OFFSET_NOT_AVAILABLE LISTENER_NOT_FOUND UNKNOWN_TOPIC_ID THROTTLING_QUOTA_EXCEEDED")
    | _named(_STORAGE, "KAFKA_STORAGE_ERROR LOG_DIR_NOT_FOUND")
    | _named(_ACL, "TOPIC_AUTHORIZATION_FAILED GROUP_AUTHORIZATION_FAILED CLUSTER_AUTHORIZATION_FAILED")
    | _named(_ACL, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED")
    | _named(_SASL, "_AUTHENTICATION SASL_AUTHENTICATION_FAILED UNSUPPORTED_SASL_MECHANISM _SSL")
    | _named(_LOST, "OFFSET_OUT_OF_RANGE _AUTO_OFFSET_RESET _LOG_TRUNCATION")
    | _named(_BROKER_VERSION, "UNSUPPORTED_VERSION _UNSUPPORTED_FEATURE")
    | _named(_SIZE, "MSG_SIZE_TOO_LARGE RECORD_LIST_TOO_LARGE INVALID_MSG_SIZE")
    | {
        "UNKNOWN_TOPIC_OR_PART": Rule(_STOP, "topic_missing", "`up` creates topics; `init --reset` if one was deleted"),
        "INVALID_TRANSACTION_TIMEOUT": Rule(
            _STOP,
            "transaction_timeout",
            "lower transaction.timeout.ms below `kafka` in topology.yaml, or raise transaction.max.timeout.ms of the brokers",
        ),
        "INVALID_REPLICATION_FACTOR": Rule(_STOP, "replication_factor", "lower topics.replication_factor: few brokers"),
    }
)
