"""Logs with structlog: for people on a terminal, JSON otherwise. BISYNC_LOG_LEVEL sets the level (default info)."""

import logging
import os
import sys

import structlog


def configure() -> None:
    """Set the process's logging up once; everything goes to stderr, as stdout is for what a command prints."""
    level = logging.getLevelNamesMapping().get(os.environ.get("BISYNC_LOG_LEVEL", "info").upper(), logging.INFO)
    renderer: structlog.typing.Processor
    renderer = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
