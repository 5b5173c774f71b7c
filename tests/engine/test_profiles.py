"""One instance, three tiers of trust: each client has the rights of the socket that it was given."""

import shutil
import tempfile
import textwrap
from pathlib import Path

import pytest

from test_documented_rules import HIGH, LOW, MEDIUM

TIERS = {"high": HIGH, "medium": MEDIUM, "low": LOW}


@pytest.fixture
def tiers(proxy):
    """The address of each tier's socket, by its name, and the proxy."""
    # Short, because a socket path is limited to 108 bytes.
    folder = Path(tempfile.mkdtemp(prefix="cg-", dir="/tmp"))
    addresses = {tier: f"unix://{folder}/{tier}.sock" for tier in TIERS}
    file = "frontends:\n"
    for tier, address in addresses.items():
        file += f"  - {{addr: '{address}', profile: {tier}}}\n"
    file += "profiles:\n"
    for tier, rules in TIERS.items():
        file += f"  {tier}:\n    rules: |\n{textwrap.indent(rules.strip(), ' ' * 6)}\n"
    config = folder / "config.yaml"
    config.write_text(file)
    one = proxy(frontends=tuple(addresses.values()), env={"CETUSGUARD_CONFIG": str(config)})
    yield addresses, one
    shutil.rmtree(folder)


@pytest.mark.parametrize("tier", TIERS)
def test_each_tier_has_its_rights_and_no_more(tiers, docker_at, sleeper, tier):
    addresses, proxy = tiers
    docker = docker_at(addresses[tier])
    assert sleeper in docker.out("ps", "--format", "{{.Names}}")

    said = docker("exec", sleeper, "echo", "hello", ok=None)
    assert ("hello" in said.stdout) == (tier != "low"), said
    stopped = docker("stop", "--time", "0", sleeper, ok=None)
    assert (stopped.returncode == 0) == (tier == "high"), stopped

    for refused in [said, stopped]:
        if refused.returncode != 0:
            assert f"no rule of profile {tier} allows POST" in refused.stderr
    assert docker("volume", "ls", ok=False).returncode != 0
    profiles = {record["profile"] for record in proxy.records() if "request_id" in record}
    assert profiles == {tier}
