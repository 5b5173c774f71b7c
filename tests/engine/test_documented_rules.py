"""The manual's rule sets and its examples, word for word, against a real engine."""

import re

import pytest

from curl import curl
from tools import IMAGE, run, wait_for

BASIC = """
GET %API_PREFIX_EVENTS%                        # Event stream
GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?         # Container exec
GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?   # Container operations
GET,HEAD %API_PREFIX_IMAGES%(/.*)?            # Image read-only
GET,HEAD %API_PREFIX_VOLUMES%(/.*)?           # Volume read-only
GET,HEAD %API_PREFIX_NETWORKS%(/.*)?          # Network read-only
GET,HEAD %API_PREFIX_BUILD%(/.*)?             # Build read-only
"""
HIGH = """
# Full management capability
GET %API_PREFIX_EVENTS%
GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?
GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?
GET,HEAD %API_PREFIX_IMAGES%(/.*)?
"""
MEDIUM = """
# Read-only plus exec for troubleshooting
GET %API_PREFIX_EVENTS%
GET,HEAD,POST %API_PREFIX_EXEC%(/.*)?
GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?
GET,HEAD %API_PREFIX_IMAGES%(/.*)?
"""
LOW = """
# Pure read-only
GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?
GET,HEAD %API_PREFIX_IMAGES%(/.*)?
"""
READ_ONLY = """
GET %API_PREFIX_EVENTS%
GET,HEAD %API_PREFIX_EXEC%(/.*)?
GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?
GET,HEAD %API_PREFIX_IMAGES%(/.*)?
GET,HEAD %API_PREFIX_VOLUMES%(/.*)?
GET,HEAD %API_PREFIX_NETWORKS%(/.*)?
GET,HEAD %API_PREFIX_BUILD%(/.*)?
"""
SPECIFIC = """
GET %API_PREFIX_CONTAINERS%/json              # List only
GET %API_PREFIX_CONTAINERS%/.*/json          # Inspect only
GET %API_PREFIX_CONTAINERS%/.*/logs          # Logs only
GET %API_PREFIX_IMAGES%/json                  # Image list only
"""
CUSTOM = """
# Allow GET and HEAD for all container endpoints
GET,HEAD %API_PREFIX_CONTAINERS%(/.*)?

# Allow POST only for specific actions
POST %API_PREFIX_CONTAINERS%/.*/start
POST %API_PREFIX_CONTAINERS%/.*/stop
POST %API_PREFIX_CONTAINERS%/.*/restart

# Allow exec access (GET for info, POST for execution)
GET,POST %API_PREFIX_EXEC%(/.*)?

# Read-only image access
GET,HEAD %API_PREFIX_IMAGES%(/.*)?
"""

# What a rule set allows, by the operations' names below; all the others have to be refused.
READS = {"version", "ps", "inspect", "logs", "images"}
SETS = {
    "basic": (BASIC, READS | {"top", "image", "events", "exec", "restart", "volumes", "networks"}),
    "high": (HIGH, READS | {"top", "image", "events", "exec", "restart"}),
    "medium": (MEDIUM, READS | {"top", "image", "events", "exec"}),
    "low": (LOW, READS | {"top", "image"}),
    "read-only": (READ_ONLY, READS | {"top", "image", "events", "volumes", "networks"}),
    "specific": (SPECIFIC, READS),
    "custom": (CUSTOM, READS | {"top", "image", "exec", "restart"}),
}
OPERATIONS = {
    "version": "version",
    "ps": "ps",
    "inspect": "container inspect {container}",
    "logs": "logs {container}",
    "top": "top {container}",
    "images": "images",
    "image": f"image inspect {IMAGE}",
    "volumes": "volume ls",
    "networks": "network ls",
    "events": "events --since 0 --until 1",
    "exec": "exec {container} true",
    "restart": "restart {container}",
    "cp": "cp {container}:/bin/sh -",
    "export": "export {container}",
    "save": f"save {IMAGE}",
    "tag": f"tag {IMAGE} other",
    "pull": "pull other",
    "rmi": f"rmi {IMAGE}",
    "rm": "rm --force {container}",
    "network": "network create other",
    "volume": "volume create other",
    "swarm": "swarm init",
}


