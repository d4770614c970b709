"""The words of an SQL statement, as MySQL and MariaDB cut them. Pure, linear in the text, and only as far as asked.

Blanks and comments are passed over; what stands in a versioned comment (`/*!50100 … */`, `/*M!100100 … */`) counts
as text. Both are expanded whatever the version: a server that did not execute one has already made it a plain
comment in the text that it logs (except `/*M!` on MySQL, where reading too much is the safe side).
"""

import enum
import functools
import re
from typing import NamedTuple


class NotUnderstood(Exception):
    """The text ends inside a quote, a bracket is not matched, or a name is missing. Never leaves `read_statement`."""


class Kind(enum.Enum):
    """What a token is."""

    WORD = "word"  # keyword or unquoted name
    NAME = "name"  # quoted name
    STRING = "string"
    OP = "op"  # one character
    BAD = "bad"  # a quote that is never closed
    END = "end"


_KINDS = {kind.value: kind for kind in Kind}  # by group of the pattern; blank, enter and leave are not tokens
LETTER = r"[0-9A-Za-z_$\x80-\U0010ffff]"
_BLANK = r"[ \t\n\v\f\r]++|#[^\n]*+|--(?=[\0-\x20\x7f]|\Z)[^\n]*+|/\*(?!M?!).*?(?:\*/|\Z)"


class Place(NamedTuple):
    """A place in the text, beside a token."""

    at: int
    versioned: bool  # inside of a versioned comment


def _quoted(quote: str, *, escapes: bool) -> str:
    inside = rf"[^{quote}\\]++|\\." if escapes else rf"[^{quote}]++"
    return rf"{quote}(?:{inside}|{quote}{quote})*+{quote}"


@functools.cache
def _pattern(ansi_quotes: bool, backslash_escapes: bool, versioned: bool) -> re.Pattern[str]:
    """Give the pattern of one token. Outside a versioned comment `*/` is two operators: `2*/**/3`."""
    single = _quoted("'", escapes=backslash_escapes)
    double = _quoted('"', escapes=backslash_escapes and not ansi_quotes)
    backtick = _quoted("`", escapes=False)
    names, strings = ([backtick, double], [single]) if ansi_quotes else ([backtick], [single, double])
    return re.compile(
        rf"(?P<word>{LETTER}++)|(?P<blank>(?:{_BLANK})+)|(?P<enter>/\*M?!(?:[0-9]{{5,6}})?)"
        rf"{'|(?P<leave>[*]/)' if versioned else ''}"
        rf"|(?P<name>{'|'.join(names)})|(?P<string>{'|'.join(strings)})|(?P<bad>['\"`].*+)|(?P<op>.)",
        re.DOTALL,
    )


