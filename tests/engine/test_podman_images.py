"""Images that Podman would take from a path of the host, by a transport before their names."""

import json
from urllib.parse import quote

import pytest

from curl import curl
from proxy import ALL
from test_podman_view import COMPATIBLE, KINDS, OWN
from tools import IMAGE, unique

RULES = ALL + "".join(f"GET,POST,DELETE %API_PREFIX_LIBPOD_{kind}%(/.*)?\n" for kind in KINDS)
RULES += "GET %API_PREFIX_LIBPOD_IMAGES%/.+/get\n"
CALLS = [
    ("GET", f"{OWN}/images/WORD/exists", None),
    ("GET", f"{OWN}/images/WORD/json", None),
    ("GET", f"{OWN}/images/WORD/history", None),
    ("GET", f"{OWN}/images/WORD/tree", None),
    ("GET", f"{OWN}/images/WORD/get?format=docker-archive", None),
    ("GET", f"{OWN}/manifests/WORD/json", None),
    ("GET", f"{OWN}/manifests/WORD/exists", None),
    ("GET", f"{COMPATIBLE}/images/WORD/json", None),
    ("GET", f"{COMPATIBLE}/images/json?filters=FILTER", None),
    ("GET", f"{OWN}/images/json?filters=FILTER", None),
    ("GET", f"{OWN}/containers/CONTAINER/changes?parent=WORD", None),
    ("POST", f"{OWN}/images/WORD/untag", None),
    ("DELETE", f"{OWN}/images/WORD", None),
    ("DELETE", f"{OWN}/images/remove?images=WORD", None),
    ("POST", f"{OWN}/manifests/create?name=x&images=WORD", None),
    ("POST", f"{OWN}/manifests/x", {"operation": "update", "images": ["IMAGE"]}),
    ("POST", f"{OWN}/containers/create", {"image": "IMAGE", "command": ["true"]}),
    ("POST", f"{COMPATIBLE}/containers/create", {"Image": "IMAGE", "Cmd": ["true"]}),
]  # fmt: skip


@pytest.fixture
def container(podman_engine):
    body = {"image": IMAGE, "name": unique(), "command": ["true"], "netns": {"nsmode": "none"}}
    return podman_engine.api("POST", "/containers/create", json=body)["Id"]


@pytest.fixture
def asked(container, tmp_path):
    """Makes a call with the name of an image in a store of its own: the answer, and whether Podman made that store."""

    def ask(address, number, call):
        method, path, body = call
        store = tmp_path / f"{number}-{address[:4]}"
        image = f"containers-storage:[vfs@{store}+{store}-run]docker.io/library/x:1"
        words = {
            "WORD": quote(image, safe=""),
            "FILTER": quote(json.dumps({"since": [image], "reference": [image]}), safe=""),
            "CONTAINER": container,
        }
        for word, value in words.items():
            path = path.replace(word, value)
        if body:
            body = json.loads(json.dumps(body).replace("IMAGE", image))
        data = ("--header", "Content-Type: application/json", "--data-binary", json.dumps(body)) if body else ()
        return *curl(address, method, path, *data), store.exists()

    return ask


def test_no_call_opens_a_store_of_the_host(podman_engine, proxy, asked):
    guarded = proxy(backend=podman_engine.address, rules=RULES).addresses["tcp"]
    for number, call in enumerate(CALLS):
        status, answer, is_made = asked(guarded, number, call)
        assert status in (400, 403) and not is_made, (call, status, answer)
    # Podman itself does: otherwise, this test could not fail.
    made = [asked(podman_engine.address, number, call)[-1] for number, call in enumerate(CALLS[:2])]
    assert any(made), made
