"""Named points at which a process can be made to die, so that restarts are tested where they are hard.

`BISYNC_FAILPOINT=applier.before_commit:3` ends the process with SIGKILL as it passes that point for the third time;
`applier.before_commit:3:stop` freezes it there with SIGSTOP, until somebody sends SIGCONT. The names are the rows of the
ownership table in docs/architecture.md. Without the variable a point costs one dictionary look-up.
"""

import os
import signal
from typing import Final

NAMES: Final = (
    "producer.after_lock",
    "producer.after_init_transactions",
    "producer.after_checkpoint_read",
    "producer.after_stream_connect",
    "producer.before_produce",
    "producer.mid_transaction",
    "producer.before_commit",
    "producer.after_commit",
    "applier.after_lock",
    "applier.after_positions_read",
    "applier.after_assign",
    "applier.after_marker",
    "applier.mid_rows",
    "applier.before_commit",
    "applier.after_commit",
    "applier.after_kafka_commit",
    "applier.ddl_after_intent",
    "applier.ddl_running",
    "applier.ddl_after_statement",
    "applier.ddl_before_done",
    "init.after_snapshot",
    "init.after_read",
    "init.after_high",
    "init.after_own_commit",
    "init.before_commit",
    "init.after_commit",
    "supervisor.after_spawn",
    "init.structure_read",
    "init.structure_after_intent",
    "init.structure_after_statement",
    "init.structure_before_end",
    "guard_triggers.before_drop",
    "guard_triggers.after_drop",
    "guard_triggers.after_create",
    "recover.after_begin",
    "recover.after_marker",
    "recover.after_commit",
    "recover.ddl_after_intent",
    "recover.ddl_after_statement",
    "recover.before_switch",
    "recover.after_other",
    "recover.after_checkpoint",
)

_left: dict[str, int] = {}
_signal = signal.SIGKILL


def arm(text: str | None) -> None:
    """Read the variable: `name`, `name:passings` or `name:passings:stop`. An unknown name is a ValueError."""
    global _signal  # noqa: PLW0603  a process has one failpoint
    _left.clear()
    if not text:
        return
    name, passings, how, *_ = [*text.split(":"), "", ""]
    if name not in NAMES:
        raise ValueError(f"BISYNC_FAILPOINT names {name!r}; there are: {', '.join(NAMES)}")
    _left[name] = int(passings or 1)
    _signal = signal.SIGSTOP if how == "stop" else signal.SIGKILL


def reach(name: str) -> None:
    """Die or freeze here when armed; whoever has thawed goes on."""
    if name in _left:
        _left[name] -= 1
        if _left[name] <= 0:
            del _left[name]
            os.kill(os.getpid(), _signal)
