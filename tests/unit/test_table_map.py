"""Table maps: every optional field in each of its forms, and a clear error for what cannot be decoded without loss."""

from collections.abc import Callable, Sequence

import binlog_encoder as enc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bisync_topology.errors import CaptureError
from producers.map_fields import packed_int
from producers.table_map import TableMap, parse_table_map, table_name

Unique = Callable[[str, str], tuple[str, ...]]


def parsed(body: bytes, unique: Unique = lambda db, name: ()) -> TableMap:
    """Parse with the collations of the encoder."""
    return parse_table_map(body, enc.COLLATIONS, enc.MAX_BYTES, unique)


def described(columns: Sequence[enc.Col], key: Sequence[int] | None = (0,), **more: object) -> TableMap:
    """A table map with these columns, parsed."""
    return parsed(enc.table_map_body(columns, key, **more))  # type: ignore[arg-type]


def refused(columns: Sequence[enc.Col], key: Sequence[int] | None = (0,), **more: object) -> CaptureError:
    """The error that such a table map leads to; it names the table and a remedy."""
    with pytest.raises(CaptureError) as raised:
        described(columns, key, **more)
    assert raised.value.where.table == "shop.t"
    assert raised.value.hint
    return raised.value


ID = enc.int_col("id")
PAIRS = [("tinyint", 1), ("smallint", 2), ("mediumint", 9), ("int", 3), ("bigint", 8)]
CHAR = enc.char_meta


@given(st.integers(0, 2**64 - 1) | st.sampled_from([250, 251, 65535, 65536, 2**24 - 1, 2**24]))
def test_packed_integers(number: int) -> None:
    """All four lengths of a length-encoded integer, and where the next thing begins."""
    data = b"x" + enc.packed(number) + b"rest"
    assert packed_int(data, 1) == (number, len(data) - 4)


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize(("name", "code"), PAIRS)
def test_integers_and_their_signs(name: str, code: int, unsigned: bool) -> None:
    """Signs are a bit for each numeric column; only BIGINT UNSIGNED is a kind of its own."""
    column = described([ID, enc.Col(name="n", type=code, unsigned=unsigned)]).table.columns[1]
    assert column.sql_type == name + " unsigned" * unsigned
    assert column.kind == ("uint64" if code == 8 and unsigned else "int")


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.data())
@settings(max_examples=100)
def test_signs_count_numeric_columns_alone(signs: list[bool], data: st.DataObject) -> None:
    """Columns without a sign bit (DATE, text, JSON, ENUM), and YEAR, which has one, do not shift the signs of others."""
    columns = [ID]
    between = [
        enc.Col(name="", type=13, unsigned=True),
        enc.Col(name="", type=10),
        enc.varchar_col(""),
        enc.Col(name="", type=245, meta=b"\4"),
    ]
    between.append(enc.Col(name="", type=254, meta=b"\xf7\1", collation=255, labels=("a",)))
    for n, unsigned in enumerate(signs):
        code = data.draw(st.sampled_from([1, 2, 9, 3, 8]))
        columns.append(enc.Col(name=f"n{n}", type=code, unsigned=unsigned))
        if data.draw(st.booleans()):
            other = data.draw(st.sampled_from(between))
            columns.append(enc.Col(**{**other.__dict__, "name": f"x{n}"}))
    storage = described(columns).storage
    found = [storage[n].unsigned for n, column in enumerate(columns) if column.name.startswith("n")]
    assert found == signs


