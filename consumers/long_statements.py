"""The SQL of one row with long values: they are in user variables already, and those of the row before are compared by digest.

So no statement is larger than a piece, whatever the row, and the target's max_allowed_packet bounds a value alone.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from bisync_topology.errors import ApplyError, Where
from consumers.long_rows import Long
from consumers.statements import Statements
from consumers.target import TablePlan
from schemas.records import Row
from schemas.tables import Column

_UTF8 = ("utf8mb4", "utf8mb3", "ascii", None)  # stored bytes are those of the canonical value


class LongStatements(Statements):
    """Statements for a table's rows one by one, in which values may be long."""

    def __init__(self, plan: TablePlan) -> None:
        super().__init__(plan)
        columns = plan.columns
        self._to_compare = [self._or_long(column, literal) for column, literal in zip(columns, self._to_compare, strict=True)]
        self._to_write = [self._or_long(column, literal) for column, literal in zip(columns, self._to_write, strict=True)]

    def _or_long(self, column: Column, literal: Callable[[Any], str]) -> Callable[[Any], str]:
        def written(value: object) -> str:
            if not isinstance(value, Long):
                return literal(value)
            if not value.pieces:
                raise ApplyError(
                    f"column {column.name} is part of the target's key, and its value has {value.length} bytes",
                    code="unsupported_key",
                    hint="give both sides the same key",
                    where=Where(table=self.plan.target.full_name),
                )
            joined = f"CONCAT({', '.join(value.pieces)})"
            return f"CONVERT({joined} USING utf8mb4)" if column.kind == "text" else joined

        return written

    def _literals(self, position: int, values: Sequence[object], literals: Sequence[Callable[[Any], str]]) -> Iterable[str]:
        if any(isinstance(value, Long) for value in values):
            return ["NULL" if value is None else literals[position](value) for value in values]
        return super()._literals(position, values, literals)

    def _condition(self, image: Row, *, guarded: bool) -> str:
        long = {n: value for n in self.plan.written if isinstance(value := image[n], Long)}
        if not (guarded and long):
            return super()._condition(image, guarded=guarded)
        others = {n: "NULL" if image[n] is None else self._to_compare[n](image[n]) for n in self.plan.written if n not in long}
        digests = [f"{self._digest(n)} <=> '{value.digest}'" for n, value in long.items()]
        return " AND ".join([self._match(image, self.plan.key), *self._guards(others), *digests])

    def _digest(self, n: int) -> str:
        column, name = self.plan.columns[n], self._names[n]
        return f"SHA2({name if column.charset in _UTF8 else f'CONVERT({name} USING utf8mb4)'}, 256)"
