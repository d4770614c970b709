"""A trigger as a server has it, and the statement that makes it, guarded: its body runs only where no applier writes. Pure."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from bisync_topology.ddl_triggers import GUARD_VARIABLE, guarded, is_guarded
from bisync_topology.grants import quote
from bisync_topology.sql_tokens import NotUnderstood

PROBE = "bisync_topology_probe"  # a trigger that does nothing, made to learn whether the server lets us make the real one
_GUARD = f"IF {GUARD_VARIABLE} IS NULL THEN"


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """One trigger. definer: user@host. followers: those of the same table, time and event that run after it, in order.

    charset, connection_collation: of the session that made it, which its text is in. database_collation: of its database then,
    database_now: of it now; they decide about its variables.
    """

    db: str
    table: str
    name: str
    timing: str
    event: str
    definer: str
    sql_mode: str
    charset: str
    connection_collation: str
    database_collation: str
    database_now: str
    body: str
    followers: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Give for example `trigger shop.count, AFTER INSERT ON shop.item`."""
        return f"trigger {self.db}.{self.name}, {self.timing} {self.event} ON {self.db}.{self.table}"

    @property
    def head(self) -> str:
        """How SHOW CREATE TRIGGER begins, up to the body."""
        return self._head(quote(self.name), quote(self.table))

    def create(self, precedes: str | None = None) -> str:
        """The statement that makes it. precedes: the trigger before which it is to run."""
        place = "" if precedes is None else f"PRECEDES {quote(precedes)} "
        name, table = (f"{quote(self.db)}.{quote(each)}" for each in (self.name, self.table))
        return f"{self._head(name, table)}{place}{self.body}"

    def create_guarded(self, precedes: str | None = None) -> str:
        """The same behind the guard. Raises NotUnderstood."""
        return guarded(self.create(precedes), ansi_quotes=self.ansi_quotes, backslash_escapes=self.backslash_escapes)

    def create_probe(self) -> str:
        """One that the server takes or refuses as it would the guarded one, and whose body never runs. Raises NotUnderstood."""
        text = replace(self, name=PROBE).create_guarded().replace(_GUARD, "IF FALSE THEN", 1)
        if self.guards(text):  # what was replaced is elsewhere, as in a comment
            raise NotUnderstood
        return text

    @cached_property
    def guarded(self) -> bool:
        """Whether its body is behind the guard already; one that is not understood is not."""
        try:
            return self.guards(self.create())
        except NotUnderstood:
            return False

    def guards(self, text: str) -> bool:
        """Whether the body is behind the guard in a statement that is written as this one is. Raises NotUnderstood."""
        return is_guarded(text, ansi_quotes=self.ansi_quotes, backslash_escapes=self.backslash_escapes)

    @property
    def ansi_quotes(self) -> bool:
        """Whether double quotes are those of names in its text."""
        return "ANSI_QUOTES" in self.sql_mode.split(",")

    @property
    def backslash_escapes(self) -> bool:
        """Whether a backslash escapes what follows in its strings."""
        return "NO_BACKSLASH_ESCAPES" not in self.sql_mode.split(",")

    def as_json(self) -> bytes:
        """All of it, to be made again from."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, value: bytes) -> Trigger:
        """The inverse."""
        fields = json.loads(value)
        return cls(**{**fields, "followers": tuple(fields["followers"])})

    def _head(self, name: str, table: str) -> str:
        user, _, host = self.definer.rpartition("@")
        return f"CREATE DEFINER={quote(user)}@{quote(host)} TRIGGER {name} {self.timing} {self.event} ON {table} FOR EACH ROW "
