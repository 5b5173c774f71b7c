"""Clients told by the container that they call from, on a network of a real engine."""

import ipaddress

import docker
import pytest

from tools import IMAGE, unique, wait_for

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
COMPOSED = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


class Site:
    """A network with the proxy at its gateway, and containers on it that call the proxy by its name."""

    def __init__(self, engine, proxy, folder):
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
        api = self.engine.client.api
        endpoint = api.create_endpoint_config(ipv4_address=address)
        created = api.create_container(
            IMAGE,
            ["sh", "-c", self.script(*calls)],
            name=name,
            host_config=api.create_host_config(extra_hosts={"cetusguard": self.hosts[0]}),
            networking_config=api.create_networking_config({self.network.name: endpoint}),
            **options,
        )
        api.start(created)
        api.wait(created, timeout=30)
        statuses = api.logs(created).decode().split()
        api.remove_container(created)
        return statuses


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
