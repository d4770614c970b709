"""One Kafka broker that is also its own controller (KRaft), with settings for a single node on a small machine."""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from sandbox import install
from sandbox.cache import START_BYTES, cached, make_folder, require_room, say
from sandbox.process import ServerProcess, claim, listens, remembered_port
from sandbox.programs import run

HOST = "127.0.0.1"
START_SECONDS = 120.0  # after a crash, logs are recovered first
STOP_SECONDS = 45.0  # a broker whose disk is full may never end by itself
CLUSTER_ID = "YmlzeW5jLXRvcG9sb2d5LQ"  # any 16 bytes; one broker, so it tells nothing apart
# With two cores, serial starts and collects no slower than G1. The second compiler takes longer than a sandbox lives to pay
# for itself: 1.7 of the 5.4 s of processor that 400,000 records cost a broker that had just started.
JAVA_OPTIONS = ("-Xmx1g", "-Xms256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
FORMATTED = "meta.properties"  # in a log folder that was formatted
DUMP_CLASSES = "-XX:ArchiveClassesAtExit"
ARCHIVE_BYTES = 200_000_000
MESSAGE_BYTES = str(65 * 1024 * 1024)  # 64 MiB of payload, with its framing

DEFAULTS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "listener.security.protocol.map": "BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    "num.partitions": "1",
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",  # fewer files to make and recover than the usual 50
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "transaction.max.timeout.ms": "900000",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "message.max.bytes": MESSAGE_BYTES,
    "replica.fetch.max.bytes": MESSAGE_BYTES,
    "log.cleaner.dedupe.buffer.size": "16777216",  # 128 MB of the heap otherwise
    "num.network.threads": "2",
    "num.io.threads": "4",
}


class KafkaBroker:
    """A broker below `root/name`. `overrides` are server properties over DEFAULTS; `log_dir` is where its data is."""

    host = HOST

    def __init__(
        self,
        root: Path,
        overrides: Mapping[str, str] | None = None,
        port: int | None = None,
        log_dir: Path | None = None,
        name: str = "kafka",
    ) -> None:
        self.name = name
        self.folder = Path(root).absolute() / name
        self.log_dir = Path(log_dir).absolute() if log_dir is not None else self.folder / "data"
        make_folder(self.folder)
        self.port = remembered_port(self.folder / "port", port)
        self.controller_port = remembered_port(self.folder / "controller-port", None)
        self.overrides = dict(overrides or {})
        self.java_options: tuple[str, ...] = JAVA_OPTIONS
        self._process = ServerProcess(name, self.folder)

    @property
    def bootstrap(self) -> str:
        """What a client's `bootstrap.servers` is set to."""
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The broker's pid, None when it is not running."""
        return self._process.pid

    def start(self) -> None:
        """Start the broker and wait until it answers. Nothing is done if it is running."""
        if self.pid is None:
            program = install.kafka()
            make_folder(self.log_dir)
            java = [str(program.java), *self._class_archive_options(program), "-cp", f"{program.jars}/*"]
            properties = self._all_properties()
            if not (self.log_dir / FORMATTED).exists():
                storage = ["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER_ID, "-c"]
                command = [java[0], *TOOL_OPTIONS, *java[1:], *storage, self._write("server.properties", properties)]
                run(command, what="Kafka's storage cannot be formatted")
            require_room(self.log_dir, START_BYTES)
            claim(self.name, self.port)
            claim(self.name, self.controller_port)
            self._run(self._process, java, self._write("server.properties", properties))
        self._process.wait(self._answers, START_SECONDS)

    def stop(self) -> None:
        """Shut the broker down cleanly."""
        self._process.stop(STOP_SECONDS)

    def kill(self) -> None:
        """End the broker as a crash would."""
        self._process.kill()

    def restart(self) -> None:
        """Shut the broker down cleanly and start it again, with the present `overrides`."""
        self.stop()
        self.start()

    def log_tail(self) -> str:
        """Give the last lines of the broker's log."""
        return self._process.log_tail()

    def _answers(self) -> bool:
        if not listens(self.port):
            return False
        admin = AdminClient({"bootstrap.servers": self.bootstrap}, logger=_quiet())
        try:
            return bool(admin.list_topics(timeout=5).brokers)
        except KafkaException:
            return False  # the port opens before the broker is registered

    def _run(self, process: ServerProcess, java: Sequence[str], properties: str) -> None:
        process.start([java[0], *self.java_options, *LOGGING, *java[1:], "kafka.Kafka", properties])

    def _write(self, name: str, properties: Mapping[str, str]) -> str:
        file = self.folder / name
        file.write_text(properties_text(properties))
        return str(file)

    def _class_archive_options(self, program: install.KafkaProgram) -> list[str]:
        if any(option.startswith(DUMP_CLASSES) for option in self.java_options):
            return []  # the throw-away broker of `class_archive`
        archive = class_archive(program)
        return [f"-XX:SharedArchiveFile={archive}", "-Xlog:cds=off"] if archive.exists() else []

    def _all_properties(self) -> dict[str, str]:
        own_properties = {
            "listeners": f"BROKER://{self.bootstrap},CONTROLLER://{self.host}:{self.controller_port}",
            "advertised.listeners": f"BROKER://{self.bootstrap}",
            "controller.quorum.bootstrap.servers": f"{self.host}:{self.controller_port}",
            "log.dirs": str(self.log_dir),
        }
        return {**DEFAULTS, **own_properties, **self.overrides}


TOOL_OPTIONS = ("-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error")  # over in a second

# slf4j-simple writes to standard error, which goes to the log file; each start would list 400 settings three times.
LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",
)


def class_archive(program: install.KafkaProgram) -> Path:
    """Give the archive of the classes that a broker loads, which spares a start a third of its time.

    A throw-away broker writes it when it ends, once per Java and version of Kafka. Where Java cannot (a runtime
    without a base archive), the folder stays empty, and brokers start without.
    """
    version = run([program.java, "-version"], what=f"{program.java} does not run")
    key = hashlib.sha256(f"{program.java}{version}".encode()).hexdigest()[:8]

    def build(staging: Path) -> None:
        say("kafka: preparing quick starts")
        broker = KafkaBroker(staging, name="throw-away")
        broker.java_options = (*JAVA_OPTIONS, f"{DUMP_CLASSES}={staging}/classes.jsa")
        broker.start()
        broker.stop()
        shutil.rmtree(broker.folder)

    return cached(f"{program.jars.name}-classes-{key}", build, needs_bytes=ARCHIVE_BYTES) / "classes.jsa"


def properties_text(properties: Mapping[str, str]) -> str:
    """Write Kafka's server.properties."""
    lines = [f"{name}={value}" for name, value in properties.items()]
    return "\n".join(["# written at each start of the broker", *lines, ""])


def _quiet() -> logging.Logger:
    """Give a logger that keeps librdkafka's "connection refused" lines, normal while a broker starts, to itself."""
    logger = logging.getLogger("sandbox.librdkafka")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger
