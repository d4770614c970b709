"""The one table of value kinds: MySQL type ⇄ canonical value ⇄ Avro type ⇄ SQL literal ⇄ exact comparison.

A *canonical value* is what travels, what is compared and what is written: the same Python value on the wire, in a guard
and in a literal. SQL NULL is None, whatever the kind. Everything else is here, one line a kind:

| kind      | MySQL types                          | canonical value                                   | Avro   |
|-----------|--------------------------------------|---------------------------------------------------|--------|
| int       | TINYINT … BIGINT, INT UNSIGNED, YEAR | int                                               | long   |
| uint64    | BIGINT UNSIGNED                      | its decimal digits (2^64-1 does not fit a long)   | string |
| decimal   | DECIMAL                              | the text MySQL prints, all digits of the scale    | string |
| float     | FLOAT                                | the float itself                                  | float  |
| double    | DOUBLE                               | the double itself                                 | double |
| date      | DATE                                 | text; zero and partial dates survive              | string |
| time      | TIME(n)                              | text, signed, n digits of fraction                | string |
| datetime  | DATETIME(n)                          | text                                              | string |
| timestamp | TIMESTAMP(n)                         | text in UTC                                       | string |
| text      | CHAR, VARCHAR, TEXT                  | text (utf8mb4, utf8mb3, ascii, latin1)            | string |
| encoded   | the same in any other character set  | text, or the bytes that are none (charsets.py)    | both   |
| bit       | BIT; SET with an empty label         | its decimal digits (2^64-1 does not fit a long)   | string |
| binary    | BINARY, VARBINARY, BLOB              | bytes; BINARY(n) padded to n as stored            | bytes  |
| json      | JSON                                 | the text MySQL prints; bytes: see typed_json.py   | both   |
| enum      | ENUM                                 | the label                                         | string |
| geometry  | GEOMETRY, POINT, …                   | bytes: SRID (4, little-endian), then WKB          | bytes  |
| vector    | VECTOR                               | bytes: its floats, four each, little-endian       | bytes  |
| set       | SET                                  | the labels in order of definition, joined by ","  | string |

The guards were each tried on MySQL 9.7: text is compared as bytes (a collation would match 'abc' with 'ABC'), FLOAT through
CAST (else 1.1 does not match 1.1), JSON by its text or through CAST. What MySQL holds equal without a difference that a
comparison could see stays equal here: 0.0 and -0.0, and 1 and 1.0 inside a JSON document.
"""

