"""The proxy under test: its binary, started with the rules and frontends a test asks for."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tools import PATIENCE, wait_for

REPOSITORY = Path(__file__).resolve().parents[2]
BOTH = ("tcp://127.0.0.1:0", "unix://{home}/front.sock")

# Everything the clients under test do. A wildcard opens no endpoint that hands over file contents
# or a live channel, so these are named.
ALL = """
GET,HEAD,POST,PUT,DELETE %API_PREFIX_CONTAINERS%(/.*)?
GET,HEAD,PUT %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive
GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/attach/ws
GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/export
GET,POST,DELETE %API_PREFIX_IMAGES%(/.*)?
GET %API_PREFIX_IMAGES%/get
GET %API_PREFIX_IMAGES%/%IMAGE_ID_OR_REFERENCE%/get
POST %API_PREFIX_IMAGES%/%IMAGE_ID_OR_REFERENCE%/push
POST %API_PREFIX_IMAGES%/load
GET,POST,DELETE %API_PREFIX_NETWORKS%(/.*)?
GET,POST,DELETE %API_PREFIX_VOLUMES%(/.*)?
GET,POST %API_PREFIX_EXEC%(/.*)?
GET %API_PREFIX_EVENTS%
GET %API_PREFIX_SYSTEM%/df
POST %API_PREFIX_BUILD%
POST %API_PREFIX_COMMIT%
POST %API_PREFIX_GRPC%
POST %API_PREFIX_SESSION%
"""
# `docker inspect NAME` asks for every kind of object, and stops at the first refusal.
ALL += "".join(
    f"GET %API_PREFIX_{kind}%(/.*)?\n"
    for kind in ("CONFIGS", "NODES", "PLUGINS", "SECRETS", "SERVICES", "SWARM", "TASKS")
)


def binary():
    """The program to test: CETUSGUARD_BIN, else the newest release build."""
    if named := os.environ.get("CETUSGUARD_BIN"):
        return Path(named)
    target = REPOSITORY / "target"
    built = [*target.glob("*/release/cetusguard"), *target.glob("release/cetusguard")]
    if not built:
        pytest.exit("no release build of cetusguard, and CETUSGUARD_BIN is not set", returncode=1)
    return max(built, key=lambda path: path.stat().st_mtime)


class Proxy:
    """A running proxy. `addresses` holds what it listens on, by scheme.

    Without `rules` it has those that `flags` or `env` give it; `command` may be `learn`, which serves too.
    """

    def __init__(
        self, backend, rules=ALL, frontends=BOTH, log_format="json", flags=(), env=None, command="serve"
    ):
        # Short, because a socket path is limited to 108 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="cg-", dir="/tmp"))
        self.output = self.home / "log"
        settings = {
            "CETUSGUARD_BACKEND_ADDR": backend,
            "CETUSGUARD_FRONTEND_ADDR": " ".join(frontends).format(home=self.home),
            "CETUSGUARD_LOG_FORMAT": log_format,
            "CETUSGUARD_LOG_LEVEL": "7",
            **({} if rules is None else {"CETUSGUARD_RULES": rules}),
            **(env or {}),
        }
        # scripts/coverage measures a program that writes its counters there.
        if counters := os.environ.get("LLVM_PROFILE_FILE"):
            settings["LLVM_PROFILE_FILE"] = counters
        # A profile whose view hides nothing of what a test makes: clients must not notice it.
        view = shlex.split(os.environ.get("CETUSGUARD_TEST_VIEW", "")) if rules == ALL and not flags else ()
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                [binary(), command, *flags, *view], env=settings, stdout=log, stderr=log
            )
        try:
            wait_for(lambda: len(self.listening()) == len(frontends), "the proxy to listen")
        except AssertionError:
            self.kill()
            raise
        self.addresses = {address.split(":")[0]: address for address in self.listening()}

    def listening(self):
        """The addresses of the `listening` lines, in either log format."""
        log = self.log()
        assert self.process.poll() is None, f"the proxy ended at its start: {log}"
        lines = [line for line in log.splitlines() if re.search(r'msg"?[=:]"?listening', line)]
        return re.findall(r'address"?[=:]"?((?:tcp|unix)://[^"\s]+)', "\n".join(lines))

    def log(self):
        return self.output.read_text(errors="replace")

    def records(self, **expected):
        """The JSON log records that have these values."""
        lines = self.log().split("\n")[:-1]
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [r for r in records if all(r.get(key) == v for key, v in expected.items())]

    def refused(self):
        """Stop it, so that its log has everything, and list the reason, method and path of each refusal."""
        self.stop()
        return [(r["reason"], r["method"], r["path"]) for r in self.records(msg="request refused")]

    def peak_memory(self):
        """The highest resident size so far, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def terminate(self):
        self.process.terminate()

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=PATIENCE)
        shutil.rmtree(self.home)

    def stop(self, how=signal.SIGTERM):
        """Stop it, with SIGTERM as an orchestrator does unless told otherwise, and return its status."""
        self.process.send_signal(how)
        try:
            return self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def close(self):
        """Stop it, and check that it went in peace."""
        status = self.stop()
        log = self.log()
        shutil.rmtree(self.home)
        assert (status, "panicked" in log) == (0, False), (
            f"the proxy exited {status}\n{log[-2000:]}"
        )
