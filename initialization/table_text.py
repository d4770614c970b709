"""The text of SHOW CREATE TABLE: what of it means nothing, and what it cannot say. Pure.

A column without a collation of its own is printed with that of its table, where this is not the default of its character set.
Such a text makes the column's collation one of its own, which is printed in yet another way. So it is left out before it is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_QUOTED = re.compile(r"('(?:[^'\\]|\\.|'')*'|`(?:[^`]|``)*`)", re.DOTALL)
_COLLATION = re.compile(r"( CHARACTER SET \w+)?( COLLATE \w+)")
_WIDTH = re.compile(r"\b((?:tiny|small|medium|big)?int|year)\(\d+\)(?! unsigned zerofill)")
_LABELS = re.compile(r"\b(?:enum|set)\((?:'(?:[^']|'')*',?)+\)(?: CHARACTER SET (\w+))?")
_WIDE = ("utf8mb4", "utf16", "utf16le", "utf32", "gb18030")  # character sets of more than 65,536 characters
# of each character set's default collation; `general` of all others that have names like these
_DEFAULTS = {
    **dict.fromkeys(("latin1", "dec8", "swe7"), "swedish"),
    **dict.fromkeys(("big5", "gb2312", "gbk", "gb18030"), "chinese"),
    **dict.fromkeys(("ujis", "sjis", "cp932", "eucjpms"), "japanese"),
    **{"hp8": "english", "tis620": "thai", "euckr": "korean", "latin5": "turkish"},
}


def to_run(text: str) -> str:
    """Without collations that are those of the table, so that the server takes them from there again."""
    own = _default(text)
    return _outside_quotes(text, lambda part: _COLLATION.sub(lambda at: "" if not at[1] and at[2] == own else at[0], part))


def to_compare(text: str) -> str:
    """Without what differs where tables do not: a collation said or implied, the next AUTO_INCREMENT, older words for types."""
    text = _outside_quotes(text, _newer)
    own = _default(text)
    return _outside_quotes(text, lambda part: _COLLATION.sub(lambda at: "" if at[2] == own else at[2], part))


def doubtful(text: str) -> str | None:
    """What it may have lost: the server prints `?` for characters beyond the 65,536 first, in places. None: nothing."""
    default = re.search(r" DEFAULT CHARSET=(\w+)", _unquoted(text))
    for found in _LABELS.finditer(text):
        if "?" in found[0] and (found[1] or (default and default[1])) in _WIDE:
            return found[0]
    literal = re.search(r"_\w+'[^']*\?{4}[^']*'", text)
    return literal and literal[0]


def _newer(text: str) -> str:
    text = re.sub(r" AUTO_INCREMENT=\d+", "", text)
    return re.sub(r"\butf8(?=\b|_(?!mb))", "utf8mb3", _WIDTH.sub(r"\1", text))


def _default(text: str) -> str:
    """The clause of a column that would have the table's collation."""
    found = re.search(r" DEFAULT CHARSET=(\w+)(?: COLLATE=(\w+))?", _unquoted(text))
    if found is None:
        return ""
    charset, collation = found.groups()
    return f" COLLATE {collation or f'{charset}_' + _DEFAULTS.get(charset, 'general') + '_ci'}"


def _unquoted(text: str) -> str:
    return " ".join(_QUOTED.split(text)[::2])


def _outside_quotes(text: str, change: Callable[[str], str]) -> str:
    """Change what is no name and no string."""
    return "".join(part if number % 2 else change(part) for number, part in enumerate(_QUOTED.split(text)))
