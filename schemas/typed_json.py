"""JSON documents that hold values which JSON has no form for: DECIMAL, dates, times, binary strings, BIT.

MySQL keeps their types inside a document ("opaque" values), and its text alone would bring them back as numbers and strings.
Such a document's canonical value is bytes: `{"text": …, "typed": [[path, SQL type, value], …]}` as JSON, where `text` is
what MySQL prints, a value is its text, and a binary one its hex digits. Any other document's value is its text.
"""

import json
from collections.abc import Sequence

from schemas.literals import quote_text

Typed = tuple[str, str, str]  # path, SQL type, value

_BINARY = ("VARBINARY", "BINARY", "BLOB", "MEDIUMBLOB", "LONGBLOB")
_LONGER_THAN = {"MEDIUMBLOB": 1 << 16, "LONGBLOB": 1 << 24}  # an expression that may be as long has the type


def typed_json(text: str, typed: Sequence[Typed]) -> bytes:
    """The canonical value of a document with typed values, in the order of the document."""
    return json.dumps({"text": text, "typed": typed}, ensure_ascii=False, separators=(",", ":")).encode()


def json_literal(value: str | bytes) -> str:
    """A canonical value as SQL: a string, or an expression of type JSON."""
    if isinstance(value, str):
        return quote_text(value)
    document = json.loads(value)
    parts = [f"CAST({quote_text(document['text'])} AS JSON)"]
    for path, sql_type, text in document["typed"]:
        parts += quote_text(path), _expression(sql_type, text)
    return f"JSON_REPLACE({', '.join(parts)})"


def json_expression(value: str | bytes) -> str:
    """The same, of type JSON in either case: in a list with strings, typed values would become strings too."""
    return f"CAST({quote_text(value)} AS JSON)" if isinstance(value, str) else json_literal(value)


def _expression(sql_type: str, text: str) -> str:
    """A value of exactly this type, each form tried on MySQL 9.7. JSON_TABLE in an INSERT wants a default database (1046)."""
    base = sql_type.partition("(")[0]
    if base in ("DECIMAL", "DATE", "TIME", "DATETIME"):
        return f"CAST('{text}' AS {sql_type})"
    value = f"X'{text}'" if base in _BINARY else text if base == "BIT" else f"'{text}'"
    if base == "VARBINARY":
        return value
    if base in _LONGER_THAN:
        return f"IF(TRUE, {value}, REPEAT(X'00', {_LONGER_THAN[base]}))"
    return f"(SELECT v FROM JSON_TABLE(JSON_ARRAY({value}), '$[0]' COLUMNS (v {sql_type} PATH '$')) AS x)"
