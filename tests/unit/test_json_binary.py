"""Binary JSON prints as the server prints it, whatever its form; broken documents are errors."""

import json
import math
import struct

import binlog_encoder as enc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.json_binary import double_text, json_value
from producers.json_opaque import UnsupportedJson
from schemas.typed_json import typed_json

BORDERS = [
    0,
    *(2**n + more for n in (15, 16, 31, 32, 63) for more in (-1, 0)),
    *(-(2**n) + more for n in (0, 15, 31) for more in (-1, 0)),
]
INTEGERS = st.integers(-(2**63), 2**64 - 1) | st.sampled_from([*BORDERS, -(2**63), 2**64 - 1])
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)
DOCUMENTS: st.SearchStrategy[enc.Json] = st.recursive(
    st.none() | st.booleans() | INTEGERS | DOUBLES | TEXTS,
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(TEXTS, inner, max_size=8),
    max_leaves=25,
)


def same(a: object, b: object) -> bool:
    """Equal, with kinds of numbers, order of array items and the sign of zero told apart."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return struct.pack("<d", a) == struct.pack("<d", b)
    return type(a) is type(b) and a == b


@given(DOCUMENTS, st.booleans())
@settings(max_examples=150)
def test_any_document_reads_back_as_itself(document: enc.Json, large: bool) -> None:
    """The text of any document, in the small and in the large format, is JSON that means the same document."""
    text = json_value(enc.json_binary(document, large=large))
    assert same(json.loads(text), document)


@given(DOCUMENTS)
@settings(max_examples=60)
def test_both_formats_print_alike(document: enc.Json) -> None:
    """Two-byte and four-byte offsets are storage, not value."""
    assert json_value(enc.json_binary(document)) == json_value(enc.json_binary(document, large=True))


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({}, "{}"),
        ([], "[]"),
        ([[], {}], "[[], {}]"),
        ({"b": 1, "aa": [True, None, False], "a": "x"}, '{"a": "x", "b": 1, "aa": [true, null, false]}'),
        ("", '""'),
        ('a"b\\c/d', '"a\\"b\\\\c/d"'),
        ("\b\t\n\f\r\x00\x1f\x7f", '"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f"'),
        ("é€\U0001f600", '"é€\U0001f600"'),
        ({"": 0, '"': 1}, '{"": 0, "\\"": 1}'),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (1.0, "1.0"),
        (None, "null"),
    ],
)
def test_text_is_the_servers(document: enc.Json, text: str) -> None:
    """Blanks, order of keys and escapes are those of the server's own print."""
    assert json_value(enc.json_binary(document)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (-0.0, "-0.0"),
        (0.1, "0.1"),
        (-1.5, "-1.5"),
        (1e14, "100000000000000.0"),
        (123456789012345.0, "123456789012345.0"),
        (1e15, "1e15"),
        (1234567890123456.0, "1.234567890123456e15"),
        (1234567890123456.7, "1234567890123456.8"),
        (9007199254740993.0, "9.007199254740992e15"),
        (12345678901234567.0, "1.2345678901234568e16"),
        (1e-5, "0.00001"),
        (1.5e-7, "0.00000015"),
        (1e-14, "0.00000000000001"),
        (1e-15, "0.000000000000001"),
        (1.23e-16, "1.23e-16"),
        (1e-16, "1e-16"),
        (1e100, "1e100"),
        (-1.7976931348623157e308, "-1.7976931348623157e308"),
        (5e-324, "5e-324"),
    ],
)
def test_doubles_print_as_the_server_prints_them(value: float, text: str) -> None:
    """The borders between plain and exponent form, each as MySQL 9.7 printed it."""
    assert double_text(value) == text


@given(DOUBLES)
def test_a_doubles_text_reads_back_exactly(value: float) -> None:
    """The text of any double is that double, bit by bit, and is no integer's."""
    text = double_text(value)
    assert struct.pack("<d", float(text)) == struct.pack("<d", value)
    assert "." in text or "e" in text


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_infinite_numbers_are_refused(value: float) -> None:
    """JSON has none, so a document with one is broken."""
    with pytest.raises(ValueError, match="no infinite numbers"):
        json_value(b"\x0b" + struct.pack("<d", value))


def test_an_empty_value_is_json_null() -> None:
    """What a server leaves in old rows when a NOT NULL JSON column is added reads as null there."""
    assert json_value(b"") == "null"


