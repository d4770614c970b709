"""Files in the language of `mysqltest`: cut into commands, and with a gate before each statement that changes a structure.

Pure: text in, text out. What is between gates stays as it is, byte by byte.
"""

import re
from collections.abc import Callable, Iterator

_STRUCTURE = re.compile(r"\s*(?:eval\s+)?(create|alter|drop|truncate|rename)\b", re.IGNORECASE)
_BLOCK = re.compile(r"(while|if)\b", re.IGNORECASE)
# lines that say something of the next command alone: a gate must not come between
_OF_THE_NEXT = re.compile(r"#|--\s*(error|sorted_result|replace_\w+)\b", re.IGNORECASE)
_QUOTES = "'\"`"


def commands(text: str) -> Iterator[str]:
    """The commands of a file, in order; put together they are the file.

    A comment and a command after `--` end with their line, a block's head with its brace, all else with a semicolon that is not
    quoted. White space before a command belongs to it.
    """
    start = 0
    while start < len(text):
        end = _end(text, start)
        yield text[start:end]
        start = end


def _end(text: str, start: int) -> int:
    begin = next((n for n in range(start, len(text)) if not text[n].isspace()), len(text))
    if text.startswith(("#", "--"), begin):
        return _after(text, "\n", begin)
    if text.startswith(("{", "}"), begin):
        return begin + 1
    if _BLOCK.match(text, begin):
        return _after(text, "{", begin)
    quote = ""
    n = begin
    while n < len(text):
        char = text[n]
        if quote:
            if char == "\\":
                n += 1
            elif char == quote:
                quote = ""
        elif char in _QUOTES:
            quote = char
        elif char == ";":
            return n + 1
        n += 1
    return len(text)


def _after(text: str, what: str, start: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found + len(what)


def statement_of(command: str) -> str | None:
    """The SQL of a command that changes a structure, None of any other."""
    if _STRUCTURE.match(command) is None:
        return None
    return re.sub(r"^eval\s+", "", command.strip(), flags=re.IGNORECASE).removesuffix(";")


def gated(text: str, before: Callable[[str], str], after: str) -> str:
    """The file with `before(statement)` in front of each statement that changes a structure, and `after` behind it.

    Raises ValueError where variables stand in such a statement: what it will be is not known before it runs.
    """
    made: list[str] = []
    waiting: list[str] = []  # lines that belong to the next command
    for command in commands(text):
        if _OF_THE_NEXT.match(command.lstrip()):
            waiting.append(command)
            continue
        statement = statement_of(command)
        if statement is None:
            made += [*waiting, command]
        elif "$" in statement:
            raise ValueError(f"a structure that depends on variables: {statement}")
        else:
            made += ["\n", before(statement), *waiting, command, "\n", after]
        waiting.clear()
    return "".join([*made, *waiting])
