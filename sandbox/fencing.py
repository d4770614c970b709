"""After a crash, let the controller declare the old broker dead before the new one starts.

One node is broker and controller at once. Started again within its old session, the broker takes the metadata at its
word, by which it still leads every partition; its transaction coordinator begins to write the markers of transactions
that were just committed; then the old session ends, no partition has a leader for a moment, and the coordinator takes
that for a deleted topic: "these partitions are likely deleted already and hence can be skipped". The transaction
counts as complete and has no marker: readers of committed data wait at it for ever. Seen with Kafka 4.3.1 in one of
two crashes right after a commit. A cluster of several nodes has another leader by then; one node needs this step.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.process import ServerProcess

SESSION_MS = "400"  # nobody is there to be fenced by mistake
FENCED = "fenced=1"  # in the log line about the registration's change
ACTIVE = "Becoming the active controller"
GRACE_SECONDS = 2.0  # a broker that crashed before it was ever unfenced is not fenced again

CLEAN = ".kafka_cleanshutdown"  # written by a clean stop, removed by a start
FORMATTED = "meta.properties"


def crashed(log_dir: Path) -> bool:
    """Tell whether the broker whose data this is was ended without a clean stop."""
    return (log_dir / FORMATTED).exists() and not (log_dir / CLEAN).exists()


def controller_only(properties: Mapping[str, str]) -> dict[str, str]:
    """Give the properties of the node's controller alone."""
    name = properties["controller.listener.names"]
    own = [listener for listener in properties["listeners"].split(",") if listener.startswith(f"{name}://")]
    listeners = {"listeners": ",".join(own)}
    roles = {"process.roles": "controller", "broker.session.timeout.ms": SESSION_MS}
    without = ("advertised.listeners", "inter.broker.listener.name", "broker.heartbeat.interval.ms")
    return {name: value for name, value in {**properties, **listeners, **roles}.items() if name not in without}


def fence(folder: Path, start: Callable[[ServerProcess], None], timeout: float) -> None:
    """Run the controller, which `start` starts, until it has fenced the broker of before."""
    folder.mkdir(exist_ok=True)
    controller = ServerProcess("kafka's controller", folder)
    controller.stop(timeout)  # left behind by a command that was killed
    controller.log_file.unlink(missing_ok=True)
    start(controller)
    try:
        controller.wait(lambda: ACTIVE in controller.log_file.read_text(), timeout)
        deadline = time.monotonic() + GRACE_SECONDS
        controller.wait(lambda: _after(controller, FENCED) or time.monotonic() > deadline, timeout)
    finally:
        controller.stop(timeout)


def _after(controller: ServerProcess, words: str) -> bool:
    """Tell whether the log has `words` after the controller became active: what is before is replayed history."""
    return words in controller.log_file.read_text().partition(ACTIVE)[2]
