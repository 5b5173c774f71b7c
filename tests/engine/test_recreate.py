"""No container is lost: clients that replace containers, on a real engine.

Each of them meets a container that was made around the proxy, with a path of the host that the guard refuses. However far the
client gets, the old container is there afterwards; with the exception that `doctor` names, the client does its work.
"""

import json
import os
import subprocess

import docker
import pytest

from proxy import binary
from tools import IMAGE, PATIENCE, require, run

DELETE = "DELETE %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%"


@pytest.fixture
def client(proxy):
    """Starts a proxy with a preset and these exceptions, and connects docker-py to it."""
    clients = []

    def connect(preset, *allowed, flags=()):
        exceptions = [word for one in allowed for word in ("--guard-allow", one)]
        one = proxy(rules=None, flags=("--presets", preset, *exceptions, *flags))
        clients.append(docker.APIClient(base_url=one.addresses["unix"], timeout=PATIENCE))
        return clients[-1]

    yield connect
    for one in clients:
        one.close()


@pytest.fixture
def old(engine, name, tmp_path):
    """A container in two networks, with a path of the host."""
    nets = [engine.client.networks.create(f"{name}-{net}").name for net in ("one", "two")]
    settings = {"network_mode": None, "network": nets[0], "volumes": [f"{tmp_path}:/x"], "environment": ["A=b"]}
    container = engine.run("sleep", "600", name=name, **settings)
    engine.client.networks.get(nets[1]).connect(container)
    return container


@pytest.fixture
def exceptions(engine, tmp_path):
    """The exceptions with which the guard lets a client create the container again."""
    is_old = engine.client.info()["CgroupVersion"] == "1"
    return [f"bind={tmp_path}", *(["host-namespace=cgroup"] if is_old else [])]


def create(client, config, name=None):
    """Creates a container by a body as it is, which is what clients that copy one send."""
    url = client._url("/containers/create")
    answer = client._post_json(url, data=config, params={"name": name} if name else {})
    return client._result(answer, True)["Id"]


def copied(old, networks):
    endpoints = {net: old["NetworkSettings"]["Networks"][net] for net in networks}
    return {**old["Config"], "HostConfig": old["HostConfig"], "NetworkingConfig": {"EndpointsConfig": endpoints}}


def maintained_watchtower(client, name):
    """nicholas-fedor/watchtower 46a520f, pkg/container: stop, delete, create without a name, rename, connect, start."""
    old = client.inspect_container(name)
    client.inspect_image(old["Image"])
    first, *more = old["NetworkSettings"]["Networks"]
    client.stop(old["Id"], timeout=10)
    client.remove_container(old["Id"], force=True)
    new = create(client, copied(old, [first]))
    client.rename(new, name)
    for net in more:
        client.connect_container_to_network(new, net)
    client.start(new)


def original_watchtower(client, name):
    """containrrr/watchtower ca0e86e, pkg/container/client.go: kill, delete, create, disconnect and connect, start."""
    old = client.inspect_container(name)
    client.inspect_image(old["Image"])
    networks = old["NetworkSettings"]["Networks"]
    first = next(iter(networks))
    client.kill(old["Id"], "SIGTERM")
    client.remove_container(old["Id"], force=True)
    new = create(client, copied(old, [first]), name)
    client.disconnect_container_from_network(new, first, force=True)
    for net in networks:
        client.connect_container_to_network(new, net)
    client.start(new)


def portainer(client, name):
    """portainer 2.23, api/docker/container.go: stop, rename, disconnect, create, connect, start, delete; or back."""
    old = client.inspect_container(name)
    networks = old["NetworkSettings"]["Networks"]
    client.stop(old["Id"])
    client.rename(old["Id"], f"{name}-old")
    for net in networks.values():
        client.disconnect_container_from_network(old["Id"], net["NetworkID"], force=True)
    first, *more = networks
    try:
        new = create(client, copied(old, [first]), name)
    except docker.errors.APIError:
        client.rename(old["Id"], name)
        for net in networks:
            client.connect_container_to_network(old["Id"], net)
        client.start(old["Id"])
        raise
    for net in more:
        client.connect_container_to_network(new, net)
    client.start(new)
    client.remove_container(old["Id"])


def dozzle(client, name):
    """dozzle ca4cab8, the update: stop, delete, create with the old Config and HostConfig, start."""
    old = client.inspect_container(name)
    client.stop(old["Id"])
    client.remove_container(old["Id"])
    client.start(create(client, {**old["Config"], "HostConfig": old["HostConfig"]}, name))


def ansible(client, name):
    """community.docker 5.2, docker_container with recreate: stop, delete, create from the task's own parameters, start."""
    old = client.inspect_container(name)
    client.stop(old["Id"])
    client.remove_container(old["Id"])
    host = client.create_host_config(binds=old["HostConfig"]["Binds"])
    client.start(client.create_container(IMAGE, ["sleep", "600"], name=name, host_config=host)["Id"])


# What the clients need beside their presets, which leave it in comments.
BUTTONS = "\n".join(
    [DELETE, "POST %API_PREFIX_CONTAINERS%/create"]
    + [f"POST %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/{deed}" for deed in ("start", "stop")]
)
CLIENTS = {
    "maintained-watchtower": (maintained_watchtower, "watchtower", ()),
    "original-watchtower": (original_watchtower, "watchtower", ()),
    "portainer": (portainer, "portainer", ()),
    "dozzle": (dozzle, "dozzle", ("--rules", BUTTONS)),
    "ansible": (ansible, "compose", ()),
}


