"""dockerode, the Node.js client that Homepage, Portainer's forks and many small tools use."""

import pytest


@pytest.mark.parametrize(
    "scenario, outcome",
    [
        ("run", {"status": 5, "out": "out\n", "err": "err\n"}),
        ("exec", {"status": 6, "out": "typed\n", "err": "err\n"}),
        ("execWithoutUpgrade", {"out": "hi\n", "err": ""}),
        ("events", "pause"),
        ("archive", True),
        ("networksAndVolumes", "removed"),
    ],
)
def test_scenario(dockerode, address, sleeper, scenario, outcome):
    assert dockerode(address, scenario, sleeper) == {"outcome": outcome}


def test_names(dockerode, address, sleeper):
    assert dockerode(address, "list") == {"outcome": [f"/{sleeper}"]}
    assert dockerode(address, "stats", sleeper) == {"outcome": f"/{sleeper}"}


def test_attach(dockerode, address, engine):
    container = engine.run("cat", stdin_open=True)
    assert dockerode(address, "attach", container.name) == {"outcome": "word\n"}


def test_logs_follow(dockerode, address, engine):
    container = engine.run("sh", "-c", "echo first; exec sleep 600")
    assert dockerode(address, "logs", container.name) == {"outcome": "first\n"}


def test_refusal(dockerode, proxy, front, sleeper):
    address = proxy(rules="GET %API_PREFIX_CONTAINERS%(/.*)?").addresses[front]
    refused = dockerode(address, "remove", sleeper)
    assert refused["status"] == 403 and "cetusguard: " in refused["error"]