import codecs
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas import charsets
from schemas.literals import quote_text
from schemas.tables import Column
from schemas.typed_json import json_literal


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How one kind of value is written.

    avro: the Avro type of a non-NULL value, or two with | between.
    python: the type of its canonical value.
    literal: non-NULL canonical value → SQL literal, for a utf8mb4 connection with time_zone +00:00; see `literal_of`.
    guard: (column, column's SQL, other side's SQL) → null-safe exact comparison.
    """

    avro: str
    python: type | tuple[type, ...]
    literal: Callable[..., str]
    guard: Callable[[Column, str, str], str]

    @property
    def avro_union(self) -> list[str]:
        """The type of a field: null, or a value."""
        return ["null", *self.avro.split("|")]


def _quote_plain(value: str) -> str:
    return f"'{value}'"


def _double_literal(value: float) -> str:
    # Without an exponent MySQL reads a DECIMAL literal, which loses digits beyond the 65th and the sign of zero.
    text = repr(value)
    return text if "e" in text else text + "e0"


def _same(column: Column, mine: str, other: str) -> str:
    return f"{mine} <=> {other}"


def _same_bytes(column: Column, mine: str, other: str) -> str:
    if column.charset not in ("utf8mb4", None):
        mine = f"CONVERT({mine} USING utf8mb4)"
    return _same_stored(column, mine, other)


def _same_bits(column: Column, mine: str, other: str) -> str:
    return f"CAST({mine} AS UNSIGNED) <=> {other}"  # a SET is a DOUBLE as a number, which loses the last of 64 bits


def _same_stored(column: Column, mine: str, other: str) -> str:
    return f"CAST({mine} AS BINARY) <=> CAST({other} AS BINARY)"


def _same_float(column: Column, mine: str, other: str) -> str:
    # + 0, as a FLOAT(10,3) itself is said to differ from any constant beyond its digits, which its rounded value may be
    return f"{mine} + 0 <=> CAST({other} AS FLOAT)"


def _same_json(column: Column, mine: str, other: str) -> str:
    # As text first: a DATE or DECIMAL inside a document is not its text, and travels as that.
    return f"(CAST({mine} AS BINARY) <=> CAST({other} AS BINARY) OR {mine} <=> CAST({other} AS JSON))"


_FLOAT = struct.Struct("<f")


def _limited_float(digits: int, scale: int) -> Callable[[float], str]:
    """FLOAT(10,3) takes no more than 9999999.999, which four bytes hold as 10000000: that is out of range when it comes back."""
    top = 10.0 ** (digits - scale) - 10.0**-scale
    (rounded,) = _FLOAT.unpack(_FLOAT.pack(top))

    def literal(value: float) -> str:
        return _double_literal(math.copysign(top, value) if abs(value) == rounded else value)

    return literal


def _hex_literal(value: bytes) -> str:
    return f"X'{value.hex()}'"


def _needs_charset(value: object) -> str:
    raise TypeError("the literal of an encoded text depends on its column: literal_of")


KINDS: dict[str, Kind] = {
    "int": Kind(avro="long", python=int, literal=str, guard=_same),
    "uint64": Kind(avro="string", python=str, literal=str, guard=_same),
    "decimal": Kind(avro="string", python=str, literal=str, guard=_same),
    "float": Kind(avro="float", python=float, literal=_double_literal, guard=_same_float),
    "double": Kind(avro="double", python=float, literal=_double_literal, guard=_same),
    "date": Kind(avro="string", python=str, literal=_quote_plain, guard=_same),
    "time": Kind(avro="string", python=str, literal=_quote_plain, guard=_same),
    "datetime": Kind(avro="string", python=str, literal=_quote_plain, guard=_same),
    "timestamp": Kind(avro="string", python=str, literal=_quote_plain, guard=_same),
    "text": Kind(avro="string", python=str, literal=quote_text, guard=_same_bytes),
    "encoded": Kind(avro="string|bytes", python=(str, bytes), literal=_needs_charset, guard=_same_stored),
    "bit": Kind(avro="string", python=str, literal=str, guard=_same_bits),
    "geometry": Kind(avro="bytes", python=bytes, literal=_hex_literal, guard=_same_stored),
    "vector": Kind(avro="bytes", python=bytes, literal=_hex_literal, guard=_same_stored),
    "binary": Kind(avro="bytes", python=bytes, literal=_hex_literal, guard=_same),
    "json": Kind(avro="string|bytes", python=(str, bytes), literal=json_literal, guard=_same_json),
    "enum": Kind(avro="string", python=str, literal=quote_text, guard=_same_bytes),
    "set": Kind(avro="string", python=str, literal=quote_text, guard=_same_bytes),
}

# information_schema.COLUMNS.DATA_TYPE → kind; what is not here is not applied yet and stops its direction.
DATA_TYPE_KINDS: dict[str, str] = {
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "year"), "int"),
    **{name: name for name in ("decimal", "float", "double", "date", "time", "datetime", "timestamp")},
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), "text"),
    **dict.fromkeys(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"), "binary"),
    **{name: name for name in ("json", "enum", "set", "bit", "vector")},
    **dict.fromkeys(("geometry", "point", "linestring", "polygon"), "geometry"),
    **dict.fromkeys(("multipoint", "multilinestring", "multipolygon", "geomcollection", "geometrycollection"), "geometry"),
}

# Python codecs that are exact for a MySQL character set; latin1 is windows-1252 with five holes, see decode_latin1.
TEXT_CHARSETS = ("utf8mb4", "utf8mb3", "ascii", "latin1")

_LATIN1 = "".join(chr(n) if n in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else bytes([n]).decode("cp1252") for n in range(256))

_LATIN1_BYTES: dict[int, int | bytes | None] = {ord(character): n for n, character in enumerate(_LATIN1)}


def decode_latin1(value: bytes) -> str:
    """MySQL's latin1 (windows-1252, its five unassigned bytes as C1 controls) as text, without loss."""
    return codecs.charmap_decode(value, "strict", _LATIN1)[0]


def encode_latin1(text: str) -> bytes:
    """The inverse. Raises UnicodeEncodeError for a character that latin1 has not."""
    return codecs.charmap_encode(text, "strict", _LATIN1_BYTES)[0]


def labels_of(column_type: str) -> list[str]:
    """The labels of an ENUM or SET, as `column_type` quotes them, a quote in them doubled."""
    return [quoted[1:-1] for quoted in re.findall(r"'(?:[^']|'')*'", column_type)]


def text_kind(charset: str | None) -> str | None:
    """Kind of character data in a character set; None for one that is not known."""
    if charset in TEXT_CHARSETS:
        return "text"
    return "encoded" if charset in charsets.NAMES else None


def kind_of(data_type: str, column_type: str, charset: str | None = None) -> str | None:
    """Kind of an information_schema column, None where it is not supported."""
    if data_type == "bigint" and "unsigned" in column_type:
        return "uint64"
    if data_type == "set" and "" in labels_of(column_type):
        return "bit"
    kind = DATA_TYPE_KINDS.get(data_type)
    return text_kind(charset) if kind == "text" else kind


def literal_of(column: Column) -> Callable[[Any], str]:
    """What gives a target column's non-NULL canonical values as SQL, for a comparison."""
    if column.kind != "encoded":
        return KINDS[column.kind].literal
    assert column.charset is not None
    return charsets.charset(column.charset).literal


def written_literal_of(column: Column) -> Callable[[Any], str]:
    """The same for a value that is to be stored."""
    limits = re.match(r"float\((\d+),(\d+)\)", column.sql_type)
    return _limited_float(int(limits[1]), int(limits[2])) if limits else literal_of(column)
