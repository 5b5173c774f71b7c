"""The engine restarts under the proxy, and the proxy itself stops in peace."""

from docker import DockerClient

from curl import curl
from tools import IMAGE, PATIENCE


def test_calls_after_a_restart(docker, engine):
    assert docker.out("images", "--format", "{{.Repository}}:{{.Tag}}") == IMAGE
    engine.restart()
    assert docker.out("images", "--format", "{{.Repository}}:{{.Tag}}") == IMAGE


def test_kept_connection_after_a_restart(address, engine):
    """A client that keeps its connection is not sent to the engine that has gone."""
    client = DockerClient(base_url=address)
    assert client.ping()
    engine.restart()
    assert client.ping()
    client.close()


def test_streams_end_with_the_engine(docker, engine, sleeper):
    events = docker.start("events", "--since", "0", "--filter", f"container={sleeper}")
    logs = docker.start("logs", "--follow", sleeper)
    events.stdout.readline()
    engine.restart()
    for client in (events, logs):
        client.communicate(timeout=PATIENCE)


def test_engine_that_is_away(address, engine):
    engine.halt()
    try:
        status, body = curl(address, "GET", "/containers/json")
    finally:
        engine.start()
    assert status == 502
    assert body.startswith('{"message":"cetusguard: ') and str(engine.socket) in body
    assert curl(address, "GET", "/containers/json")[0] == 200


def test_sigterm_lets_a_request_finish(docker, open_proxy, engine):
    """A stop that the engine is still busy with is answered before the proxy ends."""
    container = engine.run(
        "sh", "-c", "trap '' TERM; while true; do sleep 0.1; done", stop_signal="TERM"
    )
    events = engine.client.events(filters={"container": container.name, "event": "kill"})
    stopping = docker.start("stop", "-t", "1", container.name)
    next(events)
    open_proxy.terminate()
    assert stopping.communicate(timeout=PATIENCE)[0].strip() == container.name
    assert stopping.returncode == 0
    assert open_proxy.process.wait(timeout=PATIENCE) == 0
    events.close()


def test_sigterm_ends_streams(docker, open_proxy, engine):
    container = engine.run("sh", "-c", "echo first; exec sleep 600")
    client = docker.start("logs", "--follow", container.name)
    assert client.stdout.readline() == "first\n"
    open_proxy.terminate()
    client.communicate(timeout=PATIENCE)
    assert open_proxy.process.wait(timeout=PATIENCE) == 0


def test_sigterm_removes_the_socket(open_proxy):
    """A socket file left behind would keep clients from seeing that nobody listens."""
    path = open_proxy.home / "front.sock"
    assert path.is_socket()
    open_proxy.terminate()
    open_proxy.process.wait(timeout=PATIENCE)
    assert not path.exists()
