"""Row images decode to exactly the values that an independent encoder put in, for every type, size, sign and NULL."""

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import binlog_encoder as enc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from producers import long_values
from producers.json_opaque import UnsupportedJson
from producers.packed_decimal import decimal_reader
from producers.rows import compile_decoder, set_text, time_text
from producers.table_map import TableMap, parse_table_map
from schemas.records import Row
from schemas.values import decode_latin1

# A column, and a strategy of (canonical value, its bytes).
Field = tuple[enc.Col, st.SearchStrategy[tuple[object, bytes]]]


def described(columns: list[enc.Col]) -> TableMap:
    """The table map of these columns, read back; the key is the first one."""
    body = enc.table_map_body([_key_column(columns[0]), *columns[1:]])
    return parse_table_map(body, enc.COLLATIONS, enc.MAX_BYTES, lambda db, name: ())


def _key_column(column: enc.Col) -> enc.Col:
    assert not column.nullable
    return column


def decoded(columns: list[enc.Col], rows: list[list[bytes | None]]) -> list[Row]:
    """These values as row images, decoded."""
    data = b"<head>" + b"".join(enc.image(row) for row in rows)
    return compile_decoder(described(columns))(data, 6, len(data))


def only(column: enc.Col, value: bytes) -> object:
    """One value of a column beside a key."""
    return decoded([enc.int_col("id"), column], [[b"\1\0\0\0", value]])[0][1]


# --- one strategy a type --------------------------------------------------------------------------------------------


