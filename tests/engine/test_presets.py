"""Clients and the presets made for them: with these rules and nothing else they work, and nothing is refused.

Debian, PyPI and npm have no package of the other clients: cAdvisor, ctop, Traefik and the like. For some of them a
library makes the calls that they are known to make.
"""

import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import docker
import pytest

from curl import curl
from proxy import REPOSITORY
from tools import IMAGE, PATIENCE, podman_path, require, run, unique, wait_for

TESTCONTAINERS = Path(__file__).parent / "clients/python/with_testcontainers.py"
DEVCONTAINER = Path(__file__).parent / "clients/node/node_modules/@devcontainers/cli/devcontainer.js"
PRESETS = REPOSITORY / "crates/policy/presets"

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


def options(name, *headings):
    """The rules below these headings of a preset, in effect, as flags: a heading is told by how it begins."""
    groups = [group.splitlines() for group in (PRESETS / f"{name}.rules").read_text().split("\n\n")[1:]]
    chosen = [[group for group in groups if group[0].startswith(f"# {heading}")] for heading in headings]
    assert all(len(found) == 1 for found in chosen), (name, headings)
    rules = [line.removeprefix("# ") for (group,) in chosen for line in group[1:]]
    return ("--rules", "\n".join(rules))


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
    # The preset redacts command lines.
    processes = docker.out("top", talker)
    assert "redacted" in processes and "sleep" not in processes
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


def test_docker_cli_inspects_by_any_word(preset, docker_at, engine):
    """Without --type it asks for one kind after the other; a container has no name such as that of an image."""
    one = preset("docker-cli-readonly")
    docker = docker_at(one.addresses["tcp"])
    assert docker.out("inspect", "--format", "{{index .RepoTags 0}}", IMAGE) == IMAGE
    for word in ["nosuch", "nosuch:tag", "example.org/no/such:tag"]:
        said = docker("inspect", word, ok=False).stderr
        assert "no such object" in said.lower() and word in said
    assert one.refused() == []


def test_docker_cli_looks_without_secrets(preset, docker_at, engine, talker):
    one = preset("read-only")
    docker = docker_at(one.addresses["tcp"])
    assert docker.out("ps", "--format", "{{.Names}}") == talker
    assert talker in docker.out("stats", "--no-stream", talker)
    assert IMAGE in docker.out("images", "--format", "{{.Repository}}:{{.Tag}}")
    assert "bridge" in docker.out("network", "ls") and "bridge" in docker.out("network", "inspect", "bridge")
    docker("diff", talker, ok=True)
    for command in [("inspect", talker), ("logs", talker), ("top", talker), ("image", "inspect", IMAGE)]:
        assert "cetusguard" in docker(*command, ok=False).stderr
    with_details = preset("read-only", *options("read-only", "Details of containers"))
    docker = docker_at(with_details.addresses["tcp"])
    assert docker.out("inspect", "--format", "{{.State.Status}}", talker) == "running"
    assert "cetusguard" in docker("logs", talker, ok=False).stderr


def test_agent_keeps_to_its_own(preset, docker_at, engine, talker):
    own = unique("agent-")
    engine.client.volumes.create("of-others")
    one = preset("ai-agent", "--targets", "name=agent-*")
    docker = docker_at(one.addresses["tcp"])
    quick = ("--network", "none", "--stop-signal", "SIGKILL")
    assert docker.out("run", "--rm", "--name", own, *quick, IMAGE, "echo", "hello") == "hello"
    docker("run", "--detach", "--name", own, *quick, IMAGE, "sh", "-c", "echo first; exec sleep 600")
    assert docker.out("exec", own, "echo", "inside") == "inside"
    wait_for(lambda: docker.out("logs", own) == "first", "its line")
    docker("stop", own)
    assert docker.out("wait", own) == "137"
    docker("rm", own)
    assert one.records(msg="request refused") == []
    others = [("exec", talker, "true"), ("logs", talker), ("stop", talker), ("rm", "--force", talker), ("ps",)]
    hosts = [("--privileged",), ("--volume", "/:/host"), ("--pid", "host"), ("--volume", "of-others:/data")]
    hosts += [("--network", f"container:{talker}"), ("--volumes-from", talker), ("--pid", f"container:{talker}")]
    refused = others + [("run", "--name", own, *options, IMAGE, "true") for options in hosts]
    for command in refused:
        # Containers of others do not exist for the agent.
        words = ("cetusguard", f"No such container: {talker}")
        # Removing a missing container by force is no failure for the command line.
        assert any(word in docker(*command, ok=None).stderr for word in words), command
    # A container of another name can be created, and is of no use.
    docker("run", "--name", "other", *quick, IMAGE, "true", ok=False)
    assert engine.client.containers.get("other").status == "created"
    assert engine.client.containers.get(talker).status == "running"


