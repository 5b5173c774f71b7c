"""Compose: 1.29, a docker-py client with habits of its own, and 2.x with the newer engine.

Compose 1.29 cannot recreate a container on Docker 25 and later: it reads the `ContainerConfig` of an
image, which those engines no longer send. So `compose` prefers the program beside the engine."""

import pytest

from proxy import ALL
from tools import IMAGE, PATIENCE

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


# Five services as people write them: networks, health checks, limits, read-only file systems, ports.
STACK = f"""
version: "2.4"
x-common: &common
  image: {IMAGE}
  command: sleep 600
  stop_signal: SIGKILL
  restart: unless-stopped
  logging: {{driver: json-file, options: {{max-size: 1m, max-file: "2"}}}}
services:
  db:
    <<: *common
    environment: [POSTGRES_PASSWORD=secret]
    volumes: ["data:/var/lib/db", "/run/lock-free"]
    networks: [back]
    healthcheck: {{test: [CMD, "true"], interval: 1s, retries: 3}}
    shm_size: 64m
    mem_limit: 64m
  cache:
    <<: *common
    read_only: true
    tmpfs: ["/tmp", "/run:size=1m"]
    networks: [back]
    cap_drop: [ALL]
    cap_add: [CHOWN, SETUID, SETGID]
    ulimits: {{nofile: {{soft: 64, hard: 128}}}}
  api:
    <<: *common
    depends_on: {{db: {{condition: service_healthy}}, cache: {{condition: service_started}}}}
    user: "1000:1000"
    working_dir: /tmp
    security_opt: ["no-new-privileges:true"]
    networks: {{back: {{aliases: [backend]}}, front: {{}}}}
    expose: ["8000"]
    extra_hosts: ["outside:192.0.2.1"]
    cpus: 0.5
    pids_limit: 50
  worker:
    <<: *common
    depends_on: [db]
    networks: [back]
    labels: {{team: shop}}
    sysctls: {{net.ipv4.ip_unprivileged_port_start: "0"}}
    dns: [192.0.2.53]
    group_add: ["100"]
  web:
    <<: *common
    depends_on: [api]
    networks: [front]
    ports: ["127.0.0.1::80"]
    hostname: web
    domainname: example.test
    stop_grace_period: 1s
networks:
  front: {{driver: bridge}}
  back: {{internal: true, labels: {{tier: back}}}}
volumes:
  data: {{labels: {{keep: "no"}}}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path):
    (tmp_path / "docker-compose.yml").write_text(PROJECT)


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


def test_a_stack_of_five_services_under_the_guard(compose, address, engine, tmp_path):
    (tmp_path / "docker-compose.yml").write_text(STACK)
    compose(address, "up", "-d", timeout=2 * PATIENCE)
    running = engine.client.containers.list()
    assert len(running) == 5
    # A change makes one anew, from what is inspected of the old one.
    (tmp_path / "docker-compose.yml").write_text(STACK.replace("team: shop", "team: other"))
    compose(address, "up", "-d", timeout=2 * PATIENCE)
    assert len({one.id for one in running} & {one.id for one in engine.client.containers.list()}) == 4
    (tmp_path / "docker-compose.yml").write_text(STACK.replace("user:", "privileged: true\n    user:"))
    refused = compose(address, "up", "-d", ok=False, timeout=2 * PATIENCE)
    assert "HostConfig.Privileged: gives the container every right" in refused.stderr
    compose(address, "down", "--volumes", timeout=2 * PATIENCE)


def test_run_waits_for_the_end(compose, address):
    result = compose(address, "run", "--rm", "-T", "web", "sh", "-c", "echo once; exit 6", ok=None)
    assert (result.stdout, result.returncode) == ("once\n", 6)


def test_what_the_rules_forbid(compose, proxy, front):
    """Without a rule for networks the first thing that `up` makes is refused, and says so."""
    rules = ALL.replace("GET,POST,DELETE %API_PREFIX_NETWORKS%", "GET %API_PREFIX_NETWORKS%")
    refused = compose(proxy(rules=rules).addresses[front], "up", "-d", ok=False)
    assert "cetusguard: " in refused.stderr and "/networks/create" in refused.stderr
