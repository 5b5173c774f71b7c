"""The Docker CLIs of this machine, and one of them bound to an address."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field

import pexpect

from tools import PATIENCE, engine_path, run


@dataclass(frozen=True)
class Cli:
    path: str
    version: tuple

    def __str__(self):
        return "cli-" + ".".join(map(str, self.version))


def installed():
    """Every distinct Docker CLI on the engine's search path, by version."""
    found = {}
    for folder in engine_path().split(os.pathsep):
        if path := shutil.which("docker", path=folder):
            told = re.match(r"Docker version (\d+)\.(\d+)\.(\d+)", run(path, "--version").stdout)
            if told:
                found.setdefault(tuple(map(int, told.groups())), path)
    return [Cli(path, version) for version, path in sorted(found.items())]


@dataclass
class Docker:
    """A CLI that talks to one address, with a configuration folder of its own."""

    cli: Cli
    address: str
    config: str
    env: dict = field(default_factory=dict)

    def environment(self, extra=None):
        own = {"DOCKER_HOST": self.address, "DOCKER_CONFIG": self.config}
        return {"PATH": os.environ["PATH"], "TERM": "xterm", **own, **self.env, **(extra or {})}

    def __call__(self, *args, ok=True, env=None, **options):
        return run(self.cli.path, *args, ok=ok, env=self.environment(env), **options)

    def api(self):
        """The version of the API that the command speaks with this engine."""
        told = self("version", "--format", "{{.Client.APIVersion}}").stdout
        return tuple(map(int, told.strip().split(".")))

    def out(self, *args, **options):
        """What the command printed, without the last newline."""
        return self(*args, **options).stdout.strip()

    def start(self, *args, **options):
        """Start a command that is to be watched, fed or killed while it runs."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, **options}
        return subprocess.Popen(
            [self.cli.path, *args], env=self.environment(), stderr=subprocess.STDOUT, **options
        )

    def terminal(self, *args, rows=24, columns=80):
        """Run a command on a terminal, for what needs one."""
        return pexpect.spawn(
            self.cli.path, list(args), env=self.environment(),
            dimensions=(rows, columns), timeout=PATIENCE, encoding="utf-8",
        )  # fmt: skip
