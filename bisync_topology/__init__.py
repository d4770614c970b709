"""Commands, configuration and control state shared by producers and appliers."""

__version__ = "0.1.0"  # as in pyproject.toml