def test_calls_of_github_actions_runner(preset, docker_at, engine, name):
    """A job with a service container, and steps in a job container."""
    one = preset(
        "github-actions-runner", *options("github-actions-runner", "Networks that", "Steps in", "Container actions")
    )
    docker = docker_at(one.addresses["tcp"])
    label = unique()
    docker("version", "--format", "{{.Server.APIVersion}}")
    assert docker.out("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={label}") == ""
    docker("network", "prune", "--force", "--filter", f"label={label}")
    docker("network", "create", "--label", label, name)
    command = ["create", "--name", name, "--label", label, "--network", name, "--stop-signal", "SIGKILL"]
    made = docker.out(*command, "--entrypoint", "tail", IMAGE, "-f", "/dev/null")
    docker("start", made)
    ps = ["ps", "--all", "--filter", f"id={made}", "--filter", "status=running", "--no-trunc"]
    assert docker.out(*ps, "--format", "{{.ID}} {{.Status}}").startswith(made)
    docker("port", made)
    assert docker.out("inspect", "--format", "{{if .State.Health}}{{.State.Health.Status}}{{end}}", made) == ""
    assert docker.out("exec", "-i", made, "sh", "-e", input="echo step\n") == "step"
    assert docker.out("run", "--name", f"{name}-2", "--label", label, "--rm", "--network", name, IMAGE, "echo", "action") == "action"
    docker("logs", "--details", made)
    docker("rm", "--force", made)
    docker("network", "rm", name)
    assert one.refused() == []


def test_dev_container(preset, docker_at, engine, tmp_path, name):
    """A container for a folder is created, entered, found again and removed."""
    node = require("node")
    if int(run(node, "--version", ok=True).stdout.removeprefix("v").split(".")[0]) < 20:
        pytest.skip("the Dev Container CLI needs Node.js 20")
    workspace = tmp_path / "workspace"
    (workspace / ".devcontainer").mkdir(parents=True)
    (workspace / "here").write_text("from the host\n")
    user = f"FROM {IMAGE}\nRUN mkdir -p /etc && echo root:x:0:0:root:/:/bin/sh >/etc/passwd\n"
    engine.client.images.build(fileobj=io.BytesIO(user.encode()), tag=name, network_mode="none")
    settings = {"image": name, "runArgs": ["--network", "none", "--stop-signal", "SIGKILL"]}
    (workspace / ".devcontainer/devcontainer.json").write_text(json.dumps(settings))
    one = preset("devcontainers", "--guard-allow", f"bind={workspace}")
    docker = docker_at(one.addresses["tcp"])
    env = docker.environment({"HOME": str(tmp_path)})

    def devcontainer(command, *args):
        options = ["--workspace-folder", workspace, "--docker-path", docker.cli.path]
        return run(node, DEVCONTAINER, command, *options, *args, ok=True, env=env).stdout

    made = json.loads(devcontainer("up").splitlines()[-1])
    assert made["outcome"] == "success"
    assert devcontainer("exec", "cat", "here") == "from the host\n"
    assert json.loads(devcontainer("up").splitlines()[-1])["containerId"] == made["containerId"]
    docker("rm", "--force", made["containerId"])
    engine.client.images.remove(name)
    assert one.refused() == []


@pytest.mark.parametrize("client", ["woodpecker", "drone"])
def test_calls_of_runners(preset, docker_py, name, client):
    """A workflow with a volume, a network and a step."""
    one = preset(client)
    api = docker_py(one.addresses["unix"]).api
    api.ping()
    api.create_volume(name, driver="local")
    network = api.create_network(name, driver="bridge")["Id"]
    binds = api.create_host_config(binds=[f"{name}:/work"], network_mode="none")
    step = api.create_container(IMAGE, ["sh", "-c", "echo step >/work/x; cat /work/x"], name=name, host_config=binds)
    api.start(name)
    assert api.wait(name)["StatusCode"] == 0
    assert api.logs(name) == b"step\n"
    assert api.inspect_container(step["Id"])["State"]["ExitCode"] == 0
    with pytest.raises(docker.errors.APIError) as failure:
        api.kill(name)
    assert "is not running" in str(failure.value)
    api.remove_container(name, v=True, force=True)
    api.remove_volume(name, force=True)
    api.remove_network(network)
    assert one.refused() == []


