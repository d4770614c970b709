"""What cannot be carried without loss, as an error with its place and the way past it."""

import struct
from typing import NamedTuple, NoReturn

from bisync_topology.errors import CaptureError, Where
from producers import events
from producers.events import Event
from producers.json_opaque import UnsupportedJson

DAMAGED = (ValueError, IndexError, KeyError, struct.error)  # what reading bytes that are not as expected raises


class Spot(NamedTuple):
    """A place in a side's binlog. gtid: None outside of a transaction. pos: of the event's start."""

    side: str
    target: str
    gtid: str | None
    file: str
    pos: int

    def where(self, table: str | None = None) -> Where:
        """The place, as errors have it."""
        return Where(side=self.side, gtid=self.gtid, log_file=self.file, log_pos=self.pos, table=table)

    def hint(self, other: str | None = None) -> str:
        """The way past the transaction, behind another way out."""
        command = f"bisync-topology skip {self.side} {self.target} --gtid {self.gtid or '…'} --reason …"
        past = f"`{command}` passes the whole transaction, whose rows are then to be mended by hand"
        return f"{other}; or {past}" if other else past


def refuse(what: str) -> NoReturn:
    """Raise CaptureError; `placed` gives it its place."""
    raise CaptureError(f"the binlog has {what}", code="not_captured")


def placed(error: Exception, spot: Spot, event: Event, table: str | None) -> CaptureError:
    """The error of an event with its place and the way past it. table: of the event's rows."""
    if isinstance(error, CaptureError):
        where = spot.where(error.where.table)
        return CaptureError(error.message, code=error.code, hint=spot.hint(error.hint), where=where)
    if isinstance(error, UnsupportedJson):
        text, code = f"a row has {error}, which is not decoded yet", "unsupported_type"
    else:
        what = f"a row of {table}" if table else f"an event of type {events.NAMES.get(event.type, event.type)}"
        text, code = f"{what} cannot be decoded: {error}", "undecodable"
    return CaptureError(text, code=code, hint=spot.hint(), where=spot.where(table))
