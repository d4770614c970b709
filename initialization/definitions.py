"""What makes an object, as a server prints it, and when two servers mean the same by it. Pure.

Not compared is what differs without a difference: the next AUTO_INCREMENT, the guard of a trigger, whether an event runs, the
width that older servers print of integers, the older name of utf8mb3, a semicolon behind a body, which a server keeps of a packet
of many statements, and a DEFINER that became the applier's account.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from difflib import unified_diff
from enum import StrEnum
from typing import NamedTuple

from bisync_topology.ddl_edits import with_current_user, with_event_disabled
from bisync_topology.ddl_triggers import guarded
from bisync_topology.sql_tokens import NotUnderstood
from bisync_topology.triggers import Trigger
from initialization import table_text


class Kind(StrEnum):
    """A kind of object, in the order in which they are made: each needs only those before it, and views one another."""

    DATABASE = "database"
    TABLE = "table"
    PROCEDURE = "procedure"
    FUNCTION = "function"
    VIEW = "view"
    TRIGGER = "trigger"
    EVENT = "event"

    @property
    def namespace(self) -> Kind:
        """The kind with which it shares its names."""
        return Kind.TABLE if self is Kind.VIEW else self


class Name(NamedTuple):
    """An object of a side. A database has no name beside its own."""

    kind: Kind
    db: str
    name: str = ""

    def __str__(self) -> str:
        """Give for example `view shop.sold`."""
        return f"{self.kind} {self.db}.{self.name}" if self.name else f"{self.kind} {self.db}"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """An object as a server has it, with the session that its maker had. definer: user@host.

    text: its CREATE statement. uses: of a view, the tables and views that it is made of. valid: of a view, whether all that it is
    made of is there. lost: of a routine, trigger or event, the collation of its database when it was made, where that is another
    one now; its variables would take the present one.
    """

    name: Name
    text: str
    definer: str | None = None
    sql_mode: str = ""
    charset: str = "utf8mb4"
    collation: str = "utf8mb4_0900_ai_ci"
    time_zone: str = "+00:00"
    created: int = 0  # microseconds since 1970 UTC; of events
    uses: tuple[tuple[str, str], ...] = ()
    valid: bool = True
    lost: str | None = None
    trigger: Trigger | None = None

    @property
    def flags(self) -> dict[str, bool]:
        """How its text is to be read: keyword arguments of `ddl.read_statement` and of the edits."""
        modes = self.sql_mode.split(",")
        return {"ansi_quotes": "ANSI_QUOTES" in modes, "backslash_escapes": "NO_BACKSLASH_ESCAPES" not in modes}

    def as_json(self) -> str:
        """All of it."""
        trigger = None if self.trigger is None else self.trigger.as_json().decode()
        return json.dumps({**asdict(self), "trigger": trigger})

    @classmethod
    def from_json(cls, text: str) -> Definition:
        """The inverse."""
        fields = json.loads(text)
        kind, db, name = fields.pop("name")
        trigger = fields.pop("trigger")
        return cls(
            name=Name(Kind(kind), db, name),
            trigger=None if trigger is None else Trigger.from_json(trigger.encode()),
            **{**fields, "uses": tuple((db, table) for db, table in fields["uses"])},
        )


def differs(source: Definition, target: Definition, account: str) -> bool:
    """Whether the target's object is another one. account: the applier's there, which may be the definer of any."""
    return _compared(source) != _compared(target) or target.definer not in (source.definer, account)


def difference(source: Definition, target: Definition, sides: tuple[str, str]) -> str:
    """Both as they are compared, line by line, what is equal left out. sides: their names."""
    ours, theirs = (f"{_compared(each)}\ndefiner: {each.definer}".splitlines() for each in (source, target))
    return "\n".join(unified_diff(ours, theirs, f"{sides[0]} {source.name}", f"{sides[1]} {target.name}", lineterm="", n=1))


def _compared(definition: Definition) -> str:
    text, flags = definition.text.rstrip("; \r\n\t"), definition.flags
    match definition.name.kind:
        case Kind.TABLE:
            return table_text.to_compare(text)
        case Kind.DATABASE:
            return re.sub(r" /\* READ ONLY=\d+ \*/", "", text)
        case Kind.TRIGGER:
            assert definition.trigger is not None
            trigger = definition.trigger
            text = f"{_edited(lambda: guarded(text, **flags), text)}\ndatabase collation: {trigger.database_collation}"
        case Kind.EVENT:
            text = _edited(lambda: with_event_disabled(text, on="REPLICA", **flags), text)
            text += f"\ntime zone: {definition.time_zone}"
    unowned = text
    text = _edited(lambda: with_current_user(unowned, **flags), unowned)
    if definition.name.kind is not Kind.VIEW:  # whose text is the server's own, whatever the mode was
        text += f"\nsql_mode: {definition.sql_mode}"
    return f"{text}\ncharacter_set_client: {definition.charset}, collation_connection: {definition.collation}"


def _edited(edit: Callable[[], str], text: str) -> str:
    try:
        return edit()
    except NotUnderstood:  # then it is compared as it is
        return text
