"""A Prometheus of Debian's, started by a test for proxies of its own."""

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from tools import PATIENCE, require, wait_for

ADMIN_TOKEN = "scrape-me-if-you-can"


def ask(address, path, headers=()):
    """Gets a page and returns its text; a status that is an error raises one."""
    request = urllib.request.Request(f"http://{address}{path}", headers=dict(headers))
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.read().decode()


class Prometheus:
    """A running Prometheus that scrapes `targets`, addresses of admin listeners, all the time."""

    def __init__(self, folder, targets, token, rules=None):
        self.folder = folder
        (folder / "scrape-token").write_text(token)
        job = {
            "job_name": "cetusguard",
            "scrape_interval": "500ms",
            "scrape_timeout": "500ms",
            "authorization": {"credentials_file": "scrape-token"},
            "static_configs": [{"targets": targets}],
        }
        settings = {"global": {"evaluation_interval": "500ms"}, "scrape_configs": [job]}
        if rules:
            settings["rule_files"] = [str(rules)]
        (folder / "prometheus.yml").write_text(json.dumps(settings))
        self.log = folder / "prometheus.log"
        command = [require("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data"]
        command.append("--web.listen-address=127.0.0.1:0")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            self.address = wait_for(self.listening, "Prometheus to listen")[1]
            wait_for(lambda: "Server is ready" in self.log.read_text(), "Prometheus to be ready")
        except BaseException:
            self.close()
            raise

    def listening(self):
        return re.search(r"Listening on.*address=(127\.0\.0\.1:\d+)", self.log.read_text())

    def query(self, expression):
        """Returns the samples of an expression; one that does not parse raises an error."""
        answer = ask(self.address, f"/api/v1/query?query={urllib.parse.quote(expression)}")
        return json.loads(answer)["data"]["result"]

    def firing(self):
        """Returns the labels of each alert that fires."""
        alerts = json.loads(ask(self.address, "/api/v1/alerts"))["data"]["alerts"]
        return [alert["labels"] for alert in alerts if alert["state"] == "firing"]

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=PATIENCE)
