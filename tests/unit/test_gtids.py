"""GTID sets against a plain Python set of (tsid, number): a UUID, or a UUID with a tag."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysqlreplication import gtid as library

from producers.gtids import GtidSet

UUIDS = [f"{n:08x}-0000-0000-0000-000000000000" for n in (0xA, 0xB, 0xC)]
TSIDS = [*UUIDS, f"{UUIDS[0]}:nightly", f"{UUIDS[0]}:_1", f"{UUIDS[2]}:a"]
MEMBERS = st.lists(st.tuples(st.sampled_from(TSIDS), st.integers(1, 40)), max_size=80)


def made(members: list[tuple[str, int]]) -> GtidSet:
    """A set built by adding one at a time."""
    gtids = GtidSet()
    for tsid, number in members:
        gtids.add(tsid, number)
    return gtids


def text_of(model: set[tuple[str, int]]) -> str:
    """What MySQL would write: uuids in order, runs of numbers as first-last; behind a UUID's own numbers its tags with theirs."""
    parts: list[str] = []
    for tsid in sorted({tsid for tsid, _ in model}):
        numbers = sorted(number for other, number in model if other == tsid)
        runs: list[list[int]] = []
        for number in numbers:
            if runs and runs[-1][1] == number - 1:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        text = ":".join([tsid, *(str(a) if a == b else f"{a}-{b}" for a, b in runs)])
        if parts and parts[-1].startswith(tsid[:36]):
            parts[-1] += text[36:]
        else:
            parts.append(text)
    return ",".join(parts)


@given(MEMBERS)
def test_adding_in_any_order(members: list[tuple[str, int]]) -> None:
    """Numbers in any order, and repeated, give the set that they are, in MySQL's own text."""
    assert str(made(members)) == text_of(set(members))


@given(MEMBERS)
def test_text_reads_back(members: list[tuple[str, int]]) -> None:
    """The text of a set is that set, also with line breaks and blanks as MySQL prints it, and in upper case."""
    text = text_of(set(members))
    assert str(GtidSet(text)) == text
    assert str(GtidSet(text.replace(",", ",\n "))) == text
    assert str(GtidSet(text.upper())) == text


@given(MEMBERS, MEMBERS)
def test_minus_is_set_difference(a: list[tuple[str, int]], b: list[tuple[str, int]]) -> None:
    """What is missing on one side is exactly the difference; empty when nothing is."""
    assert made(a).minus(made(b)) == text_of(set(a) - set(b))


@given(MEMBERS, MEMBERS)
def test_minus_leaves_both_as_they_were(a: list[tuple[str, int]], b: list[tuple[str, int]]) -> None:
    """Asking changes nothing."""
    left, right = made(a), made(b)
    left.minus(right)
    assert (str(left), str(right)) == (text_of(set(a)), text_of(set(b)))


@given(MEMBERS, st.tuples(st.sampled_from(TSIDS), st.integers(1, 40)))
def test_membership(members: list[tuple[str, int]], gtid: tuple[str, int]) -> None:
    """A transaction is in a set exactly when it was added."""
    assert (gtid in made(members)) == (gtid in set(members))


@given(MEMBERS, MEMBERS)
def test_adding_to_a_set_that_was_read(read: list[tuple[str, int]], added: list[tuple[str, int]]) -> None:
    """A checkpoint's set goes on growing: holes are filled and runs joined."""
    gtids = GtidSet(text_of(set(read)))
    for tsid, number in added:
        gtids.add(tsid, number)
    assert str(gtids) == text_of(set(read) | set(added))


def test_overlapping_intervals_in_text_are_joined() -> None:
    """Text that somebody wrote by hand is put in order."""
    assert str(GtidSet(f"{UUIDS[0]}:5-7:1-3:3-5,{UUIDS[0]}:9")) == f"{UUIDS[0]}:1-7:9"


def test_an_empty_set() -> None:
    """No text is no transaction."""
    assert str(GtidSet("")) == str(GtidSet(" \n")) == ""
    assert GtidSet("").minus(GtidSet("")) == ""


def test_tags_in_any_order() -> None:
    """Text that somebody wrote by hand: tags in upper case, twice, before the UUID's own numbers."""
    text = f"{UUIDS[0]}:ZZ:5:3-4:_b:1:zz:1-2,{UUIDS[0]}:7"
    assert str(GtidSet(text)) == f"{UUIDS[0]}:7:_b:1:zz:1-5"


WRONG = ["", "3-1", "1-x", "0", "tag", "tag:", "tag::1", "1:tag", "a:b:1", "1a:1", f"{'t' * 33}:1", "ä:1", "1:1-2-3"]


@pytest.mark.parametrize("text", [UUIDS[0], *(f"{UUIDS[0]}:{rest}" for rest in WRONG)])
def test_what_is_no_gtid_set_is_refused(text: str) -> None:
    """Text that MySQL would not take, or not write, is not taken as something else."""
    with pytest.raises(ValueError, match="GTID set"):
        GtidSet(text)


# --- for the dump command -------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(UUIDS), st.integers(1, 40)), max_size=40))
def test_without_tags_it_is_encoded_as_the_library_does(members: list[tuple[str, int]]) -> None:
    """Byte for byte what mysql-replication would send."""
    encoded = made(members).encoded()
    theirs = library.GtidSet(text_of(set(members)) or None)
    assert encoded == theirs.encoded()


@given(MEMBERS)
def test_what_is_encoded_reads_back(members: list[tuple[str, int]]) -> None:
    """Read as the server does (`Gtid_set::add_gtid_encoding`), it is the same set, and nothing is left over."""
    assert decoded(made(members).encoded()) == set(members)


def test_the_form_with_tags() -> None:
    """One tag is enough for every TSID to have the field; the first word says so in its outer bytes."""
    text = f"{UUIDS[0]}:1-3:ab:7"
    uuid = bytes.fromhex(UUIDS[0].replace("-", ""))
    numbers = [struct.pack("<QQQ", 1, first, end) for first, end in ((1, 4), (7, 8))]
    assert GtidSet(text).encoded() == b"\1\2\0\0\0\0\0\1" + uuid + b"\0" + numbers[0] + uuid + b"\4ab" + numbers[1]


def decoded(data: bytes) -> set[tuple[str, int]]:
    """What the server would understand."""
    found = set()
    head, pos = int.from_bytes(data[:8], "little"), 8
    tagged = head >> 56 == 1
    for _ in range(head >> 8 & (1 << 48) - 1 if tagged else head):
        text, pos = data[pos : pos + 16].hex(), pos + 16
        tsid = "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
        if tagged:
            assert data[pos] % 2 == 0
            length, pos = data[pos] >> 1, pos + 1
            tsid, pos = tsid + (":" + data[pos : pos + length].decode()) * bool(length), pos + length
        (count,) = struct.unpack_from("<Q", data, pos)
        pos += 8
        last = 0
        for _ in range(count):
            first, end = struct.unpack_from("<QQ", data, pos)
            assert last < first < end
            found |= {(tsid, number) for number in range(first, end)}
            last, pos = end, pos + 16
    assert pos == len(data)
    return found