def test_a_hundred_levels_and_no_fewer() -> None:
    """The deepest document that MySQL takes."""
    document: enc.Json = 1
    for _ in range(99):
        document = [document]
    assert json_value(enc.json_binary(document)) == "[" * 99 + "1" + "]" * 99


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16383, 16384, 70000])
def test_strings_of_any_length(length: int) -> None:
    """The length of a string is of one to five bytes; a long one makes its container large."""
    assert json_value(enc.json_binary(["x" * length, 1])) == f'["{"x" * length}", 1]'


def test_many_members() -> None:
    """More members than two bytes count: the large format."""
    document: enc.Json = list(range(70_000))
    assert json_value(enc.json_binary(document)) == str(document)


OPAQUE = [  # as MySQL 9.7 stored them
    ("f6070b028000000132", "DECIMAL(65,2)", "1.50", "1.50"),
    ("f60403028132", "DECIMAL(65,2)", "1.50", "1.50"),
    ("f6070a017ffffff3fa", "DECIMAL(65,1)", "-12.5", "-12.5"),
    ("0a0800000000001e9519", "DATE", "2015-01-15", '"2015-01-15"'),
    ("0a080000000000de9419", "DATE", "2015-00-15", '"2015-00-15"'),
    ("0b0820a10700c0000000", "TIME(6)", "12:00:00.500000", '"12:00:00.500000"'),
    ("0b08e05ef8ff3fffffff", "TIME(6)", "-12:00:00.500000", '"-12:00:00.500000"'),
    ("0c0820a10783101e9519", "DATETIME(6)", "2015-01-15 01:02:03.500000", '"2015-01-15 01:02:03.500000"'),
    ("070820a10783101e9519", "TIMESTAMP(6)", "2015-01-15 01:02:03.500000", '"2015-01-15 01:02:03.500000"'),
    ("0f0200ff", "VARBINARY", "00ff", '"base64:type15:AP8="'),
    ("10020101", "BIT(16)", "257", '"base64:type16:AQE="'),
    ("fc0200ff", "BLOB", "00ff", '"base64:type252:AP8="'),
    ("fe0400ff0000", "BINARY(4)", "00ff0000", '"base64:type254:AP8AAA=="'),
    ("fa027f80", "MEDIUMBLOB", "7f80", '"base64:type250:f4A="'),
]


@pytest.mark.parametrize(("stored", "sql_type", "value", "printed"), OPAQUE)
def test_opaque_values_keep_their_type(stored: str, sql_type: str, value: str, printed: str) -> None:
    """A DECIMAL, date, time, BIT or binary value, as the whole document and inside of an array and an object."""
    opaque = bytes.fromhex(stored)
    assert json_value(b"\x0f" + opaque) == typed_json(printed, [("$", sql_type, value)])
    array = struct.pack("<HHBHBH", 2, 10 + len(opaque), 5, 7, 15, 10) + opaque
    assert json_value(b"\2" + array) == typed_json(f"[7, {printed}]", [("$[1]", sql_type, value)])
    member = struct.pack("<HHHHBH", 1, 14 + len(array), 11, 3, 2, 14) + b'a"b' + array
    assert json_value(b"\0" + member) == typed_json(f'{{"a\\"b": [7, {printed}]}}', [('$."a\\"b"[1]', sql_type, value)])


@pytest.mark.parametrize("stored", ["f6020502", "f60405028001", "0a03616263", "0f0561"])
def test_opaque_values_that_are_broken(stored: str) -> None:
    """Cut short, or of another length than their type has."""
    with pytest.raises(ValueError, match="bytes"):
        json_value(b"\x0f" + bytes.fromhex(stored))


def test_opaque_values_of_other_types_are_refused() -> None:
    """An applier could not make them again."""
    for kind in (249, 253):  # TINYBLOB, VAR_STRING
        with pytest.raises(UnsupportedJson, match=f"number {kind}"):
            json_value(bytes([15, kind, 1, 97]))


@given(DOCUMENTS, st.data())
@settings(max_examples=60)
def test_a_cut_document_is_never_another_document(document: enc.Json, data: st.DataObject) -> None:
    """Bytes cut off at the end are an error of the kinds that the docstring names."""
    binary = enc.json_binary(document)
    cut = binary[: data.draw(st.integers(1, max(1, len(binary) - 1)))]
    if cut != binary:
        with pytest.raises((ValueError, struct.error, IndexError)):
            json_value(cut)


@pytest.mark.parametrize("broken", [b"\x0d", b"\x03", b"\x04\x07", b"\x0c\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"])
def test_broken_documents_are_refused(broken: bytes) -> None:
    """An unknown type byte, a missing body, an unknown literal, a length beyond the end."""
    with pytest.raises((ValueError, struct.error, IndexError)):
        json_value(broken)
