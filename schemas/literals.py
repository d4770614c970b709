"""SQL literals that need nothing but their value."""


def quote_text(value: str) -> str:
    """A string literal; backslash is an escape in the applier's sql_mode."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
