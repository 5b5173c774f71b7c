"""Helpers every test file uses: run a program, wait for a condition, name a thing."""

import os
import shutil
import subprocess
import time
import uuid

import pytest

IMAGE = "cg-busybox:latest"
# How many seconds a test waits for anything: the one variable that a slow machine needs. A test
# that passes never waits for so long.
PATIENCE = int(os.environ.get("CETUSGUARD_TEST_PATIENCE", "60"))
CI = os.environ.get("CI") == "true"


def unique(prefix="cg"):
    """A name no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def run(*command, ok=None, timeout=PATIENCE, **options):
    """Run a program to its end; `ok` says whether it must succeed, must fail, or may do either."""
    if options.get("input") is None:
        options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("text", True)
    options.setdefault("stdout", subprocess.PIPE)
    result = subprocess.run(
        [str(part) for part in command], stderr=subprocess.PIPE, timeout=timeout, **options
    )
    if ok is not None:
        assert (result.returncode == 0) == ok, f"{command} exited {result.returncode}\n{result}"
    return result


def wait_for(condition, what):
    """Poll until `condition()` is true and return its value; fail with `what` when the patience ends."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {PATIENCE} s still waiting for {what}"
        time.sleep(0.02)
    return value


def engine_path():
    """The search path of the Docker Engine under test; CETUSGUARD_DOCKERD_BIN goes first if set."""
    folders = [os.environ.get("CETUSGUARD_DOCKERD_BIN"), os.environ["PATH"]]
    return os.pathsep.join(filter(None, folders))


def podman_path():
    """The search path of the Podman under test; CETUSGUARD_PODMAN_BIN goes first if set."""
    folders = [os.environ.get("CETUSGUARD_PODMAN_BIN"), os.environ["PATH"]]
    return os.pathsep.join(filter(None, folders))


def require(program, path=None):
    """The path of a program that the test needs, searched on `path` if given, else on PATH."""
    path = shutil.which(program, path=path)
    if path is None:
        missing(f"{program} is not installed")
    return path


def missing(reason):
    """Something that not every developer has: a skip there, a failure in CI."""
    (pytest.fail if CI else pytest.skip)(reason)
