"""Builds with the classic builder and with BuildKit, which runs gRPC inside /session and /grpc."""

import os

import pytest

from proxy import ALL
from tools import IMAGE, PATIENCE

CLASSIC, BUILDKIT = {"DOCKER_BUILDKIT": "0"}, {"DOCKER_BUILDKIT": "1"}
WITHOUT_BUILDKIT = "\n".join(
    line for line in ALL.splitlines() if "_GRPC%" not in line and "_SESSION%" not in line
)


@pytest.fixture
def context(tmp_path):
    (tmp_path / "Dockerfile").write_text(
        f"FROM {IMAGE}\nARG WORD=none\nRUN echo built $WORD >/word\nCOPY given /given\n"
    )
    (tmp_path / "given").write_text(os.urandom(8).hex() + "\n")
    return tmp_path


@pytest.fixture(params=[CLASSIC, BUILDKIT], ids=["classic", "buildkit"])
def builder(request, docker):
    if request.param is BUILDKIT:
        need_buildkit(docker)
    return request.param


def need_buildkit(docker):
    """Since release 23 the CLI builds with BuildKit by the buildx plug-in alone."""
    if docker.cli.version >= (23,) and docker("buildx", "version", ok=None).returncode != 0:
        pytest.skip(f"{docker.cli} has no buildx plug-in, which it needs to speak with BuildKit")


def test_build(docker, engine, context, builder, name):
    docker("build", "--build-arg", "WORD=well", "--tag", name, context, env=builder)
    made = engine.client.containers.run(name, ["cat", "/word", "/given"], remove=True)
    assert made.decode() == "built well\n" + (context / "given").read_text()


def test_failed_build_says_why(docker, context, builder):
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo the reason >&2; exit 3\n")
    failed = docker("build", "--no-cache", context, env=builder, ok=False)
    assert "the reason" in failed.stdout + failed.stderr


def test_large_context_is_streamed(docker, open_proxy, context, builder):
    (context / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY large /large\n")
    (context / "large").write_bytes(os.urandom(1024 * 1024) * 64)
    docker("build", context, env=builder, timeout=2 * PATIENCE)
    assert open_proxy.peak_memory() < 64 * 1024


def test_build_from_a_pipe(docker, engine, name):
    dockerfile = f"FROM {IMAGE}\nLABEL from=pipe\n"
    docker("build", "--tag", name, "-", input=dockerfile, env=CLASSIC)
    assert engine.client.images.get(name).labels == {"from": "pipe"}


def test_buildkit_needs_its_rules(docker_at, proxy, context):
    """/session and /grpc give BuildKit's whole inner API: without their rules nothing is built."""
    guard = proxy(rules=WITHOUT_BUILDKIT)
    docker = docker_at(guard.addresses["tcp"])
    need_buildkit(docker)
    refused = docker("build", context, env=BUILDKIT, ok=False)
    assert "unable to upgrade to h2c, received 403" in refused.stderr
    assert guard.records(status=403, method="POST", path="/session")
    docker("build", context, env=CLASSIC)
