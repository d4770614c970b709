"""Random columns and boundary-heavy values for them, and how a server's own print of a value becomes the canonical one."""

import json
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from schemas.charsets import charset

Canonical = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """sql: its definition. literal: a random value. printed: expression for the column {c}. canonical: of what that prints."""

    sql: str
    literal: Callable[[Random], str]
    printed: str = "CAST({c} AS CHAR)"
    canonical: Canonical = str


HEX = "HEX({c})"
HEX_UTF8 = "HEX(CONVERT({c} USING utf8mb4))"


def from_hex(text: str) -> str:
    """Text of HEX_UTF8: the server's own conversion, so that latin1 is checked against it."""
    return bytes.fromhex(text).decode("utf-8")


def hex_literal(introducer: str, value: bytes) -> str:
    """A string literal of these bytes."""
    return f"{introducer} X'{value.hex()}'"


# --- numbers --------------------------------------------------------------------------------------------------------


def int_type(random: Random) -> ColumnType:
    """TINYINT to BIGINT, signed and unsigned, also with ZEROFILL and a display width."""
    name, size = random.choice([("TINYINT", 1), ("SMALLINT", 2), ("MEDIUMINT", 3), ("INT", 4), ("BIGINT", 8), ("INT(7)", 4)])
    unsigned = random.random() < 0.5
    low, high = (0, 256**size - 1) if unsigned else (-(256**size) // 2, 256**size // 2 - 1)

    def literal(random: Random) -> str:
        return str(random.choice([low, high, 0, low + 1, high - 1, high // 2, random.randint(low, high), random.randint(0, 99)]))

    sql = f"{name} UNSIGNED" if unsigned else name
    return ColumnType(sql=sql, literal=literal, canonical=str if unsigned and size == 8 else int)


def decimal_type(random: Random) -> ColumnType:
    """DECIMAL of any precision and scale; values beyond it are cut by the server."""
    precision = random.choice([1, 9, 10, 18, 19, 65, random.randint(1, 65)])
    scale = random.randint(0, min(precision, 30))

    def literal(random: Random) -> str:
        digits = "".join(random.choice("0123456789") for _ in range(precision))
        digits = random.choice([digits, "9" * precision, "0" * precision, "0" * (precision - 1) + "1", digits + "7"])
        whole, fraction = digits[: precision - scale] or "0", digits[precision - scale :]
        return f"'{random.choice(['', '-'])}{whole}.{fraction}{random.choice(['', '4', '5', '00'])}'"

    unsigned = random.choice(["", "", " UNSIGNED"])
    return ColumnType(sql=f"DECIMAL({precision},{scale}){unsigned}", literal=literal)


def _double(random: Random) -> float:
    while True:
        how = random.randrange(5)
        if how == 0:
            value = struct.unpack("<d", random.randbytes(8))[0]
        elif how == 1:
            value = float(f"{random.randrange(10 ** random.randint(1, 18))}e{random.randint(-40, 30)}")
        elif how == 2:
            value = random.choice([-1, 1]) * 10.0 ** random.randint(-30, 30)
        elif how == 3:
            value = random.choice([0.0, -0.0, 0.1, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e15, 1e16])
        else:
            value = random.uniform(-1, 1) * 10 ** random.randint(-6, 20)
        if math.isfinite(value):
            return float(value)


def double_literal(value: float) -> str:
    """A literal that the server reads as this double."""
    text = repr(value)
    return text if "e" in text else text + "e0"


def double_type(random: Random) -> ColumnType:
    """DOUBLE: what the server prints reads back as the same double."""
    sql = random.choice(["DOUBLE", "DOUBLE", "DOUBLE UNSIGNED", "DOUBLE(20,4)"])
    plain = ColumnType(sql=sql, literal=lambda random: double_literal(_double(random)), canonical=float)
    if sql != "DOUBLE(20,4)":
        return plain
    # prints four digits of what it holds, so that it is asked for through JSON, which prints all
    printed = "IF({c} IS NULL, NULL, CAST(JSON_ARRAY({c}) AS CHAR))"
    return replace(plain, printed=printed, canonical=lambda text: float(text[1:-1]))


def float_type(random: Random) -> ColumnType:
    """FLOAT: six digits are printed, so that its value is compared as the double that the four bytes are."""

    def literal(random: Random) -> str:
        if random.random() < 0.5:
            value = struct.unpack("<f", random.randbytes(4))[0]
            if math.isfinite(value):
                return double_literal(value)
        return random.choice(
            ["0e0", "-0e0", "1e-45", "-1.4e-45", "1.17549435e-38", "3.4028234e38", "0.1e0", "16777217e0", "1.1e0"]
        )

    sql = random.choice(["FLOAT", "FLOAT", "FLOAT UNSIGNED", "FLOAT(10,3)"])
    return ColumnType(sql=sql, literal=literal, printed="CAST({c} AS DOUBLE)", canonical=float)


# --- dates and times ------------------------------------------------------------------------------------------------

DATES = [
    "0000-00-00",
    "2024-02-31",
    "2023-00-15",
    "2023-05-00",
    "0000-01-01",
    "0001-01-01",
    "9999-12-31",
    "1000-01-01",
    "2024-02-29",
]


def _date(random: Random) -> str:
    if random.random() < 0.4:
        return random.choice(DATES)
    return f"{random.randint(0, 9999):04d}-{random.randint(0, 12):02d}-{random.randint(0, 31):02d}"


def _clock(random: Random) -> str:
    if random.random() < 0.3:
        return random.choice(["00:00:00", "23:59:59.999999", "00:00:00.000001", "23:59:59.9999995", "12:00:00.1"])
    return f"{random.randint(0, 23):02d}:{random.randint(0, 59):02d}:{random.randint(0, 59):02d}.{random.randrange(10**6):06d}"


def date_type(random: Random) -> ColumnType:
    """DATE: zero, partial and impossible ones too."""
    return ColumnType(sql="DATE", literal=lambda random: f"'{_date(random)}'")


def datetime_type(random: Random) -> ColumnType:
    """DATETIME(0…6)."""
    return ColumnType(sql=f"DATETIME({random.randint(0, 6)})", literal=lambda random: f"'{_date(random)} {_clock(random)}'")


def timestamp_type(random: Random) -> ColumnType:
    """TIMESTAMP(0…6), from the zero date to the last second of 31 bits."""

    def literal(random: Random) -> str:
        if random.random() < 0.4:
            return random.choice(
                ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.499'", "'2000-02-29 23:59:59.999'"]
            )
        return f"FROM_UNIXTIME({random.randint(1, 2**31 - 2)}.{random.randrange(10**6):06d})"

    return ColumnType(sql=f"TIMESTAMP({random.randint(0, 6)})", literal=literal)


def time_type(random: Random) -> ColumnType:
    """TIME(0…6): negative ones with a fraction, and the borders."""

    def literal(random: Random) -> str:
        if random.random() < 0.4:
            edges = [
                "838:59:59",
                "-838:59:59",
                "-00:00:00.000001",
                "-00:00:00.01",
                "-00:00:01",
                "00:00:00",
                "-00:59:59.999999",
                "-00:00:00.5",
            ]
            return f"'{random.choice(edges)}'"
        minutes, seconds = random.randint(0, 59), random.randint(0, 59)
        text = f"{random.randint(0, 837):02d}:{minutes:02d}:{seconds:02d}.{random.randrange(10**6):06d}"
        return f"'{random.choice(['', '-'])}{text}'"

    return ColumnType(sql=f"TIME({random.randint(0, 6)})", literal=literal)


def year_type(random: Random) -> ColumnType:
    """YEAR: 0 and 1901 to 2155."""
    return ColumnType(
        sql="YEAR", literal=lambda random: str(random.choice([0, 1901, 2155, 2000, random.randint(1901, 2155)])), canonical=int
    )


# --- text and bytes -------------------------------------------------------------------------------------------------

SCRIPTS = {
    "utf8mb4": "aZ09 '\"\\%_`äßéñ€жשع한漢\U0001f600\U00020000\U0010ffff\x00\x01\x7f\x80\n\t ",
    "utf8mb3": "aZ09 '\"\\%_`äßéñ€жשع한漢\uffff\ud7ff\ue000\x00\x7f\n",
    "ascii": "".join(map(chr, range(128))),
}
COLLATIONS = {
    "utf8mb4": ("utf8mb4_0900_ai_ci", "utf8mb4_bin", "utf8mb4_general_ci", "utf8mb4_0900_bin"),
    "utf8mb3": ("utf8mb3_general_ci", "utf8mb3_bin"),
    "ascii": ("ascii_general_ci", "ascii_bin"),
    "latin1": ("latin1_swedish_ci", "latin1_bin", "latin1_german1_ci"),
}


def _text(random: Random, charset: str, length: int) -> str:
    count = random.choice([0, 1, length, random.randint(0, length), random.randint(0, min(length, 8))])
    if charset == "latin1":
        value = bytes(random.choice([0x80, 0x81, 0x8D, 0x9D, 0xE9, 0xFF, random.randrange(256)]) for _ in range(count))
    else:
        value = "".join(random.choice(SCRIPTS[charset]) for _ in range(count)).encode()
    return hex_literal(f"_{charset}", value + random.choice([b"", b"", b" ", b"  "]))


def text_type(random: Random) -> ColumnType:
    """CHAR, VARCHAR and the TEXTs in every supported character set."""
    charset = random.choice(list(COLLATIONS))
    what = random.choice(["CHAR", "VARCHAR", "VARCHAR", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT"])
    length = random.choice([0, 1, 5, 63, 64, 120, 255]) if what == "CHAR" else random.choice([0, 1, 60, 63, 64, 255, 256, 400])
    sql = f"{what}({length})" if "TEXT" not in what else what
    length = length if "TEXT" not in what else random.choice([50, 60] if what == "TINYTEXT" else [50, 300, 3000])
    return ColumnType(
        sql=f"{sql} CHARACTER SET {charset} COLLATE {random.choice(COLLATIONS[charset])}",
        literal=lambda random: _text(random, charset, length),
        printed=HEX_UTF8,
        canonical=from_hex,
    )


def binary_type(random: Random) -> ColumnType:
    """BINARY with its padding, VARBINARY and the BLOBs."""
    what = random.choice(["BINARY", "BINARY", "VARBINARY", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB"])
    length = random.choice([0, 1, 16, 255]) if what == "BINARY" else random.choice([0, 1, 255, 256, 300])
    sql = f"{what}({length})" if "BLOB" not in what else what

    def literal(random: Random) -> str:
        count = random.choice([0, length, random.randint(0, length)]) if "BLOB" not in what else random.choice([0, 1, 200])
        return hex_literal("_binary", (random.randbytes(count) + random.choice([b"", b"\0", b"\0\0", b" "]))[: length or count])

    return ColumnType(sql=sql, literal=literal, printed=HEX, canonical=bytes.fromhex)


# Character sets whose values travel as text or as their bytes → what to take their characters from
ENCODED = {
    "big5": "aZ中文字\\", "cp932": "aZ漢ｱー～", "eucjpms": "aZ漢字～", "euckr": "aZ한글漢", "gb18030": "aZ漢é\U0001f600",
    "gb2312": "aZ中文", "gbk": "aZ漢字", "sjis": "aZ漢ｱ\\＼", "ujis": "aZ漢字ー", "ucs2": "aé漢\u0000", "utf16": "aé漢\U0001f600",
    "utf16le": "aé漢\U0001f600", "utf32": "aé漢\U0001f600",
    **dict.fromkeys(
        ("armscii8", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "geostd8", "greek", "hebrew",
         "hp8", "keybcs2", "koi8r", "koi8u", "latin2", "latin5", "latin7", "macce", "macroman", "swe7", "tis620"), "",
    ),
}  # fmt: skip
_CODECS = {"eucjpms": "euc_jp", "euckr": "euc_kr", "sjis": "shift_jis", "ujis": "euc_jp", "ucs2": "utf_16_be"}
_CODECS |= {"utf16": "utf_16_be", "utf16le": "utf_16_le", "utf32": "utf_32_be"}


def encoded_type(random: Random) -> ColumnType:
    """Text in any other character set: any byte where a character has one, characters of several elsewhere."""
    name = random.choice(list(ENCODED))
    what = random.choice(["CHAR(20)", "VARCHAR(60)", "TINYTEXT", "TEXT", "LONGTEXT"])
    spaces = " ".encode(_CODECS.get(name, "ascii"))

    def literal(random: Random) -> str:
        count = random.choice([0, 1, random.randint(0, 18)])
        if not ENCODED[name]:
            value = bytes(random.randrange(256) for _ in range(count))
        else:
            value = "".join(random.choice(ENCODED[name]) for _ in range(count)).encode(_CODECS.get(name, name), "ignore")
        return hex_literal(f"_{name}", value + random.choice([b"", b"", spaces]))

    return ColumnType(
        sql=f"{what} CHARACTER SET {name}", literal=literal, printed=HEX, canonical=lambda text: stored(name, bytes.fromhex(text))
    )


def stored(name: str, value: bytes) -> object:
    """The canonical value of stored bytes. That its text is the server's, tests/integration/test_server_charsets.py checks."""
    return charset(name).decode(value)


# --- bits, geometries, vectors --------------------------------------------------------------------------------------


def bit_type(random: Random) -> ColumnType:
    """BIT(1…64)."""
    bits = random.choice([1, 5, 8, 9, 33, 64])
    numbers = [0, 1, 2**bits - 1, 2 ** (bits - 1)]
    return ColumnType(
        sql=f"BIT({bits})",
        literal=lambda random: str(random.choice([*numbers, random.getrandbits(bits)])),
        printed="CAST(CAST({c} AS UNSIGNED) AS CHAR)",
    )


def geometry_type(random: Random) -> ColumnType:
    """Each kind of geometry, with and without an SRID."""
    shapes = {
        "POINT": "POINT(1.5 -2)",
        "LINESTRING": "LINESTRING(0 0, 1 1, 2 -1)",
        "POLYGON": "POLYGON((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
        "MULTIPOINT": "MULTIPOINT(0 0, 1 1)",
        "MULTILINESTRING": "MULTILINESTRING((0 0, 1 1), (2 2, 3 3))",
        "MULTIPOLYGON": "MULTIPOLYGON(((0 0, 4 0, 4 4, 0 0)))",
        "GEOMETRYCOLLECTION": "GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))",
    }
    sql = random.choice([*shapes, "GEOMETRY"])

    def literal(random: Random) -> str:
        shape = shapes[sql] if sql in shapes else random.choice(list(shapes.values()))
        return f"ST_GeomFromText('{shape}', {random.choice([0, 4326, 3857])})"

    return ColumnType(sql=sql, literal=literal, printed="HEX(CAST({c} AS BINARY))", canonical=bytes.fromhex)


def vector_type(random: Random) -> ColumnType:
    """VECTOR of some dimensions."""
    count = random.choice([1, 3, 64])

    def literal(random: Random) -> str:
        floats = [random.choice([0.0, -0.0, 1.5, random.uniform(-1e30, 1e30)]) for _ in range(random.randint(1, count))]
        return f"X'{struct.pack(f'<{len(floats)}f', *floats).hex()}'"

    return ColumnType(sql=f"VECTOR({count})", literal=literal, printed="HEX(CAST({c} AS BINARY))", canonical=bytes.fromhex)


def bare_set_type(random: Random) -> ColumnType:
    """A SET with an empty label, which travels as its bits."""
    labels = random.choice([["a", ""], ["", "b", "c"], [*(f"s{n}" for n in range(20)), ""]])
    quoted = ",".join(f"'{label}'" for label in labels)
    return ColumnType(
        sql=f"SET({quoted})",
        literal=lambda random: str(random.getrandbits(len(labels))),
        printed="CAST(CAST({c} AS UNSIGNED) AS CHAR)",
    )


def labels_type(random: Random) -> ColumnType:
    """ENUM and SET with labels of any text, up to sizes that take more bytes."""
    charset = random.choice(["utf8mb4", "utf8mb3", "latin1", "ascii", "cp1251", "gbk", "utf16"])
    words = ["a", "B", "c d", "it''s", 'q"', "1", "0", "null"] + (
        ["é", "ß"] if charset in ("utf8mb4", "utf8mb3", "latin1", "utf16") else []
    )
    words += {"utf8mb4": ["\U0001f600", "漢"], "cp1251": ["ж", "Я"], "gbk": ["漢"], "utf16": ["\U0001f600"]}.get(charset, [])
    if random.random() < 0.5:
        labels = random.sample([*words, ""], random.randint(1, len(words)))
        if random.random() < 0.15:
            labels = [f"label{n}" for n in range(random.choice([256, 300]))]
        name, texts = "ENUM", [f"'{label}'" for label in labels]
        count = len(labels)

        def literal(random: Random) -> str:
            return str(random.choice([1, count, random.randint(1, count)]))
    else:
        labels = random.sample(words, random.randint(1, len(words)))
        if random.random() < 0.4:
            labels = [f"s{n}" for n in range(random.choice([9, 17, 25, 33, 64]))]
        name, texts = "SET", [f"'{label}'" for label in labels]
        count = len(labels)

        def literal(random: Random) -> str:
            return str(random.choice([0, 2**count - 1, 2 ** (count - 1), random.getrandbits(count)]))

    sql = (
        f"{name}({','.join(texts)}) CHARACTER SET {charset} COLLATE {random.choice(COLLATIONS.get(charset, (f'{charset}_bin',)))}"
    )
    return ColumnType(sql=sql, literal=literal, printed=HEX_UTF8, canonical=from_hex)


# --- JSON -----------------------------------------------------------------------------------------------------------

WORDS = [
    "",
    "a",
    "é",
    "漢字",
    "\U0001f600",
    'q"uote',
    "back\\slash",
    "/",
    "\b\f\n\r\t",
    "\x00\x1f\x7f\x80",
    "x" * 130,
    "null",
    " ",
]
INTS = [
    0,
    1,
    -1,
    32767,
    -32768,
    32768,
    65535,
    65536,
    2**31 - 1,
    -(2**31),
    2**31,
    2**32 - 1,
    2**32,
    2**63 - 1,
    -(2**63),
    2**63,
    2**64 - 1,
]


class _Exact(float):
    """A number that json.dumps writes so that the server reads a double."""

    def __repr__(self) -> str:
        return double_literal(float(self))


def _json_value(random: Random, depth: int) -> Any:
    kind = random.randrange(8 if depth > 0 else 6)
    if kind == 0:
        return random.choice([None, True, False])
    if kind == 1:
        return random.choice([*INTS, random.randint(-(2**63), 2**64 - 1)])
    if kind == 2:
        return _Exact(_double(random))
    if kind <= 5:
        return random.choice([*WORDS, "".join(random.choices(WORDS, k=3))])
    size = random.choice([0, 1, 3, random.randint(0, 12)])
    if kind == 6:
        return [_json_value(random, depth - 1) for _ in range(size)]
    return {random.choice(WORDS) + str(n or ""): _json_value(random, depth - 1) for n in range(size)}


def json_literal(random: Random) -> str:
    """A document: shallow and wide, deep, or large enough for four-byte offsets."""
    how = random.random()
    if how < 0.05:
        value: Any = ["y" * 40_000, *(_json_value(random, 1) for _ in range(3)), "z" * 30_000, {"k": 70_000, "": "x" * 20_000}]
    elif how < 0.15:
        value = _json_value(random, 0)
        for _ in range(random.choice([10, 98])):
            value = [value] if random.random() < 0.5 else {"k": value}
    else:
        value = _json_value(random, 4)
    text = _dumps(value, random.random() < 0.5)
    return hex_literal("_utf8mb4", text.encode())


def _dumps(value: Any, ascii_only: bool) -> str:
    if isinstance(value, _Exact):
        return repr(value)
    if isinstance(value, list):
        return "[" + ",".join(_dumps(item, ascii_only) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_dumps(key, ascii_only)} : {_dumps(item, ascii_only)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=ascii_only)


def json_type(random: Random) -> ColumnType:
    """JSON: the exact text that the server prints."""
    return ColumnType(sql="JSON", literal=json_literal, printed=HEX_UTF8, canonical=from_hex)


TYPES: list[Callable[[Random], ColumnType]] = [
    int_type, int_type, int_type, decimal_type, decimal_type, double_type, float_type, year_type, date_type, datetime_type,
    timestamp_type, time_type, time_type, text_type, text_type, text_type, binary_type, binary_type, labels_type, labels_type,
    json_type, json_type, encoded_type, encoded_type, encoded_type, bit_type, geometry_type, vector_type, bare_set_type,
]  # fmt: skip
NAMES = ("c{n}", "c {n}", "c`{n}", "ц{n}", "c%{n}", "select{n}", "C-{n}", "_x41{n}")


@dataclass(frozen=True, kw_only=True)
class RandomColumn:
    """A column of a random table."""

    name: str
    type: ColumnType
    nullable: bool

    @property
    def quoted(self) -> str:
        """Its name in SQL."""
        return "`" + self.name.replace("`", "``") + "`"

    @property
    def definition(self) -> str:
        """In CREATE TABLE. DEFAULT NULL as a TIMESTAMP is NOT NULL in some modes without it."""
        return f"{self.quoted} {self.type.sql} {'NULL' if self.nullable else 'NOT NULL'}"

    def literal(self, random: Random) -> str:
        """A random value."""
        return "NULL" if self.nullable and random.random() < 0.25 else self.type.literal(random)


def random_columns(random: Random) -> list[RandomColumn]:
    """1 to 40 columns."""
    count = random.choice([0, 1, 3, 7, 8, 15, random.randint(0, 39)])
    return [
        RandomColumn(name=random.choice(NAMES).format(n=n), type=random.choice(TYPES)(random), nullable=random.random() < 0.5)
        for n in range(count)
    ]
