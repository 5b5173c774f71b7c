"""Quotas on real engines: what the clients of a profile may own at a time, all of them together."""

import concurrent.futures
import json

import pytest

from curl import curl
from proxy import ALL
from tools import IMAGE, unique, wait_for

JSON = ("--header", "Content-Type: application/json", "--data-binary")
RULES = ALL + "POST %API_PREFIX_LIBPOD_CONTAINERS%/create\n"
FULL = "has no room"


@pytest.fixture
def quota(proxy):
    """Starts a proxy whose clients own what they create, up to these quotas."""

    def start(backend=None, **quotas):
        flags = [part for key, value in quotas.items() for part in (f"--quota-{key}", str(value))]
        return proxy(backend, rules=RULES, flags=("--own", "true", *flags)).addresses["tcp"]

    return start


def create(address, prefix="", **host_config):
    body = {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none", **host_config}}
    status, answer = curl(address, "POST", f"{prefix}/containers/create", *JSON, json.dumps(body))
    return status, json.loads(answer)


def remove(address, container):
    return curl(address, "DELETE", f"/containers/{container}?force=1")[0]


def test_containers_are_counted(engine, quota):
    address = quota(containers=2)
    others = engine.run("sleep", "600")
    (_, first), (status, _) = create(address), create(address)
    assert status == 201
    status, answer = create(address)
    assert status == 403 and FULL in answer["message"], answer
    assert remove(address, first["Id"]) == 204
    assert create(address)[0] == 201
    others.reload()
    assert others.status == "running"


def test_clients_at_the_same_time_share_the_room(engine, quota):
    address = quota(containers=4)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = [status for status, _ in pool.map(lambda _: create(address), range(16))]
    assert (statuses.count(201), statuses.count(403)) == (4, 12), statuses


def test_limits_are_added_up(engine, quota):
    address = quota(memory="64m", cpus="1")
    limits = {"Memory": 40 << 20, "NanoCpus": 500_000_000}
    assert create(address)[0] == 403
    assert create(address, Memory=8 << 20)[0] == 403
    status, first = create(address, **limits)
    assert status == 201
    status, answer = create(address, **limits)
    assert status == 403 and "quota-memory is 64m" in answer["message"], answer
    status, answer = create(address, Memory=8 << 20, CpuQuota=60_000)
    assert status == 403 and "quota-cpus is 1" in answer["message"], answer
    assert create(address, Memory=8 << 20, CpuQuota=50_000)[0] == 201

    def update(**values):
        return curl(address, "POST", f"/containers/{first['Id']}/update", *JSON, json.dumps(values))[0]

    assert update(Memory=60 << 20, MemorySwap=60 << 20) == 403
    assert update(Memory=50 << 20, MemorySwap=50 << 20) == 200
    assert update(CpuShares=512) == 200


def test_running_commands_are_counted(engine, quota, docker_at):
    address = quota(execs=2)
    _, container = create(address)
    name = container["Id"]
    assert curl(address, "POST", f"/containers/{name}/start")[0] == 204

    def start(*command):
        body = json.dumps({"Cmd": command})
        _, made = curl(address, "POST", f"/containers/{name}/exec", *JSON, body)
        made = json.loads(made)["Id"]
        return curl(address, "POST", f"/exec/{made}/start", *JSON, '{"Detach": true}')[0], made

    # Commands that have ended make room.
    for _ in range(4):
        status, made = start("true")
        assert status == 200
        wait_for(
            lambda made=made: json.loads(curl(address, "GET", f"/exec/{made}/json")[1])["ExitCode"] == 0,
            "the end of the command",
        )
    assert start("sleep", "600")[0] == 200
    assert start("sleep", "600")[0] == 200
    assert start("sleep", "600")[0] == 403
    result = docker_at(address)("exec", name, "true", ok=False)
    assert result.returncode != 0 and "403" in result.stderr, result


def test_podman_counts_both_of_its_apis(podman_engine, quota):
    address = quota(podman_engine.address, containers=2, memory="64m")
    limits = {"Memory": 20 << 20}
    assert create(address, **limits)[0] == 201
    body = {
        "image": IMAGE,
        "name": unique(),
        "command": ["sleep", "600"],
        "netns": {"nsmode": "none"},
        "resource_limits": {"memory": {"limit": 20 << 20}},
    }
    path = "/v4.0.0/libpod/containers/create"
    status, answer = curl(address, "POST", path, *JSON, json.dumps(body))
    assert status == 201, answer
    status, answer = curl(address, "POST", path, *JSON, json.dumps({**body, "name": unique()}))
    assert status == 403 and FULL in answer, answer
