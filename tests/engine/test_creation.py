"""Requirements on what clients create, with a real engine: its own CLI, its own idea of a limit."""

import json

import docker
import pytest

from curl import curl
from tools import IMAGE, unique

JSON = ("--header", "Content-Type: application/json", "--data-binary")
MEBIBYTE = 1 << 20
LIMITS = {
    "CETUSGUARD_MAX_MEMORY": "64MiB",
    "CETUSGUARD_MAX_CPUS": "0.5",
    "CETUSGUARD_MAX_PIDS": "50",
}
WITHIN = {"mem_limit": 32 * MEBIBYTE, "nano_cpus": 500_000_000, "pids_limit": 50}


@pytest.fixture
def limited(proxy):
    """A client of a proxy that limits what it creates."""
    one = proxy(env=LIMITS)
    client = docker.DockerClient(base_url=one.addresses["tcp"], version="1.41")
    yield client
    client.close()


def update(client, container, body):
    """The status of an update, of which the client's library sends less."""
    address = client.api.base_url.replace("http://", "tcp://")
    path = f"/v1.41/containers/{container.id}/update"
    return curl(address, "POST", path, *JSON, json.dumps(body))[0]


def create(client, **settings):
    return client.containers.create(IMAGE, ["sleep", "60"], **settings)


def test_a_container_within_its_limits_is_created_with_them(limited, engine):
    made = create(limited, **WITHIN)
    host = engine.client.containers.get(made.id).attrs["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (32 * MEBIBYTE, 500_000_000, 50)


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({**WITHIN, "mem_limit": 65 * MEBIBYTE}, "max-memory"),
        ({**WITHIN, "mem_limit": 0}, "max-memory"),
        ({**WITHIN, "memswap_limit": -1}, "max-memory"),
        ({**WITHIN, "nano_cpus": 500_000_001}, "max-cpus"),
        ({**WITHIN, "nano_cpus": 0}, "max-cpus"),
        ({**WITHIN, "nano_cpus": 0, "cpu_quota": 50_001, "cpu_period": 100_000}, "max-cpus"),
        ({**WITHIN, "pids_limit": -1}, "max-pids"),
        ({**WITHIN, "pids_limit": 51}, "max-pids"),
        ({}, "max-memory"),
    ],
)
def test_a_container_beyond_its_limits_is_not_created(limited, engine, settings, key):
    name = unique()
    with pytest.raises(docker.errors.APIError, match=key):
        create(limited, name=name, **settings)
    assert not engine.client.containers.list(all=True, filters={"name": name})


def test_an_update_does_not_lift_a_limit(limited, engine):
    made = create(limited, **WITHIN)

    def host():
        return engine.client.containers.get(made.id).attrs["HostConfig"]

    before = host()
    for body in (
        {"Memory": 65 * MEBIBYTE, "MemorySwap": 130 * MEBIBYTE},
        {"MemorySwap": -1},
        {"NanoCpus": 1_000_000_000},
        {"CpuPeriod": 1_000},
        {"CpuQuota": -1},
        {"PidsLimit": 0},
        {"PidsLimit": -1},
    ):
        assert update(limited, made, body) == 403, body
    assert host() == before
    assert update(limited, made, {"Memory": 16 * MEBIBYTE, "PidsLimit": 40}) == 200
    assert (host()["Memory"], host()["PidsLimit"]) == (16 * MEBIBYTE, 40)