@pytest.fixture(params=CLIENTS)
def replacing(request):
    return CLIENTS[request.param]


def test_a_container_that_could_not_be_created_again_is_kept(client, engine, old, name, replacing):
    replace, preset, flags = replacing
    with pytest.raises(docker.errors.APIError) as failure:
        replace(client(preset, flags=flags), name)
    assert "HostConfig.Binds[0]: mounts the host path" in str(failure.value)
    kept = engine.client.containers.get(name)
    assert kept.id == old.id
    # Those that stop a container only to replace it leave it running; Portainer starts it again.
    if replace in (maintained_watchtower, original_watchtower, portainer):
        assert kept.status == "running" and len(kept.attrs["NetworkSettings"]["Networks"]) == 2


def test_with_the_exceptions_it_is_replaced(client, engine, old, name, replacing, exceptions):
    replace, preset, flags = replacing
    replace(client(preset, *exceptions, flags=flags), name)
    gone = {one.id for one in engine.client.containers.list(all=True)}
    assert old.id not in gone and len(gone) == 1
    (new,) = engine.client.containers.list()
    assert new.attrs["HostConfig"]["Binds"] == old.attrs["HostConfig"]["Binds"]


def test_an_auto_removed_container_is_not_stopped(client, engine, name, tmp_path):
    """The engine deletes it as soon as it has ended."""
    old = engine.run("sleep", "600", name=name, volumes=[f"{tmp_path}:/x"], auto_remove=True)
    for preset in ("watchtower", "compose"):
        for deed in ("stop", "kill"):
            with pytest.raises(docker.errors.APIError) as failure:
                getattr(client(preset), deed)(name)
            assert f"the container {name} is not stopped" in str(failure.value)
    assert engine.client.containers.get(name).status == "running"
    old.remove(force=True)


PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - community.docker.docker_container:
        docker_host: "{address}"
        name: {name}
        image: {image}
        pull: false
        command: sleep 600
        volumes: ["{path}:/x"]
        recreate: true
"""


def test_ansible_recreates(proxy, engine, name, tmp_path):
    """The module community.docker.docker_container itself."""
    ansible_playbook = require("ansible-playbook")
    old = engine.run("sleep", "600", name=name, volumes=[f"{tmp_path}:/x"])

    def play(*flags):
        address = proxy(rules=None, flags=("--presets", "compose", *flags)).addresses["unix"]
        book = tmp_path / "playbook.yml"
        book.write_text(PLAYBOOK.format(address=address, name=name, image=IMAGE, path=tmp_path))
        env = {**os.environ, "HOME": str(tmp_path), "ANSIBLE_LOCALHOST_WARNING": "false"}
        return run(ansible_playbook, "-i", "localhost,", "-c", "local", book, env=env)

    refused = play()
    assert refused.returncode != 0 and "mounts the host path" in refused.stdout + refused.stderr, refused.stdout
    assert engine.client.containers.get(name).id == old.id
    played = play("--guard-allow", f"bind={tmp_path}")
    assert played.returncode == 0, played
    new = engine.client.containers.get(name)
    assert new.id != old.id and new.status == "running"


PROJECT = """
version: "3"
services:
  web:
    image: {image}
    command: sleep 600
    stop_signal: SIGKILL
    volumes: ["{path}:/x"]
"""


@pytest.mark.parametrize("command", [("up", "-d", "--force-recreate"), ("down",), ("rm", "--stop", "--force")])
def test_compose_keeps_a_container_that_it_could_not_create(compose, proxy, engine, tmp_path, command):
    (tmp_path / "docker-compose.yml").write_text(PROJECT.format(image=IMAGE, path=tmp_path))
    compose(engine.address, "up", "-d")
    (old,) = engine.client.containers.list()
    one = proxy(rules=None, flags=("--presets", "compose"))
    refused = compose(one.addresses["unix"], *command, ok=None)
    assert "mounts the host path" in refused.stderr, refused
    assert engine.client.containers.get(old.id).id == old.id
    allowed = proxy(rules=None, flags=("--presets", "compose", "--guard-allow", f"bind={tmp_path}"))
    compose(allowed.addresses["unix"], *command)
    assert old.id not in {container.id for container in engine.client.containers.list(all=True)}


def test_doctor_names_what_could_not_be_created_again(engine, old, name, exceptions, tmp_path):
    def doctor(*allowed):
        flags = [word for one in allowed for word in ("--guard-allow", one)]
        settings = {"CETUSGUARD_BACKEND_ADDR": engine.address, "CETUSGUARD_FRONTEND_ADDR": f"unix://{tmp_path}/front.sock"}
        command = [binary(), "doctor", "--format", "json", "--presets", "watchtower", *flags]
        told = subprocess.run(command, env=settings, stdout=subprocess.PIPE, timeout=PATIENCE, check=False)
        return [one for one in json.loads(told.stdout) if one["about"] == "re-creation"]

    (finding,) = doctor()
    assert f"could not create {name} again, so it is neither stopped nor deleted" in finding["what"]
    for exception in exceptions:
        assert f"guard-allow {exception}" in finding["fix"]
    (finding,) = doctor(*exceptions)
    assert (finding["state"], "fix" in finding) == ("good", False)
