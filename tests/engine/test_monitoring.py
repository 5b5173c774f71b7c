"""Prometheus scrapes the admin listener, and its counters equal the log."""

from collections import Counter

import pytest

from prometheus import ADMIN_TOKEN, ask
from tools import require, run, wait_for


@pytest.fixture
def scraped(admin_proxy):
    """A proxy with an admin listener, and the address of that listener."""
    return admin_proxy()


def metrics(address, accept="*/*"):
    return ask(address, "/metrics", {"Authorization": f"Bearer {ADMIN_TOKEN}", "Accept": accept})


def call(proxy, path):
    """Asks the proxy over its Unix socket and returns the status."""
    socket = proxy.addresses["unix"].removeprefix("unix://")
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", socket]
    return run(*command, f"http://docker{path}", ok=True).stdout


def outcomes_in_log(proxy):
    """How many requests ended in each way, by the log."""
    ended = [r for r in proxy.records() if "request_id" in r and "duration_ms" in r]
    return Counter((r.get("profile", ""), r.get("reason", "served")) for r in ended)


def test_promtool_accepts_the_metrics(scraped):
    one, address = scraped
    assert call(one, "/containers/json") == "200"
    checked = run(require("promtool"), "check", "metrics", input=metrics(address), ok=True)
    assert not checked.stderr.strip() and not checked.stdout.strip(), checked
    assert metrics(address, "application/openmetrics-text").endswith("# EOF\n")


def test_prometheus_counts_as_the_log_does(scraped, prometheus_of):
    one, address = scraped
    for path, status in [("/containers/json", "200")] * 3 + [("/plugins/x/json", "404")]:
        assert call(one, path) == status
    for path in ("/swarm/unlockkey", "/nothing/there", "/nothing/there"):
        assert call(one, path) == "403"
    prometheus = prometheus_of([address])
    query = prometheus.query

    def scraped_outcomes():
        return Counter(
            {
                (sample["metric"].get("profile", ""), sample["metric"]["outcome"]): int(
                    sample["value"][1]
                )
                for sample in query("cetusguard_requests_total > 0")
            }
        )

    wait_for(
        lambda: scraped_outcomes() and scraped_outcomes() == outcomes_in_log(one),
        "the counters to equal the log",
    )
    assert query("cetusguard_build_info")[0]["metric"]["version"]
    assert query("count(cetusguard_request_duration_seconds_bucket{profile='default'})")
