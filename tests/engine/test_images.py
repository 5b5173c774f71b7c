"""Images: lists, tags, import, and a large one saved and loaded."""

import json
import os

import pytest

from image import tar
from proxy import ALL
from tools import IMAGE, PATIENCE

MEBIBYTE = os.urandom(1024 * 1024)


@pytest.fixture
def large_image(engine, name):
    """A single layer of 300 MiB that does not compress."""
    engine.client.api.import_image_from_data(tar({"large": MEBIBYTE * 300}), name, "big")
    return f"{name}:big"


def test_list_inspect_and_history(docker, engine):
    assert docker.out("images", "--format", "{{.Repository}}:{{.Tag}}") == IMAGE
    (described,) = json.loads(docker.out("image", "inspect", IMAGE))
    assert described["Id"] == engine.client.images.get(IMAGE).id
    assert docker.out("history", "--format", "{{.Size}}", IMAGE)


def test_tag_and_remove(docker, engine, name):
    """A reference with a registry, a path and a tag is one name, slashes and all."""
    reference = f"localhost:5000/team/{name}:v1.2_3"
    docker("tag", IMAGE, reference)
    assert docker.out("image", "inspect", "--format", "{{.Id}}", reference).startswith("sha256:")
    docker("rmi", reference)
    assert engine.client.images.list(name=reference) == []


def test_import_from_a_pipe(docker, engine, name):
    archive = tar({"hello": b"there"})
    docker("import", "--change", "ENV a=b", "-", f"{name}:one", input=archive, text=False)
    assert engine.client.images.get(f"{name}:one").attrs["Config"]["Env"] == ["a=b"]


def test_save_and_load_through_pipes(docker, engine):
    saved = docker("save", IMAGE, text=False).stdout
    before = engine.client.images.get(IMAGE).id
    loaded = docker("load", input=saved, text=False).stdout
    assert f"Loaded image: {IMAGE}".encode() in loaded
    assert engine.client.images.get(IMAGE).id == before


def test_save_and_load_of_a_large_image(docker_at, open_proxy, engine, large_image, tmp_path):
    """300 MiB go out over TCP and in over the Unix socket, unchanged, in little memory."""
    before = engine.client.images.get(large_image).id
    archive = tmp_path / "saved.tar"
    docker_at(open_proxy.addresses["tcp"])("save", "--output", archive, large_image, timeout=2 * PATIENCE)
    engine.client.images.remove(large_image)
    docker_at(open_proxy.addresses["unix"])("load", "--input", archive, timeout=2 * PATIENCE)
    archive.unlink()
    assert engine.client.images.get(large_image).id == before
    assert open_proxy.peak_memory() < 64 * 1024


def test_pull_reaches_the_engine(docker):
    """No registry is there, so the engine's own error has to come through."""
    pulled = docker("pull", "127.0.0.1:9/none:latest", ok=False)
    assert "connection refused" in pulled.stderr


def test_push_reaches_the_engine(docker, engine):
    reference = "127.0.0.1:9/none"
    engine.client.images.get(IMAGE).tag(reference)
    pushed = docker("push", reference, ok=False)
    assert "connection refused" in pushed.stdout + pushed.stderr


def test_a_push_under_another_name_needs_no_credentials(docker_at, proxy, front, engine, name):
    """The client's credentials stay behind, and old engines refuse a push that has none at all."""
    reference = f"127.0.0.1:9/{name}"
    engine.client.images.get(IMAGE).tag(reference)
    rewritten = proxy(rules=ALL, flags=("--rewrite-images", "ghcr.io/me/*=127.0.0.1:9/*"))
    pushed = docker_at(rewritten.addresses[front])("push", f"ghcr.io/me/{name}", ok=False)
    assert "connection refused" in pushed.stdout + pushed.stderr
