"""docker-py, which reads raw sockets and chunks below its HTTP library."""

import io
import itertools
import os

import docker
import pytest

from curl import curl
from image import tar
from tools import IMAGE, PATIENCE


@pytest.fixture
def client(address):
    client = docker.DockerClient(base_url=address, timeout=PATIENCE)
    yield client
    client.close()


def test_version_is_negotiated(address, dockerd):
    """The constructor fails where GET /version does not answer."""
    client = docker.DockerClient(base_url=address, version="auto")
    assert client.api._version == dockerd.client.version()["ApiVersion"]
    client.close()


def test_life_of_a_container(client, name):
    container = client.containers.run(IMAGE, ["sleep", "600"], name=name, detach=True)
    assert [one.name for one in client.containers.list()] == [name]
    container.pause()
    container.unpause()
    container.restart(timeout=0)
    assert container.top()["Processes"][0][-1] == "sleep 600"
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get(name)


def test_run_returns_the_output(client):
    assert client.containers.run(IMAGE, ["echo", "hello"], remove=True) == b"hello\n"


def test_run_raises_with_the_exit_status(client):
    with pytest.raises(docker.errors.ContainerError) as failure:
        client.containers.run(IMAGE, ["sh", "-c", "echo why >&2; exit 3"])
    assert (failure.value.exit_status, failure.value.stderr) == (3, b"why\n")


def test_exec(client, sleeper):
    container = client.containers.get(sleeper)
    script = ["sh", "-c", "echo out; echo err >&2; exit 4"]
    result = container.exec_run(script, demux=True)
    assert (result.exit_code, result.output) == (4, (b"out\n", b"err\n"))


def test_exec_streams(client, sleeper):
    container = client.containers.get(sleeper)
    result = container.exec_run(["sh", "-c", "echo first; sleep 600"], stream=True)
    assert next(result.output) == b"first\n"


def test_exec_on_a_raw_socket(client, sleeper):
    """docker-py goes on below the HTTP reader: bytes that came with the head would be lost."""
    container = client.containers.get(sleeper)
    stream = container.exec_run(["cat"], stdin=True, socket=True, tty=True).output._sock
    stream.settimeout(PATIENCE)
    stream.sendall(b"word\n")
    received = b""
    while received.count(b"word") < 2:
        chunk = stream.recv(4096)
        assert chunk, received
        received += chunk
    stream.close()


def test_exec_resize(client, sleeper):
    made = client.api.exec_create(sleeper, ["sh", "-c", "read x; stty size"], tty=True, stdin=True)
    stream = client.api.exec_start(made, tty=True, socket=True)._sock
    client.api.exec_resize(made, height=35, width=111)
    stream.settimeout(PATIENCE)
    stream.sendall(b"\n")
    received = b""
    while chunk := stream.recv(4096):
        received += chunk
    assert b"35 111" in received
    assert client.api.exec_inspect(made)["ExitCode"] == 0


def test_container_resize(client, engine):
    container = engine.run("sh", "-c", "read x; stty size", tty=True, stdin_open=True)
    stream = client.containers.get(container.name).attach_socket(
        params={"stdin": 1, "stdout": 1, "stream": 1}
    )
    client.containers.get(container.name).resize(height=36, width=112)
    stream._sock.settimeout(PATIENCE)
    stream._sock.sendall(b"\n")
    received = b""
    while b"36 112" not in received:
        chunk = stream._sock.recv(4096)
        assert chunk, received
        received += chunk
    stream._sock.close()


def test_attach_streams(client, engine):
    container = engine.run("sh", "-c", "while true; do echo tick; sleep 0.1; done")
    stream = client.containers.get(container.name).attach(stream=True)
    assert next(stream) == b"tick\n"


def test_logs_follow(client, engine):
    container = engine.run("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    lines = client.containers.get(container.name).logs(stream=True, follow=True)
    assert b"".join(lines) == b"1\n2\n3\n"


def test_events(client, engine, sleeper):
    stream = client.events(decode=True, filters={"container": sleeper})
    container = engine.client.containers.get(sleeper)
    container.pause()
    container.unpause()
    assert [event["Action"] for event in itertools.islice(stream, 2)] == ["pause", "unpause"]
    stream.close()


def test_stats(client, sleeper):
    stream = client.containers.get(sleeper).stats(decode=True)
    assert [one["name"] for one in itertools.islice(stream, 2)] == [f"/{sleeper}"] * 2


def test_archives(client, sleeper):
    container = client.containers.get(sleeper)
    assert container.put_archive("/", tar({"put": b"content"}))
    stream, stat = container.get_archive("/put")
    assert stat["size"] == 7 and b"content" in b"".join(stream)


def test_images(client, engine, name):
    (built, _) = client.images.build(
        fileobj=io.BytesIO(f"FROM {IMAGE}\nRUN echo made >/made\n".encode()), tag=f"{name}:one"
    )
    saved = b"".join(built.save(named=True))
    client.images.remove(f"{name}:one")
    (loaded,) = client.images.load(saved)
    assert loaded.id == built.id and loaded.tags == [f"{name}:one"]
    assert loaded.history()


def test_networks_and_volumes(client, name):
    network = client.networks.create(name)
    volume = client.volumes.create(name)
    client.containers.run(
        IMAGE, ["touch", "/kept/file"], network=name, volumes={name: {"bind": "/kept"}}, remove=True
    )
    volume.remove()
    network.remove()
    assert client.volumes.list() == [] and client.networks.list(names=[name]) == []


def test_large_environment(client):
    """A create body of some hundred kilobytes is still judged and passed on whole."""
    word = os.urandom(50_000).hex()
    script = ["sh", "-c", "printf %s $WORD | wc -c"]
    output = client.containers.run(IMAGE, script, environment={"WORD": word}, remove=True)
    assert output == b"100000\n"


def test_refusal_is_an_api_error(proxy, front, sleeper):
    address = proxy(rules="GET %API_PREFIX_CONTAINERS%(/.*)?").addresses[front]
    client = docker.DockerClient(base_url=address)
    with pytest.raises(docker.errors.APIError) as refused:
        client.containers.get(sleeper).remove(force=True)
    client.close()
    assert refused.value.status_code == 403
    assert refused.value.explanation.startswith("cetusguard: ")
    assert curl(address, "GET", f"/containers/{sleeper}/json")[0] == 200
