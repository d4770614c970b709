"""Which servers are supported, and why no others. Pure."""

from __future__ import annotations

# VALUES ROW(…) and a new row's alias in INSERT … ON DUPLICATE KEY UPDATE, of which every guarded statement is made
OLDEST = (8, 0, 19)


def numbers(version: str) -> tuple[int, ...]:
    """`9.7.4-debug` → (9, 7, 4)."""
    return tuple(int(part) for part in version.split("-", maxsplit=1)[0].split(".")[:3] if part.isdigit())


def unsupported(version: str) -> str:
    """Why a server cannot be a side, "" if it can."""
    if "mariadb" in version.lower():
        return f"{version}: MariaDB is not supported yet, only MySQL"
    if numbers(version) < OLDEST:
        return f"MySQL {version} is older than {'.'.join(map(str, OLDEST))}"
    return ""