@pytest.mark.parametrize(
    ("column", "kind", "sql_type"),
    [
        (enc.Col(name="c", type=4, meta=b"\4"), "float", "float"),
        (enc.Col(name="c", type=5, meta=b"\x08", unsigned=True), "double", "double unsigned"),
        (enc.Col(name="c", type=246, meta=b"\x41\x1e"), "decimal", "decimal(65,30)"),
        (enc.Col(name="c", type=246, meta=b"\x05\x00", unsigned=True), "decimal", "decimal(5,0) unsigned"),
        (enc.Col(name="c", type=10), "date", "date"),
        (enc.Col(name="c", type=13), "int", "year"),
        (enc.Col(name="c", type=19, meta=b"\0"), "time", "time"),
        (enc.Col(name="c", type=19, meta=b"\6"), "time", "time(6)"),
        (enc.Col(name="c", type=18, meta=b"\3"), "datetime", "datetime(3)"),
        (enc.Col(name="c", type=17, meta=b"\1"), "timestamp", "timestamp(1)"),
        (enc.Col(name="c", type=245, meta=b"\4"), "json", "json"),
        (enc.varchar_col("c", 40), "text", "varchar(10)"),
        (enc.varchar_col("c", 0), "text", "varchar(0)"),
        (enc.varchar_col("c", 65532, collation=33), "text", "varchar(21844)"),
        (enc.varchar_col("c", 65532, collation=63), "binary", "varbinary(65532)"),
        (enc.Col(name="c", type=254, meta=CHAR(1020), collation=255), "text", "char(255)"),
        (enc.Col(name="c", type=254, meta=CHAR(480), collation=255), "text", "char(120)"),
        (enc.Col(name="c", type=254, meta=CHAR(255), collation=8), "text", "char(255)"),
        (enc.Col(name="c", type=254, meta=CHAR(0), collation=11), "text", "char(0)"),
        (enc.Col(name="c", type=254, meta=CHAR(16), collation=63), "binary", "binary(16)"),
        (enc.Col(name="c", type=252, meta=b"\1", collation=255), "text", "tinytext"),
        (enc.Col(name="c", type=252, meta=b"\2", collation=33), "text", "text"),
        (enc.Col(name="c", type=252, meta=b"\3", collation=8), "text", "mediumtext"),
        (enc.Col(name="c", type=252, meta=b"\4", collation=11), "text", "longtext"),
        (enc.Col(name="c", type=252, meta=b"\1", collation=63), "binary", "tinyblob"),
        (enc.Col(name="c", type=252, meta=b"\2", collation=63), "binary", "blob"),
        (enc.Col(name="c", type=252, meta=b"\4", collation=63), "binary", "longblob"),
        (enc.Col(name="c", type=254, meta=b"\xf7\1", collation=255, labels=("a", "b'c", "ö")), "enum", "enum('a','b''c','ö')"),
        (enc.Col(name="c", type=254, meta=b"\xf8\1", collation=8, labels=("€", "é")), "set", "set('€','é')"),
        (enc.Col(name="c", type=254, meta=b"\xf8\1", collation=255, labels=("", "a")), "bit", "set('','a')"),
        (enc.Col(name="c", type=254, meta=b"\xf7\1", collation=28, labels=("", "漢")), "enum", "enum('','漢')"),
        (enc.Col(name="c", type=16, meta=b"\1\0"), "bit", "bit(1)"),
        (enc.Col(name="c", type=16, meta=b"\0\x08"), "bit", "bit(64)"),
        (enc.Col(name="c", type=16, meta=b"\3\2"), "bit", "bit(19)"),
        (enc.varchar_col("c", 40, collation=28), "encoded", "varchar(20)"),
        (enc.Col(name="c", type=254, meta=CHAR(40), collation=54), "encoded", "char(10)"),
        (enc.Col(name="c", type=252, meta=b"\2", collation=28), "encoded", "text"),
    ],
)  # fmt: skip
def test_every_type(column: enc.Col, kind: str, sql_type: str) -> None:
    """Each supported type has its kind and the text that SQL knows it by, nullable or not."""
    for nullable in (False, True):
        found = described([ID, enc.Col(**{**column.__dict__, "nullable": nullable})]).table.columns[1]
        assert (found.name, found.kind, found.sql_type, found.nullable) == ("c", kind, sql_type, nullable)


def test_char_of_two_length_bytes() -> None:
    """CHAR(64) in utf8mb4 takes 256 bytes, the first that need two bytes of length; 255 need one."""
    assert described([ID, enc.Col(name="c", type=254, meta=CHAR(256), collation=255)]).storage[1].size == 2
    assert described([ID, enc.Col(name="c", type=254, meta=CHAR(255), collation=255)]).storage[1].size == 1


@pytest.mark.parametrize("length", range(0, 1021, 4))
def test_every_char_length(length: int) -> None:
    """The length's two high bits, hidden in the type byte, are found for every length that CHAR can have."""
    item = described([ID, enc.Col(name="c", type=254, meta=CHAR(length), collation=255)]).storage[1]
    assert (item.type, item.precision, item.size) == (254, length, 2 if length > 255 else 1)


TEXT = st.sampled_from([8, 11, 33, 45, 255])
COLLATED = st.tuples(st.just(63) | TEXT, st.sampled_from(["varchar", "char", "blob", "int"])) | st.tuples(
    TEXT, st.sampled_from(["enum", "set"])
)


