"""Everyday commands of the Docker CLIs, each over TCP and over a Unix socket."""

import json
import time

import pytest

from curl import target
from tools import IMAGE, PATIENCE, run, wait_for


def test_version_and_info(docker, dockerd):
    expected = dockerd.client.version()["Version"]
    assert docker.out("version", "--format", "{{.Server.Version}}") == expected
    assert docker.out("info", "--format", "{{.ServerVersion}}") == expected


def test_ps(docker, sleeper):
    assert docker.out("ps", "--format", "{{.Names}}") == sleeper
    assert docker.out("ps", "--quiet", "--filter", "name=nothing-has-this-name") == ""


def test_inspect(docker, sleeper):
    (described,) = json.loads(docker.out("inspect", sleeper))
    assert described["Name"] == f"/{sleeper}"
    assert described["Config"]["Image"] == IMAGE


def test_inspect_of_what_is_not_there(docker):
    absent = docker("inspect", "absent", ok=False)
    assert "No such object: absent" in absent.stderr


def test_run_detached(docker, engine, name):
    docker("run", "--detach", "--name", name, "--label", "a=b", IMAGE, "sleep", "600")
    container = engine.client.containers.get(name)
    assert (container.status, container.labels["a"]) == ("running", "b")


def test_run_prints_and_removes(docker, engine):
    """`run` asks /wait before it starts the container: the answer's head may not be held back."""
    assert docker.out("run", "--rm", IMAGE, "echo", "hello") == "hello"
    wait_for(lambda: not engine.client.containers.list(all=True), "the container to go")


def test_run_keeps_output_and_error_apart(docker):
    result = docker("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


@pytest.mark.parametrize("status", [3, 255])
def test_run_hands_on_the_exit_status(docker, status):
    result = docker("run", "--rm", IMAGE, "sh", "-c", f"exit {status}", ok=None)
    assert result.returncode == status


def test_create_start_stop_remove(docker, engine, name):
    docker("create", "--name", name, "--stop-signal", "KILL", IMAGE, "sleep", "600")
    container = engine.client.containers.get(name)
    for command, status in [("start", "running"), ("stop", "exited"), ("start", "running")]:
        docker(command, name)
        container.reload()
        assert container.status == status
    docker("rm", "--force", name)
    assert engine.client.containers.list(all=True) == []


def test_restart(docker, engine, sleeper):
    container = engine.client.containers.get(sleeper)
    before = container.attrs["State"]["StartedAt"]
    docker("restart", sleeper)
    container.reload()
    assert container.attrs["State"]["StartedAt"] > before


def test_kill_and_wait(docker, sleeper):
    waiting = docker.start("wait", sleeper)
    docker("kill", "--signal", "KILL", sleeper)
    assert waiting.communicate(timeout=PATIENCE)[0].strip() == "137"


def test_pause_and_unpause(docker, engine, sleeper):
    container = engine.client.containers.get(sleeper)
    for command, status in [("pause", "paused"), ("unpause", "running")]:
        docker(command, sleeper)
        container.reload()
        assert container.status == status


def test_rename(docker, engine, sleeper, name):
    docker("rename", sleeper, name)
    assert [one.name for one in engine.client.containers.list()] == [name]


def test_update(docker, engine, sleeper):
    docker("update", "--restart", "on-failure:3", sleeper)
    policy = engine.client.containers.get(sleeper).attrs["HostConfig"]["RestartPolicy"]
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_top(docker, sleeper):
    assert "sleep 600" in docker.out("top", sleeper)


def test_stats_once(docker, sleeper):
    line = docker.out("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", sleeper)
    assert line == f"{sleeper} 1"


def test_port(docker, engine):
    container = engine.run(
        "sleep", "600", network_mode="bridge", ports={"80/tcp": ("127.0.0.1", None)}
    )
    assert docker.out("port", container.name).startswith("80/tcp -> 127.0.0.1:")


def test_diff(docker, engine):
    container = engine.run("sh", "-c", "touch /made; exec sleep 600")
    wait_for(lambda: "A /made" in docker.out("diff", container.name), "the file in the diff")


def test_commit(docker, engine, sleeper, name):
    docker("commit", "--change", "ENV made=here", sleeper, f"{name}:one")
    assert "made=here" in engine.client.images.get(f"{name}:one").attrs["Config"]["Env"]


def test_network(docker, engine, name):
    container = engine.run("sleep", "600", network_mode="bridge").name
    docker("network", "create", "--internal", name)
    docker("network", "connect", "--alias", "other", name, container)
    (described,) = json.loads(docker.out("network", "inspect", name))
    assert described["Internal"] and len(described["Containers"]) == 1
    docker("network", "disconnect", name, container)
    docker("network", "rm", name)
    assert engine.client.networks.list(names=[name]) == []


def test_volume(docker, engine, name):
    docker("volume", "create", "--label", "a=b", name)
    assert docker.out("volume", "inspect", "--format", "{{.Labels.a}}", name) == "b"
    docker("run", "--rm", "--volume", f"{name}:/kept", IMAGE, "sh", "-c", "echo x >/kept/file")
    kept = docker.out("run", "--rm", "--volume", f"{name}:/kept:ro", IMAGE, "cat", "/kept/file")
    assert kept == "x"
    docker("volume", "rm", name)
    assert engine.client.volumes.list() == []


def test_system_df(docker):
    assert docker.out("system", "df", "--format", "{{.Type}}").splitlines()[0] == "Images"


def test_events_of_the_past_with_filters(docker, engine, sleeper, name):
    engine.run("true")
    until = str(int(time.time()) + 1)
    lines = docker.out(
        "events", "--since", "0", "--until", until,
        "--filter", f"container={sleeper}", "--filter", "event=start",
        "--format", "{{.Action}} {{.Actor.Attributes.name}}",
    )  # fmt: skip
    assert lines == f"start {sleeper}"


def test_many_at_once(docker, sleeper):
    """A burst of clients is served, none refused and none mixed up with another."""
    clients = [docker.start("inspect", "--format", "{{.Name}}", sleeper) for _ in range(25)]
    answers = [client.communicate(timeout=PATIENCE)[0].strip() for client in clients]
    assert set(answers) == {f"/{sleeper}"}


def test_names_and_ids_reach_the_same_container(docker, engine, sleeper):
    whole = engine.client.containers.get(sleeper).id
    for reference in (whole, whole[:12], whole[:6], sleeper):
        assert docker.out("inspect", "--format", "{{.Id}}", reference) == whole


def test_a_body_is_what_the_engine_sent(address, engine):
    """Byte for byte: the proxy neither parses nor prints it anew."""
    through = run("curl", "-s", *target(address, "/version"), ok=True, text=False).stdout
    direct = run("curl", "-s", *target(engine.address, "/version"), ok=True, text=False).stdout
    assert through == direct
