"""A hidden object, a missing one, and one that is missing without a proxy: on each engine, every call of the
endpoint table that names an object has the same answer about all three."""

import json
import re
import subprocess

import pytest

from curl import target
from endpoints import naming_objects
from proxy import ALL
from tools import IMAGE, PATIENCE, unique

RULES = ALL + "".join(f"ALLOW {endpoint.name}\n" for endpoint in naming_objects())
OWN, COMPATIBLE = "/v4.0.0", "/v1.40"
# Parameters and bodies with which an engine looks an object up, instead of refusing the call.
QUERIES = {
    r"archive|container\.copy": "path=%2F",
    r"container\.logs|service\.logs|task\.logs": "stdout=1",
    r"resize": "h=1&w=1",
    r"rename": "name=cg-renamed",
    r"image\.tag|image\.untag": "repo=cg-tagged&tag=x",
    r"stats": "stream=false",
    r"(node|service|secret|config)\.update": "version=1",
    r"libpod\.image\.push": "destination=localhost:1/x",
    r"plugin\.upgrade": "remote=localhost:1/x",
    r"plugin\.enable": "timeout=1",
}
BODIES = {
    r"exec\.create": {"Cmd": ["true"]},
    r"exec\.start": {"Detach": True},
    r"container\.update|(node|service|secret|config)\.update|exec\.remove": {},
    r"plugin\.set|plugin\.upgrade": [],
    r"checkpoint\.create": {"CheckpointID": "x"},
    r"container\.copy": {"Resource": "/"},
}
# Their own words of these headers differ from answer to answer.
CHANGING = {"date", "x-request-id", "x-reference-id", "content-length"}
# Engines read a body to its end before they answer, and may not know the length of an answer.
OF_CONNECTION = {"connection", "transfer-encoding"}
# The reasons why an answer is another one than the engine's.
CLOSED = re.compile(r"cetusguard: .*(beyond|this profile|shared-builder|guard of profile|no rule|does not serve)", re.DOTALL)

# Calls that a view or its guard closes for all objects, so that no answer is the engine's.
CLOSED_CALLS = {
    "docker": {
        "checkpoint.remove?force=true", "network.remove?force=true", "plugin.disable", "plugin.enable",
        "plugin.push", "plugin.set", "plugin.upgrade",
    },
}  # fmt: skip
CLOSED_CALLS["podman"] = CLOSED_CALLS["docker"] | {
    "libpod.container.restore", "libpod.image.remove?force=true", "libpod.image.scp", "libpod.image.tree",
    "libpod.network.remove?force=true", "libpod.network.update", "libpod.volume.remove?force=true",
}  # fmt: skip


def choice(table, endpoint):
    return next((value for name, value in table.items() if re.search(name, endpoint.name)), None)


class Asker:
    """Asks one address, and reads its answers."""

    def __init__(self, address):
        self.address = address

    def ask(self, endpoint, word, query=None, body=None):
        """The status, the headers and the body of an answer, with NAME for the word."""
        path = (OWN if endpoint.is_libpod else COMPATIBLE) + endpoint.path(word)
        query = query if query is not None else choice(QUERIES, endpoint)
        command = ["curl", "--silent", "--show-error", "--include", "--max-time", str(PATIENCE)]
        command += ["--head"] if endpoint.method == "HEAD" else ["--request", endpoint.method]
        body = body if body is not None else choice(BODIES, endpoint)
        if body is not None:
            command += ["--header", "Content-Type: application/json", "--data-binary", json.dumps(body)]
        if endpoint.name.endswith("push"):
            command += ["--header", "X-Registry-Auth: e30="]
        command += target(self.address, path + (f"?{query}" if query else ""))
        # Not text: a line of a head ends in two characters.
        answer = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout.decode()
        head, _, body = answer.partition("\r\n\r\n")
        status, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        headers = {name.lower(): value for name, value in headers.items()}
        kept = {name: value for name, value in headers.items() if name not in CHANGING}
        # Docker names a repository without its tag.
        return status, kept, body.replace(word, "NAME").replace(word.partition(":")[0], "NAME")


