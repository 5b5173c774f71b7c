"""Profiles that see and own a part of the engine: scopes and ownership on real engines, with real clients."""

import io
import json
import random
import socket
import subprocess
import tarfile
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from urllib.parse import quote

import pytest

from curl import curl
from image import tar
from proxy import ALL, binary
from tools import IMAGE, PATIENCE, run, unique, wait_for

JSON = ("--header", "Content-Type: application/json", "--data-binary")
RULES = ALL + "GET %API_PREFIX_INFO%\nPOST %API_PREFIX%/.*/prune\n"


class View:
    """A proxy with a scope or an owner, asked by curl."""

    def __init__(self, proxy, headers=()):
        self.proxy = proxy
        self.address = proxy.addresses["tcp"]
        self.headers = [part for header in headers for part in ("--header", header)]

    def ask(self, method, path, body=None):
        data = () if body is None else (*JSON, json.dumps(body))
        status, answer = curl(self.address, method, path, *self.headers, *data)
        try:
            return status, json.loads(answer)
        except json.JSONDecodeError:
            return status, answer

    def with_session(self, name):
        return View(self.proxy, [f"X-Cetusguard-Session: {name}"])

    def names(self):
        status, answer = self.ask("GET", "/containers/json?all=1")
        assert status == 200, answer
        return {name.lstrip("/") for one in answer for name in one["Names"]}


@pytest.fixture
def view(proxy):
    return lambda *flags: View(proxy(rules=RULES, flags=flags))


@pytest.fixture
def labelled(engine):
    """Makes containers of two teams, which are removed with the engine."""

    def make(team, name=None, **options):
        return engine.run("sleep", "600", name=name or unique(), labels={"team": team}, network_mode="none", **options)

    return make


def test_hidden_objects_look_missing(engine, view, labelled):
    ours, theirs = labelled("blue"), labelled("red")
    volume = engine.client.volumes.create(unique(), labels={"team": "red"})
    network = engine.client.networks.create(unique(), labels={"team": "red"})
    command = engine.client.api.exec_create(theirs.id, ["true"])["Id"]
    scoped = view("--visible", "label=team=blue")
    assert scoped.names() == {ours.name}
    assert scoped.ask("GET", f"/containers/{ours.id[:12]}/json")[1]["Id"] == ours.id
    calls = [
        ("GET", "/containers/{}/json", theirs),
        ("GET", "/containers/{}/logs?stdout=1", theirs),
        ("GET", "/containers/{}/top", theirs),
        ("GET", "/containers/{}/stats?stream=false", theirs),
        ("GET", "/containers/{}/archive?path=/", theirs),
        ("POST", "/containers/{}/stop", theirs),
        ("POST", "/containers/{}/wait", theirs),
        ("POST", "/containers/{}/exec", theirs),
        ("DELETE", "/containers/{}", theirs),
    ]
    for method, path, container in calls:
        body = {"Cmd": ["true"]} if path.endswith("exec") else None
        for word in (container.name, container.id, container.id[:12], f"/{container.name}"):
            status, answer = scoped.ask(method, path.format(word), body)
            wanted = word.lstrip("/")
            assert (status, answer) == (404, {"message": f"No such container: {wanted}"}), (path, word)
    for method, path, message in (
        ("GET", f"/volumes/{volume.name}", f"get {volume.name}: no such volume"),
        ("DELETE", f"/volumes/{volume.name}", f"get {volume.name}: no such volume"),
        ("GET", f"/networks/{network.name}", f"network {network.name} not found"),
        ("GET", f"/networks/{network.id}", f"network {network.id} not found"),
        ("DELETE", f"/networks/{network.id[:10]}", f"network {network.id[:10]} not found"),
        ("GET", f"/exec/{command}/json", f"No such exec instance: {command}"),
        ("POST", f"/exec/{command}/resize?h=1&w=1", f"No such exec instance: {command}"),
    ):
        assert scoped.ask(method, path) == (404, {"message": message}), path
    # `docker inspect` asks for services, too, and an engine outside of a swarm has an error of its own.
    status, answer = scoped.ask("GET", "/services/x")
    assert status == 503 and answer["message"].startswith("This node is not a swarm manager."), answer
    # What is missing looks alike.
    missing = unique()
    assert scoped.ask("GET", f"/containers/{missing}/json")[1] == {"message": f"No such container: {missing}"}
    theirs.reload()
    assert theirs.status == "running"


