"""The tables of docs/conflicts.md, made from every cell of consumers/decision_table.py: `make docs`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from consumers.conflict import Delete, Insert, Set
from consumers.decision_table import (
    ARBITER,
    CONVERGENT,
    DELTAS,
    ONE_SIDE,
    SITUATIONS,
    Column,
    Situation,
    outcome,
    variants,
)

BEGIN, END = "<!-- made by `make docs` from the code -->", "<!-- end of what is made -->"


def replaced(page: str) -> str:
    """A page with the tables as the code has them, between the markers."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    tables = (
        f"**Policies of one side**\n\n{_table(ONE_SIDE)}\n\n**Policies that converge**\n\n{_table(CONVERGENT, sent_back=True)}"
    )
    return f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}"


def phrase(situation: Situation, column: Column) -> str:
    """A cell in a few words; where `deletes` matters, for each of its settings."""
    said = {variant.deletes: done(situation, variant) for variant in variants(column)}
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"`{deletes}`: {text}" for deletes, text in said.items())


def done(situation: Situation, column: Column) -> str:
    """What is done in one cell."""
    cell = outcome(situation, column)
    if cell.decision.decision == "pending":
        return "pending"
    if not cell.decision.actions:
        return "nothing" if cell.decision.decision == "source" else "stays"
    last, after = cell.decision.actions[-1], cell.event.after
    words = ["they give way"] if after and any(isinstance(action, Delete) for action in cell.decision.actions) else []
    if isinstance(last, Set):
        assert after is not None
        deltas = set(DELTAS if situation.deltas else ())
        merged = last.columns is not None and set(last.columns) - deltas
        words.append("set" if last.columns is None else "merged" if merged else "stays")
        if any(last.row[n] != after[n] if last.columns is None else n in last.columns for n in deltas):
            words.append("sum")
    else:
        words.append("inserted" if isinstance(last, Insert) else "deleted")
    return ", ".join([*words, *(["unchecked"] if situation.refused else [])])


def _table(columns: Sequence[Column], *, sent_back: bool = False) -> str:
    lines = [
        ["change", "the rows here", "conflict", *(column.title for column in columns), *(["sent back"] if sent_back else [])]
    ]
    lines.append(["---"] * len(lines[0]))
    last = ""
    for situation in SITUATIONS:
        kind = outcome(situation, columns[-1]).decision.type
        line = [situation.change if situation.change != last else "", situation.here, str(kind or "–")]
        line += [phrase(situation, column) for column in columns]
        if sent_back:
            line.append(_sent_back(situation))
        lines.append(line)
        last = situation.change
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sent_back(situation: Situation) -> str:
    """Whether the arbiter tells the other side how the rows stand: of no policy's choosing."""
    (sent,) = {any(outcome(situation, each).told or ()) for column in ARBITER for each in variants(column)}
    return "yes" if sent else "–"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(replaced(path.read_text(encoding="utf-8")), encoding="utf-8")
