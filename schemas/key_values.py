"""What tells rows apart by the unique keys of their table, without a server: forms of key values that err to one side. Pure.

A form is the same for values that the key's collation holds equal. It may be the same for others too, and WILD is that of any:
who asks whether two rows may be in each other's way is never told no where they are.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from schemas.records import Row
from schemas.tables import Column

KeyValue = tuple[tuple[str, tuple[str, ...]], Hashable]  # (table and columns of a unique key, value; WILD: any)

WILD = None
_FOLDED = frozenset(  # of two ASCII texts that these hold equal, letters and digits are the same but for their case
    f"{charset}_{name}"
    for charset, names in {
        "utf8mb4": ("0900_ai_ci", "0900_as_ci", "0900_as_cs", "general_ci", "unicode_ci", "unicode_520_ci"),
        "utf8mb3": ("general_ci", "unicode_ci"),
        "latin1": ("swedish_ci", "general_ci", "general_cs"),
        "ascii": ("general_ci",),
    }.items()
    for name in names
)


class KeyPart(NamedTuple):
    """A column of a unique key. name None: an expression. prefix: of how many characters or bytes; None for the whole column."""

    name: str | None
    prefix: int | None
    collation: str | None


class Keys:
    """The unique keys of one version of a table: a row → what tells it apart in each of them.

    Two rows that are in each other's way give an equal value, or one of them a WILD one, for at least one key.
    """

    def __init__(self, full_name: str, keys: Iterable[Sequence[KeyPart]], columns: Sequence[Column]) -> None:
        """keys: as the server has them. columns: those of the rows, in their order."""
        positions = {column.name.casefold(): n for n, column in enumerate(columns)}
        self._named: set[int] = set()  # positions of columns of any key
        self._keys: list[tuple[tuple[str, tuple[str, ...]], list[tuple[int, Callable[[Any], Hashable]]]]] = []
        for key in keys:
            names = tuple((part.name or "").casefold() for part in key)
            if not all(name in positions for name in names):  # an expression, or a column that these rows do not have
                self._keys.append(((full_name, names), [(0, _any)]))
                continue
            at = [positions[name] for name in names]
            self._named |= set(at)
            self._keys.append(((full_name, names), [(n, _form(columns[n], part)) for n, part in zip(at, key, strict=True)]))

    def of(self, row: Row) -> Iterator[KeyValue]:
        """One for each key; none for a key of which the row has a NULL."""
        for name, forms in self._keys:
            values = [WILD if row[n] is None else form(row[n]) for n, form in forms]
            if WILD not in values:
                yield name, tuple(values)
            elif forms[0][1] is _any or not any(row[n] is None for n, _ in forms):
                yield name, WILD

    def alone(self, row: Row) -> Row:
        """The row with the columns of its keys alone."""
        return tuple(value if n in self._named else None for n, value in enumerate(row))

    def any(self) -> Iterator[KeyValue]:
        """What overlaps with every row of the table."""
        return ((name, WILD) for name, _ in self._keys)


def _any(value: object) -> Hashable:
    return WILD


def _form(column: Column, part: KeyPart) -> Callable[[Any], Hashable]:
    """A non-NULL value → a form that values share which the key holds equal, or WILD."""
    prefix = part.prefix
    if column.kind == "binary":
        return lambda value: bytes(value[:prefix])
    if column.kind not in ("text", "encoded"):
        return lambda value: value if isinstance(value, Hashable) else WILD
    exact, folded = str(part.collation).endswith("_bin"), part.collation in _FOLDED

    def form(value: object) -> Hashable:
        if not isinstance(value, str):
            return WILD
        text = value[:prefix]
        if exact:
            return text.rstrip(" ")
        if folded and text.isascii():
            return "".join(filter(str.isalnum, text)).lower()
        return WILD

    return form