def test_bodies_reach_no_hidden_objects(engine, view, labelled):
    theirs = labelled("red")
    volume = engine.client.volumes.create(unique(), labels={"team": "red"})
    network = engine.client.networks.create(unique(), labels={"team": "red"})
    scoped = view("--visible", "label=team=blue", "--guard-allow", "volumes-from", "--guard-allow", "link=*")
    for extra in (
        {"HostConfig": {"Binds": [f"{volume.name}:/v"]}},
        {"HostConfig": {"Mounts": [{"Type": "volume", "Source": volume.name, "Target": "/v"}]}},
        {"HostConfig": {"VolumesFrom": [theirs.name]}},
        {"HostConfig": {"NetworkMode": f"container:{theirs.id}"}},
        {"HostConfig": {"Links": [f"{theirs.name}:x"]}},
        {"HostConfig": {"NetworkMode": network.name}},
        {"NetworkingConfig": {"EndpointsConfig": {network.id: {}}}},
    ):
        status, answer = scoped.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"], **extra})
        assert status in (403, 404), (extra, status, answer)
    assert scoped.ask("POST", f"/commit?container={theirs.name}&repo={unique()}")[0] == 404
    ours = engine.client.networks.create(unique(), labels={"team": "blue"})
    status, answer = scoped.ask("POST", f"/networks/{ours.name}/connect", {"Container": theirs.name})
    assert status == 404, answer


def test_a_view_equals_the_engine_without_the_rest(engine, view, labelled):
    """Under random creation, renaming and removal."""
    scoped = view("--visible", "label=team=blue", "--visible", "name=seen-*")
    dice = random.Random(17)
    made = []
    for _ in range(12):
        step = dice.choice(["blue", "red", "rename", "remove"])
        if step in ("blue", "red") or len(made) < 2:
            name = unique("seen") if dice.random() < 0.3 else unique()
            made.append(labelled(step if step in ("blue", "red") else "red", name=name))
        elif step == "rename":
            one = dice.choice(made)
            one.rename(unique("seen") if dice.random() < 0.5 else unique())
        else:
            made.pop(dice.randrange(len(made))).remove(force=True)
        wanted = {
            one.name
            for one in engine.client.containers.list(all=True, ignore_removed=True)
            if one.labels.get("team") == "blue" or one.name.startswith("seen-")
        }
        assert scoped.names() == wanted
        for one in made:
            one.reload()
            seen = scoped.ask("GET", f"/containers/{one.id}/json")[0] == 200
            assert seen == (one.name in wanted), one.name


def test_events_of_hidden_objects_stay_hidden(engine, view, labelled):
    scoped = view("--visible", "label=team=blue")
    command = ["curl", "--silent", "--no-buffer", "--max-time", str(PATIENCE)]
    url = scoped.address.replace("tcp://", "http://") + "/events"
    with subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True) as stream:
        wait_for(lambda: "stream started" in scoped.proxy.output.read_text(), "the stream")
        theirs = labelled("red")
        volume = engine.client.volumes.create(unique(), labels={"team": "red"})
        volume.remove()
        network = engine.client.networks.create(unique(), labels={"team": "red"})
        network.remove()
        theirs.remove(force=True)
        ours = labelled("blue")
        seen = []
        for line in stream.stdout:
            seen.append(line)
            event = json.loads(line)
            if event.get("Action") == "start" and event["Actor"]["ID"] == ours.id:
                break
        stream.terminate()
    text = "".join(seen)
    assert ours.id in text
    for hidden in (theirs.id, theirs.name, volume.name, network.id, network.name):
        assert hidden not in text, text