@pytest.mark.parametrize("rules, allowed", SETS.values(), ids=SETS)
def test_rule_set(docker_at, proxy, engine, rules, allowed):
    """Each operation either works, or fails as the CLI reports an error of the engine."""
    docker = docker_at(proxy(rules=rules).addresses["tcp"])
    container = engine.run("sleep", "600").name
    verdicts = {
        name: verdict(docker(*line.format(container=container).split(), ok=None, text=False))
        for name, line in OPERATIONS.items()
    }
    expected = {name: "allowed" if name in allowed else "refused" for name in OPERATIONS}
    assert verdicts == expected


def verdict(result):
    error = result.stderr.decode()
    if result.returncode == 0:
        return "allowed"
    # Each line of it, as a second one would be an error of the CLI's own.
    if result.returncode == 1 and re.match(
        r"Error response from daemon: cetusguard: .*\s*$", error
    ):
        return "refused"
    return f"exit {result.returncode}: {error}"


def test_access_checks(proxy, front, engine):
    """The four requests of the manual's `API Access Test`."""
    address = proxy(rules=BASIC).addresses[front]
    container = engine.client.containers.create(IMAGE, ["sleep", "600"])
    assert curl(address, "GET", "/v1.41/containers/json")[0] == 200
    assert curl(address, "POST", f"/v1.41/containers/{container.id}/start")[0] == 204
    for method, path in [
        ("DELETE", f"/v1.41/containers/{container.id}"),
        ("POST", "/v1.41/images/create"),
    ]:
        status, body = curl(address, method, path)
        assert status == 403
        assert body.startswith('{"message":"cetusguard: ') and f"{method} {path}" in body
    container.reload()
    assert container.status == "running"


@pytest.mark.parametrize("path", ["/_ping", "/version", "/info", "/v1.41/_ping", "/v1.41/info"])
def test_always_allowed(proxy, front, path):
    assert curl(proxy(rules="").addresses[front], "GET", path)[0] == 200


def test_the_refusal_names_the_rule_that_helps(docker_at, proxy, front, sleeper):
    """Rules grow by the lines that refusals print, until `docker cp` works both ways."""
    rules = BASIC
    for command in ["cp {0}:/bin/sh -", "cp /dev/null {0}:/null", "cp {0}:/bin/sh -"]:
        docker = docker_at(proxy(rules=rules).addresses[front])
        result = docker(*command.format(sleeper).split(), ok=None, text=False)
        while result.returncode != 0:
            rule = re.search(rb"add the rule: (.*)", result.stderr)[1].decode()
            assert rule not in rules
            rules += f"{rule}\n"
            docker = docker_at(proxy(rules=rules).addresses[front])
            result = docker(*command.format(sleeper).split(), ok=None, text=False)


def test_run_under_the_manuals_rules(docker_at, proxy, front, engine, name):
    """Managers create containers, and wait for them, with the container rule alone."""
    docker = docker_at(proxy(rules=BASIC).addresses[front])
    assert docker.out("run", "--rm", "--name", name, IMAGE, "echo", "made") == "made"


def test_grep_in_the_audit_log(proxy, front, engine):
    """`docker compose logs cetusguard | grep "method=POST"`"""
    guard = proxy(rules=BASIC, log_format="logfmt")
    container = engine.run("sleep", "600")
    curl(guard.addresses[front], "GET", "/containers/json")
    curl(guard.addresses[front], "POST", f"/containers/{container.id}/restart?t=0")
    curl(guard.addresses[front], "POST", "/images/create?fromImage=x")
    restarted, pulled = wait_for(lambda: grep_posts(guard), "the two lines")
    assert f"path=/containers/{container.id}/restart status=204" in restarted
    assert "path=/images/create status=403" in pulled


def grep_posts(guard):
    lines = run("grep", "method=POST", guard.output).stdout.splitlines()
    return lines if len(lines) >= 2 else None


def test_record_of_a_request(proxy, front):
    guard = proxy(rules=BASIC)
    curl(guard.addresses[front], "GET", "/containers/json", "--user-agent", "tester/1")
    (record,) = wait_for(lambda: guard.records(path="/containers/json"), "the record")
    assert set(record) >= {
        "time", "level", "msg", "method", "path", "status", "client", "profile", "rule",
        "bytes_in", "bytes_out", "duration_ms", "frontend", "user_agent", "request_id",
    }  # fmt: skip
    assert (record["method"], record["status"]) == ("GET", 200)
    assert record["user_agent"] == "tester/1"
    assert "GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?" in record["rule"]
