#!/usr/bin/env python3
"""`healthcheck producer east`: healthy when that process says of itself that it works, stands by or is paused.

Waiting for a server, and a direction that has failed, count as unhealthy: `docker compose ps` is to show both.
"""

import json
import subprocess
import sys

HEALTHY = ("running", "standby", "paused")


def main() -> int:
    """Ask `status`, which exits 3 for a failed direction and prints all the same."""
    done = subprocess.run(["bisync-topology", "status", "-o", "json"], capture_output=True, text=True, timeout=14, check=False)
    try:
        processes = json.loads(done.stdout)["processes"]
    except ValueError:
        sys.stdout.write(done.stderr)
        return 1
    name = " ".join(sys.argv[1:])
    process = next((process for process in processes if process["name"] == name), {"state": "absent"})
    sys.stdout.write(f"{name}: {process['state']} {process.get('detail') or ''}\n")
    return 0 if process["state"] in HEALTHY else 1


if __name__ == "__main__":
    sys.exit(main())
