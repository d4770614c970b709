"""What was found, and how it is shown: as JSON, and for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Name = tuple[str, str]  # database, table


@dataclass(kw_only=True)
class TableResult:
    """What was found of one table. rows: on either side. changing: rows that changed at each look, which says nothing."""

    name: Name
    rows: list[int] = field(default_factory=lambda: [0, 0])
    differing: int = 0
    only_from: int = 0
    only_to: int = 0
    changing: int = 0
    repaired: int = 0
    examples: list[dict[str, Any]] = field(default_factory=list)
    schema: tuple[str, ...] = ()
    not_compared: str = ""  # why
    refused: str = ""  # why it was not repaired, or not all of it
    skipped: list[str] = field(default_factory=list)  # GTIDs that `skip` passed, and with them changes of this table

    @property
    def different(self) -> int:
        """Rows that differ still."""
        return self.differing + self.only_from + self.only_to - self.repaired

    @property
    def differs(self) -> bool:
        """Whether anything differs still, rows or structure."""
        return bool(self.different or self.schema or self.not_compared or self.refused)

    @property
    def equal(self) -> bool:
        """Whether nothing differs any more, and nothing is undecided."""
        return not (self.differs or self.changing)

    @property
    def full_name(self) -> str:
        """`db.table`."""
        return ".".join(self.name)


@dataclass(kw_only=True)
class Report:
    """Everything. unsettled: why changes on their way could not be told apart; "" where they could."""

    from_: str
    to: str
    tables: list[TableResult]
    unsettled: str = ""
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether both sides are known to be equal now."""
        return all(table.equal for table in self.tables)

    def as_json(self) -> dict[str, Any]:
        """The object of `verify -o json`."""
        return {
            "equal": self.equal,
            "from": self.from_,
            "to": self.to,
            "unsettled": self.unsettled or None,
            "seconds": round(self.seconds, 3),
            "tables": [_table_json(table) for table in self.tables],
        }


def _table_json(table: TableResult) -> dict[str, Any]:
    return {
        "table": table.full_name,
        "rows": table.rows[0],
        "rows_to": table.rows[1],
        "equal": table.rows[0] - table.differing - table.only_from,
        "differing": table.differing,
        "only_from": table.only_from,
        "only_to": table.only_to,
        "changing": table.changing,
        "repaired": table.repaired,
        "schema": list(table.schema),
        "not_compared": table.not_compared or None,
        "not_repaired": table.refused or None,
        "skipped": table.skipped,
        "examples": table.examples,
    }


def notes(report: Report) -> Iterator[tuple[str, str]]:
    """(table, line) of what a table's figures do not say."""
    for table in report.tables:
        name = table.full_name
        if table.not_compared:
            yield name, f"not compared: {table.not_compared}"
        yield from ((name, f"structure: {line}") for line in table.schema)
        if table.changing:
            yield name, f"{table.changing} rows changed at each look, so that nothing can be said of them: run it again"
        if table.refused:
            yield name, f"not repaired: {table.refused}"
        for gtid in table.skipped:
            state = "is equal, and no longer marked" if table.equal else "is still marked"
            yield name, f"`skip` has passed {gtid}: the table {state}"


def shown(example: Mapping[str, Any], sides: Sequence[str]) -> list[str]:
    """An example row for people: its key, and what differs."""
    key = ", ".join(f"{name}={_clip(value)}" for name, value in example["key"].items())
    here, there = example["from"], example["to"]
    if here is None or there is None:
        row = here or there or {}
        values = ", ".join(f"{name}={_clip(value)}" for name, value in row.items() if name not in example["key"])
        return [f"{key}: {sides[there is not None]} alone" + (f": {values}" if values else "")]
    lines = [f"{key}:"]
    for name in dict.fromkeys([*here, *there]):
        if here.get(name) != there.get(name):
            lines.append(f"  {name}: {_clip(here.get(name))} at {sides[0]}, {_clip(there.get(name))} at {sides[1]}")
    return lines


def _clip(value: object) -> str:
    text = "NULL" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
