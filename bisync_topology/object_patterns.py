"""Patterns that name databases and tables: the grammar of `objects` and `tables` in topology.yaml.

    shop               a whole database
    crm.customers      one table
    log.*, tenant_?.*  globs: `*` is any run of characters, `?` exactly one; in both parts of the name
    !shop.tmp_*        takes out what it matches
    `my.db`.`t`        inside backticks every character stands for itself; a doubled backtick is one
    my\\.db.t           a backslash makes the next character stand for itself

Outside quotes a name holds what MySQL allows there (letters, digits, `_`, `$`, everything from U+0080 on), and `-`.
Names compare exactly, as MySQL does where lower_case_table_names is 0; where it folds names, the binlog shows them
in lower case and they are to be written so.
"""

import enum
import functools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain


class Wild(enum.Enum):
    """A wildcard in a name."""

    RUN = "*"
    ONE = "?"


_PLAIN = r"[0-9A-Za-z_$\-\u0080-\U0010ffff]"
_TOKEN = re.compile(
    rf"`(?P<quoted>(?:[^`\0]|``)+)`(?=\.|\Z)|\\(?P<escaped>[^\0])|(?P<wild>[*?])|(?P<dot>\.)|(?P<plain>{_PLAIN})",
    re.DOTALL,
)
_SEPARATOR = "\0"  # stands between database and table in the automaton; MySQL has no name that contains it
_WORK = 1_000_000  # bounds `witnesses` to a second or so for globs made to be hard; real ones take hundreds


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A pattern for one name: characters, each standing for itself, and wildcards."""

    parts: tuple[str | Wild, ...]

    @property
    def literal(self) -> str | None:
        """Give the only name that matches, or None for a glob."""
        return None if self.is_glob else "".join(part for part in self.parts if isinstance(part, str))

    @property
    def is_glob(self) -> bool:
        """Tell whether it holds a wildcard."""
        return any(isinstance(part, Wild) for part in self.parts)

    def matches(self, name: str) -> bool:
        """Tell whether the whole name matches."""
        return _regex(self.parts).fullmatch(name) is not None

    def like(self) -> str:
        """Give the pattern for SQL's LIKE with the default escape character; matches at least the same names."""
        escaped = {"%": r"\%", "_": r"\_", "\\": r"\\", Wild.RUN: "%", Wild.ONE: "_"}
        return "".join(escaped.get(part, str(part)) for part in self.parts)


@dataclass(frozen=True, slots=True)
class ObjectPattern:
    """One entry of `objects`, or one key of `tables`."""

    text: str  # as written
    excludes: bool
    database: NamePattern
    table: NamePattern | None  # None: every table, and the database itself

    @property
    def rank(self) -> int:
        """Give 0 for the name of one table; the less is fixed, the higher."""
        return 2 * self.database.is_glob + (self.table is None or self.table.is_glob)

    @property
    def exact(self) -> tuple[str, str] | None:
        """Give the only (database, table) that matches, or None for anything wider."""
        database, table = self.database.literal, self.table and self.table.literal
        return (database, table) if database and table else None

    def matches(self, database: str, table: str) -> bool:
        """Tell whether the table's name matches; whether that takes it in or out is for the caller."""
        return self.database.matches(database) and (self.table is None or self.table.matches(table))


@functools.cache
def _regex(parts: tuple[str | Wild, ...]) -> re.Pattern[str]:
    wild = {Wild.RUN: ".*", Wild.ONE: "."}
    text = "".join(re.escape(part) if isinstance(part, str) else wild[part] for part in parts)
    return re.compile(text, re.DOTALL)


@functools.cache
def parse(text: str) -> ObjectPattern:
    """Read one entry. Raises ValueError that says what is wrong, in words for the user."""
    excludes = text.startswith("!")
    names: list[list[str | Wild]] = [[]]
    at = int(excludes)
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or (token["quoted"] and names[-1]):
            raise ValueError(
                f"{text[at]!r} at character {at + 1} is not allowed there; allowed are letters, digits, _ $ -, the"
                " wildcards * and ?, and any name put whole in backticks, as in `my.db`.`my table`"
            )
        if token["dot"]:
            names.append([])
        elif token["wild"]:
            names[-1].append(Wild(token["wild"]))
        elif token["quoted"]:
            names[-1].extend(token["quoted"].replace("``", "`"))
        else:
            names[-1].append(token["plain"] or token["escaped"])
        at = token.end()
    if not all(names):
        raise ValueError("a name is empty; allowed are a database, database.table, and globs of them with * and ?")
    if len(names) > 2:
        raise ValueError("too many dots; a name that contains one is put in backticks, as in `my.db`.`t`")
    table = NamePattern(tuple(names[1])) if len(names) == 2 and set(names[1]) != {Wild.RUN} else None
    return ObjectPattern(text, excludes, NamePattern(tuple(names[0])), table)


