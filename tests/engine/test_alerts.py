"""The alerts and the dashboard of examples/monitoring: they use metrics that there are, and fire."""

import json
import re
import signal
from contextlib import contextmanager

import pytest
import yaml

from certificates import authority, leaf
from curl import curl
from prometheus import ADMIN_TOKEN, ask
from proxy import REPOSITORY
from tools import require, run, wait_for

EXAMPLE = REPOSITORY / "examples/monitoring"
RULES = EXAMPLE / "rules.yml"
DASHBOARD = EXAMPLE / "grafana/dashboards/cetusguard.json"
METRIC = re.compile(r"\b(?:cetusguard|process)_[a-z_]+")
# Grafana fills these in.
VARIABLES = {"$__rate_interval": "1m", "$job": ".*", "$instance": ".*", "$profile": ".*"}


def alerting_rules():
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expressions(value):
    """Every expression of the dashboard: of its panels, its annotations and its variables."""
    if isinstance(value, list):
        return [found for one in value for found in expressions(one)]
    if not isinstance(value, dict):
        return []
    own = [value["expr"]] if "expr" in value else []
    if str(value.get("definition", "")).startswith("label_values("):
        own.append(re.fullmatch(r"label_values\((.*), \w+\)", value["definition"])[1])
    return own + [found for one in value.values() for found in expressions(one)]


def names_of_samples(scrape):
    """The names of all metrics that have a sample."""
    return set(re.findall(r"^(\w+)[{ ]", scrape, re.MULTILINE))


def test_promtool_accepts_the_rules_and_their_cases():
    run(require("promtool"), "check", "rules", RULES, ok=True)
    run(require("promtool"), "test", "rules", EXAMPLE / "rules.test.yml", ok=True)


def test_each_alert_has_a_case_in_which_it_fires():
    cases = yaml.safe_load((EXAMPLE / "rules.test.yml").read_text())["tests"]
    checks = [check for case in cases for check in case["alert_rule_test"]]
    fired = {check["alertname"] for check in checks if check["exp_alerts"]}
    assert fired == {rule["alert"] for rule in alerting_rules()}


def test_promtool_accepts_the_configuration(tmp_path):
    (tmp_path / "token").write_text(ADMIN_TOKEN)
    (tmp_path / "rules.yml").write_text(RULES.read_text())
    text = (EXAMPLE / "prometheus.yml").read_text()
    text = text.replace("/run/secrets/admin-token", str(tmp_path / "token"))
    (tmp_path / "prometheus.yml").write_text(text)
    run(require("promtool"), "check", "config", tmp_path / "prometheus.yml", ok=True)


def test_the_dashboard_is_one():
    """Grafana takes a dashboard whose panels have numbers of their own and do not overlap."""
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["schemaVersion"] >= 38
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        place = panel["gridPos"]
        own = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not own & cells and max(own)[0] < 24, panel["title"]
        cells |= own
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", " ".join(expressions(dashboard))))
    assert used <= variables | {"__rate_interval"}, used


def test_rules_and_dashboard_use_metrics_that_there_are(admin_proxy, prometheus_of, tmp_path):
    server = tls_server(tmp_path)
    audit = tmp_path / "audit.json"
    one, address = admin_proxy(*server, "--memory-limit", "64MiB", "--audit-log", audit)
    assert curl(one.addresses["unix"], "GET", "/containers/json")[0] == 200
    assert curl(one.addresses["unix"], "GET", "/swarm/unlockkey")[0] == 403
    one.process.send_signal(signal.SIGHUP)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    wait_for(
        lambda: "cetusguard_config_last_reload_timestamp_seconds"
        in names_of_samples(ask(address, "/metrics", headers)),
        "a reload",
    )
    known = names_of_samples(ask(address, "/metrics", headers))
    # Without a sample until audit mode has forwarded a call.
    known.add("cetusguard_unenforced_refusals_total")
    shown = expressions(json.loads(DASHBOARD.read_text()))
    used = set(METRIC.findall(" ".join([*shown, RULES.read_text()])))
    assert used and used <= known, used - known
    prometheus = prometheus_of([address])
    for expression in shown:
        for variable, value in VARIABLES.items():
            expression = expression.replace(variable, value)
        assert "$" not in expression
        # A condition at the end hides what is quiet, and nothing was let pass in audit mode.
        expression = expression.removesuffix("> 0")
        if "unenforced" not in expression:
            wait_for(lambda query=expression: prometheus.query(query), expression)
        else:
            prometheus.query(expression)


def tls_server(folder, days=2):
    """The options of a TCP frontend with a certificate."""
    authority(folder, "ours")
    place = leaf(folder, "ours", "server", "serverAuth", days=days)
    return (
        "--frontend-tls-cert", place / "cert.pem", "--frontend-tls-key", place / "key.pem",
    )  # fmt: skip


@pytest.fixture
def rules_without_delay(tmp_path):
    """The rules without `for`, so that an alert fires as soon as its expression holds."""
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump(rules))
    return path


@contextmanager
def halted(engine):
    engine.halt()
    try:
        yield
    finally:
        engine.start()


def test_alerts_fire(admin_proxy, prometheus_of, rules_without_delay, engine, tmp_path):
    """One host after the other has a fault, and Prometheus names the fault and the host."""
    config = tmp_path / "cetusguard.yaml"
    config.write_text("rules: GET %API_PREFIX_CONTAINERS%/json\n")
    old, old_address = admin_proxy("--config", config, rules=None)
    new, new_address = admin_proxy(*tls_server(tmp_path, days=3), rules=None)
    prometheus = prometheus_of([old_address, new_address], rules=rules_without_delay)

    def fires(name, **labels):
        return any(
            alert["alertname"] == name and all(alert.get(k) == v for k, v in labels.items())
            for alert in prometheus.firing()
        )

    def wait_for_alert(name, **labels):
        wait_for(lambda: fires(name, **labels), f"{name} {labels} beside {prometheus.firing()}")

    wait_for_alert("CetusguardCertificateExpires", instance=new_address)
    wait_for_alert("CetusguardPoliciesDiffer")
    wait_for_alert("CetusguardPolicyOld", instance=old_address)
    assert not fires("CetusguardPolicyOld", instance=new_address)
    # The alerts see an increase, which needs a sample from before.
    wait_for(
        lambda: len(prometheus.query("count_over_time(cetusguard_refusals_total[1m]) > 1")) > 2,
        "two samples of each host",
    )
    for name in ("CetusguardRefusals", "CetusguardEngineUnreachable", "CetusguardReloadFailed"):
        assert not fires(name), name

    assert curl(new.addresses["unix"], "GET", "/containers/json")[0] == 403
    wait_for_alert("CetusguardRefusals", instance=new_address, profile="default", reason="no_rule")

    with halted(engine):
        assert curl(old.addresses["unix"], "GET", "/containers/json")[0] == 502
        wait_for_alert("CetusguardEngineUnreachable", instance=old_address)

    config.write_text("rules: GET %NO_SUCH_VARIABLE%\n")
    wait_for_alert("CetusguardReloadFailed", instance=old_address)

    new.stop()
    wait_for_alert("CetusguardDown", instance=new_address)
