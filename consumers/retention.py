"""Conflicts that were settled long ago are deleted, a few at a time: between two transactions, in transactions of their own."""

from __future__ import annotations

import time

import pymysql.err
import structlog

from bisync_topology.control import Control
from bisync_topology.error_table import Category
from bisync_topology.errors import classify
from bisync_topology.ownership import now_us
from bisync_topology.topology import RETENTION_FOREVER

log = structlog.get_logger()
BATCH = 500  # rows of one transaction
IDLE_SECONDS = 60.0  # between two looks while there is nothing to apply,
BUSY_SECONDS = 300.0  # and while there is


class Retention:
    """The age of one direction's conflicts."""

    def __init__(self, control: Control, source_side: str) -> None:
        self._control = control
        self._source = source_side
        self._kept = control.topology.conflicts.retention_ms
        self._looked = float("-inf")  # when none was found that is old enough

    def delete_when_due(self, *, idle: bool) -> None:
        """Delete a batch, if it is time to look for one. To be called where no transaction is open.

        Raises pymysql.err.MySQLError for an outage; whoever holds the rows has them until the next look.
        """
        if self._kept == RETENTION_FOREVER or time.monotonic() - self._looked < (IDLE_SECONDS if idle else BUSY_SECONDS):
            return
        before = now_us() - self._kept * 1000
        try:
            deleted = self._control.matched("delete_conflicts", self._control.topology.name, self._source, before, BATCH)
            self._control.connection.commit()
        except pymysql.err.MySQLError as error:
            if classify(error) is not Category.RETRY_TRANSACTION:
                raise
            self._control.connection.rollback()
            deleted = 0
        if deleted:
            log.info("conflicts settled long ago were deleted", source=self._source, number=deleted)
        if deleted < BATCH or not idle:
            self._looked = time.monotonic()
