"""Two real MySQL servers and a real Kafka broker on this machine, without Docker and without installing anything.

instances.py puts them together; mysql.py and kafka.py are a server each, process.py what they share; install.py gets
the programs (debian.py unpacks MySQL), cache.py keeps them.
"""

from sandbox.accounts import PASSWORD, USER, create_accounts, grants
from sandbox.errors import SandboxError
from sandbox.instances import Sandbox
from sandbox.kafka import KafkaBroker
from sandbox.mysql import MySQLServer

__all__ = [
    "PASSWORD",
    "USER",
    "KafkaBroker",
    "MySQLServer",
    "Sandbox",
    "SandboxError",
    "create_accounts",
    "grants",
]
