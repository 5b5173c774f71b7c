"""Clients told by the container that they call from, on a network of a real engine."""

import ipaddress
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import docker
import pytest

from tools import IMAGE, PATIENCE, unique, wait_for

RULES = {
    "named": "GET /v1.41/images/json",
    "labelled": "GET /v1.41/volumes",
    "composed": "GET /v1.41/networks",
    "near": "GET /v1.41/containers/json",
}
CONFIG = """
profiles:
  named: {rules: 'GET %API_PREFIX_IMAGES%/json', clients: [{container: cgnamed-*}]}
  labelled: {rules: 'GET %API_PREFIX_VOLUMES%', clients: [{label: cetusguard.profile=labelled}]}
  composed: {rules: 'GET %API_PREFIX_NETWORKS%', clients: [{compose-project: shop, compose-service: web}]}
  near: {rules: 'GET %API_PREFIX_CONTAINERS%/json', clients: [{address: SUBNET}]}
"""
# The network has room for as many at once, and for some that have not quite ended.
AT_ONCE = 6
COMPOSED = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


class Site:
    """A network with the proxy at its gateway, and containers on it that call the proxy by its name."""

    def __init__(self, engine, proxy, folder, backend=None):
        self.engine = engine
        subnet = next(ipaddress.ip_network(engine.pool).subnets(new_prefix=28))
        self.hosts = [str(host) for host in subnet.hosts()]
        pool = docker.types.IPAMPool(subnet=str(subnet), gateway=self.hosts[0])
        self.network = engine.client.networks.create(
            unique(), ipam=docker.types.IPAMConfig(pool_configs=[pool])
        )
        config = folder / "config.yaml"
        config.write_text(CONFIG.replace("SUBNET", str(subnet)))
        self.proxy = proxy(
            backend=backend,
            rules="",
            frontends=(f"tcp://{self.hosts[0]}:0",),
            env={"CETUSGUARD_CONFIG": str(config)},
        )
        self.port = self.proxy.addresses["tcp"].rpartition(":")[2]

    def script(self, *calls):
        """Asks for each, and prints the status of each answer."""
        ask = (
            "printf '%s HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n' \"$0\""
            f" | nc cetusguard {self.port} | head -n 1 | cut -d ' ' -f 2"
        )
        return " ; ".join(f"sh -c {quoted(ask)} {quoted(call)}" for call in calls)

    def run(self, name, calls, address=None, **options):
        """The statuses that a new container gets, from the first moment of its life on."""
        hosts = {"cetusguard": self.hosts[0]}
        return self.start(name, ["sh", "-c", self.script(*calls)], address, hosts, **options)[1].split()

    def start(self, name, program, address=None, hosts=None, **options):
        """Runs a program in a new container to its end, and returns its exit status and its output."""
        api = self.engine.client.api
        endpoint = api.create_endpoint_config(ipv4_address=address)
        created = api.create_container(
            IMAGE,
            program,
            name=name,
            host_config=api.create_host_config(extra_hosts=hosts),
            networking_config=api.create_networking_config({self.network.name: endpoint}),
            **options,
        )
        api.start(created)
        status = api.wait(created, timeout=PATIENCE)["StatusCode"]
        output = api.logs(created).decode()
        api.remove_container(created)
        return status, output


class LateEvents:
    """The engine behind a socket that delivers its stream of events late, as a busy engine does."""

    def __init__(self, engine, path, delay):
        self.engine, self.delay = engine, delay
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(64)
        self.address = f"unix://{path}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near = self.listener.accept()[0]
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self.engine.socket))
            threading.Thread(target=self.serve, args=(near, far), daemon=True).start()

    def serve(self, near, far):
        request = near.recv(65536)
        far.sendall(request)
        is_stream = request.startswith(b"GET /events") and b"&until=" not in request
        threading.Thread(target=relay, args=(near, far, 0), daemon=True).start()
        relay(far, near, self.delay if is_stream else 0)


def relay(source, target, delay):
    """Passes bytes on until either side ends, each part late by so many seconds."""
    try:
        while data := source.recv(65536):
            time.sleep(delay)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # The other side has left.
        pass


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


@pytest.fixture
def site(engine, proxy, tmp_path):
    return Site(engine, proxy, tmp_path)


@pytest.mark.parametrize(
    ("name", "labels", "profile"),
    [
        ("cgnamed-1", {}, "named"),
        ("cgother-1", {"cetusguard.profile": "labelled"}, "labelled"),
        ("cgother-1", COMPOSED, "composed"),
        ("cgother-1", {"cetusguard.profile": "named"}, "near"),
        ("cgother-1", {**COMPOSED, "com.docker.compose.service": "db"}, "near"),
    ],
)
def test_a_container_has_the_rights_of_its_profile(site, name, labels, profile):
    statuses = site.run(name, RULES.values(), labels=labels)
    assert statuses == ["200" if known == profile else "403" for known in RULES]
    allowed = wait_for(lambda: site.proxy.records(msg="request allowed"), "the log")
    assert {record["profile"] for record in allowed} == {profile}


def test_nobody_inherits_the_rights_of_an_address(site):
    """Two containers take turns at one address, each calling as soon as it lives."""
    for _ in range(6):
        for name, own, other in [("cgnamed-2", "named", "near"), ("cgother-2", "near", "named")]:
            calls = [RULES[other], RULES[own]] * 2
            assert site.run(name, calls, address=site.hosts[5]) == ["403", "200"] * 2


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("count", "delay"), [(500, 0), (60, 1)])
def test_every_first_call_has_the_rights_of_its_container(engine, proxy, tmp_path, count, delay):
    """Containers whose first act is a call, a few at a time, while the engine is busy with the others."""
    backend = LateEvents(engine, tmp_path / "s", delay).address if delay else None
    site = Site(engine, proxy, tmp_path, backend)

    def first_call(number):
        named = number % 2 == 0
        call = RULES["named" if named else "labelled"].removeprefix("GET ")
        # No shell goes before it.
        program = ["wget", "-q", "-O", "/dev/null", f"http://{site.hosts[0]}:{site.port}{call}"]
        name = f"cgnamed-first-{number}" if named else f"cgother-first-{number}"
        return site.start(name, program, labels={} if named else {"cetusguard.profile": "labelled"})[0]

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        exits = Counter(pool.map(first_call, range(count)))
    site.proxy.stop()
    records = site.proxy.records(msg="request allowed") + site.proxy.records(msg="request refused")
    profiles = Counter((record.get("profile"), record.get("reason")) for record in records)
    half = count // 2
    assert profiles == {("named", None): half, ("labelled", None): half}
    assert exits == {0: count}


def test_a_new_name_and_a_new_network_count(site, engine):
    """What changes while the container runs: its name, and the network that it calls from."""
    sleeper = engine.run("sleep", "600", name="cgother-3", network_mode="none")

    def ask(call):
        return sleeper.exec_run(["sh", "-c", site.script(call)]).output.decode().split()

    sleeper.exec_run(["sh", "-c", f"echo '{site.hosts[0]} cetusguard' >>/etc/hosts"])
    engine.client.networks.get("none").disconnect(sleeper)
    site.network.connect(sleeper)
    assert ask(RULES["near"]) == ["200"]
    sleeper.rename("cgnamed-3")
    assert ask(RULES["near"]) == ["403"]
    assert ask(RULES["named"]) == ["200"]
