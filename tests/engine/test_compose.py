"""docker-compose 1.29, a docker-py client that adds its own habits."""

import os

import pytest

from proxy import ALL
from tools import IMAGE, require, run

PROJECT = f"""
version: "3"
services:
  web:
    image: {IMAGE}
    command: sh -c 'echo serving; exec sleep 600'
    stop_signal: SIGKILL
    environment: {{WORD: well}}
    volumes: ["kept:/kept"]
    depends_on: [store]
  store:
    image: {IMAGE}
    command: sleep 600
    stop_signal: SIGKILL
volumes:
  kept:
"""


@pytest.fixture
def compose(tmp_path, name):
    """Runs docker-compose on the project above, at an address."""
    program = require("docker-compose")
    (tmp_path / "docker-compose.yml").write_text(PROJECT)

    def call(address, *args, ok=True, **options):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": address}
        command = [program, "--no-ansi", "--project-name", name, *args]
        return run(*command, ok=ok, env=env, cwd=tmp_path, **options)

    return call


def test_a_project_from_up_to_down(compose, address, engine):
    compose(address, "up", "-d")
    listed = compose(address, "ps").stdout
    assert listed.count(" Up ") == 2
    assert "serving" in compose(address, "logs", "web").stdout
    script = ["sh", "-c", "echo $WORD; cat; exit 4"]
    result = compose(address, "exec", "-T", "web", *script, input="piped", ok=None)
    assert (result.stdout, result.returncode) == ("well\npiped", 4)
    compose(address, "down", "--volumes")
    client = engine.client
    assert client.containers.list(all=True) + client.volumes.list() == []
    assert client.networks.list(filters={"type": "custom"}) == []


def test_run_waits_for_the_end(compose, address):
    result = compose(address, "run", "--rm", "-T", "web", "sh", "-c", "echo once; exit 6", ok=None)
    assert (result.stdout, result.returncode) == ("once\n", 6)


def test_what_the_rules_forbid(compose, proxy, front):
    """Without a rule for networks the first thing that `up` makes is refused, and says so."""
    rules = ALL.replace("GET,POST,DELETE %API_PREFIX_NETWORKS%", "GET %API_PREFIX_NETWORKS%")
    refused = compose(proxy(rules=rules).addresses[front], "up", "-d", ok=False)
    assert "cetusguard: " in refused.stderr and "/networks/create" in refused.stderr
