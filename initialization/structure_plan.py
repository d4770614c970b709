"""What is to be made at the target, in which order, and what stands in the way. Pure: two catalogs in, a plan out.

Databases come first, then tables with their foreign keys, which are not checked while they are made, so that any order is right;
then routines, whose bodies a server does not look into; views after those that they use; triggers and events last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from bisync_topology.ddl_edits import with_event_disabled
from bisync_topology.grants import quote
from bisync_topology.sql_tokens import NotUnderstood
from initialization import table_text
from initialization.definitions import Definition, Kind, Name, difference, differs

Catalog = Mapping[Name, Definition]
_ORDER = {kind: number for number, kind in enumerate((*Kind,))}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a plan depends on too. account: the applier's, as user@host. disabled_on: REPLICA, or SLAVE before 8.2."""

    sides: tuple[str, str]  # source, target
    account: str
    events_enabled: bool = False
    disabled_on: str = "REPLICA"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One object to be made. text: the statement, which is the source's but for a guard and for an event's status.

    drops: it is to go, since an earlier start has made it and the source has another one now, or none.
    """

    definition: Definition
    text: str
    drops: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """steps: in their order. found: equal at the target. left_out: (object, why). problems: why nothing is to be made at all."""

    steps: tuple[Step, ...]
    found: tuple[Definition, ...]
    left_out: tuple[tuple[Definition, str], ...]
    problems: tuple[str, ...]


def plan(source: Catalog, target: Catalog, mine: Catalog, setting: Setting) -> Plan:
    """mine: what an earlier start has made, which is at the target, as the source had it then."""
    stale = _stale(source, mine)
    steps = [_dropped(each) for each in reversed([*ordered(mine)]) if each.name in stale]
    found, left_out, problems = [], [], []
    for own in mine.values():
        if own.name in stale and differs(own, target[own.name], setting.account):
            problems.append(f"{own.name} was made, and altered since:\n{difference(own, target[own.name], setting.sides)}")
    for definition in ordered(source):
        name = definition.name
        if name in mine and name not in stale:
            continue
        there = _there(target, name, stale)
        if there is not None and there.name.kind is not name.kind:
            problems.append(f"{name}: at {setting.sides[1]} there is a {there.name.kind} of that name")
        elif there is not None and differs(definition, there, setting.account):
            problems.append(f"{name} is there already and differs:\n{difference(definition, there, setting.sides)}")
        elif there is not None:
            found.append(definition)
        elif not definition.valid:
            left_out.append((definition, f"something that it is made of is not there at {setting.sides[0]}"))
        elif (lack := _lacks(definition)) is not None:
            problems.append(f"{name}: {lack}")
        else:
            try:
                text = _text(definition, target.keys() - stale, setting)
                steps.append(Step(definition=definition, text=text))
            except NotUnderstood:
                problems.append(f"{name}: its text is not understood; make it at {setting.sides[1]} by hand")
    return Plan(steps=tuple(steps), found=tuple(found), left_out=tuple(left_out), problems=tuple(problems))


def _stale(source: Catalog, mine: Catalog) -> frozenset[Name]:
    """What is to go. A database stays: it is not ours alone any more. With a table go its triggers."""
    stale = {
        name
        for name, own in mine.items()
        if name.kind is not Kind.DATABASE and (name not in source or differs(own, source[name], ""))
    }
    tables = {(name.db, name.name) for name in stale if name.kind is Kind.TABLE}
    return frozenset(
        stale | {name for name, own in mine.items() if own.trigger and (own.trigger.db, own.trigger.table) in tables}
    )


def _dropped(own: Definition) -> Step:
    name = own.name
    return Step(definition=own, text=f"DROP {name.kind.upper()} {quote(name.db)}.{quote(name.name)}", drops=True)


def ordered(catalog: Catalog) -> Iterator[Definition]:
    """All objects, each behind what it needs."""
    views = {name: each for name, each in catalog.items() if name.kind is Kind.VIEW}
    uses = {name: {Name(Kind.VIEW, *used) for used in each.uses} & views.keys() for name, each in sorted(views.items())}
    try:
        of_views = list(TopologicalSorter(uses).static_order())
    except CycleError:  # no server makes them; if one says so all the same, it has the last word
        of_views = sorted(views)
    place = {name: number for number, name in enumerate(of_views)}

    def key(name: Name) -> tuple[object, ...]:
        trigger = catalog[name].trigger
        together = "" if trigger is None else f"{trigger.table}\0{trigger.timing}\0{trigger.event}"
        later = 0 if trigger is None else -len(trigger.followers)  # those of one table, time and event in their order
        return _ORDER[name.kind], place.get(name, 0), name.db, together, later, name.name

    return (catalog[name] for name in sorted(catalog, key=key))


def _there(target: Catalog, name: Name, stale: Collection[Name]) -> Definition | None:
    kinds = (Kind.TABLE, Kind.VIEW) if name.kind.namespace is Kind.TABLE else (name.kind,)
    names = [name._replace(kind=kind) for kind in kinds]
    return next((target[each] for each in names if each in target and each not in stale), None)


def _lacks(definition: Definition) -> str | None:
    if definition.lost is not None:
        return (
            f"it was made when its database had collation {definition.lost}, which it would lose; make it anew at the source, "
            "where the database has another one now, or make it at the target by hand"
        )
    if definition.name.kind is Kind.TABLE and (lost := table_text.doubtful(definition.text)) is not None:
        return (
            f"its server prints ? for rarer characters, so that {lost} may not be what it is; make it at the target by hand, "
            "and it is left as it is"
        )
    return None


def _text(definition: Definition, there: Collection[Name], setting: Setting) -> str:
    kind = definition.name.kind
    if kind is Kind.EVENT and not setting.events_enabled:
        return with_event_disabled(definition.text, on=setting.disabled_on, **definition.flags)
    if kind is Kind.TABLE:
        return table_text.to_run(definition.text)
    if kind is Kind.TRIGGER:
        assert definition.trigger is not None
        followers = definition.trigger.followers  # one that is at the target already is to run after it there too
        behind = next((each for each in followers if definition.name._replace(name=each) in there), None)
        return definition.trigger.create_guarded(behind)
    return definition.text
