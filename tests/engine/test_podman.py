"""Podman's service as the engine: its own remote client, and Docker's CLI on its Docker API."""

import os

import pytest

from proxy import ALL
from tools import IMAGE, podman_path, require, run

# Podman's own API has paths of its own.
LIBPOD = """
GET,POST,DELETE %API_PREFIX_LIBPOD_CONTAINERS%(/.*)?
GET,HEAD,PUT %API_PREFIX_LIBPOD_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive
GET,POST %API_PREFIX_LIBPOD_EXEC%(/.*)?
GET,POST,DELETE %API_PREFIX_LIBPOD_IMAGES%(/.*)?
GET %API_PREFIX_LIBPOD_EVENTS%
"""


class Remote:
    """`podman --remote` at one address."""

    def __init__(self, address):
        self.command = [require("podman", path=podman_path()), "--remote", "--url", address]

    def __call__(self, *args, ok=True, **options):
        return run(*self.command, *args, ok=ok, env={"PATH": os.environ["PATH"]}, **options)

    def out(self, *args, **options):
        return self(*args, **options).stdout.strip()


@pytest.fixture
def podman_at(podman_engine, proxy, front):
    return lambda rules: Remote(proxy(backend=podman_engine.address, rules=rules).addresses[front])


@pytest.fixture
def podman(podman_at):
    return podman_at(LIBPOD)


@pytest.fixture
def container(podman_engine):
    return podman_engine.run("sh", "-c", "echo first; exec sleep 600").name


def test_info_and_images(podman):
    assert podman.out("info", "--format", "{{.Version.Version}}")
    assert "cg-busybox" in podman.out("images", "--format", "{{.Repository}}")


def test_ps_inspect_and_logs(podman, container):
    assert podman.out("ps", "--format", "{{.Names}}") == container
    assert podman.out("inspect", "--format", "{{.State.Status}}", container) == "running"
    assert podman.out("logs", container) == "first"


def test_run(podman):
    assert podman.out("run", "--rm", IMAGE, "echo", "hello") == "hello"
    assert podman.out("run", "--rm", "-i", IMAGE, "cat", input="typed\n") == "typed"


def test_exec(podman, container):
    assert podman.out("exec", container, "echo", "hello") == "hello"
    assert podman.out("exec", "-i", container, "cat", input="typed\n") == "typed"
    assert podman("exec", container, "sh", "-c", "exit 3", ok=None).returncode == 3


def test_copy(podman, container, tmp_path):
    (tmp_path / "source").write_text("content")
    podman("cp", tmp_path / "source", f"{container}:/copied")
    podman("cp", f"{container}:/copied", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "content"


def test_stop_and_remove(podman, podman_engine, container):
    podman("stop", "--time", "0", container)
    podman("rm", container)
    assert podman_engine.client.containers.list(all=True) == []


def test_refusal(podman_at, container):
    podman = podman_at("GET %API_PREFIX_LIBPOD_CONTAINERS%(/.*)?")
    assert podman.out("ps", "--format", "{{.Names}}") == container
    refused = podman("rm", "--force", container, ok=False)
    assert "cetusguard: " in refused.stderr and "DELETE" in refused.stderr


def test_docker_cli(docker_at, proxy, front, podman_engine, container):
    docker = docker_at(proxy(backend=podman_engine.address, rules=ALL).addresses[front])
    assert docker.out("ps", "--format", "{{.Names}}") == container
    assert docker.out("logs", container) == "first"
    assert docker.out("exec", "-i", container, "cat", input="typed\n") == "typed"


@pytest.fixture
def hub_image(podman_engine, name):
    """An image of Docker Hub by its name, beside one of the engine's own that a short name finds first."""
    image = podman_engine.client.images.get(IMAGE)
    reference = f"docker.io/library/{name}:latest"
    image.tag(f"docker.io/library/{name}", "latest")
    yield reference
    podman_engine.client.images.remove(reference)


def test_short_names_where_the_registry_decides(
    podman_engine, docker_at, proxy, front, hub_image, name
):
    """Podman takes `cg-busybox` for `localhost/cg-busybox`, which is of no allowed registry."""
    one = proxy(
        backend=podman_engine.address,
        rules=ALL + LIBPOD,
        flags=("--guard-allow", "registry=docker.io"),
    )
    podman = Remote(one.addresses[front])
    refused = podman("run", "--rm", IMAGE, "true", ok=False)
    assert "write the registry, as in docker.io/library/cg-busybox:latest" in refused.stderr
    refused = podman("run", "--rm", f"localhost/{IMAGE}", "true", ok=False)
    assert "is of no registry that guard-allow names" in refused.stderr
    assert podman.out("run", "--rm", hub_image, "echo", "hello") == "hello"
    # Podman 4 finds an image by its digest, whatever the name before it; Podman 5 compares the name too.
    digest = podman_engine.client.images.get(IMAGE).attrs["RepoDigests"][0].split("@")[1]
    refused = podman("create", "--pull", "never", f"docker.io/library/other@{digest}", "true", ok=False)
    assert "under other names alone" in refused.stderr or "image not known" in refused.stderr
    # By Docker's API, Podman gets the whole name.
    docker = docker_at(one.addresses[front])
    assert docker.out("run", "--rm", "--pull", "never", name, "echo", "hello") == "hello"
    missing = docker("run", "--rm", "--pull", "never", IMAGE, "true", ok=False)
    assert "docker.io/library/cg-busybox" in missing.stderr
    docker("tag", hub_image, f"{name}:two")
    names = podman_engine.client.images.get(hub_image).tags
    podman_engine.client.images.remove(f"docker.io/library/{name}:two")
    assert f"docker.io/library/{name}:two" in names