class Cursor:
    """Stands on one token: `kind`, `text`, and where it is. `depth` counts the brackets open before it.

    `key` is the keyword in upper case or the operator; it is empty for anything that is neither.
    """

    def __init__(self, sql: str, default_db: str, *, ansi_quotes: bool, backslash_escapes: bool) -> None:
        self._sql = sql
        self._default_db = default_db
        self._outside, self._inside = (_pattern(ansi_quotes, backslash_escapes, inside) for inside in (False, True))
        self._pattern = self._outside  # or inside of a versioned comment
        self.behind = Place(0, False)  # where the last token that was gone past ends
        self.depth = 0
        self.found = (0, 0)  # start and end of the last keyword that `find` gave
        self._read(0)

    def _read(self, position: int) -> None:
        while match := self._pattern.match(self._sql, position):
            group = match.lastgroup or ""
            kind = _KINDS.get(group)
            if kind:
                self.kind, self.text = kind, match[0]
                self.start, self.end = match.span()
                self.key = ""
                if kind is Kind.OP:
                    self.key = self.text
                elif kind is Kind.WORD and self.text.isascii():  # "ı".upper() is "I"
                    self.key = self.text.upper()
                return
            position = match.end()
            if group != "blank":
                self._pattern = self._inside if group == "enter" else self._outside
        self.kind, self.text, self.key = Kind.END, "", ""
        self.start = self.end = len(self._sql)

    @property
    def here(self) -> Place:
        """Where this token begins."""
        return Place(self.start, self._pattern is self._inside)

    def advance(self) -> None:
        """Go to the next token."""
        self.behind = Place(self.end, self._pattern is self._inside)
        if self.key == "(":
            self.depth += 1
        elif self.key == ")":
            self.depth -= 1
        self._read(self.end)

    def take(self, *keys: str) -> str:
        """Go past one of these keywords or operators, and give it; an empty string if it is not here."""
        key = self.key
        if key not in keys:
            return ""
        self.advance()
        return key

    def name(self, *, after_dot: bool = False) -> str:
        """Go past a name and give it without quotes. Only behind a dot may an unquoted one be all digits."""
        text = self.text
        if self.kind is Kind.NAME and len(text) > 2:
            quote = text[0]
            text = text[1:-1].replace(quote * 2, quote)
        elif self.kind is not Kind.WORD or not (after_dot or text.strip("0123456789")):
            raise NotUnderstood
        self.advance()
        return text

    def qualified(self) -> tuple[str | None, str]:
        """Go past `name` or `db.name`, either followed by the `.*` of a DELETE; also `.name`."""
        if self.take("."):
            return None, self.name(after_dot=True)
        parts = [self.name()]
        while self.take("."):
            if self.take("*"):
                break
            parts.append(self.name(after_dot=True))
        if len(parts) > 2:
            raise NotUnderstood
        return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])

    def table(self) -> tuple[str, str]:
        """Go past the name of a table or the like, and give (database, name)."""
        database, name = self.qualified()
        return database or self._default_db, name

    def tables(self, names: list[tuple[str, str]]) -> None:
        """Go past a list of them, and add each to `names`: those before a mistake are then known."""
        names.append(self.table())
        while self.take(","):
            names.append(self.table())

    def find(self, top: frozenset[str], anywhere: frozenset[str] = frozenset(), *, level: int = 0) -> str:
        """Go past the next of these keywords and give it; an empty string at the end of the statement.

        `top` (keywords, or a comma) counts within at most `level` brackets. Strings, quoted names and what follows a
        dot or an @ are no keywords. Raises NotUnderstood where the end is not reached properly, or a second statement follows.
        """
        words, position, dotted = top | anywhere, self.start, False
        moving = True
        while moving:
            moving = False
            for match in self._pattern.finditer(self._sql, position):
                group = match.lastgroup
                if group == "blank":
                    continue
                if group in ("enter", "leave"):
                    self._pattern = self._inside if group == "enter" else self._outside
                    position, moving = match.end(), True
                    break
                text = match[0]
                if group == "op":
                    if text == "(":
                        self.depth += 1
                    elif text == ")":
                        self.depth -= 1
                        if self.depth < 0:
                            raise NotUnderstood
                    elif text == ";":
                        self._read(match.start())
                        self.finish()
                        return ""
                    elif text == "," and text in top and self.depth <= level:
                        return self._stop(match, text)
                elif group == "word":
                    if dotted or (word := text.upper()) not in words or not text.isascii():
                        dotted = False
                    elif word in anywhere or self.depth <= level:
                        return self._stop(match, word)
                elif group == "bad":
                    raise NotUnderstood
                dotted = text in (".", "@")
        self._read(len(self._sql))
        self.finish()
        return ""

    def _stop(self, match: re.Match[str], word: str) -> str:
        self.found = match.span()
        self.behind = Place(match.end(), self._pattern is self._inside)
        self._read(match.end())
        return word

    def finish(self) -> None:
        """Go past semicolons to the end. Raises NotUnderstood if anything else follows or a bracket is open."""
        while self.take(";"):
            pass
        if self.kind is not Kind.END or self.depth:
            raise NotUnderstood
