"""Packets cut from bytes however they arrive, and events from packets; no server, no library."""

import random
from collections.abc import Iterator
from typing import Any

import binlog_encoder as enc
import pymysql.err
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bisync_topology.errors import CaptureError
from producers import events
from producers.capture import BinlogStream, Packets, Position
from producers.events import Event

LONGEST = 0xFFFFFF


@given(st.lists(st.binary(max_size=60), max_size=20), st.data())
def test_packets_split_at_any_bytes(payloads: list[bytes], data: st.DataObject) -> None:
    """The same payloads come out in order, wherever the pieces in which they arrive begin and end."""
    wire = b"".join(enc.packet(payload, n) for n, payload in enumerate(payloads))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(wire)), max_size=20)))
    packets = Packets()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        found += packets.add(wire[start:end])
    assert found == payloads


def test_packets_byte_by_byte() -> None:
    """One byte at a time, as the slowest link would bring them."""
    payloads = [b"", b"a", b"x" * 300]
    packets = Packets()
    wire = b"".join(enc.packet(payload) for payload in payloads)
    assert [payload for byte in wire for payload in packets.add(bytes([byte]))] == payloads


@pytest.mark.parametrize("size", [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST - 1, 2 * LONGEST, 2 * LONGEST + 77])
@pytest.mark.parametrize("piece", [1 << 20, 7_000_001, 1 << 30])
def test_payloads_over_several_packets(size: int, piece: int) -> None:
    """A payload of 16 MiB and more goes on in further packets, of which the last may be empty; others around it stay."""
    payload = random.Random(size).randbytes(1000).ljust(size, b"z")
    wire = enc.packet(b"before") + enc.packet(payload, 1) + enc.packet(b"after")
    packets = Packets()
    found = []
    for start in range(0, len(wire), piece):
        found += packets.add(wire[start : start + piece])
    assert [len(p) for p in found] == [6, size, 5]
    assert found == [b"before", payload, b"after"]


def test_a_large_payload_is_not_copied_for_every_piece() -> None:
    """Bytes copied grow with the payload, not with its square: 64 MiB in pieces of 16 KiB within a second or so."""
    wire = enc.packet(bytes(64 << 20))
    packets = Packets()
    found = [p for start in range(0, len(wire), 1 << 14) for p in packets.add(wire[start : start + (1 << 14)])]
    assert [len(p) for p in found] == [64 << 20]


class FakeSocket:
    """Gives what it was made with, piece by piece, then nothing, as a closed connection does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    def settimeout(self, seconds: float) -> None:
        """Nothing ever waits here."""

    def recv(self, size: int) -> bytes:
        """The next piece."""
        return self.pieces.pop(0) if self.pieces else b""


def stream(monkeypatch: pytest.MonkeyPatch, *pieces: bytes) -> BinlogStream:
    """A stream over these bytes in place of the library's connection."""

    class Reader:
        """What capture takes of the library."""

        def __init__(self, **settings: Any) -> None:
            self.settings = settings
            self._stream_connection = type("C", (), {"_sock": FakeSocket(list(pieces))})

        def _BinLogStreamReader__connect_to_stream(self) -> None:
            pass

    monkeypatch.setattr("producers.capture.BinLogStreamReader", Reader)
    monkeypatch.setattr("producers.capture.connection_settings", lambda mysql: {})
    return BinlogStream(None, 1, Position("", "binlog.000001", 4))  # type: ignore[arg-type]


def everything(stream: BinlogStream) -> Iterator[Event]:
    """All events up to the end of the connection."""
    try:
        while True:
            yield from stream.read()
    except ConnectionResetError:
        return


def sent(*raw: bytes) -> bytes:
    """Events as the server sends them: each behind an OK byte, in a packet."""
    return b"".join(enc.packet(b"\0" + event, n) for n, event in enumerate(raw))


@pytest.mark.parametrize("checksum", [False, True])
def test_events_of_a_stream(monkeypatch: pytest.MonkeyPatch, checksum: bool) -> None:
    """The made-up rotation at the start, the format description that says how to check, then events without checksum."""
    raw = [
        enc.event(4, enc.rotate_body("binlog.000007", 157), end=0, flags=0x20, checksum=checksum),
        enc.format_description(checksum=checksum),
        enc.event(33, enc.gtid_body(1), end=300, checksum=checksum),
        enc.event(4, enc.rotate_body("binlog.000008"), end=400, checksum=checksum),
        enc.event(4, enc.rotate_body("binlog.000008"), end=0, flags=0x20, checksum=checksum),
    ]
    source = stream(monkeypatch, sent(*raw))
    found = list(everything(source))
    assert [event.type for event in found] == [4, 15, 33, 4, 4]
    assert found[2].data == raw[2][: len(raw[2]) - 4 * checksum]
    assert source.file == "binlog.000008"


