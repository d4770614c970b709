"""MySQL's sql_mode as the binlog has it, a number, and as people read it. Pure."""

from __future__ import annotations

from typing import Final

# Bits of sql/system_variables.h that a server of 8.0 or later can have set.
MODES: Final = {
    "REAL_AS_FLOAT": 0,
    "PIPES_AS_CONCAT": 1,
    "ANSI_QUOTES": 2,
    "IGNORE_SPACE": 3,
    "ONLY_FULL_GROUP_BY": 5,
    "NO_UNSIGNED_SUBTRACTION": 6,
    "NO_DIR_IN_CREATE": 7,
    "ANSI": 18,
    "NO_AUTO_VALUE_ON_ZERO": 19,
    "NO_BACKSLASH_ESCAPES": 20,
    "STRICT_TRANS_TABLES": 21,
    "STRICT_ALL_TABLES": 22,
    "NO_ZERO_IN_DATE": 23,
    "NO_ZERO_DATE": 24,
    "ALLOW_INVALID_DATES": 25,
    "ERROR_FOR_DIVISION_BY_ZERO": 26,
    "TRADITIONAL": 27,
    "HIGH_NOT_PRECEDENCE": 29,
    "NO_ENGINE_SUBSTITUTION": 30,
    "PAD_CHAR_TO_FULL_LENGTH": 31,
    "TIME_TRUNCATE_FRACTIONAL": 32,
}


def read_as(mode: int) -> dict[str, bool]:
    """How a statement's text is read under this mode: keyword arguments of `ddl.read_statement` and of the edits beside it."""
    return {
        "ansi_quotes": bool(mode >> MODES["ANSI_QUOTES"] & 1),
        "backslash_escapes": not mode >> MODES["NO_BACKSLASH_ESCAPES"] & 1,
    }


def mode_number(names: str) -> int:
    """The number of `ANSI_QUOTES,NO_ENGINE_SUBSTITUTION`; names that no server of today has are left out."""
    return sum(1 << MODES[name] for name in {*names.split(",")} & MODES.keys())


def mode_names(mode: int) -> str:
    """`ANSI_QUOTES,NO_ENGINE_SUBSTITUTION`; a bit without a name is given as its number."""
    names = [name for name, bit in MODES.items() if mode >> bit & 1]
    rest = mode & ~sum(1 << bit for bit in MODES.values())
    return ",".join([*names, *([str(rest)] if rest else [])])
