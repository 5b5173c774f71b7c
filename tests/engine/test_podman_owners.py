"""Two owners on one Podman, in both of its APIs: neither sees, uses, changes, prunes nor mounts what the other
creates, and `cetusguard own` works on it."""

import json
from urllib.parse import quote

import pytest

from curl import curl
from image import busybox_layer
from proxy import ALL, binary
from test_podman_view import COMPATIBLE, KINDS, OWN
from test_view import View
from tools import IMAGE, run, unique

RULES = ALL + "GET %API_PREFIX_INFO%\nGET,POST,DELETE %API_PREFIX_SECRETS%(/.*)?\nPOST %API_PREFIX%/.*/prune\n"
RULES += "".join(f"GET,POST,DELETE %API_PREFIX_LIBPOD_{kind}%(/.*)?\n" for kind in KINDS)
RULES += "GET %API_PREFIX_LIBPOD_SECRETS%/[^/]+/json\nGET %API_PREFIX_LIBPOD%/system/df\n"
RULES += "POST %API_PREFIX_LIBPOD%/(build|commit)\n"
CREATES = {
    "container": [
        (f"{OWN}/containers/create", {"image": IMAGE, "command": ["sleep", "600"], "netns": {"nsmode": "none"}}),
        (f"{COMPATIBLE}/containers/create", {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}}),
    ],
    "volume": [(f"{OWN}/volumes/create", {"Name": "NAME"}), (f"{COMPATIBLE}/volumes/create", {"Name": "NAME"})],
    "network": [(f"{OWN}/networks/create", {"name": "NAME"}), (f"{COMPATIBLE}/networks/create", {"Name": "NAME"})],
    "pod": [(f"{OWN}/pods/create", {"name": "NAME", "no_infra": True})],
    "secret": [
        (f"{OWN}/secrets/create?name=NAME", "dG9rZW4="),
        (f"{COMPATIBLE}/secrets/create", {"Name": "NAME", "Data": "dG9rZW4=", "Labels": {}}),
    ],
}  # fmt: skip
# These bodies are not read, so that a profile that owns something cannot make such objects.
CLOSED = {f"{OWN}/networks/create", f"{OWN}/pods/create", f"{OWN}/secrets/create?name=NAME"}


@pytest.fixture
def owners(podman_engine, proxy):
    one = View(proxy(backend=podman_engine.address, rules=RULES, flags=("--own", "session=header")))
    return one, one.with_session("a"), one.with_session("b")


JSON = ("--header", "Content-Type: application/json", "--data-binary")


def create(owner, kind, path, body):
    """Its name and its identifier, as the engine names it."""
    name = unique()
    body = json.loads(json.dumps(body).replace("NAME", name))
    path = path.replace("NAME", name)
    if kind == "container":
        path += f"?name={name}"
        if path.startswith(OWN):
            path, body = path.partition("?")[0], {**body, "name": name}
    status, answer = owner.ask("POST", path, body)
    assert status in (200, 201), (path, answer)
    return name, answer.get("Id") or answer.get("ID") or name


def commit(owner, container):
    image = unique()
    status, answer = owner.ask("POST", f"{COMPATIBLE}/commit?container={container}&repo={image}", {})
    assert status == 201, answer
    return f"docker.io/library/{image}:latest"


def bring_in(owner, tmp_path):
    """An image from an archive of its files."""
    archive, image = tmp_path / "layer.tar", unique()
    archive.write_bytes(busybox_layer())
    path = f"{COMPATIBLE}/images/create?fromSrc=-&repo={image}&tag=latest"
    options = ("--header", "Content-Type: application/x-tar", "--data-binary", f"@{archive}")
    status, answer = curl(owner.address, "POST", path, *owner.headers, *options)
    assert status == 200 and "error" not in answer, answer
    return f"docker.io/library/{image}:latest"


INSPECTIONS = {
    "container": (f"{OWN}/containers/{{}}/json", f"{COMPATIBLE}/containers/{{}}/json"),
    "volume": (f"{OWN}/volumes/{{}}/json", f"{COMPATIBLE}/volumes/{{}}"),
    "network": (f"{OWN}/networks/{{}}/json", f"{COMPATIBLE}/networks/{{}}"),
    "secret": (f"{OWN}/secrets/{{}}/json", f"{COMPATIBLE}/secrets/{{}}"),
}
LISTS = {
    "container": (f"{OWN}/containers/json?all=true", f"{COMPATIBLE}/containers/json?all=true"),
    "volume": (f"{OWN}/volumes/json", f"{COMPATIBLE}/volumes"),
    "network": (f"{OWN}/networks/json", f"{COMPATIBLE}/networks"),
    "secret": (f"{OWN}/secrets/json", f"{COMPATIBLE}/secrets"),
}