def test_checksums_switched_on_between_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """SET GLOBAL binlog_checksum begins a new file; what comes after its format description is checked as that says."""
    plain = [enc.event(4, enc.rotate_body("binlog.1"), flags=0x20), enc.format_description(checksum=False)]
    plain += [enc.event(16, bytes(8)), enc.event(4, enc.rotate_body("binlog.2"))]
    checked = [enc.format_description(checksum=True), enc.event(16, bytes(8), checksum=True)]
    found = list(everything(stream(monkeypatch, sent(*plain, *checked, *plain[1:]))))
    assert [len(event.data) for event in found if event.type == 16] == [27, 27, 27]


def test_payloads_are_unpacked_when_the_events_before_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in a payload's place is asked for when it is its turn: whether it is skipped is known only then."""
    raw = [enc.event(33, enc.gtid_body(1)), enc.event(40, b"ab"), enc.event(16, bytes(8))]
    source = stream(
        monkeypatch, sent(enc.event(4, enc.rotate_body("b"), flags=0x20), enc.format_description(checksum=False), *raw)
    )
    taken: list[object] = []

    def unpack(payload: Event) -> list[Event]:
        taken.append("unpacked")
        return [payload, payload]

    for event in source.read(unpack):
        taken.append(event.type)
    assert taken == [4, 15, 33, "unpacked", 40, 40, 16]


@pytest.mark.parametrize("damaged", [2, 3, 4])
def test_damage_is_refused(monkeypatch: pytest.MonkeyPatch, damaged: int) -> None:
    """A byte that changed on the way, in rows, a rotation or a statement, stops with a remedy; what came before is whole."""
    raw = [
        enc.event(4, enc.rotate_body("binlog.000007"), end=0, flags=0x20, checksum=True),
        enc.format_description(checksum=True),
        enc.event(30, bytes(40), checksum=True),
        enc.event(4, enc.rotate_body("binlog.000008"), checksum=True),
        enc.event(2, enc.query_body(b"DROP TABLE t"), checksum=True),
    ]
    raw[damaged] = raw[damaged][:25] + bytes([raw[damaged][25] ^ 1]) + raw[damaged][26:]
    source = stream(monkeypatch, sent(*raw))
    read = source.read()
    assert [next(read).type for _ in range(damaged)] == [4, 15, 30, 4][:damaged]
    with pytest.raises(CaptureError) as raised:
        next(read)
    assert raised.value.code == "checksum"
    assert raised.value.hint
    assert raised.value.where.log_file == ("binlog.000007" if damaged < 4 else "binlog.000008")
    assert raised.value.where.log_pos == {2: 4, 3: 1000, 4: 4}[damaged]


def test_a_damaged_format_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a checksum too, where it says that events have one. (Where not, the server sends it with a stale one.)"""
    raw = enc.format_description(checksum=True)
    broken = raw[:30] + bytes([raw[30] ^ 1]) + raw[31:]
    with pytest.raises(CaptureError):
        list(everything(stream(monkeypatch, sent(enc.event(4, enc.rotate_body("b"), checksum=True), broken))))


def test_a_refusal_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error packet is the server's own error, with its number, for the error policy to judge."""
    refusal = b"\xff" + (1236).to_bytes(2, "little") + b"#HY000Could not find first log file name"
    with pytest.raises(pymysql.err.OperationalError) as raised:
        list(everything(stream(monkeypatch, enc.packet(refusal))))
    assert raised.value.args == (1236, "Could not find first log file name")


@pytest.mark.parametrize("packet", [b"\xfe\0\0\2\0", None])
def test_the_end_of_a_stream_is_a_lost_link(monkeypatch: pytest.MonkeyPatch, packet: bytes | None) -> None:
    """An end packet or a closed connection leads to a new connection, as any lost link does."""
    with pytest.raises(ConnectionResetError):
        list(stream(monkeypatch, *([enc.packet(packet)] if packet else [])).read())


def test_an_empty_gtid_set_starts_at_file_and_position(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without any transaction has the set ""; the library would take that for "from now on", and events were lost."""
    reader = stream(monkeypatch)._reader
    assert (reader.settings["log_file"], reader.settings["log_pos"]) == ("binlog.000001", 4)
    assert not reader.settings["auto_position"]


@given(st.lists(st.binary(min_size=0, max_size=50), min_size=1, max_size=8), st.data())
@settings(max_examples=50)
def test_no_damaged_byte_gives_an_event(bodies: list[bytes], data: st.DataObject) -> None:
    """One byte changed in any packet's event: every other event comes as it was, that one never."""
    raw = [enc.event(30, body, checksum=True) for body in bodies]
    at = data.draw(st.integers(0, len(raw) - 1))
    offset = data.draw(st.integers(0, len(raw[at]) - 1))
    broken = bytearray(raw[at])
    broken[offset] ^= data.draw(st.integers(1, 255))
    for n, event in enumerate([*raw[:at], bytes(broken), *raw[at + 1 :]]):
        if n == at:
            with pytest.raises(events.ChecksumMismatch):
                events.read_event(event, checksum=True)
        else:
            assert events.read_event(event, checksum=True).data[19:] == bodies[n]
