"""SQL over MySQL's types that others wrote, outside this project."""

import os
from collections.abc import Iterator
from pathlib import Path

SQL_FILES = Path(os.environ.get("BISYNC_SHARED_DATA", Path(__file__).parents[3] / "shared/data")) / "mysql-types"


def statements(text: str) -> Iterator[str]:
    """The statements of a file, comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith(("--", "#"))]
    for statement in "\n".join(lines).split(";\n"):
        if statement.strip(" ;\n"):
            yield statement.strip(" ;\n")