def test_lists_leave_out_what_is_hidden(engine, view, labelled):
    theirs, ours = labelled("red"), labelled("blue")
    volume = engine.client.volumes.create(unique(), labels={"team": "red"})
    network = engine.client.networks.create(unique(), labels={"team": "red"})
    shared = engine.client.networks.create(unique(), labels={"team": "blue"})
    for one in (theirs, ours):
        engine.client.networks.get("none").disconnect(one)
        shared.connect(one)
    scoped = view("--visible", "label=team=blue")
    for path in ("/containers/json?all=1", "/volumes", "/networks", "/system/df", f"/networks/{shared.name}"):
        status, answer = scoped.ask("GET", path)
        assert status == 200, (path, answer)
        for hidden in (theirs.id, theirs.name, volume.name, network.name, network.id):
            assert hidden not in json.dumps(answer), path
    assert ours.id in scoped.ask("GET", f"/networks/{shared.name}")[1]["Containers"]
    # Predefined networks belong to no client, and images to all.
    assert {"bridge", "host", "none"} <= {one["Name"] for one in scoped.ask("GET", "/networks")[1]}
    assert scoped.ask("GET", f"/images/{IMAGE}/json")[0] == 200
    # A limit counts what is seen.
    labelled("red")
    limited = scoped.ask("GET", "/containers/json?limit=1")[1]
    assert [one["Id"] for one in limited] == [ours.id]
    images = view("--visible", "kind=image name=other:*")
    assert images.ask("GET", "/images/json")[1] == []
    assert images.ask("GET", f"/images/{IMAGE}/json")[0] == 404
    status, answer = images.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"]})
    assert status == 404 and "No such image" in answer["message"].replace("no such", "No such"), answer


def test_clients_own_what_they_create(engine, view, labelled):
    theirs = labelled("red")
    owner = view("--own", "true")
    status, made = owner.ask("POST", "/containers/create?name=" + unique(), {"Image": IMAGE, "Cmd": ["sleep", "600"]})
    assert status == 201, made
    labels = engine.client.containers.get(made["Id"]).labels
    assert labels["cetusguard.owner"] == "default"
    assert owner.names() == {engine.client.containers.get(made["Id"]).name}
    assert owner.ask("DELETE", f"/containers/{theirs.id}?force=1")[0] == 404
    for path, body in (("/volumes/create", {"Name": unique()}), ("/networks/create", {"Name": unique()})):
        status, answer = owner.ask("POST", path, body)
        assert status == 201, answer
    assert len(owner.ask("GET", "/volumes")[1]["Volumes"]) == 1
    # The engine answers a create of a volume that exists with that volume.
    volume = engine.client.volumes.create(unique(), labels={"team": "red"})
    status, answer = owner.ask("POST", "/volumes/create", {"Name": volume.name})
    assert status == 403 and "red" not in answer["message"], answer
    # A prune removes owned containers alone.
    stopped = engine.client.containers.create(IMAGE, ["true"], name=unique(), labels={"team": "red"})
    status, answer = owner.ask("POST", "/containers/prune")
    assert status == 200 and answer["ContainersDeleted"] == [made["Id"]], answer
    stopped.reload()
    # Nobody else gives an object away.
    other = view()
    for label in ("cetusguard.owner", "cetusguard.session"):
        body = {"Image": IMAGE, "Cmd": ["true"], "Labels": {label: "default"}}
        assert other.ask("POST", "/containers/create", body)[0] == 403
    forged = {"Image": IMAGE, "Cmd": ["true"], "labels": {"cetusguard.owner": "x", "kept": "yes"}}
    status, made = owner.ask("POST", "/containers/create", forged)
    assert status == 201, made
    labels = engine.client.containers.get(made["Id"]).labels
    assert (labels["cetusguard.owner"], labels["kept"]) == ("default", "yes")


def test_sessions_do_not_see_each_other(engine, view):
    owner = view("--own", "session=header")
    assert owner.ask("GET", "/_ping")[0] == 200
    status, answer = owner.ask("GET", "/containers/json")
    assert status == 400 and "X-Cetusguard-Session" in answer["message"], answer
    one, other = owner.with_session("job-1"), owner.with_session("job-2")
    body = {"Image": IMAGE, "Cmd": ["sleep", "600"]}
    made = one.ask("POST", "/containers/create", body)[1]["Id"]
    assert len(one.names()) == 1 and other.names() == set()
    assert other.ask("POST", f"/containers/{made}/start")[0] == 404
    assert one.ask("POST", f"/containers/{made}/start")[0] == 204
    assert one.ask("DELETE", f"/containers/{made}?force=1")[0] == 204


