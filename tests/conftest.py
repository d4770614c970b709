"""Makes `tests` importable, so that folders share a harness. Orders the folders. Keeps the long tests for later.

A test that is marked `long` is another form of one that every run has. `make test-long` runs them too; elsewhere pytest's
closing line counts them as deselected.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

# A machine may be busy: how long an example takes, to be made or to run, is nothing that a test asserts.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# In this order the servers of most folders end behind their last test, instead of lying idle. What takes longest is first, and
# what is short is last, so that several workers end at about the same time.
FOLDERS = ("faults", "ddl", "scenarios", "integration", "unit")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Order the folders; leave out what is long, unless BISYNC_TEST_LONG is set."""
    items.sort(key=lambda item: FOLDERS.index(item.path.parent.name))
    if os.environ.get("BISYNC_TEST_LONG"):
        return
    long = [item for item in items if item.get_closest_marker("long") is not None]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
