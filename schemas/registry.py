"""Schema ids without a registry server: a schema's id is its fingerprint.

Two producers that register the same schema get the same id without talking to each other. The id is the first 31 bits of
the SHA-256 of the schema's JSON with sorted keys (tools that read Confluent framing expect a positive 32-bit integer).
Two different schemas with one id are found when they are read (consumers/schema_store.py): an error, never a mix-up.
"""

import hashlib
import json
from typing import Any


def schema_text(schema: dict[str, Any]) -> str:
    """The schema as it is stored and fingerprinted."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def schema_id(schema: dict[str, Any]) -> int:
    """1 … 2^31-1."""
    digest = hashlib.sha256(schema_text(schema).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1 or 1