def test_errors_do_not_name_hidden_objects(engine, view, labelled):
    theirs = labelled("red")
    scoped = view("--visible", "label=team=blue")
    body = {"Image": IMAGE, "Cmd": ["true"]}
    status, answer = scoped.ask("POST", f"/containers/create?name={theirs.name}", body)
    assert status == 409 and theirs.id not in answer["message"], answer


@pytest.fixture
def two_owners(proxy):
    """Two profiles on sockets of their own, each of which owns what it creates."""
    rules = "".join(f"      {line}\n" for line in RULES.splitlines() if line)
    config = "frontends:\n"
    for name in "ab":
        config += f"  - addr: unix://HOME/{name}.sock\n    profile: {name}\n"
    config += "profiles:\n"
    for name in "ab":
        config += f"  {name}:\n    own: true\n    rules: |\n{rules}"
    return config


def test_two_owners_run_the_same_project(engine, proxy, compose, two_owners, tmp_path):
    """Neither sees the other's containers, networks and volumes."""
    project = f"""
version: "3"
services:
  web:
    image: {IMAGE}
    command: sleep 600
    stop_signal: SIGKILL
    volumes: ["data:/data"]
volumes:
  data:
"""
    sockets = {name: tmp_path / f"{name}.sock" for name in "ab"}
    (tmp_path / "docker-compose.yml").write_text(project)
    config = two_owners
    for name, socket in sockets.items():
        config = config.replace(f"unix://HOME/{name}.sock", f"unix://{socket}")
    path = tmp_path / "cetusguard.yaml"
    path.write_text(config)
    one = proxy(rules=None, frontends=tuple(f"unix://{socket}" for socket in sockets.values()), flags=("--config", path))
    seen = {}
    for name, socket in sockets.items():
        address = f"unix://{socket}"
        # Names are the engine's own: each owner needs a name of its own for the project.
        compose(address, "up", "--detach", project=unique(), timeout=4 * PATIENCE)
        listed = json.loads(curl(address, "GET", "/containers/json?all=1")[1])
        seen[name] = {container["Id"] for container in listed}
        assert len(seen[name]) == 1, listed
    assert not seen["a"] & seen["b"]
    assert len(engine.client.containers.list(all=True, filters={"label": "cetusguard.owner"})) == 2
    assert one.process.poll() is None


def test_owners_at_the_same_time_share_nothing(engine, view):
    """The first mount of one new volume, and the first network of one name."""
    owner = view("--own", "session=header")
    sessions = [owner.with_session(name) for name in ("a", "b")]

    def together(method, path, body):
        gate = Barrier(len(sessions))

        def ask(session):
            gate.wait(PATIENCE)
            return session.ask(method, path, body)

        with ThreadPoolExecutor(len(sessions)) as pool:
            return list(pool.map(ask, sessions))

    for _ in range(10):
        name = unique()
        host = {"Binds": [f"{name}:/v"], "NetworkMode": "none"}
        answers = together("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": host})
        assert [status for status, _ in answers].count(201) == 1, answers
        network = unique()
        answers = together("POST", "/networks/create", {"Name": network})
        assert [status for status, _ in answers].count(201) == 1, answers
        assert len(engine.client.networks.list(names=[network])) == 1


