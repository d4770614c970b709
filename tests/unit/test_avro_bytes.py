"""Avro's bytes against fastavro: what one writes the other reads, and damaged bytes are refused, never read as something else."""

import math
import struct
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.avro_bytes import bad_branch, compile_reader, compile_writer, read_varint, varint
from schemas.records import Row

TYPES: dict[str, st.SearchStrategy[object]] = {
    "long": st.integers(-(2**63), 2**63 - 1) | st.integers(-10_000, 10_000),
    "string": st.text(st.characters(codec="utf-8"), max_size=200),
    "bytes": st.binary(max_size=200),
    "string|bytes": st.text(st.characters(codec="utf-8"), max_size=200) | st.binary(max_size=200),
    "float": st.floats(allow_nan=False, width=32),
    "double": st.floats(allow_nan=False),
}


@st.composite
def typed_rows(draw: st.DrawFn) -> tuple[list[str], Row]:
    """Types, and a row of them with NULLs."""
    types = draw(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=6))
    return types, tuple(draw(st.none() | TYPES[avro]) for avro in types)


def schema_of(types: list[str]) -> Any:
    """A record of nullable fields, as fastavro wants it."""
    fields = [{"name": f"c{n}", "type": ["null", *avro.split("|")]} for n, avro in enumerate(types)]
    return fastavro.parse_schema({"type": "record", "name": "R", "fields": fields})


def written_by_fastavro(types: list[str], row: Row) -> bytes:
    """The row's bytes, by a writer that is not ours."""
    buffer = BytesIO()
    fastavro.schemaless_writer(buffer, schema_of(types), {f"c{n}": value for n, value in enumerate(row)})
    return buffer.getvalue()


def exactly(row: Row) -> list[object]:
    """A row that equals only its very self."""
    return [(type(value), struct.pack("<d", value) if isinstance(value, float) else value) for value in row]


@given(typed_rows(), st.binary(max_size=4), st.binary(max_size=4))
@settings(max_examples=300)
def test_reads_and_writes_as_fastavro_does(typed: tuple[list[str], Row], before: bytes, behind: bytes) -> None:
    """The same bytes are written; they are read from any place, to their end and no further."""
    types, row = typed
    body = written_by_fastavro(types, row)
    assert compile_writer(types)(row) == body
    found, end = compile_reader(types)(before + body + behind, len(before))
    assert (exactly(found), end) == (exactly(row), len(before) + len(body))


@given(typed_rows(), st.data())
@settings(max_examples=200)
def test_a_row_cut_short_is_never_whole(typed: tuple[list[str], Row], data: st.DataObject) -> None:
    """A buffer that ends inside the row raises, or gives an end that lies beyond it."""
    types, row = typed
    body = written_by_fastavro(types, row)
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    try:
        _, end = compile_reader(types)(cut, 0)
    except (ValueError, IndexError, struct.error):
        return
    assert end > len(cut)


@given(st.lists(st.sampled_from(sorted(TYPES)), min_size=1, max_size=4), st.binary(max_size=60))
@settings(max_examples=400)
def test_any_bytes_are_a_row_or_refused(types: list[str], noise: bytes) -> None:
    """Bytes of any kind are refused, or are the bytes of the very row that is read from them."""
    try:
        row, end = compile_reader(types)(noise, 0)
    except (ValueError, IndexError, struct.error):
        return
    assume(end <= len(noise) and not any(isinstance(value, float) and math.isnan(value) for value in row))
    assert len(written_by_fastavro(types, row)) <= end  # a number may be written with more bytes than it needs


@given(st.integers(0, 2**63 - 1))
@example(0)
@example(63)
@example(64)
@example(2**13)
@example(2**20)
@example(2**27)
@example(2**63 - 1)
def test_numbers_of_every_length(value: int) -> None:
    """One to ten bytes."""
    encoded = varint(value)
    assert read_varint(b"?" + encoded + b"?", 1) == (value << 1, 1 + len(encoded))
    for length in range(len(encoded)):
        with pytest.raises(IndexError):
            read_varint(encoded[:length], 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\xff" * 10 + b"\x01", "more than ten bytes"),
        (b"\xff" * 9 + b"\x7f", "more than 64 bits"),
    ],
)
def test_numbers_that_are_too_long(body: bytes, said: str) -> None:
    """A number that no Avro long holds is refused."""
    with pytest.raises(ValueError, match=said):
        read_varint(body, 0)


@pytest.mark.parametrize(
    ("body", "said"),
    [(b"\x02\x01", "negative"), (b"\x02\x81\x01", "negative"), (b"\x04", "0x04"), (b"\x02\x02\xff", "utf-8")],
)
def test_what_is_no_nullable_text(body: bytes, said: str) -> None:
    """A negative length, an unknown branch and bytes that are no text are refused."""
    with pytest.raises(ValueError, match=said):
        compile_reader(["string"])(body, 0)
    assert "0x05" in str(bad_branch(5))