class World:
    """Objects that the view of a test hides."""

    def __init__(self, engine, is_podman):
        self.engine, self.is_podman = engine, is_podman
        client = engine.client
        container = client.containers.create(IMAGE, ["sleep", "600"], name=unique(), network_mode="none")
        running = engine.run("sleep", "600")
        command = client.api.exec_create(running.id, ["true"])["Id"]
        volume = client.volumes.create(unique()).name
        image = unique("hidden")
        assert client.images.get(IMAGE).tag(image, "1")
        tag, *_ = [f"{image}:1"]
        # In the view, for calls that name two objects.
        options = {"name": unique("seen"), "network_mode": "bridge"}
        # Docker connects one that does not run to any network, and looks the network up when it starts.
        create = client.containers.create if is_podman else lambda _, command, **rest: engine.run(*command, **rest)
        seen = create(IMAGE, ["sleep", "600"], **options)
        BODIES["network\\.(dis)?connect"] = {"Container": seen.name}
        self.words = {
            "container": [container.name, container.id, container.id[:12]],
            "exec": [command],
            "image": [tag],
            "volume": [volume],
        }
        if is_podman:
            network, pod, secret = unique(), unique(), unique()
            made = engine.api("POST", "/networks/create", json={"name": network})["id"]
            self.words["network"] = [network, made[:12]]
            made = engine.api("POST", "/pods/create", json={"name": pod, "no_infra": True})["Id"]
            self.words["pod"] = [pod, made, made[:12]]
            made = engine.api("POST", "/secrets/create", params={"name": secret}, data=b"x")["ID"]
            self.words["secret"] = [secret, made]
        else:
            network = client.networks.create(unique())
            self.words["network"] = [network.name, network.id, network.id[:12]]
        self.image = tag

    def remove(self):
        self.engine.client.images.remove(self.image)


def missing_like(word):
    """A word of the same form that no object has."""
    return re.sub("[0-9a-f]", lambda digit: "0123456789abcdef"[15 - int(digit[0], 16)], word)


def check(engine, proxy, is_podman):
    world = World(engine, is_podman)
    flags = ("--visible", "name=seen-*", "--visible", "kind=image name=seen-*")
    front = proxy(backend=engine.address, rules=RULES, flags=flags)
    direct, scoped = Asker(engine.address), Asker(front.addresses["unix"])
    told, unlike, closed = [], [], set()
    for endpoint in naming_objects():
        if endpoint.is_libpod and not is_podman:
            continue
        queries = [None]
        if endpoint.method == "DELETE":
            queries.append("force=true")
        if endpoint.name.endswith("logs"):
            queries.append("")
        for word in world.words.get(endpoint.kind, ["cg-none"]):
            for query in queries:
                absent = missing_like(word)
                hidden, missing = scoped.ask(endpoint, word, query), scoped.ask(endpoint, absent, query)
                if hidden != missing:
                    told.append((endpoint.name, query, word, hidden, missing))
                if missing[0].startswith("HTTP/1.1 403") and CLOSED.search(missing[2]):
                    closed.add(endpoint.name + (f"?{query}" if query == "force=true" else ""))
                    continue
                wanted = direct.ask(endpoint, absent, query)
                for answer in (wanted, missing):
                    for name in OF_CONNECTION:
                        answer[1].pop(name, None)
                if wanted != missing:
                    unlike.append((endpoint.name, query, word, missing, wanted))
    world.remove()
    return told, unlike, closed


@pytest.fixture(params=["docker", "podman"])
def checked(request, proxy):
    name = "engine" if request.param == "docker" else "podman_engine"
    return check(request.getfixturevalue(name), proxy, request.param == "podman")


def test_hidden_and_missing_objects_have_the_engines_own_answer(checked):
    told, unlike, closed = checked
    assert not told, "\n".join(map(str, told))
    assert not unlike, "\n".join(map(str, unlike))
    assert closed == CLOSED_CALLS["podman" if "libpod.image.tree" in closed else "docker"]