def test_a_slow_import_does_not_take_a_name_that_is_given_meanwhile(engine, view):
    owner = view("--own", "session=header")
    first, second = owner.with_session("a"), owner.with_session("b")
    container = second.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"]})[1]["Id"]
    name = unique()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as files:
        files.addfile(tarfile.TarInfo("file"), io.BytesIO())
    content = archive.getvalue()
    address = owner.address.removeprefix("tcp://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=PATIENCE) as slow:
        path = f"/images/create?fromSrc=-&repo={name}&tag=latest"
        head = ["Host: x", "X-Cetusguard-Session: a", "Content-Type: application/x-tar", "Connection: close"]
        head.append(f"Content-Length: {len(content)}")
        slow.sendall("\r\n".join([f"POST {path} HTTP/1.1", *head, "", ""]).encode() + content[:512])
        commit = f"/commit?container={container}&repo={name}&tag=latest"
        wait_for(lambda: second.ask("POST", commit)[0] == 409 or None, "the name is held")
        slow.sendall(content[512:])
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert b"200 OK" in answer and b"error" not in answer, answer
    status, refusal = second.ask("POST", commit)
    assert status == 403 and "taken by an image that this client cannot replace" in refusal["message"], refusal
    assert first.ask("GET", f"/images/{name}/json")[1]["Config"]["Labels"]["cetusguard.image-owner"] == "default/a"


def test_builds_of_owners_take_no_steps_of_others(engine, view, tmp_path):
    owner = view("--own", "session=header")
    context = tmp_path / "context.tar"
    context.write_bytes(tar({"Dockerfile": f"FROM {IMAGE}\nRUN true {unique()}\n".encode()}))
    options = ("--header", "Content-Type: application/x-tar", "--data-binary", f"@{context}")

    def takes_from_cache(address, *headers):
        status, answer = curl(address, "POST", f"/build?networkmode=none&t={unique()}", *headers, *options)
        assert status == 200 and "Successfully built" in answer, answer
        return "Using cache" in answer

    assert [takes_from_cache(engine.address) for _ in range(2)] == [False, True]
    for session in "ab":
        assert not takes_from_cache(owner.address, "--header", f"X-Cetusguard-Session: {session}")
    status, answer = owner.with_session("a").ask("POST", "/build?pull=1")
    assert status == 403 and "pull" in answer["message"], answer


def test_no_owner_hides_an_object_by_its_identifier(engine, view):
    owner = view("--own", "session=header")
    first, second = owner.with_session("a"), owner.with_session("b")
    theirs = second.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"]})[1]["Id"]
    image = engine.client.images.get(IMAGE).id.removeprefix("sha256:")
    body = {"Image": IMAGE, "Cmd": ["true"]}
    assert first.ask("POST", f"/containers/create?name={theirs[:12]}", body)[0] == 403
    assert first.ask("POST", "/networks/create", {"Name": theirs[:12]})[0] == 403
    mine = first.ask("POST", "/containers/create", body)[1]["Id"]
    assert first.ask("POST", f"/containers/{mine}/rename?name={theirs[:12]}")[0] == 403
    assert first.ask("POST", f"/commit?container={mine}&repo={image[:12]}")[0] == 403
    assert second.ask("GET", f"/containers/{theirs[:12]}/json")[1]["Id"] == theirs


def test_an_owner_leaves_no_anonymous_volume(engine, view):
    owner = view("--own", "true")
    before = {volume.name for volume in engine.client.volumes.list()}
    made = owner.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"], "Volumes": {"/v": {}}})[1]["Id"]
    assert {volume.name for volume in engine.client.volumes.list()} - before
    assert owner.ask("DELETE", f"/containers/{made}")[0] == 204
    assert {volume.name for volume in engine.client.volumes.list()} == before


def test_what_a_session_owns_is_listed_and_removed(engine, view):
    owner = view("--own", "session=header")
    body = {"Image": IMAGE, "Cmd": ["sleep", "600"]}
    made = [owner.with_session(name).ask("POST", "/containers/create", body)[1]["Id"] for name in ("a", "b")]
    volume = unique()
    assert owner.with_session("a").ask("POST", "/volumes/create", {"Name": volume})[0] == 201
    # An image with two names, which the engine removes by each of them alone.
    tags = [f"{unique()}:latest", f"{unique()}:2"]
    for tag in tags:
        name, _, version = tag.partition(":")
        commit = f"/commit?container={made[0]}&repo={name}&tag={version}&comment=same"
        assert owner.with_session("a").ask("POST", commit)[0] == 201
    engine.client.images.get(tags[0]).tag("also-" + tags[0].partition(":")[0])
    tags.append("also-" + tags[0])

    def own(*args, ok=True):
        answer = run(binary(), "own", *args, "--own", "session=header", "--backend-addr", engine.address, ok=ok)
        return answer.stdout + answer.stderr

    listed = json.loads(own("list", "default", "--format", "json"))
    assert {one["id"] for one in listed} == {*made, volume, *tags}, listed
    assert {one["session"] for one in listed} == {"a", "b"}
    assert {one["session"] for one in listed if one["kind"] == "image"} == {"a"}
    # Nine megabytes of labels hide nothing.
    labels = {"odd": "\u2028" * 349_000, "cetusguard.owner": "default", "cetusguard.session": "b"}
    for _ in range(9):
        made.append(engine.client.containers.create(IMAGE, ["true"], labels=labels).id)
    assert "removed  container" in own("remove", "default", "a")
    assert {one["id"] for one in json.loads(own("list", "default", "--format", "json"))} == set(made[1:])
    assert not {tag for image in engine.client.images.list() for tag in image.tags} & set(tags)
    assert "expected one of: default" in own("list", "other", ok=False)
    own("remove", "default")
    assert "0 objects" in own("list", "default")


def test_what_outlives_its_lifetime_is_removed(engine, view):
    owner = view("--own", "lifetime=1s")
    made = owner.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["sleep", "600"]})[1]["Id"]
    kept = engine.run("sleep", "600", network_mode="none")
    wait_for(lambda: owner.names() == set(), "the container to be removed")
    assert not [one for one in engine.client.containers.list(all=True) if one.id == made]
    kept.reload()
    wait_for(lambda: "removed an object whose lifetime is over" in owner.proxy.output.read_text(), "its line")