@given(st.lists(COLLATED, max_size=30))
@settings(max_examples=80)
def test_both_forms_of_character_sets_agree(columns: list[tuple[int, str]]) -> None:
    """A default with exceptions and one id a column are the same; ENUM and SET have lists of their own."""
    made = [ID]
    for n, (collation, what) in enumerate(columns):
        made.append(
            {
                "int": enc.int_col(f"c{n}"),
                "varchar": enc.varchar_col(f"c{n}", collation=collation),
                "char": enc.Col(name=f"c{n}", type=254, meta=CHAR(20), collation=collation),
                "blob": enc.Col(name=f"c{n}", type=252, meta=b"\2", collation=collation),
                "enum": enc.Col(name=f"c{n}", type=254, meta=b"\xf7\1", collation=collation, labels=("a", f"b{n}")),
                "set": enc.Col(name=f"c{n}", type=254, meta=b"\xf8\1", collation=collation, labels=(f"s{n}",)),
            }[what]
        )
    by_default, by_column = described(made), described(made, per_column=True)
    assert by_default == by_column
    for n, (collation, what) in enumerate(columns, 1):
        charset = None if what == "int" or collation == 63 else enc.COLLATIONS[collation]
        assert by_default.table.columns[n].charset == charset
        labels = {"enum": ("a", f"b{n - 1}"), "set": (f"s{n - 1}",)}.get(what, ())
        assert by_default.storage[n].labels == labels


def test_labels_in_their_columns_character_set() -> None:
    """Labels of a latin1 column are windows-1252, incl. the bytes that Python's codec has no character for."""
    labels = ("é", "€", "plain")
    columns = [ID, enc.Col(name="e", type=254, meta=b"\xf7\1", collation=8, labels=labels)]
    assert described(columns).storage[1].labels == labels


NAMES = st.text(st.characters(codec="utf-8", min_codepoint=1), min_size=1, max_size=64)


@given(st.lists(NAMES, min_size=1, max_size=300, unique=True))
@settings(max_examples=50)
def test_names_of_up_to_300_columns(names: list[str]) -> None:
    """Any names, also longer than 250 bytes, and a count of columns that takes three bytes."""
    table = described([enc.int_col(name) for name in names]).table
    assert [column.name for column in table.columns] == names


@given(st.permutations(range(6)), st.integers(1, 6))
def test_the_primary_key_in_its_own_order(order: list[int], length: int) -> None:
    """PRIMARY KEY (c, a) is not reported as (a, c)."""
    columns = [enc.int_col(f"c{n}") for n in range(6)]
    assert described(columns, order[:length]).table.key == tuple(order[:length])


def test_names_of_database_and_table() -> None:
    """The cheap look at a map's names gives what the full parse gives, in any script."""
    body = enc.table_map_body([ID], db="магазин", name="`a.b`")
    assert table_name(body) == ("магазин", "`a.b`")
    assert parsed(body).table.full_name == "магазин.`a.b`"


def test_fields_of_a_later_version_are_passed_over() -> None:
    """An optional field that is not known, of any length, does not hide the others."""
    extra = bytes([200]) + enc.packed(300) + bytes(300)
    assert parsed(enc.table_map_body([ID, enc.varchar_col("v")], extra=extra)).table.columns[1].name == "v"


def test_without_a_primary_key_the_server_is_asked() -> None:
    """A table map names primary keys alone; the server's first NOT NULL unique key takes its place, in key order."""
    columns = [enc.int_col("a"), enc.int_col("b"), enc.int_col("c")]
    asked = []

    def unique(db: str, name: str) -> tuple[str, ...]:
        asked.append((db, name))
        return ("c", "a")

    assert parsed(enc.table_map_body(columns, None), unique).table.key == (2, 0)
    assert parsed(enc.table_map_body(columns, (1,)), unique).table.key == (1,)
    assert asked == [("shop", "t")]


def test_a_unique_key_that_the_map_does_not_have() -> None:
    """The server's key is that of now, the map is of then: a key with a column that it lacks is no key, nor a part of one."""
    with pytest.raises(CaptureError) as raised:
        parsed(enc.table_map_body([enc.int_col("a")], None), lambda db, name: ("a", "new"))
    assert raised.value.code == "no_key"