def parse_chosen(text: str) -> ObjectPattern:
    """Read a pattern of an option that chooses tables. Raises ValueError, also where it has `!`: those tables would be chosen."""
    pattern = parse(text)
    if pattern.excludes:
        raise ValueError("`!` takes tables out, and here tables are chosen: name those that are meant")
    return pattern


def quote(name: str) -> str:
    """Write a name so that `parse` reads it back as exactly that name."""
    return name if re.fullmatch(f"{_PLAIN}+", name) else "`" + name.replace("`", "``") + "`"


def witnesses(patterns: Sequence[ObjectPattern]) -> list[tuple[str, str]]:
    """Give one (database, table) for every combination of patterns that some name can match, the shortest first.

    What holds for all of them holds for every name there is, since a name behaves as the witness that matches the same
    patterns. So two directions are compared exactly, without a list of tables. The patterns are walked at once as one
    automaton; a state is the set of (pattern, position) that are alive after some prefix. If globs are so many that the
    walk is cut short, names that are written out still have a witness: themselves.
    """
    some_name = (Wild.ONE, Wild.RUN)
    automata = [_automaton(pattern) for pattern in patterns]
    automata.append((*some_name, _SEPARATOR, *some_name))  # the last one: a name has two parts, neither empty
    shape = len(automata) - 1
    letters = {part for automaton in automata for part in automaton if isinstance(part, str)}
    other = next(letter for letter in map(chr, chain(b"xyz", range(ord("a"), 0x110000))) if letter not in letters)
    start = _closure([(number, 0) for number in range(len(automata))], automata)
    queue, seen = deque([(start, "")]), {start}
    found: dict[frozenset[int], tuple[str, str]] = {}
    work = 0
    while queue and work < _WORK:
        state, name = queue.popleft()
        matched = frozenset(number for number, at in state if at == len(automata[number]))
        if shape in matched and matched not in found:
            database, table = name.split(_SEPARATOR)
            found[matched] = (database, table)
        for char, following in _steps(state, other, automata):
            work += len(following)
            if following not in seen and any(number == shape for number, _ in following):
                seen.add(following)
                queue.append((following, name + char))
    written_out = [pattern.exact for pattern in patterns if queue]
    return list(dict.fromkeys([*found.values(), *(name for name in written_out if name)]))


_Automaton = tuple[str | Wild, ...]
_State = frozenset[tuple[int, int]]


def _automaton(pattern: ObjectPattern) -> _Automaton:
    table = (Wild.RUN,) if pattern.table is None else pattern.table.parts
    return (*pattern.database.parts, _SEPARATOR, *table)


def _closure(alive: Iterable[tuple[int, int]], automata: list[_Automaton]) -> _State:
    """Add what is reached by a `*` that matches nothing."""
    reached = set()
    for number, start in alive:
        at = start
        reached.add((number, at))
        while at < len(automata[number]) and automata[number][at] is Wild.RUN:
            at += 1
            reached.add((number, at))
    return frozenset(reached)


def _steps(state: _State, other: str, automata: list[_Automaton]) -> Iterator[tuple[str, _State]]:
    """Give the state after each character that makes a difference; `other` stands for those that no pattern has."""
    by_part: dict[str | Wild, list[tuple[int, int]]] = {}
    for number, at in state:
        if at < len(automata[number]):
            by_part.setdefault(automata[number][at], []).append((number, at))
    one = [(number, at + 1) for number, at in by_part.pop(Wild.ONE, [])]
    run = by_part.pop(Wild.RUN, [])
    for char in sorted({str(part) for part in by_part} | {other}):
        literal = [(number, at + 1) for number, at in by_part.get(char, [])]
        yield char, _closure(literal if char == _SEPARATOR else literal + one + run, automata)
