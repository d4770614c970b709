"""GTID_TAGGED_LOG_EVENT (MySQL 8.3 and later): the GTID event of a transaction whose GTID has a tag.

Layout (`Gtid_event::define_fields` in control_events.h, in the format of mysql::serialization): a version, the size of the
whole, a word on which fields a reader must know (0: none), then fields in ascending order, each behind its number. Every
number is a varint: as many 1 bits as there are bytes after the first, then a 0 bit, then the value; from the lowest bit up.
"""

from producers.events import ANONYMOUS_GTID, GTID_TAGGED, HEADER, HEADER_BYTES, Event, GtidInfo, gtid_info, tsid_text

_FLAGS, _UUID, _NUMBER, _TAG, _LAST_COMMITTED, _SEQUENCE_NUMBER, _COMMITTED_AT = range(7)  # the fields up to what is read
_VERSION = 1


def varint(data: bytes, pos: int) -> tuple[int, int]:
    """An unsigned integer of 1 to 9 bytes, and the position after it. A first byte of 0xFF is followed by 8 whole bytes."""
    first = data[pos]
    size = (~first & (first + 1)).bit_length()
    end = pos + size
    if end > len(data):
        raise ValueError("it is cut short")
    return int.from_bytes(data[pos:end], "little") >> min(size, 8), end


def tagged_gtid_info(data: bytes) -> GtidInfo:
    """Read what capture needs of the event.

    Raises ValueError, IndexError.
    """
    version, pos = varint(data, HEADER_BYTES)
    size, pos = varint(data, pos)
    must_know, pos = varint(data, pos)
    if version != _VERSION or HEADER_BYTES + size != len(data) or must_know > _COMMITTED_AT:
        raise ValueError(f"version {version}, size {size}, field {must_know}: not the form that is known")
    uuid, tag = bytearray(), b""
    found: dict[int, int] = {}
    while pos < len(data):
        field, pos = varint(data, pos)
        if field == _UUID:
            for _ in range(16):
                byte, pos = varint(data, pos)
                uuid.append(byte)
        elif field == _TAG:
            length, pos = varint(data, pos)
            tag, pos = data[pos : pos + length], pos + length
        elif field <= _COMMITTED_AT:
            found[field], pos = varint(data, pos)
        else:
            break
    number = found.get(_NUMBER, 0)
    if len(uuid) != 16 or not tag or not number or number & 1:  # signed numbers have their sign in the lowest bit
        raise ValueError("it has no whole GTID")
    committed_at = found.get(_COMMITTED_AT) or HEADER.unpack_from(data)[0] * 1_000_000
    return GtidInfo(bytes(uuid) + tag, number >> 1, committed_at)


def read_gtid(event: Event) -> GtidInfo:
    """What capture needs of any of the three GTID events. Raises ValueError, IndexError, struct.error."""
    return tagged_gtid_info(event.data) if event.type == GTID_TAGGED else gtid_info(event.data)


def gtid_name(event: Event, info: GtidInfo, file: str) -> str:
    """What its transaction is called: `uuid:number`, `uuid:tag:number`, or `file:position` of its event without GTIDs."""
    return f"{file}:{event.start}" if event.type == ANONYMOUS_GTID else f"{tsid_text(info.tsid)}:{info.number}"
