"""TLS towards MySQL: each mode, against servers with certificates of an authority of the test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority
from topologies import World

from sandbox.instances import Sandbox

pytestmark = pytest.mark.servers
QUICK = {"BISYNC_TEST_START_SECONDS": "2"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the servers' certificates."""
    return Authority(_open_folder(tmp_path_factory), "authority")


@pytest.fixture
def tls_world(world: World, servers: Sandbox, authority: Authority) -> Iterator[World]:
    """A topology whose servers have certificates for 127.0.0.1; as they were afterwards."""
    kept = {side: world.sql(side, "SELECT @@ssl_ca, @@ssl_cert, @@ssl_key")[0] for side in world.sides}
    for side in world.sides:
        certify(world, side, authority, "127.0.0.1", "localhost")
    yield world
    for side, files in kept.items():
        _use(world, side, *(str(file) for file in files))


def _open_folder(factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp("certificates")
    for each in (folder, *folder.parents[:2]):  # the server runs as a user of its own
        each.chmod(0o755)
    return folder


def certify(world: World, side: str, authority: Authority, *hosts: str) -> None:
    """Give a server a certificate for these names."""
    certificate, key = authority.issue(f"server-{side}", *hosts)
    _use(world, side, str(authority.ca), str(certificate), str(key))


def _use(world: World, side: str, ca: str, certificate: str, key: str) -> None:
    files = f"SET GLOBAL ssl_ca = '{ca}', ssl_cert = '{certificate}', ssl_key = '{key}'"
    world.sql(side, files, "ALTER INSTANCE RELOAD TLS")


def secure(world: World, **settings: object) -> None:
    """The same `ssl` for both sides."""
    for side in world.topology["sides"].values():
        side["mysql"]["ssl"] = {name: str(value) for name, value in settings.items()}


def links(world: World, side: str) -> set[str]:
    """How this topology's connections to a side are carried: `SSL/TLS` or `TCP/IP`; the binlog stream is one of them."""
    user = f"PROCESSLIST_USER = '{world.user}'"
    streams = world.sql(
        side, f"SELECT COUNT(*) FROM performance_schema.threads WHERE {user} AND PROCESSLIST_COMMAND LIKE 'Binlog Dump%'"
    )
    assert streams == ((1,),)
    found = world.sql(side, f"SELECT DISTINCT CONNECTION_TYPE FROM performance_schema.threads WHERE {user}")
    return {kind for (kind,) in found}


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        pytest.param("disabled", "TCP/IP", marks=pytest.mark.long),
        ("preferred", "SSL/TLS"),
        pytest.param("required", "SSL/TLS", marks=pytest.mark.long),
        ("verify_identity", "SSL/TLS"),
    ],
)
def test_every_connection_is_as_configured(tls_world: World, authority: Authority, mode: str, kind: str) -> None:
    """Stream, control and apply connections alike; changes flow both ways."""
    world = tls_world
    secure(world, mode=mode, **({"ca": authority.ca} if mode == "verify_identity" else {}))
    world.exchange()
    assert [links(world, side) for side in world.sides] == [{kind}] * 2


def test_client_certificates(tls_world: World, authority: Authority) -> None:
    """An account that requires one is not let in without, and is with it, for the stream too."""
    world = tls_world
    table = world.table()
    for side in world.sides:
        ((host,),) = world.sql(side, f"SELECT Host FROM mysql.user WHERE User = '{world.user}'")
        world.sql(side, f"ALTER USER {world.user}@'{host}' REQUIRE X509")
    secure(world, mode="verify_ca", ca=authority.ca)
    assert "Access denied" in world.run("up", expect=2, **QUICK)
    certificate, key = authority.issue("client")
    secure(world, mode="verify_ca", ca=authority.ca, cert=certificate, key=key)
    world.up()
    world.sql("east", f"INSERT INTO {table} VALUES (1, 1)")
    world.run("wait")
    assert links(world, "east") == {"SSL/TLS"}


def test_a_foreign_authority_and_a_wrong_name(
    tls_world: World, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """verify_ca refuses a certificate of another authority, verify_identity one for another name, which verify_ca takes."""
    world = tls_world
    world.table()
    foreign = Authority(_open_folder(tmp_path_factory), "foreign")
    for mode in ("verify_ca", "verify_identity"):
        secure(world, mode=mode, ca=foreign.ca)
        said = world.run("up", expect=2, **QUICK)
        assert "certificate verify failed" in said and "sides.*.mysql.ssl" in said, said
        assert world.untouched()
    for side in world.sides:
        certify(world, side, authority, "db.example.com")
    secure(world, mode="verify_identity", ca=authority.ca)
    said = world.run("up", expect=2, **QUICK)
    assert "127.0.0.1" in said and "sides.*.mysql.ssl" in said, said
    assert world.untouched()
    secure(world, mode="verify_ca", ca=authority.ca)
    assert "Traceback" not in world.run("precheck")
