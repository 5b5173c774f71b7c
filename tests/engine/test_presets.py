"""Clients and the presets made for them: with these rules and nothing else they work, and nothing is refused.

Debian, PyPI and npm have no package of the other clients: cAdvisor, ctop, Traefik and the like. For some of them a
library makes the calls that they are known to make.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from curl import curl
from tools import IMAGE, PATIENCE, require, run, wait_for

TESTCONTAINERS = Path(__file__).parent / "clients/python/with_testcontainers.py"

PROJECT = f"""
version: "3"
services:
  web:
    image: {IMAGE}
    command: sh -c 'echo serving; exec sleep 600'
    stop_signal: SIGKILL
    volumes: ["kept:/kept"]
    networks: [back]
networks:
  back:
volumes:
  kept:
"""


@pytest.fixture
def preset(proxy):
    """Starts a proxy with a preset and nothing else."""
    return lambda name, *flags: proxy(rules=None, flags=("--presets", name, *flags))


@pytest.fixture
def docker_py():
    """Connects docker-py."""
    clients = []

    def connect(address):
        clients.append(docker.DockerClient(base_url=address, timeout=PATIENCE))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def talker(engine):
    """The name of a running container that has printed a line."""
    container = engine.run("sh", "-c", "echo first; exec sleep 600")
    wait_for(container.logs, "its line")
    return container.name


def test_docker_cli_looks(preset, docker_at, engine, talker, name):
    one = preset("docker-cli-readonly")
    docker = docker_at(one.addresses["tcp"])
    engine.client.networks.create(name)
    engine.client.volumes.create(name)
    assert docker.out("ps", "--all", "--size", "--format", "{{.Names}}") == talker
    for kind in [(), ("container",)]:
        assert docker.out(*kind, "inspect", "--format", "{{.State.Status}}", talker) == "running"
    assert docker.out("logs", talker) == "first"
    assert "sleep 600" in docker.out("top", talker)
    assert talker in docker.out("stats", "--no-stream")
    assert talker in docker.out("stats", "--no-stream", talker)
    docker("diff", talker, ok=True)
    docker("port", talker, ok=True)
    assert docker.out("images", "--format", "{{.Repository}}:{{.Tag}}") == IMAGE
    assert docker.out("image", "inspect", "--format", "{{index .RepoTags 0}}", IMAGE) == IMAGE
    docker("history", IMAGE, ok=True)
    assert docker.out("volume", "ls", "--quiet") == name
    assert name in docker.out("volume", "inspect", name)
    assert name in docker.out("network", "ls")
    assert name in docker.out("network", "inspect", name)
    assert "Server Version" in docker.out("info")
    assert "Server" in docker.out("version")
    assert "Images" in docker.out("system", "df")
    assert "Images" in docker.out("system", "df", "--verbose")
    events = docker.out("events", "--since", "1h", "--until", "0s", "--filter", f"container={talker}")
    assert "container start" in events
    assert one.refused() == []


def test_docker_cli_changes_nothing(preset, docker_at, engine, sleeper, name):
    one = preset("docker-cli-readonly")
    docker = docker_at(one.addresses["tcp"])
    commands = {
        f"/containers/{sleeper}": ["rm", "--force", sleeper],
        f"/containers/{sleeper}/stop": ["stop", sleeper],
        f"/containers/{sleeper}/exec": ["exec", sleeper, "true"],
        "/containers/create": ["run", "--name", name, IMAGE, "true"],
    }
    for path, command in commands.items():
        method = "DELETE" if command[0] == "rm" else "POST"
        said = docker(*command, ok=False).stderr
        assert f"no rule of profile default allows {method} " in said and path in said
    assert engine.client.containers.get(sleeper).status == "running"
    refused = one.refused()
    assert [(reason, path.split("/", 2)[2]) for reason, _, path in refused] == [
        ("no_rule", path[1:]) for path in commands
    ]


def test_compose(preset, compose, engine, tmp_path):
    one = preset("compose")
    address = one.addresses["tcp"]
    (tmp_path / "docker-compose.yml").write_text(PROJECT)
    compose(address, "up", "-d")
    assert compose(address, "ps").stdout.count(" Up ") == 1
    assert "serving" in compose(address, "logs", "web").stdout
    result = compose(address, "exec", "-T", "web", "sh", "-c", "echo inside; exit 4", ok=None)
    assert (result.stdout, result.returncode) == ("inside\n", 4)
    (tmp_path / "docker-compose.yml").write_text(PROJECT.replace("echo serving", "echo again"))
    for command in ["up -d", "top", "images", "restart", "pause", "unpause", "stop", "start", "kill"]:
        compose(address, *command.split())
    once = compose(address, "run", "--rm", "-T", "web", "sh", "-c", "echo once; exit 6", ok=None)
    assert (once.stdout, once.returncode) == ("once\n", 6)
    (tmp_path / "docker-compose.yml").write_text(PROJECT.replace("exec sleep 600", "exit 3"))
    attached = compose(address, "up", "--abort-on-container-exit", "--exit-code-from", "web", ok=None)
    assert "serving" in attached.stdout and attached.returncode == 3
    compose(address, "down")
    assert engine.client.containers.list(all=True) == []
    assert engine.client.networks.list(filters={"type": "custom"}) == []
    assert one.refused() == []


def test_compose_keeps_volumes(preset, compose, engine, tmp_path):
    """To remove them is an optional line of the preset."""
    one = preset("compose")
    (tmp_path / "docker-compose.yml").write_text(PROJECT)
    compose(one.addresses["tcp"], "up", "-d")
    said = compose(one.addresses["tcp"], "down", "--volumes", ok=None)
    (volume,) = engine.client.volumes.list()
    assert f"/volumes/{volume.name}" in said.stderr
    ((reason, method, path),) = one.refused()
    assert (reason, method) == ("no_rule", "DELETE") and path.endswith(f"/volumes/{volume.name}")


def test_glances(preset, talker, tmp_path):
    one = preset("glances")
    fields = ["name", "status", "image", "memory_usage"]
    asked = ",".join(f"containers.{talker}.{field}" for field in fields)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": one.addresses["tcp"]}
    command = ["-m", "glances", "--disable-check-update", "--time", "1", "--stop-after", "3"]
    said = run(sys.executable, *command, "--stdout", asked, ok=True, env=env).stdout
    told = dict(line.rsplit(": ", 1) for line in said.splitlines() if ": " in line)
    name, status, image, memory = [told[field] for field in asked.split(",")]
    assert (name, status) == (talker, "running") and IMAGE in image and int(memory) > 0
    assert one.refused() == []


def test_testcontainers(preset, tmp_path):
    one = preset("testcontainers")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TESTCONTAINERS_RYUK_DISABLED": "true"}
    env["DOCKER_HOST"] = one.addresses["tcp"]
    said = run(sys.executable, TESTCONTAINERS, IMAGE, ok=True, env=env).stdout
    assert json.loads(said) == {"exec": [0, "inside\n"], "logs": "ready\n", "port": True}
    assert one.refused() == []


def test_prometheus_finds_containers(preset, sleeper, tmp_path):
    program = require("prometheus")
    one = preset("prometheus-sd")
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    discovery = {"host": one.addresses["tcp"], "refresh_interval": "1s"}
    jobs = [{"job_name": "found", "scrape_interval": "1h", "docker_sd_configs": [discovery]}]
    (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": jobs}))
    (tmp_path / "log").touch()
    command = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={place}"], cwd=tmp_path, stdout=log, stderr=log
        )

    def found():
        try:
            status, body = curl(f"tcp://{place}", "GET", "/api/v1/targets")
        except AssertionError:
            return False
        targets = json.loads(body)["data"]["activeTargets"] if status == 200 else []
        return [one["discoveredLabels"]["__meta_docker_container_name"] for one in targets]

    try:
        assert wait_for(found, "a target") == [f"/{sleeper}"]
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)
    assert one.refused() == []


@pytest.mark.parametrize(
    "client, asks, outcome",
    [
        ("homepage", "homepage", lambda name: [f"/{name}", "running", f"/{name}"]),
        ("dozzle", "dozzle", lambda name: {"host": True, "names": [f"/{name}"] * 3, "event": "start", "line": "first\n"}),
        ("uptime-kuma", "uptimeKuma", lambda name: [f"/{name}", True]),
    ],
)
def test_calls_through_dockerode(preset, dockerode, talker, client, asks, outcome):
    one = preset(client)
    assert dockerode(one.addresses["unix"], asks, talker) == {"outcome": outcome(talker)}
    assert one.refused() == []


def test_calls_of_traefik(preset, docker_py, sleeper):
    one = preset("traefik")
    client = docker_py(one.addresses["unix"])
    client.version()
    (listed,) = client.api.containers()
    assert client.api.inspect_container(listed["Id"])["Name"] == f"/{sleeper}"
    stream = client.events(decode=True, since=1, filters={"type": "container", "container": sleeper})
    assert next(stream)["Action"] == "create"
    stream.close()
    assert one.refused() == []


def test_calls_of_diun(preset, docker_py, sleeper):
    one = preset("diun")
    client = docker_py(one.addresses["unix"])
    client.version()
    (listed,) = client.api.containers(filters={"status": ["running"]})
    assert client.api.inspect_image(listed["Image"])["RepoTags"] == [IMAGE]
    assert one.refused() == []


def test_calls_of_watchtower(preset, docker_py, engine, name):
    """A container in two networks is made anew with the settings that the engine told of the old one."""
    # With version 1 every container shares the host's namespace, and a new one is to share it as well.
    is_old = engine.client.info()["CgroupVersion"] == "1"
    one = preset("watchtower", *(["--guard-allow", "host-namespace=cgroup"] if is_old else []))
    client = docker_py(one.addresses["unix"])
    nets = [engine.client.networks.create(f"{name}-{net}").name for net in ("one", "two")]
    settings = {"network_mode": None, "network": nets[0], "ports": {"80/tcp": ("127.0.0.1", None)}}
    settings |= {"volumes": [f"{name}:/kept"], "restart_policy": {"Name": "always"}, "environment": ["A=b"]}
    engine.client.networks.get(nets[1]).connect(engine.run("sleep", "600", name=name, **settings))

    client.info()
    (listed,) = client.api.containers()
    old = client.api.inspect_container(listed["Id"])
    client.api.inspect_image(old["Image"])
    # There is no registry here; the answer is the engine's.
    with pytest.raises(docker.errors.APIError) as failure:
        client.images.pull("localhost:1/none")
    assert "cetusguard" not in str(failure.value)
    client.api.stop(name, timeout=1)
    client.api.remove_container(name, force=True)
    networks = old["NetworkSettings"]["Networks"]
    made = {**old["Config"], "HostConfig": old["HostConfig"]}
    made["NetworkingConfig"] = {"EndpointsConfig": {nets[0]: networks[nets[0]]}}
    client.api.create_container_from_config(made, name)
    client.api.connect_container_to_network(name, nets[1])
    client.api.start(name)

    new = engine.client.containers.get(name)
    assert new.status == "running" and new.id != old["Id"]
    assert set(new.attrs["NetworkSettings"]["Networks"]) == set(nets)
    assert one.refused() == []


def test_autoheal_writes_json_into_its_query_as_it_is(preset, engine, front):
    one = preset("autoheal")
    check = {"test": ["CMD", "false"], "interval": 100_000_000, "retries": 1}
    container = engine.run("sleep", "600", healthcheck=check, labels={"autoheal": "true"})
    path = '/containers/json?filters={"health":["unhealthy"],"label":["autoheal=true"]}'
    # --globoff, so that curl leaves the braces alone.
    ask = lambda: json.loads(curl(one.addresses[front], "GET", path, "--globoff")[1])
    (listed,) = wait_for(ask, "an unhealthy container")
    started = engine.client.api.inspect_container(container.id)["State"]["StartedAt"]
    assert curl(one.addresses[front], "POST", f"/containers/{listed['Id']}/restart?t=1")[0] == 204
    assert engine.client.api.inspect_container(container.id)["State"]["StartedAt"] != started
    assert one.refused() == []