def test_a_zero_leaves_a_limit_as_it_is(limited, engine):
    """The CLI sends a zero for every limit that it does not change."""
    made = create(limited, **WITHIN)
    body = {"CpuShares": 512, "Memory": 0, "MemorySwap": 0, "NanoCpus": 0, "CpuQuota": 0, "CpuPeriod": 0}
    assert update(limited, made, body) == 200
    host = engine.client.containers.get(made.id).attrs["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (32 * MEBIBYTE, 500_000_000, 50)


def test_what_a_client_leaves_out_is_filled_in(proxy, engine):
    one = proxy(
        env={
            **LIMITS,
            "CETUSGUARD_DEFAULT_MEMORY": "16MiB",
            "CETUSGUARD_DEFAULT_CPUS": "0.25",
            "CETUSGUARD_DEFAULT_PIDS": "20",
            "CETUSGUARD_DEFAULT_USER": "1000:1000",
            "CETUSGUARD_ADD_LABELS": "team=ci",
        }
    )
    client = docker.DockerClient(base_url=one.addresses["tcp"], version="1.41")
    try:
        made = client.containers.run(IMAGE, ["id", "-u"], detach=True)
        assert made.wait()["StatusCode"] == 0
        assert made.logs() == b"1000\n"
    finally:
        client.close()
    told = engine.client.containers.get(made.id)
    host = told.attrs["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (16 * MEBIBYTE, 250_000_000, 20)
    assert told.labels["team"] == "ci"


def test_only_allowed_commands_start(proxy, engine):
    one = proxy(env={"CETUSGUARD_ALLOW_EXEC": "echo **"})
    client = docker.DockerClient(base_url=one.addresses["tcp"], version="1.41")
    direct = engine.client.containers.run(IMAGE, ["sleep", "60"], detach=True)
    try:
        same = client.containers.get(direct.id)
        assert same.exec_run(["echo", "hello"]).output == b"hello\n"
        for settings in ({"cmd": ["id"]}, {"cmd": ["echo"], "environment": {"PATH": "/tmp"}}):
            with pytest.raises(docker.errors.APIError, match="allow-exec"):
                same.exec_run(**settings)
        # A command that was made past the proxy.
        stored = engine.client.api.exec_create(direct.id, ["id"])["Id"]
        with pytest.raises(docker.errors.APIError, match="allow-exec"):
            client.api.exec_start(stored)
    finally:
        client.close()
        direct.remove(force=True)


def networks_of(container):
    return list(container.attrs["NetworkSettings"]["Networks"])


def test_a_container_without_a_network_joins_that_of_the_profile(proxy, engine, docker_at, name):
    engine.client.networks.create(name)
    env = {"CETUSGUARD_DEFAULT_NETWORK": name, "CETUSGUARD_ALLOW_NETWORKS": name}
    docker_cli = docker_at(proxy(env=env).addresses["tcp"])
    for options in ((), ("--network", "default"), ("--hostname", "x"), ("--network", name)):
        container = docker_cli.out("create", *options, IMAGE, "sleep", "60")
        assert networks_of(engine.client.containers.get(container)) == [name], options
    container = docker_cli.out("create", "--network", "none", IMAGE, "sleep", "60")
    assert networks_of(engine.client.containers.get(container)) == ["none"]
    for network in ("bridge", "host"):
        refused = docker_cli("create", "--network", network, IMAGE, "sleep", "60", ok=False)
        assert "refused" in refused.stderr or "cetusguard" in refused.stderr, network


def test_an_image_has_the_name_of_the_profile(proxy, engine, docker_at, name):
    """A mirror that cannot be reached, with one image that the engine already has."""
    mirror = "mirror.invalid/hub"
    engine.client.images.get(IMAGE).tag(f"{mirror}/library/{name}", "1")
    one = proxy(env={"CETUSGUARD_REWRITE_IMAGES": f"docker.io/*={mirror}/*"})
    docker_cli = docker_at(one.addresses["tcp"])
    assert docker_cli.out("run", "--rm", f"{name}:1", "echo", "hello") == "hello"
    container = docker_cli.out("create", f"docker.io/library/{name}:1", "true")
    image = engine.client.containers.get(container).attrs["Config"]["Image"]
    assert image == f"{mirror}/library/{name}:1"
    own = docker_cli.out("image", "inspect", "--format", "{{.Id}}", f"{name}:1")
    assert own == engine.client.images.get(IMAGE).id
    # By its identifier, which is no name.
    assert docker_cli.out("run", "--rm", own, "echo", "hello") == "hello"
    docker_cli("tag", f"{name}:1", f"{name}:2")
    assert engine.client.images.get(f"{mirror}/library/{name}:2").id == own
    pulled = docker_cli("pull", f"{name}:3", ok=False)
    assert "mirror.invalid" in pulled.stderr
    docker_cli("rmi", f"{name}:2")
    with pytest.raises(docker.errors.ImageNotFound):
        engine.client.images.get(f"{mirror}/library/{name}:2")


def test_compose_starts_an_image_by_the_name_of_the_profile(proxy, engine, compose, tmp_path, name):
    image = f"mirror.invalid/hub/{name}"
    engine.client.images.get(IMAGE).tag(image, "1")
    one = proxy(env={"CETUSGUARD_REWRITE_IMAGES": f"me/{name}={image}"})
    (tmp_path / "docker-compose.yml").write_text(
        f'version: "3"\nservices:\n  web:\n    image: me/{name}:1\n    command: sleep 600\n'
        "    stop_signal: SIGKILL\n"
    )
    compose(one.addresses["tcp"], "up", "--detach")
    (container,) = engine.client.containers.list()
    assert container.attrs["Config"]["Image"] == f"{image}:1"
    compose(one.addresses["tcp"], "down")
