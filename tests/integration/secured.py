"""A broker that lets nobody in without an account or a certificate, and nobody do anything without an ACL.

Through a link of the test's own it is reached too, as the administrator.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from certificates import Authority
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from links import Link

from sandbox.kafka import KafkaBroker
from sandbox.process import free_port

Grant = tuple[ResourceType, str, ResourcePatternType, Sequence[AclOperation]]


class SecuredBroker:
    """Listeners for SCRAM over SASL_SSL and for clients' certificates; plain ones, one behind `link`, are the administrator's."""

    def __init__(self, root: Path, authority: Authority) -> None:
        self._authority = authority
        self.broker = KafkaBroker(root)
        self._sasl, self._mutual, behind_link = free_port(), free_port(), free_port()
        self.link = Link(behind_link)
        certificate, key = authority.issue("broker", "127.0.0.1")
        store = root / "broker-store.pem"
        store.write_bytes(key.read_bytes() + certificate.read_bytes())
        addresses = f"BROKER://{self.broker.bootstrap},SASL://127.0.0.1:{self._sasl},MUTUAL://127.0.0.1:{self._mutual}"
        listening = f"{addresses},LINK://127.0.0.1:{behind_link}"
        controller = f"CONTROLLER://127.0.0.1:{self.broker.controller_port}"
        self.broker.overrides = {
            "listeners": f"{listening},{controller}",
            "advertised.listeners": f"{addresses},LINK://127.0.0.1:{self.link.port}",
            "listener.security.protocol.map": "BROKER:PLAINTEXT,LINK:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(store),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.ca),
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.sasl.sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.sasl.scram-sha-256.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }

    def start(self) -> None:
        """Start it, with nobody's account."""
        self.broker.start()
        self._admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})

    def stop(self) -> None:
        """Stop it."""
        self.broker.stop()
        self.link.close()

    def add_user(self, name: str, password: str) -> None:
        """Make an account."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
        (future,) = self._admin.alter_user_scram_credentials(
            [UserScramCredentialUpsertion(name, info, password.encode())]
        ).values()
        future.result()

    def grant(self, principal: str, grants: Sequence[Grant]) -> None:
        """Allow a principal these operations, and nothing else any more."""
        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, principal, None, AclOperation.ANY, AclPermissionType.ANY
        )
        for gone in self._admin.delete_acls([everything]).values():
            gone.result()
        bindings = [
            AclBinding(resource, name, pattern, principal, "*", operation, AclPermissionType.ALLOW)
            for resource, name, pattern, operations in grants
            for operation in operations
        ]
        for made in self._admin.create_acls(bindings).values() if bindings else ():
            made.result()

    def by_password(self, name: str, password: str) -> Mapping[str, str]:
        """The `kafka` of a topology.yaml with an account."""
        return {
            "bootstrap.servers": f"127.0.0.1:{self._sasl}",
            "security.protocol": "SASL_SSL",
            "sasl.mechanisms": "SCRAM-SHA-256",
            "sasl.username": name,
            "sasl.password": password,
            "ssl.ca.location": str(self._authority.ca),
        }

    def by_certificate(self, name: str) -> Mapping[str, str]:
        """The same with a certificate; its principal is User:CN=<name>."""
        certificate, key = self._authority.issue(name)
        return {
            "bootstrap.servers": f"127.0.0.1:{self._mutual}",
            "security.protocol": "SSL",
            "ssl.ca.location": str(self._authority.ca),
            "ssl.certificate.location": str(certificate),
            "ssl.key.location": str(key),
        }
