"""The one error of the sandbox: what went wrong, and the command that mends it."""

from typing import ClassVar

from bisync_topology.errors import CheckFailed


class SandboxError(CheckFailed):
    """A server could not be got or started. The hint is a command where there is one."""

    default_code: ClassVar[str] = "sandbox"
