"""A row that was not the same on both sides when it was looked at. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from verification.keys import KeyValues

Digests = tuple[str | None, str | None]  # of a row on either side; None: there is none


@dataclass(frozen=True)
class Suspect:
    """Its key, what tells it apart in the key's collation, and what was seen of it."""

    key: KeyValues
    identity: KeyValues
    digests: Digests