def test_no_key_is_refused() -> None:
    """Rows that cannot be told apart stop; so does a key with a column that can be NULL."""
    assert refused([enc.int_col("a")], None).code == "no_key"
    assert refused([enc.int_col("a", nullable=True)]).code == "no_key"


def test_a_key_on_prefixes_is_one_of_columns() -> None:
    """PRIMARY KEY (v(10), id) tells rows apart by parts of them; so do the whole columns."""
    columns = [ID, enc.varchar_col("v")]
    assert parsed(enc.table_map_body(columns, (1, 0), prefixes=[10, 0])).table.key == (1, 0)


@pytest.mark.parametrize(
    ("code", "meta", "named"),
    [(code, b"", f"number {code}") for code in (7, 11, 12, 0, 20, 14, 243)],
)
def test_types_that_are_not_decoded(code: int, meta: bytes, named: str) -> None:
    """The temporal types of MySQL 5.5 and whatever is unknown stop with the type's number."""
    error = refused([ID, enc.Col(name="x", type=code, meta=meta)])
    assert error.code == "unsupported_type"
    assert f"column 2 has type {named}," in error.message
    assert "!shop.t" in (error.hint or "")


@pytest.mark.parametrize("collation", [999])
@pytest.mark.parametrize("what", ["varchar", "enum", "set", "char", "blob"])
def test_character_sets_that_are_not_decoded(collation: int, what: str) -> None:
    """A collation that the server does not list stops with the column's name."""
    column = {
        "varchar": enc.varchar_col("v", collation=collation),
        "char": enc.Col(name="v", type=254, meta=CHAR(20), collation=collation),
        "blob": enc.Col(name="v", type=252, meta=b"\2", collation=collation),
        "enum": enc.Col(name="v", type=254, meta=b"\xf7\1", collation=collation),
        "set": enc.Col(name="v", type=254, meta=b"\xf8\1", collation=collation),
    }[what]
    body = enc.table_map_body([ID, column], per_column=True)
    with pytest.raises(CaptureError) as raised:
        parse_table_map(body, enc.COLLATIONS, enc.MAX_BYTES, lambda db, name: ())
    assert raised.value.code == "unsupported_charset"
    assert "column v " in raised.value.message


def test_geometries_and_vectors_are_numbered_apart() -> None:
    """The type of each geometry and the dimension of each vector are taken from their own lists, in the order of the columns."""
    columns = [
        enc.Col(name="g", type=255, meta=b"\4", number=0),
        enc.Col(name="v", type=242, meta=b"\4", number=3),
        enc.Col(name="p", type=255, meta=b"\4", number=1),
        enc.Col(name="w", type=242, meta=b"\4", number=2048),
        enc.Col(name="c", type=255, meta=b"\4", number=7),
    ]
    types = [column.sql_type for column in parsed(enc.table_map_body([ID, *columns])).table.columns]
    assert types[1:] == ["geometry", "vector(3)", "point", "vector(2048)", "geomcollection"]


def test_labels_that_are_no_text_are_refused() -> None:
    """An ENUM in CHARACTER SET binary has labels of any bytes: not decoded yet, and said so."""
    column = enc.Col(name="e", type=254, meta=b"\xf7\1", collation=63, labels=("a",))
    assert refused([ID, column], per_column=True).code == "unsupported_charset"


@pytest.mark.parametrize("columns", [[ID], [enc.varchar_col("v")]])
def test_minimal_metadata_is_refused(columns: list[enc.Col]) -> None:
    """binlog_row_metadata=MINIMAL has signs but no names: an error with the setting in its hint."""
    error = refused(columns, metadata=False)
    assert error.code == "row_metadata"
    assert "binlog_row_metadata = FULL" in (error.hint or "")


@given(st.data())
@settings(max_examples=300)
def test_a_cut_map_is_an_error_or_the_same_table(data: st.DataObject) -> None:
    """Bytes cut off at the end never make another table: an error of the kinds that capture turns into its own."""
    columns = [ID, enc.varchar_col("name"), enc.Col(name="e", type=254, meta=b"\xf7\1", collation=255, labels=("a", "b"))]
    body = enc.table_map_body(columns)
    whole = parsed(body)
    cut = body[: data.draw(st.integers(9, len(body)))]
    try:
        found = parsed(cut)
    except (CaptureError, ValueError, IndexError, KeyError):
        return
    assert found == whole