def test_podman_objects_belong_to_the_owner_that_creates_them(podman_engine, owners, tmp_path):
    front, first, second = owners
    is_old = podman_engine.client.version()["Version"].startswith("4.")
    made = []
    for kind, creates in CREATES.items():
        for path, body in creates:
            if path in CLOSED:
                status, answer = first.ask("POST", path.replace("NAME", unique()), body)
                assert status == 403 and "not judged" in answer["message"], (path, answer)
            # Podman 4 has no labels of secrets, so none of them has an owner.
            elif kind == "secret" and is_old:
                continue
            else:
                made.append((kind, *create(first, kind, path, body)))
    container = next(identifier for kind, _, identifier in made if kind == "container")
    images = [commit(first, container), bring_in(first, tmp_path)]

    for kind, name, identifier in made:
        for word in dict.fromkeys((name, identifier)):
            for path in INSPECTIONS[kind]:
                assert first.ask("GET", path.format(word))[0] == 200, path
                assert second.ask("GET", path.format(word))[0] == 404, path
            for api in (OWN, COMPATIBLE):
                status, answer = second.ask("DELETE", f"{api}/{kind}s/{word}")
                assert status == 404, (api, kind, answer)
                if kind == "container":
                    for verb in ("start", "stop", "kill", "pause", "restart", "wait", f"rename?name={unique()}"):
                        assert second.ask("POST", f"{api}/containers/{word}/{verb}")[0] == 404, verb
                    assert second.ask("POST", f"{api}/containers/{word}/exec", {"Cmd": ["true"]})[0] == 404
        for path in LISTS[kind]:
            assert name in json.dumps(first.ask("GET", path)[1]), path
            assert name not in json.dumps(second.ask("GET", path)[1]), path

    # What one owner creates, the other does not use.
    by_kind = {kind: name for kind, name, _ in made}
    own_body, body = {"image": IMAGE, "command": ["true"]}, {"Image": IMAGE, "Cmd": ["true"]}
    uses = [
        (OWN, own_body | {"volumes": [{"Name": by_kind["volume"], "Dest": "/v"}]}),
        (OWN, own_body | {"volumes_from": [container]}),
        (OWN, own_body | {"netns": {"nsmode": "container", "value": container}}),
        (OWN, own_body | {"netns": {"nsmode": "bridge"}, "Networks": {by_kind["network"]: {}}}),
        (COMPATIBLE, body | {"HostConfig": {"Binds": [f"{by_kind['volume']}:/v"]}}),
        (COMPATIBLE, body | {"HostConfig": {"VolumesFrom": [container]}}),
        (COMPATIBLE, body | {"HostConfig": {"NetworkMode": by_kind["network"]}}),
        (COMPATIBLE, body | {"HostConfig": {"NetworkMode": f"container:{container}"}}),
    ]
    if not is_old:
        uses.append((OWN, own_body | {"secrets": [{"Source": by_kind["secret"], "Target": "x"}]}))
    for api, use in uses:
        status, answer = second.ask("POST", f"{api}/containers/create", use)
        assert status in (403, 404), (use, answer)
    assert second.ask("POST", f"{COMPATIBLE}/commit?container={container}&repo={unique()}", {})[0] == 404
    theirs = create(second, "container", *CREATES["container"][1])[1]
    for image in images:
        for call in (
            ("POST", f"{COMPATIBLE}/images/{IMAGE}/tag?repo={image.partition(':')[0]}&tag=latest"),
            ("POST", f"{OWN}/images/{IMAGE}/tag?repo={image.partition(':')[0]}&tag=latest"),
            ("DELETE", f"{COMPATIBLE}/images/{image}"),
            ("DELETE", f"{OWN}/images/{image}"),
        ):
            status, answer = second.ask(*call)
            assert status == 403, (call, answer)
        repository = image.partition(":")[0]
        status, answer = second.ask("POST", f"{COMPATIBLE}/commit?container={theirs}&repo={repository}&tag=latest", {})
        assert status == 403, answer
        status, answer = second.ask("POST", f"{OWN}/images/{image}/untag?repo={repository}&tag=latest")
        assert status in (403, 404), answer

    # No prune removes what another one owns.
    for kind in ("containers", "volumes", "networks", "images"):
        for api in (OWN, COMPATIBLE):
            for filters in ("", "{}", '{"dangling":["false"]}', '{"label":["cetusguard.session=a"]}', '{"all":["true"]}'):
                second.ask("POST", f"{api}/{kind}/prune" + (f"?filters={quote(filters)}" if filters else ""))
    for kind, name, _ in made:
        assert first.ask("GET", INSPECTIONS[kind][0].format(name))[0] == 200, (kind, name)
    for image in images:
        assert podman_engine.client.images.get(image)

    def own(*args):
        answer = run(binary(), "own", *args, "--own", "session=header", "--backend-addr", podman_engine.address)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    listed = json.loads(own("list", "default", "a", "--format", "json"))
    words = {word for _, name, identifier in made for word in (name, identifier)} | set(images)
    assert len(listed) == len(made) + len(images), listed
    assert all(one["name"] for one in listed), listed
    assert {one["id"] for one in listed} <= words, (listed, words)
    own("remove", "default", "a")
    assert json.loads(own("list", "default", "a", "--format", "json")) == []
    for kind, name, _ in made:
        assert first.ask("GET", INSPECTIONS[kind][0].format(name))[0] == 404, (kind, name)
    assert not {tag for image in podman_engine.client.images.list() for tag in image.tags} & set(images)


def test_podman_makes_no_secret_without_an_owner(podman_engine, owners):
    """Podman 4 drops the labels of secrets."""
    _, first, second = owners
    is_old = podman_engine.client.version()["Version"].startswith("4.")
    body = {"Name": unique(), "Data": "dG9rZW4=", "Labels": {}}
    status, answer = first.ask("POST", f"{COMPATIBLE}/secrets/create", body)
    assert status == (403 if is_old else 200), answer
    assert len(podman_engine.api("GET", "/secrets/json")) == (not is_old)
