"""Both sides hammered on the same keys, with kills: equal afterwards under convergent policies, and every lost write on record.

BISYNC_TEST_HAMMER: seconds for each policy (default 15); `make hammer` takes five minutes for each.
"""

import os
import time
from collections import Counter
from random import Random

import pytest

from faults.compare import differences
from faults.hammer import DATABASE, STOCK, Writer, lost, on_record, prepare, sums
from faults.harness import SIDES, WORKERS, Cluster
from sandbox.instances import Sandbox

SECONDS = float(os.environ.get("BISYNC_TEST_HAMMER", "15"))
pytestmark = [pytest.mark.servers, pytest.mark.timeout(int(SECONDS) * 3 + 600)]


@pytest.mark.parametrize("policy", ["site_priority", "newest", "merge"])
def test_both_sides_on_the_same_keys(fault_servers: Sandbox, policy: str) -> None:
    """Inserts, updates, deletes, changes of keys and of unique values by two writers a side, while processes are killed.

    What both sides add to quantities under `delta_columns` is all in the sums.
    """
    cluster = Cluster(fault_servers, name=f"hammer-{policy}")
    settings = {"on_conflict": policy, "version_column": "version", "deletes": "lose" if policy == "merge" else "win"}
    if policy != "newest":
        del settings["version_column"]
    tables = {f"{DATABASE}.*": settings, f"{DATABASE}.stock": {**settings, "delta_columns": ["qty"]}}
    cluster.configure((DATABASE,), both={"tables": tables})
    prepare(cluster)
    writers = [Writer(cluster, side, number) for side in SIDES for number in (1, 2)]
    chance = Random(policy)
    kills = 0
    try:
        cluster.start()
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + SECONDS
        while (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, chance.uniform(1, 5)))
            name = chance.choice(WORKERS)
            cluster[name].kill()
            kills += 1
            cluster.start(name)
        for writer in writers:
            writer.stop()
        cluster.command("wait", "--timeout", "300", seconds=330)
        assert differences(cluster, [DATABASE]) == []
        missing = lost(cluster, writers)
        assert missing - on_record(cluster) == set()
        added = sum((writer.added for writer in writers), Counter())
        assert sums(cluster, "east") == {n: 1000 + added[n] for n in range(STOCK)}
        counted = "SELECT COUNT(*) FROM bisync.conflicts WHERE topology = %s"
        met = {side: cluster.sql(side, counted, cluster.name)[0][0] for side in SIDES}
        transactions = sum(writer.transactions for writer in writers)
        print(f"{policy}: {transactions} transactions, {kills} kills, {len(missing)} lost writes, all on record; conflicts {met}")
        assert missing
        cluster.stop()
    finally:
        for writer in writers:
            writer._stop.set()
        cluster.kill_all()