def ints(name: str, code: int, size: int, unsigned: bool) -> Field:
    """TINYINT to BIGINT; BIGINT UNSIGNED is text."""
    low, high = (0, 256**size - 1) if unsigned else (-(256**size) // 2, 256**size // 2 - 1)
    numbers = st.integers(low, high) | st.sampled_from([low, -1 if low else 0, 0, high // 2, high])

    def made(n: int) -> tuple[object, bytes]:
        return (str(n) if unsigned and size == 8 else n), n.to_bytes(size, "little", signed=not unsigned)

    return enc.Col(name=name, type=code, unsigned=unsigned), numbers.map(made)


def floats(name: str, double: bool) -> Field:
    """FLOAT and DOUBLE; MySQL holds no infinity and no NaN."""
    form, width, code = ("<d", 64, 5) if double else ("<f", 32, 4)
    values = st.floats(allow_nan=False, allow_infinity=False, width=width)
    return enc.Col(name=name, type=code, meta=struct.calcsize(form).to_bytes(1, "big")), values.map(
        lambda v: (v, struct.pack(form, v))
    )


@st.composite
def decimal_texts(draw: st.DrawFn, precision: int, scale: int) -> str:
    """Text of DECIMAL(precision, scale) as the server prints it."""
    extremes = st.sampled_from(["0" * precision, "9" * precision])
    digits = draw(st.text("0123456789", min_size=precision, max_size=precision) | extremes)
    whole, fraction = digits[: precision - scale].lstrip("0") or "0", digits[precision - scale :]
    sign = "-" if set(digits) != {"0"} and draw(st.booleans()) else ""
    return sign + whole + (f".{fraction}" if scale else "")


def decimals(name: str, precision: int, scale: int) -> Field:
    """DECIMAL."""
    texts = decimal_texts(precision, scale)
    return enc.Col(name=name, type=246, meta=bytes([precision, scale])), texts.map(
        lambda text: (text, enc.decimal(text, precision, scale))
    )


def _fraction(micros: int, digits: int) -> tuple[int, str]:
    micros = micros // 10 ** (6 - digits) * 10 ** (6 - digits)
    return micros, f".{micros:06d}"[: digits + 1] if digits else ""


micros_of = st.integers(0, 999_999) | st.sampled_from([0, 1, 10, 100_000, 999_999])


def times(name: str, digits: int) -> Field:
    """TIME(n), negative ones and the borders too."""

    def made(negative: bool, h: int, m: int, s: int, raw: int) -> tuple[object, bytes]:
        micros, fraction = _fraction(raw, digits)
        negative = negative and bool(h or m or s or micros)
        text = f"{'-' if negative else ''}{h:02d}:{m:02d}:{s:02d}{fraction}"
        return text, enc.time2(negative, h, m, s, micros, digits)

    parts = (st.booleans(), st.integers(0, 838), st.integers(0, 59), st.integers(0, 59), micros_of)
    return enc.Col(name=name, type=19, meta=bytes([digits])), st.builds(made, *parts)


def datetimes(name: str, digits: int) -> Field:
    """DATETIME(n); zero and partial dates, and days that no month has."""

    def made(parts: tuple[int, int, int, int, int, int], raw: int) -> tuple[object, bytes]:
        micros, fraction = _fraction(raw, digits)
        text = "{:04d}-{:02d}-{:02d} {:02d}:{:02d}:{:02d}".format(*parts) + fraction
        return text, enc.datetime2(parts, micros, digits)

    parts = st.tuples(*(st.integers(0, n) for n in (9999, 12, 31, 23, 59, 59))) | st.just((0,) * 6)
    return enc.Col(name=name, type=18, meta=bytes([digits])), st.builds(made, parts, micros_of)


def timestamps(name: str, digits: int) -> Field:
    """TIMESTAMP(n): to the end of 32 bits without sign, and the zero date."""

    def made(moment: datetime | None, raw: int) -> tuple[object, bytes]:
        micros, fraction = _fraction(raw, digits)
        if moment is None:
            return "0000-00-00 00:00:00" + _fraction(0, digits)[1], enc.timestamp2(None, digits)
        moment = moment.replace(microsecond=micros)
        return f"{moment:%Y-%m-%d %H:%M:%S}{fraction}", enc.timestamp2(moment, digits)

    seconds = st.integers(1, 2**32 - 1) | st.sampled_from([1, 2**31 - 1, 2**31, 951782400, 951868799, 4107542400, 2**32 - 1])
    moments = seconds.map(lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=n))
    return enc.Col(name=name, type=17, meta=bytes([digits])), st.builds(made, st.none() | moments, micros_of)


def dates(name: str) -> Field:
    """DATE."""
    parts = st.tuples(st.integers(0, 9999), st.integers(0, 12), st.integers(0, 31)) | st.just((0, 0, 0))
    return enc.Col(name=name, type=10), parts.map(lambda p: ("{:04d}-{:02d}-{:02d}".format(*p), enc.date3(*p)))


def years(name: str) -> Field:
    """YEAR: 1901 to 2155 and 0."""
    return enc.Col(name=name, type=13), st.integers(0, 255).map(lambda n: (1900 + n if n else 0, bytes([n])))


# MySQL's latin1 is windows-1252; the five bytes that have no character there are the C1 controls of the same number.
LATIN1 = {n: bytes([n]).decode("cp1252", "ignore") or chr(n) for n in range(256)}


def texts(name: str, collation: int, *, length: int, fixed: bool = False, blob: int = 0) -> Field:
    """CHAR, VARCHAR and the TEXTs."""
    charset = enc.COLLATIONS[collation]
    if charset == "latin1":
        values = st.binary(max_size=length).map(lambda raw: ("".join(LATIN1[n] for n in raw), raw))
    else:
        codec, last = "ascii" if charset == "ascii" else "utf-8", 0xFFFF if charset == "utf8mb3" else None
        characters = st.characters(codec=codec, max_codepoint=last)
        values = st.text(characters, max_size=min(length // enc.MAX_BYTES[charset], 60)).map(lambda text: (text, text.encode()))
    return _string(name, values, length=length, fixed=fixed, blob=blob, collation=collation)


def binaries(name: str, *, length: int, fixed: bool = False, blob: int = 0) -> Field:
    """BINARY, which the binlog strips of zeros at its end, VARBINARY and the BLOBs."""

    def made(raw: bytes) -> tuple[object, bytes]:
        return (raw.ljust(length, b"\0"), raw.rstrip(b"\0")) if fixed else (raw, raw)

    return _string(name, st.binary(max_size=length).map(made), length=length, fixed=fixed, blob=blob, collation=63)


def _string(
    name: str, values: st.SearchStrategy[tuple[object, bytes]], *, length: int, fixed: bool, blob: int, collation: int
) -> Field:
    if blob:
        column = enc.Col(name=name, type=252, meta=bytes([blob]), collation=collation)
    elif fixed:
        column = enc.Col(name=name, type=254, meta=enc.char_meta(length), collation=collation)
    else:
        column = enc.Col(name=name, type=15, meta=length.to_bytes(2, "little"), collation=collation)
    length_bytes = blob or (1 if length < 256 else 2)
    return column, values.map(lambda pair: (pair[0], enc.prefixed(pair[1], length_bytes)))


def enums(name: str, labels: tuple[str, ...]) -> Field:
    """ENUM."""
    size = 1 if len(labels) < 256 else 2
    column = enc.Col(name=name, type=254, meta=bytes([247, size]), collation=255, labels=labels)
    return column, st.integers(1, len(labels)).map(lambda n: (labels[n - 1], n.to_bytes(size, "little")))


def sets(name: str, labels: tuple[str, ...]) -> Field:
    """SET."""
    size = {1: 1, 2: 2, 3: 3, 4: 4}.get((len(labels) + 7) // 8, 8)
    column = enc.Col(name=name, type=254, meta=bytes([248, size]), collation=255, labels=labels)

    def made(chosen: list[bool]) -> tuple[object, bytes]:
        bits = sum(1 << n for n, here in enumerate(chosen) if here)
        return ",".join(label for label, here in zip(labels, chosen, strict=True) if here), bits.to_bytes(size, "little")

    return column, st.lists(st.booleans(), min_size=len(labels), max_size=len(labels)).map(made)


LABELS = ("a", "B", "ö,'", "", "\U0001f600")
INT_SIZES = ((1, 1), (2, 2), (9, 3), (3, 4), (8, 8))  # type byte, bytes
TEXT_LENGTHS = (0, 1, 40, 255, 256, 400, 1020)
ONE_OF_EACH: list[Callable[[str], Field]] = [
    *(
        (lambda name, c=code, s=size, u=unsigned: ints(name, c, s, u))  # type: ignore[misc]
        for code, size in INT_SIZES
        for unsigned in (False, True)
    ),
    lambda name: floats(name, False),
    lambda name: floats(name, True),
    *((lambda name, p=p, s=s: decimals(name, p, s)) for p, s in ((1, 0), (5, 5), (10, 2), (18, 9), (65, 30))),  # type: ignore[misc]
    *((lambda name, d=d: times(name, d)) for d in (0, 1, 2, 3, 4, 5, 6)),  # type: ignore[misc]
    *((lambda name, d=d: datetimes(name, d)) for d in (0, 1, 2, 3, 4, 5, 6)),  # type: ignore[misc]
    *((lambda name, d=d: timestamps(name, d)) for d in (0, 1, 2, 3, 4, 5, 6)),  # type: ignore[misc]
    dates,
    years,
    *((lambda name, c=c, n=n: texts(name, c, length=n)) for c in (8, 11, 33, 45, 255) for n in (40, 300)),  # type: ignore[misc]
    *((lambda name, n=n: texts(name, 255, length=n, fixed=True)) for n in TEXT_LENGTHS),  # type: ignore[misc]
    *((lambda name, b=b: texts(name, 255, length=80, blob=b)) for b in (1, 2, 3, 4)),  # type: ignore[misc]
    *((lambda name, n=n: binaries(name, length=n, fixed=True)) for n in (0, 1, 16, 255)),  # type: ignore[misc]
    *((lambda name, n=n: binaries(name, length=n)) for n in (40, 300)),  # type: ignore[misc]
    *((lambda name, b=b: binaries(name, length=80, blob=b)) for b in (1, 2, 3, 4)),  # type: ignore[misc]
    lambda name: enums(name, LABELS),
    lambda name: enums(name, tuple(f"label{n}" for n in range(256))),
    lambda name: sets(name, ("a",)),
    lambda name: sets(name, tuple(f"s{n}" for n in range(17))),
    lambda name: sets(name, tuple(f"s{n}" for n in range(64))),
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[enc.Col], list[list[object]], list[list[bytes | None]]]:
    """(columns, rows of canonical values, the same rows as bytes); the first column is an INT NOT NULL."""
    makers = draw(st.lists(st.sampled_from(ONE_OF_EACH), max_size=12))
    fields: list[Field] = [ints("id", 3, 4, False), *(make(f"c{n}") for n, make in enumerate(makers))]
    nullable = [False, *(draw(st.booleans()) for _ in makers)]
    columns = [_replaced(column, null) for (column, _), null in zip(fields, nullable, strict=True)]
    expected: list[list[object]] = []
    stored: list[list[bytes | None]] = []
    for _ in range(draw(st.integers(0, 4))):
        values = [
            (None, None) if null and draw(st.booleans()) else draw(values)
            for (_, values), null in zip(fields, nullable, strict=True)
        ]
        expected.append([value for value, _ in values])
        stored.append([data for _, data in values])
    return columns, expected, stored


def _replaced(column: enc.Col, nullable: bool) -> enc.Col:
    return enc.Col(**{**column.__dict__, "nullable": nullable})


def exactly(value: object) -> object:
    """A value that is equal only to its very self: -0.0 is not 0.0, and 1 is not True."""
    return (type(value), struct.pack("<d", value)) if isinstance(value, float) else (type(value), value)


# --- the tests ------------------------------------------------------------------------------------------------------


@given(tables())
@settings(max_examples=150)
def test_any_table_decodes_to_what_was_encoded(
    table: tuple[list[enc.Col], list[list[object]], list[list[bytes | None]]],
) -> None:
    """Columns of any types beside each other, nullable or not, in any number of rows: each value comes back exactly."""
    columns, expected, stored = table
    rows = decoded(columns, stored)
    assert [[exactly(v) for v in row] for row in rows] == [[exactly(v) for v in row] for row in expected]


@pytest.mark.parametrize("precision", range(1, 66))
def test_every_decimal_precision_and_scale(precision: int) -> None:
    """All DECIMAL(p,s) that MySQL has: extremes, one digit at either end, both signs; and the size that is skipped."""
    for scale in range(min(precision, 30) + 1):
        read, size = decimal_reader(precision, scale)
        whole = precision - scale
        digit_rows = {"0" * precision, "9" * precision, "1" + "0" * (precision - 1), "0" * (precision - 1) + "1"}
        digit_rows.add("".join(str((n * 7 + 3) % 10) for n in range(precision)))
        for digits in digit_rows:
            text = (digits[:whole].lstrip("0") or "0") + (f".{digits[whole:]}" if scale else "")
            for sign in ("", "-") if set(digits) != {"0"} else ("",):
                packed = enc.decimal(sign + text, precision, scale)
                assert len(packed) == size
                assert read(packed) == sign + text


@given(st.data(), st.integers(1, 65))
@settings(max_examples=200)
def test_random_decimals(data: st.DataObject, precision: int) -> None:
    """Random digits in random DECIMAL types."""
    scale = data.draw(st.integers(0, min(precision, 30)))
    text = data.draw(decimal_texts(precision, scale))
    read, _ = decimal_reader(precision, scale)
    assert read(enc.decimal(text, precision, scale)) == text


@given(st.integers(1, 300), st.data())
@settings(max_examples=30)
@example(250, None)
@example(251, None)
@example(256, None)
@example(300, None)
def test_null_bitmaps_of_many_columns(count: int, data: st.DataObject | None) -> None:
    """Of 1 to 300 nullable columns, each is NULL exactly where its bit is set, and the values between stay in their places."""
    columns = [enc.int_col("c0"), *(enc.int_col(f"c{n}", nullable=True) for n in range(1, count))]
    mask = data.draw(st.integers(0, (1 << count) - 1)) if data else 0x5A5A_5A5A << (count - 30) | 0b1011_0010
    expected = [None if mask >> n & 1 and n else n * 7 for n in range(count)]
    stored = [None if value is None else value.to_bytes(4, "little") for value in expected]
    assert decoded(columns, [stored, stored]) == [tuple(expected)] * 2


@pytest.mark.parametrize("digits", range(7))
def test_time_just_below_zero(digits: int) -> None:
    """The smallest negative times: the sign is kept though the whole part is zero, and nothing turns into a second."""
    micros = 10 ** (6 - digits) if digits else 0
    seconds = 0 if digits else 1
    data = enc.time2(True, 0, 0, seconds, micros, digits)
    assert time_text(data, digits) == f"-00:00:0{seconds}" + (f".{micros:06d}"[: digits + 1] if digits else "")


@pytest.mark.parametrize(
    ("stored", "digits", "text"),
    [
        ("800000", 0, "00:00:00"),
        ("7fffff", 0, "-00:00:01"),
        ("7fffffff", 2, "-00:00:00.01"),
        ("7fffff00", 2, "-00:00:01.00"),
        ("7ffffeff", 2, "-00:00:01.01"),
        ("7fffffffff", 4, "-00:00:00.0001"),
        ("b46efb", 0, "838:59:59"),
        ("4b9105", 0, "-838:59:59"),
    ],
)
def test_time_bytes_of_a_server(stored: str, digits: int, text: str) -> None:
    """Bytes as a server writes them, so that encoder and decoder cannot share a mistake."""
    assert time_text(bytes.fromhex(stored), digits) == text


@pytest.mark.parametrize(("stored", "text"), [("810dfb38d204d2", "1234567890.1234"), ("7ef204c72dfb2d", "-1234567890.1234")])
def test_decimal_bytes_of_the_manual(stored: str, text: str) -> None:
    """The example in the server's own source, strings/decimal.cc."""
    read, size = decimal_reader(14, 4)
    assert size == 7
    assert read(bytes.fromhex(stored)) == text


def test_empty_strings_are_not_null() -> None:
    """An empty VARCHAR, BLOB or SET is an empty value, NULL is None."""
    columns = [enc.int_col("id"), enc.varchar_col("v", nullable=True), sets("s", ("a",))[0]]
    assert decoded(columns, [[b"\1\0\0\0", b"\0", b"\0"], [b"\2\0\0\0", None, b"\0"]]) == [(1, "", ""), (2, None, "")]


def test_the_error_value_of_an_enum_is_refused() -> None:
    """Index 0, which a server without strict mode stores for a wrong label, is no label: its text would not bring it back."""
    column, _ = enums("e", ("a", "b"))
    with pytest.raises(ValueError, match="column 2: an ENUM holds the error value"):
        only(column, b"\0")


def test_an_enum_index_beyond_its_labels_is_refused() -> None:
    """A label that the table map does not have is an error, not the last label."""
    column, _ = enums("e", ("a", "b"))
    with pytest.raises(IndexError):
        only(column, b"\3")


@pytest.mark.parametrize(("bits", "number"), [(1, 1), (8, 255), (9, 256), (19, 0x4_0201), (64, 2**64 - 1), (64, 0)])
def test_bits(bits: int, number: int) -> None:
    """BIT(n) is big-endian in as many bytes as it needs; its digits, as 2^64-1 fits no long."""
    column = enc.Col(name="b", type=16, meta=bytes([bits % 8, bits // 8]))
    assert only(column, number.to_bytes((bits + 7) // 8, "big")) == str(number)


def test_a_set_with_an_empty_label_is_its_bits() -> None:
    """The text of {''} and of {} would be the same."""
    column = enc.Col(name="s", type=254, meta=b"\xf8\1", collation=255, labels=("", "a"))
    assert [only(column, bytes([n])) for n in range(4)] == ["0", "1", "2", "3"]


@pytest.mark.parametrize("code", [255, 242])
def test_geometry_and_vector_are_their_bytes(code: int) -> None:
    """SRID and WKB, or floats, as stored behind a length of four bytes."""
    value = bytes(range(25))
    assert only(enc.Col(name="g", type=code, meta=b"\4", number=1), enc.prefixed(value, 4)) == value


@pytest.mark.parametrize(
    ("collation", "stored", "value"),
    [
        (28, "漢字".encode("gbk"), "漢字"),
        (28, b"a\x81", b"a\x81"),  # half a character, as a longer value cut off has it
        (54, "\U0001f600x".encode("utf-16-be"), "\U0001f600x"),
        (54, b"", ""),
    ],
)
def test_text_in_other_character_sets(collation: int, stored: bytes, value: object) -> None:
    """Text where the bytes are one, else the bytes; never other characters."""
    assert only(enc.varchar_col("v", collation=collation), enc.prefixed(stored, 1)) == value


def test_set_bits_beyond_its_labels_are_refused() -> None:
    """A bit without a label is an error; it is never left out."""
    with pytest.raises(ValueError, match="bits 0x4"):
        set_text(4, ("a", "b"))


def test_opaque_json_of_another_type_is_refused() -> None:
    """A type that could not be made again is an error that names it."""
    with pytest.raises(UnsupportedJson, match="MySQL type number 253"):
        only(enc.Col(name="j", type=245, meta=b"\4"), enc.prefixed(b"\x0f\xfd\x01a", 4))


@pytest.mark.parametrize(("charset", "collation"), [("ascii", 11), ("utf8mb3", 33), ("utf8mb4", 255)])
def test_invalid_text_is_refused(charset: str, collation: int) -> None:
    """Bytes that are no text in the column's character set are never replaced."""
    with pytest.raises(UnicodeDecodeError):
        only(enc.varchar_col("v", collation=collation), b"\2\xff\xfe")


def test_a_value_that_reaches_beyond_the_event_is_refused() -> None:
    """A length that points past the end is an error, not a shorter value."""
    with pytest.raises(ValueError, match="column 2 reaches beyond the event"):
        only(enc.varchar_col("v"), b"\x0aabc")


@given(st.data())
@settings(max_examples=60)
def test_a_cut_event_is_never_decoded(data: st.DataObject) -> None:
    """Images cut at any byte raise one of the errors that the docstring names; they never give rows in silence."""
    columns, expected, stored = data.draw(tables())
    images = b"".join(enc.image(row) for row in stored)
    starts = {0}
    for row in stored:
        starts.add(max(starts) + len(enc.image(row)))
    cut = data.draw(st.integers(0, max(len(images) - 1, 0)))
    decode = compile_decoder(described(columns))
    if cut in starts:  # a whole number of rows is a right image by itself
        assert len(decode(images[:cut], 0, cut)) <= len(expected)
    else:
        with pytest.raises((ValueError, struct.error, IndexError)):
            decode(images[:cut], 0, cut)


def test_floats_keep_what_four_bytes_hold() -> None:
    """A FLOAT is the double of its four bytes: 0.1 is 0.10000000149011612, not the text that MySQL prints."""
    value = only(enc.Col(name="f", type=4, meta=b"\4"), struct.pack("<f", 0.1))
    assert value == struct.unpack("<f", struct.pack("<f", 0.1))[0] != 0.1
    negative_zero = only(enc.Col(name="f", type=4, meta=b"\4"), struct.pack("<f", -0.0))
    assert isinstance(negative_zero, float)
    assert math.copysign(1, negative_zero) == -1


@given(st.data())
@settings(max_examples=60)
def test_a_large_event_gives_the_same_values(data: st.DataObject) -> None:
    """Long values come as views of the event, whose bytes are those that travel; all others are as ever."""
    columns, expected, stored = data.draw(tables())
    images = bytearray(b"".join(enc.image(row) for row in stored))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_values, "LONG_BYTES", 40)  # no value of a fixed size is as long
        found = compile_decoder(described(columns), large=True)(images, 0, len(images))  # type: ignore[arg-type]
    for row, wanted in zip(found, expected, strict=True):
        for value, want in zip(row, wanted, strict=True):
            if isinstance(value, memoryview):
                assert bytes(value) == (want.encode() if isinstance(want, str) else want)
            else:
                assert (type(value), repr(value)) == (type(want), repr(want))


def test_long_values_are_views() -> None:
    """Of a large event, text and bytes that are long; what is short beside them is not."""
    columns = [enc.int_col("id"), enc.varchar_col("v")]
    images = enc.image([b"\1\0\0\0", b"\xc8" + b"a" * 200]) + enc.image([b"\2\0\0\0", b"\3abc"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_values, "LONG_BYTES", 100)
        (first, second) = compile_decoder(described(columns), large=True)(images, 0, len(images))
    assert isinstance(first[1], memoryview)
    assert (first[0], bytes(first[1]), second) == (1, b"a" * 200, (2, "abc"))


def test_a_long_text_is_checked() -> None:
    """Bytes that are no UTF-8 are refused in a long text as in a short one, also where a chunk ends inside a character."""
    good = memoryview(("é" * (3 << 19)).encode())[1:-1]
    with pytest.raises(UnicodeDecodeError):
        long_values.long_text(good)
    whole = memoryview(b"x" + ("é" * (3 << 19)).encode())
    assert long_values.long_text(whole) is whole


def test_a_long_latin1_text_is_converted_only_where_it_must_be() -> None:
    """ASCII stays where it is; any other becomes UTF-8, the five bytes that windows-1252 lacks too."""
    plain = memoryview(b"x" * (3 << 20))
    assert long_values.long_latin1(plain) is plain
    text = bytes(range(256)) * 9000
    assert bytes(long_values.long_latin1(memoryview(text))).decode() == decode_latin1(text)  # type: ignore[arg-type]
