"""Answers that have no end: they arrive as they are made, and leave nothing behind."""

import itertools
import signal
import time

import pytest
from docker import DockerClient

from test_hijack import connect, read_until
from tools import PATIENCE, run, wait_for

TICK = "i=0; while true; do i=$((i+1)); echo line $i; sleep 0.1; done"


def test_logs(docker, engine):
    container = engine.run("sh", "-c", "echo out; echo err >&2")
    container.wait()
    result = docker("logs", container.name)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert docker("logs", "--tail", "0", container.name).stdout == ""


def test_logs_of_a_long_run_are_whole(docker, engine):
    container = engine.run("seq", "50000")
    container.wait()
    lines = docker.out("logs", container.name, timeout=2 * PATIENCE).split("\n")
    assert lines == [str(number) for number in range(1, 50001)]


def test_logs_follow_live_and_end_with_the_container(docker, engine):
    container = engine.run("sh", "-c", "echo first; exec sleep 600")
    following = docker.start("logs", "--follow", container.name)
    assert following.stdout.readline() == "first\n"
    container.kill()
    assert following.wait(timeout=PATIENCE) == 0
    following.communicate()


def test_events_live_with_filters(docker, engine, sleeper):
    since = str(int(time.time()))
    watching = docker.start(
        "events", "--since", since, "--filter", f"container={sleeper}",
        "--filter", "event=pause", "--filter", "event=unpause", "--format", "{{.Action}}",
    )  # fmt: skip
    container = engine.client.containers.get(sleeper)
    container.pause()
    assert watching.stdout.readline() == "pause\n"
    # The stream is open by now: this one cannot come from the past.
    container.unpause()
    assert watching.stdout.readline() == "unpause\n"
    interrupt(watching)


def test_stats_stream(docker, sleeper):
    watching = docker.start("stats", "--format", "{{.Name}}", sleeper)
    seen = (sleeper in line for line in watching.stdout)
    # Lines that clear the screen come between those with figures.
    assert sum(1 for _ in itertools.islice(filter(None, seen), 3)) == 3
    watching.kill()
    watching.communicate()


def test_the_head_comes_before_the_body(address, sleeper):
    """/wait answers its head at once and its body at the end; clients start containers between."""
    request = f"POST /containers/{sleeper}/wait HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
    # curl keeps the head back until there is a body.
    with connect(address) as waiting:
        waiting.sendall(request.encode())
        head = read_until(waiting, b"\r\n\r\n")
    # The container still runs, and so there is no body.
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and head.endswith(b"\r\n\r\n")


@pytest.mark.one_loop
def test_a_client_that_leaves_is_gone_everywhere(docker, open_proxy, engine):
    """Killed clients leave no connection in the proxy and none at the engine."""
    container = engine.run("sh", "-c", TICK)
    docker("logs", container.name)
    descriptors, connections = open_proxy.descriptors(), engine.connections()
    clients = []
    for _ in range(5):
        clients.append(docker.start("logs", "--follow", container.name))
        clients[-1].stdout.readline()
    assert open_proxy.descriptors() >= descriptors + 5
    for client in clients:
        client.kill()
        client.communicate()
    wait_for(lambda: open_proxy.descriptors() <= descriptors, "the proxy to close")
    wait_for(lambda: engine.connections() <= connections, "the engine to be left")


@pytest.mark.one_loop
def test_a_silent_stream_is_given_up_too(docker, open_proxy, engine, sleeper):
    """Nothing is written, so only the client's end of connection tells that it left."""
    docker("logs", sleeper)
    descriptors, connections = open_proxy.descriptors(), engine.connections()
    clients = [
        start_stream(docker, open_proxy, "logs", "--follow", sleeper),
        start_stream(docker, open_proxy, "wait", sleeper),
    ]
    for client in clients:
        client.kill()
        client.communicate()
    wait_for(lambda: open_proxy.descriptors() <= descriptors, "the proxy to close")
    wait_for(lambda: engine.connections() <= connections, "the engine to be left")


def start_stream(docker, proxy, *command):
    """Start a client and wait until the proxy's log says that its stream is open."""
    before = len(proxy.records(msg="stream started"))
    client = docker.start(*command)
    wait_for(lambda: len(proxy.records(msg="stream started")) > before, "the stream")
    return client


def test_a_hundred_open_streams(address, open_proxy, engine, sleeper):
    """Open event streams are served side by side, and cost little memory each."""
    clients = [DockerClient(base_url=address) for _ in range(100)]
    streams = [client.events(filters={"event": "pause"}, decode=True) for client in clients]
    engine.client.containers.get(sleeper).pause()
    assert all(next(stream)["Action"] == "pause" for stream in streams)
    assert open_proxy.peak_memory() < 32 * 1024
    for stream, client in zip(streams, clients, strict=True):
        stream.close()
        client.close()


def interrupt(process):
    """End a client as ctrl-C does."""
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
