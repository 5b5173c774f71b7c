"""Prometheus scrapes the admin listener, and its counters equal the log."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections import Counter

import pytest

from proxy import REPOSITORY
from tools import require, run, wait_for

TOKEN = "scrape-me-if-you-can"


@pytest.fixture
def scraped(proxy, tmp_path):
    """A proxy with an admin listener on TCP that needs a token, and the address of that listener."""
    (tmp_path / "token").write_text(TOKEN)
    one = proxy(
        flags=("--admin-addr", "tcp://127.0.0.1:0", "--admin-token-file", tmp_path / "token"),
    )
    ready = wait_for(lambda: one.records(msg="the admin listener is ready"), "the admin listener")
    return one, ready[0]["address"].removeprefix("tcp://")


def ask(address, path, headers=()):
    request = urllib.request.Request(f"http://{address}{path}", headers=dict(headers))
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def metrics(address, accept="*/*"):
    return ask(address, "/metrics", {"Authorization": f"Bearer {TOKEN}", "Accept": accept})


def call(proxy, path):
    """Asks the proxy over its Unix socket and returns the status."""
    socket = proxy.addresses["unix"].removeprefix("unix://")
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", socket]
    return run(*command, f"http://docker{path}", ok=True).stdout


def outcomes_in_log(proxy):
    """How many requests ended in each way, by the log."""
    ended = [r for r in proxy.records() if "request_id" in r and "duration" in r]
    return Counter((r.get("profile", ""), r.get("reason", "served")) for r in ended)


def test_promtool_accepts_the_metrics(scraped):
    one, address = scraped
    assert call(one, "/containers/json") == "200"
    checked = run(require("promtool"), "check", "metrics", input=metrics(address), ok=True)
    assert not checked.stderr.strip() and not checked.stdout.strip(), checked
    assert metrics(address, "application/openmetrics-text").endswith("# EOF\n")


def test_promtool_accepts_the_alerts(tmp_path):
    page = (REPOSITORY / "docs/monitoring.md").read_text()
    rules = re.search(r"```yaml\n(groups:\n.*?)```", page, re.DOTALL)[1]
    (tmp_path / "rules.yml").write_text(rules)
    run(require("promtool"), "check", "rules", tmp_path / "rules.yml", ok=True)
    known = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    used = set(re.findall(r"\b(?:cetusguard|process)_\w+", rules))
    assert used and used <= known, used - known


def test_prometheus_counts_as_the_log_does(scraped, tmp_path):
    one, address = scraped
    for path, status in [("/containers/json", "200")] * 3 + [("/plugins/x/json", "404")]:
        assert call(one, path) == status
    for path in ("/swarm/unlockkey", "/nothing/there", "/nothing/there"):
        assert call(one, path) == "403"
    (tmp_path / "token").write_text(TOKEN)
    job = {
        "job_name": "cetusguard",
        "scrape_interval": "200ms",
        "scrape_timeout": "200ms",
        "authorization": {"credentials_file": "token"},
        "static_configs": [{"targets": [address]}],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps({"scrape_configs": [job]}))
    command = [require("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
    command.append("--web.listen-address=127.0.0.1:0")
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=tmp_path, stdout=output, stderr=output)
    try:
        log = tmp_path / "output"
        found = wait_for(
            lambda: re.search(r"Listening on.*address=(127\.0\.0\.1:\d+)", log.read_text()),
            "Prometheus to listen",
        )
        wait_for(lambda: "Server is ready" in log.read_text(), "Prometheus to be ready")

        def query(expression):
            answer = ask(found[1], f"/api/v1/query?query={urllib.parse.quote(expression)}")
            return json.loads(answer)["data"]["result"]

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
    finally:
        process.terminate()
        process.wait(timeout=30)
