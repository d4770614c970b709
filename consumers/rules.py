"""A table's settings → the rules by which its conflicts are decided: column names become positions."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bisync_topology.errors import ApplyError, Where
from bisync_topology.scope import ResolvedSettings
from bisync_topology.topology import Deletes, Policy
from consumers.conflict import Rules
from consumers.target import TablePlan
from schemas.records import Row

# Kind of a version column → what its canonical values compare by. Temporal values are texts that order as they stand.
_VERSIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("int", "float", "double", "date", "datetime", "timestamp"), lambda value: value),
    **dict.fromkeys(("uint64", "decimal"), Decimal),
}
_NUMBERS = ("int", "uint64", "decimal", "float", "double")


def rules_of(settings: ResolvedSettings, plan: TablePlan, *, forced: bool) -> Rules:
    """The rules of a table. forced: the direction's source is the arbiter.

    Raises ApplyError where a column that the settings name is not there, or cannot be compared or added up.
    """
    converges = settings.on_conflict.converges
    keyed = frozenset(position for key in plan.unique_keys for position in key)
    deltas = frozenset(_position(plan, name, "delta_columns") for name in settings.delta_columns)
    for n in deltas:
        if plan.columns[n].kind not in _NUMBERS or n in keyed or n not in plan.written:
            raise _unfit(plan, "delta_columns", plan.columns[n].name, "a number, of no unique key and not generated")
    version_of = None
    if settings.on_conflict is Policy.NEWEST:
        name = settings.version_column or ""
        n = _position(plan, name, "version_column")
        if plan.columns[n].kind not in _VERSIONS:
            raise _unfit(plan, "version_column", name, "a number or a date or time stamp")
        version_of = _version_of(n, _VERSIONS[plan.columns[n].kind])
    return Rules(
        settings.on_conflict,
        forced=converges and forced,
        judging=converges and not forced,
        deletes_win=settings.deletes is Deletes.WIN,
        version_of=version_of,
        deltas=deltas,
        keyed=keyed,
        generated=frozenset(range(len(plan.columns))).difference(plan.written),
    )


def _version_of(position: int, comparable: Callable[[Any], Any]) -> Callable[[Row], Any]:
    """A row without a version is older than every other one."""
    return lambda row: (0,) if row[position] is None else (1, comparable(row[position]))


def _position(plan: TablePlan, name: str, setting: str) -> int:
    for n, column in enumerate(plan.columns):
        if column.name.casefold() == name.casefold():
            return n
    raise _unfit(plan, setting, name, "a column that both sides have")


def _unfit(plan: TablePlan, setting: str, name: str, wanted: str) -> ApplyError:
    return ApplyError(
        f"{setting} names {name}, which is not {wanted}",
        code="unfit_column",
        hint=f"correct {setting} in topology.yaml, start the processes again, then `resume`",
        where=Where(table=plan.target.full_name),
    )
