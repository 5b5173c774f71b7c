"""Requests with curl, as the manual's examples make them."""

from tools import PATIENCE, run


def target(address, path):
    """curl's arguments for a path at a frontend or an engine."""
    scheme, _, place = address.partition("://")
    if scheme == "unix":
        return ["--unix-socket", place, f"http://localhost{path}"]
    return [f"http://{place}{path}"]


def curl(address, method, path, *options):
    """One request: its status and its body."""
    command = ["curl", "--silent", "--show-error", "--max-time", str(PATIENCE), *options]
    command += ["--request", method, "--write-out", "\n%{http_code}", *target(address, path)]
    body, _, status = run(*command, ok=True).stdout.rpartition("\n")
    return int(status), body
