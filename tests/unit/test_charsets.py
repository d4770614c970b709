"""Character sets: whatever the bytes, they come back; and text is text only where MySQL reads the same characters."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.charsets import NAMES, charset
from schemas.values import TEXT_CHARSETS, text_kind


@pytest.mark.parametrize("name", sorted(NAMES))
@given(st.binary(max_size=12) | st.text(max_size=4).map(lambda text: text.encode("utf-16-be", "surrogatepass")))
@example(bytes(range(256)))
def test_bytes_come_back(name: str, stored: bytes) -> None:
    """Decoded and encoded again, any bytes are themselves; values are equal only where bytes are."""
    found = charset(name)
    value = found.decode(stored)
    assert found.encode(value) == stored
    assert found.literal(value) == f"_{name} X'{stored.hex()}'"
    assert isinstance(value, str) or value == stored


@pytest.mark.parametrize("name", sorted(NAMES - {"swe7", "ucs2", "utf16", "utf16le", "utf32"}))
def test_ascii_is_text(name: str) -> None:
    """What every one of them shares."""
    text = bytes(range(0x80)).decode("ascii")
    assert charset(name).decode(text.encode()) == text


@pytest.mark.parametrize(
    ("name", "stored", "value"),
    [
        ("sjis", b"\x81\x5f", b"\x81\x5f"),  # MySQL reads a backslash there, Python's codec a wide one
        ("sjis", b"\x5c", "\\"),
        ("eucjpms", b"\xa1\xc1", b"\xa1\xc1"),
        ("cp932", b"\xed\x40", "\u7e8a"),
        ("cp932", b"\xfa\x5c", b"\xfa\x5c"),  # the same character's other place
        ("ucs2", b"\xd8\x3d\xde\x00", b"\xd8\x3d\xde\x00"),
        ("utf16", b"\xd8\x3d\xde\x00", "\U0001f600"),
        ("utf16", b"\xd8\x3d", b"\xd8\x3d"),
        ("utf32", b"\x00\x01\xf6\x00", "\U0001f600"),
        ("gb18030", b"\x81\x35\xf4\x37", b"\x81\x35\xf4\x37"),
        ("swe7", b"[\\]", "ÄÖÅ"),
        ("swe7", b"\x7f", b"\x7f"),
        ("cp866", b"\xfc", "\u207f"),
        ("greek", b"\xa4", b"\xa4"),
        ("armscii8", b"\xff", b"\xff"),
        ("hp8", b"\xa1\xfe", "À±"),
    ],
)
def test_where_servers_and_codecs_differ(name: str, stored: bytes, value: object) -> None:
    """Each kind of difference that was found, with what becomes of it."""
    assert charset(name).decode(stored) == value


def test_kinds_of_text() -> None:
    """Every character set has one kind; an unknown one, and none, have not."""
    assert {text_kind(name) for name in TEXT_CHARSETS} == {"text"}
    assert {text_kind(name) for name in NAMES} == {"encoded"}
    assert text_kind("klingon") is None
    assert text_kind(None) is None