@pytest.mark.parametrize("builder", ["Classic builder", None], ids=["classic", "buildkit"])
def test_docker_builds(preset, docker_at, engine, tmp_path, name, builder):
    one = preset("docker-build", *(options("docker-build", builder) if builder else ()))
    docker = docker_at(one.addresses["tcp"])
    if not builder and docker("buildx", "version", ok=None).returncode != 0:
        pytest.skip(f"{docker.cli} has no buildx plug-in")
    (tmp_path / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo built >/word\n")
    docker("build", "--tag", name, tmp_path, env={"DOCKER_BUILDKIT": "0" if builder else "1"})
    assert engine.client.containers.run(name, ["cat", "/word"], remove=True, network_mode="none") == b"built\n"
    engine.client.images.remove(name)
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


def test_podman_looks(podman_engine, proxy):
    container = podman_engine.run("sh", "-c", "echo first; exec sleep 600").name
    one = proxy(backend=podman_engine.address, rules=None, flags=("--presets", "podman-readonly"))

    def podman(*args, ok=True):
        command = [require("podman", path=podman_path()), "--remote", "--url", one.addresses["tcp"], *args]
        return run(*command, ok=ok, env={"PATH": os.environ["PATH"]})

    assert podman("ps", "--format", "{{.Names}}").stdout.strip() == container
    for kind in [(), ("container",)]:
        assert podman(*kind, "inspect", "--format", "{{.State.Status}}", container).stdout.strip() == "running"
    wait_for(lambda: podman("logs", container).stdout.strip() == "first", "its line")
    podman("port", container)
    podman("diff", container)
    podman("container", "exists", container)
    assert "cg-busybox" in podman("images", "--format", "{{.Repository}}").stdout
    podman("image", "inspect", IMAGE)
    podman("image", "exists", IMAGE)
    podman("history", IMAGE)
    podman("image", "tree", IMAGE)
    for kind in ["network", "volume", "pod"]:
        podman(kind, "ls")
    podman("info")
    podman("version")
    podman("system", "df")
    podman("events", "--stream=false", "--since", "1h")
    assert one.records(msg="request refused") == []
    for command in [("stop", container), ("exec", container, "true"), ("rm", "--force", container)]:
        assert "cetusguard" in podman(*command, ok=False).stderr


PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  module_defaults:
    group/community.docker.docker: {{docker_host: "{address}"}}
  tasks:
    - community.docker.docker_container: &it
        {{name: "{name}", image: "{image}", command: sleep 600, pull: false, network_mode: none,
          stop_signal: SIGKILL, env: {{WORD: "{word}"}}, state: started}}
    - community.docker.docker_container: {{<<: *it, env: {{WORD: other}}}}
    - community.docker.docker_container_info: {{name: "{name}"}}
      register: found
    - ansible.builtin.assert: {{that: "'WORD=other' in found.container.Config.Env"}}
    - community.docker.docker_container: {{name: "{name}", state: absent}}
"""


def test_ansible(preset, engine, tmp_path, name):
    """A container is made, replaced because a setting changed, and removed."""
    program = require("ansible-playbook")
    is_old = engine.client.info()["CgroupVersion"] == "1"
    one = preset("ansible", *(["--guard-allow", "host-namespace=cgroup"] if is_old else []))
    book = PLAYBOOK.format(address=one.addresses["tcp"], name=name, image=IMAGE, word=unique())
    (tmp_path / "play.yml").write_text(book)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "false", "LC_ALL": "C.UTF-8"}
    said = run(program, "play.yml", cwd=tmp_path, env=env, ok=True).stdout
    assert "failed=0" in said and "changed=3" in said
    assert engine.client.containers.list(all=True) == []
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


def test_buttons_of_homarr(preset, dockerode, talker):
    """Each of the two features works with its own optional lines alone."""
    logs = preset("homarr", *options("homarr", "Log viewer"))
    assert dockerode(logs.addresses["unix"], "homarrLogs", talker) == {"outcome": [f"/{talker}", "first\n"]}
    assert logs.refused() == []
    buttons = preset("homarr", *options("homarr", "Buttons"))
    assert dockerode(buttons.addresses["unix"], "homarrButtons", talker) == {"outcome": "running"}
    assert buttons.refused() == []


def test_calls_of_whats_up_docker(preset, dockerode, talker):
    one = preset("wud")
    assert dockerode(one.addresses["unix"], "whatsUpDocker", talker) == {"outcome": [f"/{talker}", [IMAGE], "start"]}
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
