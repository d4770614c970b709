"""docs/types.md, made from the table of kinds and the tables of character sets: `make docs`."""

import sys

from schemas import charsets, values

_HEAD = """# Types

Made by `make docs` from `schemas/values.py`, which drives capture, the wire, comparison and SQL. In a schema of the schemas
topic each field's `mysql` property has the column's name, kind and SQL type, and the character set of an `encoded` one.

Every column is a union with null; NULL is null, whatever the kind. A key event has the columns of the primary key, or of the
NOT NULL unique key that stands in for it, in the key's order.

"""
_TAIL = """
## Text

Text in utf8mb4, utf8mb3, ascii and latin1 travels as text. In the other character sets a value is a string where its bytes
are that text's only encoding and MySQL reads the same characters in them; else, rarely, it is the bytes that MySQL stores:

{names}.

## JSON

A document is the text that MySQL prints. One that holds values which JSON has no form for (DECIMAL, DATE, TIME, DATETIME,
TIMESTAMP, BIT, binary strings) is bytes: `{{"text": …, "typed": [[path, SQL type, value], …]}}`, with which an applier makes
them again. Integers are equal whether MySQL keeps them as signed or unsigned: they print alike.

## What stops a direction

A temporal column of MySQL 5.5 or older, an ENUM that holds the error value '', an ENUM or SET in CHARACTER SET binary,
a TINYBLOB inside a JSON document.
"""


def page() -> str:
    """The page's text."""
    table = [line for line in (values.__doc__ or "").splitlines() if line.startswith("|")]
    names = ", ".join(sorted(charsets.NAMES))
    return _HEAD + "\n".join(table) + "\n" + _TAIL.format(names=names)


if __name__ == "__main__":
    sys.stdout.write(page())