FORM = "Content-Type: application/x-www-form-urlencoded; a=\udcff"


def test_a_prune_reaches_no_other_objects(engine, view):
    """Go ignores a parameter of the content type that it cannot read, and prefers a form to the query."""
    labels = {"team": "red"}
    stopped = engine.client.containers.create(IMAGE, ["true"], name=unique(), labels=labels)
    volume = engine.client.volumes.create(unique(), labels=labels)
    network = engine.client.networks.create(unique(), labels=labels)
    tag = unique()
    engine.client.images.get(IMAGE).tag(tag)
    owner = view("--own", "true")
    for kind, filters in (
        ("containers", "{}"),
        ("volumes", "{}"),
        ("networks", "{}"),
        ("images", '{"dangling":["false"]}'),
        ("containers", '{"label":["team=red"]}'),
        ("volumes", '{"label":["team=red"]}'),
    ):
        for form in (FORM, "Content-Type: application/x-www-form-urlencoded", "Content-Type: text/plain"):
            body = f"filters={quote(filters)}"
            curl(owner.address, "POST", f"/{kind}/prune", "--header", form, "--data-binary", body)
        curl(owner.address, "POST", f"/{kind}/prune?filters={quote(filters)}")
    stopped.reload()
    network.reload()
    assert engine.client.volumes.get(volume.name) and engine.client.images.get(tag)
    assert engine.client.images.remove(tag) is None


