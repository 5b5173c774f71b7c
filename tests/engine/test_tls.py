"""TLS with client certificates, towards the clients and towards the engine."""

import shutil
import socket

import docker
import pexpect
import pytest

from certificates import authority, leaf
from curl import curl
from engine import Dockerd
from tools import IMAGE, PATIENCE, run, wait_for

# One engine behind TLS serves all tests.
pytestmark = pytest.mark.xdist_group("tls")

TCP = ("tcp://127.0.0.1:0",)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Folders as DOCKER_CERT_PATH wants them: `client`, of our authority, and `stranger`."""
    folder = tmp_path_factory.mktemp("certificates")
    for issuer, name in [("ours", "client"), ("foreign", "stranger")]:
        authority(folder, issuer)
        place = leaf(folder, issuer, name, "clientAuth")
        # Both trust the server; what differs is who signed the client.
        shutil.copy(folder / "ours.pem", place / "ca.pem")
    leaf(folder, "ours", "server", "serverAuth")
    return folder


@pytest.fixture
def guard(proxy, certificates):
    return proxy(
        frontends=TCP, flags=files("frontend", certificates / "ours.pem", certificates / "server")
    )


def files(side, authority_file, place):
    return [
        f"--{side}-tls-cacert", authority_file,
        f"--{side}-tls-cert", place / "cert.pem",
        f"--{side}-tls-key", place / "key.pem",
    ]  # fmt: skip


@pytest.fixture
def secure(docker_at, guard, certificates):
    """The Docker CLI with the client's certificate."""
    path = str(certificates / "client")
    return docker_at(guard.addresses["tcp"], DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=path)


def test_with_a_client_certificate(secure, sleeper):
    assert sleeper in secure.out("ps", "--format", "{{.Names}}").split()
    assert secure.out("run", "--rm", IMAGE, "echo", "hello") == "hello"


def test_half_close_travels_through_tls(secure, sleeper):
    """The end of input is a close_notify here, and the answer comes after it."""
    script = "cat; echo after"
    assert secure.out("exec", "-i", sleeper, "sh", "-c", script, input="x\n") == "x\nafter"


def test_terminal(secure, sleeper):
    terminal = secure.terminal("exec", "-it", sleeper, "sh", "-c", "stty size; read x; exit $x")
    terminal.sendline("6")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 6


def test_follow_and_leave(secure, guard, engine):
    container = engine.run("sh", "-c", "echo first; exec sleep 600")
    secure("logs", container.name)
    descriptors = guard.descriptors()
    client = secure.start("logs", "--follow", container.name)
    assert client.stdout.readline() == "first\n"
    client.kill()
    client.communicate()
    wait_for(lambda: guard.descriptors() <= descriptors, "the proxy to close")


def test_large_copy(secure, sleeper, tmp_path):
    (tmp_path / "source").write_bytes(bytes(range(256)) * 4096 * 16)
    secure("cp", tmp_path / "source", f"{sleeper}:/copied")
    secure("cp", f"{sleeper}:/copied", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "source").read_bytes()


def test_with_a_certificate_of_another_authority(docker_at, guard, certificates):
    path = str(certificates / "stranger")
    stranger = docker_at(guard.addresses["tcp"], DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH=path)
    assert stranger("ps", ok=False).stdout.strip() == ""
    assert not guard.records(path="/v1.41/containers/json")


def test_without_tls(docker_at, guard):
    docker_at(guard.addresses["tcp"])("ps", ok=False)


def test_without_a_certificate(guard, certificates):
    """Nothing is answered to a client that shows no certificate."""
    url = guard.addresses["tcp"].replace("tcp", "https") + "/_ping"
    ca = certificates / "ours.pem"
    result = run(
        "curl", "--silent", "--show-error", "--max-time", str(PATIENCE), "--cacert", ca, url, ok=False
    )
    assert result.stdout == "" and "certificate required" in result.stderr


def test_docker_py(guard, certificates, sleeper, monkeypatch):
    # requests prefers these to the authority that its caller gives.
    for variable in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(variable, raising=False)
    place = certificates / "client"
    tls = docker.tls.TLSConfig(
        client_cert=(str(place / "cert.pem"), str(place / "key.pem")),
        ca_cert=str(place / "ca.pem"), verify=True,
    )  # fmt: skip
    client = docker.DockerClient(base_url=guard.addresses["tcp"], tls=tls)
    result = client.containers.get(sleeper).exec_run(["echo", "hello"])
    assert result.output == b"hello\n"
    client.close()


@pytest.fixture(scope="module")
def tls_engine(certificates):
    """A second engine, which wants a client certificate on its TCP port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    engine = Dockerd(
        "--host", f"tcp://127.0.0.1:{port}", "--tlsverify",
        "--tlscacert", certificates / "ours.pem",
        "--tlscert", certificates / "server/cert.pem",
        "--tlskey", certificates / "server/key.pem",
    )  # fmt: skip
    engine.tls_address = f"tcp://127.0.0.1:{port}"
    yield engine
    engine.close()


def test_engine_behind_tls(docker_at, proxy, front, tls_engine, certificates):
    flags = files("backend", certificates / "ours.pem", certificates / "client")
    docker = docker_at(proxy(backend=tls_engine.tls_address, flags=flags).addresses[front])
    container = tls_engine.run("sleep", "600").name
    assert docker.out("ps", "--format", "{{.Names}}") == container
    assert docker.out("exec", "-i", container, "cat", input="x\n") == "x"
    tls_engine.sweep()


def test_engine_that_another_authority_signed(proxy, tls_engine, certificates):
    flags = files("backend", certificates / "foreign.pem", certificates / "client")
    guard = proxy(backend=tls_engine.tls_address, flags=flags)
    status, body = curl(guard.addresses["tcp"], "GET", "/containers/json")
    assert status == 502 and "certificate" in body
