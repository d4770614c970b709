"""The text of a statement: bytes as a client sent them ⇄ characters, by the client's character set, without loss.

Where bytes are no text of that character set they become lone surrogates, as with Python's `surrogateescape`, so that names can
still be read and the same bytes come out again. Source: MySQL manual, "Connection Character Sets and Collations".
"""

from schemas.charsets import NAMES, charset
from schemas.values import decode_latin1, encode_latin1

_UTF8 = ("utf8mb4", "utf8mb3", "binary")  # names in a statement of a `binary` client are taken as they are: as UTF-8


def decode_statement(raw: bytes, name: str) -> str:
    """name: of the client's character set; of one that is not known the bytes beyond ASCII are surrogates."""
    if name in _UTF8:
        return raw.decode("utf-8", "surrogateescape")
    if name == "latin1":
        return decode_latin1(raw)
    if name in NAMES:
        text = charset(name).decode(raw)
        if isinstance(text, str):
            return text
    return raw.decode("ascii", "surrogateescape")


def encode_statement(text: str, name: str) -> bytes:
    """The inverse, also of a text that was edited. Raises UnicodeEncodeError for a character that the set has not."""
    if name in _UTF8:
        return text.encode("utf-8", "surrogateescape")
    if name == "latin1":
        return encode_latin1(text)
    if name not in NAMES or any("\udc80" <= c <= "\udcff" for c in text):
        return text.encode("ascii", "surrogateescape")
    return charset(name).encode(text)


def readable(text: str) -> str:
    """The same for people and for JSON: what is no text is shown as `\ufffd`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