def test_images_do_not_give_containers_away(engine, view):
    """A container gets the labels of its image, also one that another client runs."""
    owner, other = view("--own", "true"), view()
    made = owner.ask("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["sleep", "600"]})[1]["Id"]
    image = unique()
    assert owner.ask("POST", f"/commit?container={made}&repo={image}")[0] == 201
    forged = f"/commit?container={made}&repo={image}-2&changes=LABEL%20cetusguard.owner%3Ddefault"
    assert owner.ask("POST", forged)[0] == 403
    assert other.ask("POST", f"/commit?container={made}&repo={image}-3", {"Labels": {"cetusguard.owner": "default"}})[0] == 403
    victim = engine.client.containers.create(image, ["true"], name=unique())
    assert owner.ask("GET", f"/containers/{victim.name}/json")[0] == 404, victim.labels
    assert len(owner.names()) == 1
    # Its own image it can replace and remove, and no other.
    assert owner.ask("POST", f"/commit?container={made}&repo={image}")[0] == 201
    theirs = unique()
    engine.client.images.get(IMAGE).tag(theirs)
    for call in (f"/commit?container={made}&repo={theirs}", f"/images/{image}/tag?repo={theirs}&tag=latest"):
        status, answer = owner.ask("POST", call)
        assert status == 403 and "taken by an image" in answer["message"], answer
    assert owner.ask("DELETE", f"/images/{theirs}")[0] == 403
    assert owner.ask("DELETE", f"/images/{image}")[0] == 200


def test_no_field_and_no_time_joins_the_network_of_another(engine, view):
    """Docker prefers `NetworkID` to the name beside it, and looks the name up when the container starts."""
    owner, theirs = view("--own", "true"), engine.client.networks.create(unique())
    ours, name = unique(), unique()
    for one in (ours, name):
        assert owner.ask("POST", "/networks/create", {"Name": one})[0] == 201

    def create(network, endpoint):
        body = {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": network}}
        if endpoint is not None:
            body["NetworkingConfig"] = {"EndpointsConfig": {network: endpoint}}
        status, answer = owner.ask("POST", "/containers/create", body)
        assert status == 201, answer
        return answer["Id"]

    def networks(container):
        return set(engine.client.containers.get(container).attrs["NetworkSettings"]["Networks"])

    for endpoint in (None, {}, {"NetworkID": theirs.id}, {"NetworkID": theirs.name}):
        made = create(ours, endpoint)
        assert owner.ask("POST", f"/containers/{made}/start")[0] == 204
        assert networks(made) == {ours}
    connect = {"Container": create("none", None), "EndpointConfig": {"NetworkID": theirs.id}}
    owner.ask("POST", f"/networks/{ours}/connect", connect)
    assert theirs.name not in networks(connect["Container"])
    # Another network takes the name before the container starts.
    lurking = create(name, None)
    assert owner.ask("DELETE", f"/networks/{name}")[0] == 204
    other = engine.client.networks.create(name)
    assert owner.ask("POST", f"/containers/{lurking}/start")[0] >= 400
    other.reload()
    assert not other.containers


def test_no_field_forges_an_owner(engine, view):
    other = view()
    label = {"cetusguard.owner": "default"}
    mount = {"Type": "volume", "Source": unique(), "Target": "/v", "VolumeOptions": {"Labels": label}}
    for path, body in (
        ("/containers/create", {"Image": IMAGE, "Labels": label}),
        ("/containers/create", {"Image": IMAGE, "HostConfig": {"Mounts": [mount]}}),
        ("/volumes/create", {"Name": unique(), "Labels": label}),
        ("/networks/create", {"Name": unique(), "Labels": label}),
    ):
        status, answer = other.ask("POST", path, body)
        assert status == 403 and "cetusguard.owner" in answer["message"], (path, answer)


def test_a_volume_that_a_bind_creates_has_its_owner(engine, view):
    owner, volume = view("--own", "true"), unique()
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Binds": [f"{volume}:/v"]}}
    for _ in range(2):
        assert owner.ask("POST", "/containers/create", body)[0] == 201
    assert engine.client.volumes.get(volume).attrs["Labels"]["cetusguard.owner"] == "default"


def test_one_odd_container_does_not_take_the_lists_of_others(engine, view, labelled):
    ours = labelled("blue")
    for labels in ({"odd": "\u2028" * 349_000}, {f"l{n}": "" for n in range(65_515)}):
        engine.client.containers.create(IMAGE, ["true"], name=unique(), labels=labels)
    scoped = view("--visible", "label=team=blue")
    assert scoped.names() == {ours.name}
    assert scoped.ask("GET", "/system/df")[0] == 200


def test_old_lists_and_links_name_no_hidden_containers(engine, view, labelled):
    theirs = engine.run("sleep", "600", labels={"team": "red"})
    scoped = view("--visible", "label=team=blue")
    for path in ("/v1.24/networks", "/v1.27/networks", "/networks/bridge?verbose=true"):
        status, answer = scoped.ask("GET", path)
        text = json.dumps(answer)
        # Newer engines refuse old versions.
        assert status in (200, 400) and theirs.id not in text and theirs.name not in text, answer
    assert scoped.ask("DELETE", f"/containers/{theirs.name}/x?link=1")[0] == 403
    assert scoped.ask("GET", f"/containers/{theirs.name}/x/json")[0] == 403
    network = engine.client.networks.create(unique(), labels={"team": "red"})
    assert scoped.ask("DELETE", f"/networks/{network.name}")[0] == 404
    for filters in ('{"since":["x"],"since":["x"]}', '{"before":["x"]}', "{"):
        assert scoped.ask("GET", f"/containers/json?filters={quote(filters)}")[0] in (400, 403), filters


def test_a_container_does_not_name_hidden_ones_that_it_was_created_with(engine, view, labelled):
    theirs, ours = engine.run("sleep", "600", name=unique(), labels={"team": "red"}), labelled("blue")

    def joined(other):
        extra = {"NetworkMode": f"container:{other.id}", "VolumesFrom": [other.name], "PidMode": f"container:{other.id}"}
        answer = engine.client.api.create_container(IMAGE, ["sleep", "600"], labels={"team": "blue"}, host_config=extra)
        engine.client.api.start(answer["Id"])
        return answer["Id"]

    scoped = view("--visible", "label=team=blue")
    of_hidden, of_visible = joined(theirs), joined(ours)
    linked = engine.client.api.create_container(
        IMAGE, ["sleep", "600"], labels={"team": "blue"}, host_config={"Links": [f"{theirs.name}:db"]}
    )["Id"]
    answers = [scoped.ask("GET", f"/containers/{id}/json") for id in (of_hidden, linked)]
    answers.append(scoped.ask("GET", "/containers/json?all=1"))
    for status, answer in answers:
        text = json.dumps(answer)
        assert status == 200
        assert theirs.name not in text and theirs.id[:12] not in text, text
    host = answers[0][1]["HostConfig"]
    assert host["NetworkMode"] == host["PidMode"] == "container:(hidden)" and host["VolumesFrom"] == []
    assert scoped.ask("GET", f"/containers/{of_visible}/json")[1] == engine.client.api.inspect_container(of_visible)


def test_hidden_images_look_missing(engine, view):
    """In each form of a name, and by each of the names of one image."""
    image = engine.client.images.get(IMAGE)
    seen, hidden = unique("seen"), unique("hidden")
    for name in (seen, hidden):
        assert image.tag(name, tag="1")
    scoped = view("--visible", "kind=image name=seen-*")
    for path in ("/images/{}/json", "/images/{}/history"):
        for word in (f"{hidden}:1", f"{hidden}", f"sha256:{'1' * 64}"):
            status, answer = scoped.ask("GET", path.format(word))
            missing = scoped.ask("GET", path.format(word.replace("hidden", "lacked")))
            assert status == 404 and answer["message"] == missing[1]["message"].replace("lacked", "hidden")
    assert scoped.ask("DELETE", f"/images/{hidden}:1")[0] == 404
    tags = scoped.ask("GET", f"/images/{seen}:1/json")[1]["RepoTags"]
    assert tags == [f"{seen}:1"]
    assert [one["RepoTags"] for one in scoped.ask("GET", "/images/json")[1]] == [[f"{seen}:1"]]
    for name in (seen, hidden):
        engine.client.images.remove(f"{name}:1")


def test_podman_prunes_are_not_narrowed_by_labels_alone(podman_engine, proxy):
    """Podman 4 combines the labels of volumes and images by OR."""
    volume = unique()
    run("curl", "--silent", "--unix-socket", podman_engine.socket, "-X", "POST", "-H", "Content-Type: application/json",
        "-d", json.dumps({"Name": volume, "Labels": {"team": "red"}}), "http://d/v1.40/volumes/create", ok=True)
    owner = View(proxy(backend=podman_engine.address, rules=RULES, flags=("--own", "true")))
    prune = "/v1.40/volumes/prune?filters=" + quote('{"label":["team=red"]}')
    # Podman asks the package manager before it tells its version, and a busy machine takes its time.
    status, answer = wait_for(lambda: (got := owner.ask("POST", prune))[0] != 502 and got, "Podman's version")
    assert status == 403 and "Podman cannot prune" in answer["message"], answer
    listed = run("curl", "--silent", "--unix-socket", podman_engine.socket, "http://d/v1.40/volumes", ok=True)
    assert volume in listed.stdout


def test_redacted_answers_keep_what_clients_need(engine, view):
    secret = unique("secret")
    one = engine.run("sh", "-c", f"sleep 600; echo {secret}", environment={"PASSWORD": secret}, network_mode="none")
    redacted = view("--redact", "secrets")
    for path in (f"/containers/{one.id}/json", "/containers/json", f"/containers/{one.id}/top"):
        status, answer = redacted.ask("GET", path)
        assert status == 200 and secret not in json.dumps(answer), (path, answer)
    inspected = redacted.ask("GET", f"/containers/{one.id}/json")[1]
    assert inspected["Id"] == one.id and "PASSWORD=redacted" in inspected["Config"]["Env"]
    made = redacted.ask("POST", f"/containers/{one.id}/exec", {"Cmd": ["echo", secret]})[1]["Id"]
    assert secret not in json.dumps(redacted.ask("GET", f"/exec/{made}/json")[1])
