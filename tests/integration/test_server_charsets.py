"""The tables of character sets against a real server: where a value is text, the server reads the same text."""

from collections.abc import Iterator, Sequence
from itertools import product

import pytest
from pymysql.cursors import Cursor

from sandbox.instances import Sandbox
from schemas.charsets import NAMES, charset

pytestmark = pytest.mark.servers
_AT_ONCE = 8000
_WIDE = ("big5", "cp932", "eucjpms", "euckr", "gb2312", "gbk", "sjis", "ujis")
_UNICODE = ("gb18030", "ucs2", "utf16", "utf16le", "utf32")


@pytest.fixture
def cursor(servers: Sandbox) -> Iterator[Cursor]:
    """On either side."""
    with servers.east.connect() as connection, connection.cursor() as cursor:
        yield cursor


def read_by_server(cursor: Cursor, name: str, values: Sequence[bytes]) -> dict[bytes, tuple[str | None, bool]]:
    """Stored bytes → (the text that the server reads in them, None for none; whether it makes the same bytes of that text)."""
    found: dict[bytes, tuple[str | None, bool]] = {}
    for start in range(0, len(values), _AT_ONCE):
        rows = ",".join(f"ROW(X'{value.hex()}')" for value in values[start : start + _AT_ONCE])
        text = f"CONVERT(CONVERT(column_0 USING {name}) USING utf8mb4)"
        cursor.execute(f"SELECT HEX(column_0), HEX({text}), HEX(CONVERT({text} USING {name})) FROM (VALUES {rows}) AS v")
        for value, read, back in cursor.fetchall():
            found[bytes.fromhex(value)] = (None if read is None else bytes.fromhex(read).decode(), back == value)
    return found


def test_every_character_set_is_known(cursor: Cursor) -> None:
    """What this server has is decoded as text or as bytes, but for `binary`, which is none."""
    cursor.execute("SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS")
    assert {name for (name,) in cursor.fetchall()} - {"utf8mb4", "utf8mb3", "ascii", "latin1", "binary"} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES - {*_WIDE, *_UNICODE}))
def test_one_byte_a_character(cursor: Cursor, name: str) -> None:
    """Each byte is text if the server's conversion goes there and back, the same text; else it stays a byte."""
    for stored, (text, there_and_back) in read_by_server(cursor, name, [bytes([n]) for n in range(256)]).items():
        is_text = there_and_back and text != "\ufffd"  # which tis620 has a byte for
        assert charset(name).decode(stored) == (text if is_text else stored), stored


@pytest.mark.parametrize("name", _WIDE)
def test_several_bytes_a_character(cursor: Cursor, name: str) -> None:
    """Every sequence of one or two bytes, and of three where there are such: what is text is the server's text."""
    values = [bytes([n]) for n in range(256)] + [bytes(pair) for pair in product(range(0x80, 0x100), range(0x40, 0x100))]
    if name in ("eucjpms", "ujis"):
        values += [bytes((0x8F, *pair)) for pair in product(range(0xA1, 0xFF), repeat=2)]
    characters = 0
    for stored, (text, _) in read_by_server(cursor, name, values).items():
        mine = charset(name).decode(stored)
        if text is not None and isinstance(mine, str):
            assert mine == text, stored
            characters += len(text) == 1
    assert characters > 6000


@pytest.mark.parametrize("name", _UNICODE)
def test_encodings_of_unicode(cursor: Cursor, name: str) -> None:
    """Characters of every plane."""
    codes = [*range(1, 0xD800, 3), *range(0xE000, 0x10000, 2)] + ([] if name == "ucs2" else [*range(0x10000, 0x110000, 97)])
    codec = {"gb18030": "gb18030", "utf16le": "utf_16_le", "utf32": "utf_32_be"}.get(name, "utf_16_be")
    for stored, (text, _) in read_by_server(cursor, name, [chr(code).encode(codec) for code in codes]).items():
        mine = charset(name).decode(stored)
        assert mine == text or isinstance(mine, bytes), stored
    assert all(
        isinstance(charset(name).decode(chr(code).encode(codec)), str) for code in codes if chr(code) not in "\u1e3f\ue7c7"
    )
