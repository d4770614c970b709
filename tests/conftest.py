"""Makes `tests` importable, so that folders share a harness: `from faults.harness import Cluster`."""
