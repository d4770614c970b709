"""MySQL's character sets beside utf8mb4, utf8mb3, ascii and latin1: bytes ⇄ canonical value.

A value is text where its bytes are the text's only encoding and MySQL reads the same characters in them; else it stays the
bytes that MySQL stores. So nothing is lost, whatever Python's codec and the server disagree about, and other readers see
text almost always. Which form a value takes depends on its bytes alone, so that canonical values are equal exactly when the
bytes are. An applier writes the bytes again, with the character set's introducer.

Each table, and each exception from Python's codecs, was found by having MySQL 9.7 convert every byte sequence of up to three
bytes, and every character to gb18030; tests/integration/test_server_charsets.py does it again.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_HOLE = "\ufffe"  # what codecs.charmap_decode takes for a byte without a character
_C1 = "".join(map(chr, range(0x80, 0xA0)))

# Character set → (Python's codec, bytes that MySQL reads otherwise)
_BY_CODEC: dict[str, tuple[str, dict[int, str]]] = {
    "cp1250": ("cp1250", {}),
    "cp1251": ("cp1251", {}),
    "cp1256": ("cp1256", dict.fromkeys((0x8A, 0x8F, 0x98, 0x9A, 0x9F, 0xAA, 0xC0, 0xFF), _HOLE)),
    "cp1257": ("cp1257", {}),
    "cp850": ("cp850", {}),
    "cp852": ("cp852", {}),
    "cp866": ("cp866", {0xFC: "\u207f", 0xFD: "\u00b2"}),
    "greek": ("iso8859_7", {0xA1: "\u02bd", 0xA2: "\u02bc", 0xA4: _HOLE, 0xA5: _HOLE, 0xAA: _HOLE}),
    "hebrew": ("iso8859_8", {0xAF: "\u203e"}),
    "koi8r": ("koi8_r", {}),
    "koi8u": ("koi8_u", {0x95: "\u2022"}),
    "latin2": ("iso8859_2", {}),
    "latin5": ("iso8859_9", {}),
    "latin7": ("iso8859_13", {}),
    "macce": ("mac_latin2", {}),
    "macroman": ("mac_roman", {}),
    "tis620": ("tis_620", {}),
}

# Those that Python has no codec of: the characters of bytes 0x80 to 0xff.
_UPPER_HALVES = {
    "armscii8": _C1 + "\xa0❁§։\ufffe\ufffe»«—\ufffe՝\ufffe\ufffe՟…՜՛՞ԱաԲբԳգԴդԵեԶզԷէ"
    "ԸըԹթԺժԻիԼլԽխԾծԿկՀհՁձՂղՃճՄմՅյՆնՇշ"
    "ՈոՉչՊպՋջՌռՍսՎվՏտՐրՑցՒւՓփՔքՕօՖֆ’\ufffe",
    "dec8": _C1 + "\xa0¡¢£\ufffe¥\ufffe§¤©ª«\ufffe\ufffe\ufffe\ufffe°±²³\ufffeµ¶·\ufffe¹º»¼½\ufffe¿"
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏ\ufffeÑÒÓÔÕÖŒØÙÚÛÜŸ\ufffeß"
    "àáâãäåæçèéêëìíîï\ufffeñòóôõöœøùúûüÿ\ufffe\ufffe",
    "geostd8": "€\ufffe‚\ufffe„…†‡\ufffe‰\ufffe‹\ufffe\ufffe\ufffe\ufffe\ufffe‘’“”•–—\ufffe\ufffe\ufffe›\ufffe\ufffe\ufffe\ufffe"
    "\xa0¡¢£¤¥¦§¨©ª«¬\xad®¯°±²³´µ¶·¸¹º»¼½¾¿"
    "აბგდევზჱთიკლმნჲოპჟრსტჳუფქღყშჩცძწ"
    "ჭხჴჯჰჵ\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe\ufffe№\ufffe\ufffe",
    "hp8": _C1 + "\xa0ÀÂÈÊËÎÏ´ˋˆ¨˜ÙÛ₤¯Ýý°ÇçÑñ¡¿¤£¥§ƒ¢âêôûáéóúàèòùäëöüÅîØÆåíøæÄìÖÜÉïßÔÁÃãÐðÍÌÓÒÕõŠšÚŸÿÞþ·µ¶¾—¼½ªº«■»±\ufffe",
    "keybcs2": "ČüéďäĎŤčěĚĹÍľĺÄÁÉžŽôöÓůÚýÖÜŠĽÝŘť"
    "áíóúňŇŮÔšřŕŔ¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
    "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀"
    "αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0",
}
_SWE7 = str.maketrans("@[\\]^`{|}~\x7f", "ÉÄÖÅÜéäöåü" + _HOLE)

# Those with more than one byte a character → (Python's codec, characters that MySQL has no or other bytes for)
_WIDE: dict[str, tuple[str, frozenset[str]]] = {
    "big5": ("big5", frozenset("\u2574\uffe3\u02cd")),
    "cp932": ("cp932", frozenset("\x80\uf8f0\uf8f1\uf8f2\uf8f3")),
    "eucjpms": ("euc_jp", frozenset("\u301c\u2016\u2212\u00a2\u00a3\u00ac\u00a6\u2116")),
    "euckr": ("euc_kr", frozenset()),
    "gb18030": ("gb18030", frozenset("\u1e3f\ue7c7")),
    "gb2312": ("gb2312", frozenset()),
    "gbk": ("gbk", frozenset()),
    "sjis": ("shift_jis", frozenset("\uff3c")),
    "ucs2": ("utf_16_be", frozenset()),
    "ujis": ("euc_jp", frozenset("\uff3c")),
    "utf16": ("utf_16_be", frozenset()),
    "utf16le": ("utf_16_le", frozenset()),
    "utf32": ("utf_32_be", frozenset()),
}

NAMES = frozenset({*_BY_CODEC, *_UPPER_HALVES, "swe7", *_WIDE})


@dataclass(frozen=True)
class Charset:
    """decode: stored bytes → canonical value. encode: the inverse, exactly."""

    name: str
    decode: Callable[[bytes], str | bytes]
    encode: Callable[[str | bytes], bytes]

    def literal(self, value: str | bytes) -> str:
        """A value as SQL."""
        return f"_{self.name} X'{self.encode(value).hex()}'"


@cache
def charset(name: str) -> Charset:
    """One of NAMES. Raises KeyError for another."""
    if name in _WIDE:
        return _wide(name, *_WIDE[name])
    if name in _BY_CODEC:
        codec, others = _BY_CODEC[name]
        return _narrow(name, [others.get(n, bytes([n]).decode(codec, "replace").replace("\ufffd", _HOLE)) for n in range(256)])
    ascii_half = bytes(range(0x80)).decode("ascii")
    if name == "swe7":
        return _narrow(name, [*ascii_half.translate(_SWE7), *_HOLE * 128])
    return _narrow(name, [*ascii_half, *_UPPER_HALVES[name]])


def _narrow(name: str, characters: list[str]) -> Charset:
    """One byte a character."""
    table = "".join(characters)
    byte_of: dict[int, int | bytes | None] = {ord(character): n for n, character in enumerate(table) if character != _HOLE}

    def decode(value: bytes) -> str | bytes:
        try:
            return codecs.charmap_decode(value, "strict", table)[0]
        except UnicodeDecodeError:
            return value

    def encode(value: str | bytes) -> bytes:
        return value if isinstance(value, bytes) else codecs.charmap_encode(value, "strict", byte_of)[0]

    return Charset(name, decode, encode)


def _wide(name: str, codec: str, others: frozenset[str]) -> Charset:
    """Up to four bytes a character, by Python's codec, where it gives back what it took."""
    astral = name == "ucs2"  # a pair of surrogates is two characters there, and none that text could hold

    def decode(value: bytes) -> str | bytes:
        try:
            text = value.decode(codec)
        except UnicodeDecodeError:
            return value
        if text.encode(codec) != value or not others.isdisjoint(text) or (astral and len(text) * 2 != len(value)):
            return value
        return text

    def encode(value: str | bytes) -> bytes:
        return value if isinstance(value, bytes) else value.encode(codec)

    return Charset(name, decode, encode)
