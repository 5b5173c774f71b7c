"""Calls are judged by what they are about: real containers, volumes, networks and images."""

import json

import pytest

import docker_cli
from curl import curl
from tools import IMAGE, run, unique

JSON = ("--header", "Content-Type: application/json", "--data-binary")
OPEN = """
GET,HEAD,POST,PUT,DELETE %API_PREFIX%/.*
GET,HEAD,PUT %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive
GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/export
"""


@pytest.fixture
def ask(proxy):
    """Starts a proxy and returns a function that sends a request through it: status and message, or answer."""

    def start(*flags, rules=OPEN):
        one = proxy(rules=rules, flags=flags)

        def send(method, path, body=None, address=one.addresses["tcp"]):
            data = () if body is None else (*JSON, body if isinstance(body, str) else json.dumps(body))
            status, answer = curl(address, method, path, *data)
            try:
                answer = json.loads(answer)
            except json.JSONDecodeError:
                pass
            return status, answer.get("message", answer) if isinstance(answer, dict) else answer

        return send

    return start


def test_the_proxys_own_container_is_protected(engine, ask):
    own, other = (engine.run("sleep", "600", network_mode="none") for _ in range(2))
    send = ask("--proxy-container", own.name)
    for word in (own.name, own.id, own.id[:12], own.id[:4]):
        for method, path, body in (
            ("POST", f"/containers/{word}/exec", {"Cmd": ["true"]}),
            ("POST", f"/containers/{word}/stop", None),
            ("POST", f"/containers/{word}/rename?name={unique()}", None),
            ("POST", f"/containers/{word}/update", {"Memory": 64 << 20}),
            ("PUT", f"/containers/{word}/archive?path=/", None),
            ("GET", f"/containers/{word}/export", None),
            ("POST", f"/commit?container={word}&repo={unique()}", None),
            ("POST", "/networks/bridge/connect", {"Container": word}),
            ("DELETE", f"/containers/{word}?force=true", None),
        ):
            status, message = send(method, path, body)
            assert status == 403 and "the proxy's own container" in message, (path, status, message)
    own.reload()
    assert own.status == "running"
    assert send("GET", f"/containers/{own.name}/json")[0] == 200
    assert send("POST", f"/containers/{other.name}/stop")[0] == 204
    # A command that was made past the proxy is judged by its container when it is started.
    made = engine.client.api.exec_create(own.id, ["true"])["Id"]
    assert send("POST", f"/exec/{made}/start", {"Detach": True})[0] == 403


def test_names_of_the_proxy_are_not_taken(engine, ask, name):
    network = engine.client.networks.create(name)
    own = engine.run("sleep", "600", network_mode="none")
    engine.client.networks.get("none").disconnect(own)
    network.connect(own, aliases=["cetusguard"])
    send = ask("--proxy-container", own.name)
    endpoint = {"EndpointsConfig": {name: {"Aliases": ["cetusguard"]}}}
    body = {"Image": IMAGE, "Cmd": ["true"], "NetworkingConfig": endpoint}
    status, message = send("POST", "/containers/create", body)
    assert status == 403 and "a name of the proxy" in message, message
    assert send("POST", "/containers/create?name=cetusguard", {"Image": IMAGE, "Cmd": ["true"]})[0] == 403
    assert send("POST", f"/containers/create?name={unique()}", {"Image": IMAGE, "Cmd": ["true"]})[0] == 201


def test_containers_that_have_the_host_are_not_entered(engine, ask):
    hosts = [
        # Not every machine that runs tests can start it.
        engine.client.containers.create(IMAGE, ["sleep"], name=unique(), privileged=True),
        engine.run("sleep", "600", network_mode="none", pid_mode="host"),
        engine.run("sleep", "600", network_mode="none", cap_add=["NET_ADMIN"]),
        engine.run("sleep", "600", network_mode="none", volumes={"/etc": {"bind": "/x", "mode": "ro"}}),
        engine.run("sleep", "600", network_mode="host"),
    ]
    plain = engine.run("sleep", "600", network_mode="none", volumes={"/srv": {"bind": "/x"}})
    send = ask()
    for host in hosts:
        status, message = send("POST", f"/containers/{host.id}/exec", {"Cmd": ["true"]})
        assert status == 403 and f"guard-allow target={host.name}" in message, message
        if host.status != "created":
            made = engine.client.api.exec_create(host.id, ["true"])["Id"]
            assert send("POST", f"/exec/{made}/start", {"Detach": True})[0] == 403
    assert send("GET", f"/containers/{hosts[3].name}/archive?path=/x")[0] == 403
    assert send("POST", f"/containers/{plain.name}/exec", {"Cmd": ["true"]})[0] == 201
    send = ask("--guard-allow", f"target={hosts[1].name}")
    assert send("POST", f"/containers/{hosts[1].id}/exec", {"Cmd": ["true"]})[0] == 201
    assert send("POST", f"/containers/{hosts[2].id}/exec", {"Cmd": ["true"]})[0] == 403


def test_a_volume_of_the_host_is_not_mounted(engine, ask, name):
    bind = {"type": "none", "o": "bind", "device": "/etc"}
    engine.client.volumes.create(name, driver_opts=bind)
    send = ask()
    for host in (
        {"Binds": [f"{name}:/x"]},
        {"Mounts": [{"Type": "volume", "Source": name, "Target": "/x"}]},
    ):
        status, message = send("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": host})
        assert status == 403 and f"guard-allow volume={name}" in message, message
    plain = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Binds": [f"{unique()}:/x"]}}
    assert send("POST", "/containers/create", plain)[0] == 201
    memory = {"Name": unique(), "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}}
    assert send("POST", "/volumes/create", memory)[0] == 201
    mounts_it = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"Binds": [f"{memory['Name']}:/x"]}}
    assert send("POST", "/containers/create", mounts_it)[0] == 201


def test_links_and_namespaces_are_looked_up(engine, ask):
    plain = engine.run("sleep", "600", network_mode="none", environment={"SECRET": "x"})
    host = engine.run("sleep", "600", network_mode="host")
    send = ask()
    create = lambda host: send("POST", "/containers/create", {"Image": IMAGE, "Cmd": ["true"], "HostConfig": host})  # noqa: E731
    status, message = create({"Links": [f"{plain.name}:v"]})
    assert status == 403 and f"guard-allow link={plain.name}" in message, message
    assert create({"NetworkMode": f"container:{host.name}"})[0] == 403
    status, answer = create({"NetworkMode": f"container:{plain.name}"})
    assert status == 201, answer
    made = engine.client.containers.get(answer["Id"])
    assert made.attrs["HostConfig"]["NetworkMode"] == f"container:{plain.id}"


def test_processes_of_the_host_are_not_listed(engine, ask):
    plain = engine.run("sleep", "600", network_mode="none")
    send = ask()
    top = f"/containers/{plain.name}/top?ps_args="
    for arguments in ("", "-ef", "aux", "-eo%20pid,user,args"):
        status, answer = send("GET", top + arguments)
        assert status == 200 and any("sleep" in " ".join(row) for row in answer["Processes"]), answer
    for arguments in ("eww", "-eo%20pid,luid", "-oluid=PID%20-eoargs%20--sort=-luid%20eww"):
        assert send("GET", top + arguments)[0] == 403, arguments


def test_reading_only_holds_below(engine, ask, tmp_path):
    """What is mounted below a read-only bind stays writable on engines before 25: there it is refused."""
    (tmp_path / "below").mkdir()
    run("mount", "-t", "tmpfs", "none", tmp_path / "below", ok=True)
    try:
        send = ask("--guard-allow", f"bind={tmp_path}/**:ro")
        host = {"Binds": [f"{tmp_path}:/x:ro"], "NetworkMode": "none"}
        body = {"Image": IMAGE, "Cmd": ["touch", "/x/below/file"], "HostConfig": host}
        status, answer = send("POST", "/containers/create", body)
        api = tuple(map(int, engine.client.version()["ApiVersion"].split(".")))
        if api < (1, 44):
            assert status == 403 and "would stay writable" in answer, answer
        else:
            assert status == 201, answer
            made = engine.client.containers.get(answer["Id"])
            made.start()
            made.wait()
            assert not (tmp_path / "below/file").exists()
            assert send("POST", "/v1.43/containers/create", body)[0] == 403
        alone = {"Type": "bind", "Source": str(tmp_path), "Target": "/x", "ReadOnly": True}
        alone["BindOptions"] = {"NonRecursive": True}
        body["HostConfig"] = {"Mounts": [alone], "NetworkMode": "none"}
        status, answer = send("POST", "/containers/create", body)
        assert status == 201, answer
        made = engine.client.containers.get(answer["Id"])
        made.start()
        made.wait()
        assert not (tmp_path / "below/file").exists()
    finally:
        run("umount", tmp_path / "below", ok=True)


def test_rights_per_target(engine, ask):
    ours = engine.run("sleep", "600", network_mode="none", labels={"com.docker.compose.project": "shop"})
    theirs = engine.run("sleep", "600", network_mode="none")
    send = ask("--targets", "compose-project=shop")
    for word, want in ((ours.name, 200), (ours.id, 200), (ours.id[:6], 200), (theirs.name, 403), (theirs.id[:6], 403)):
        status, message = send("GET", f"/containers/{word}/json")
        assert status == want, message
    assert send("POST", f"/containers/{theirs.id}/stop")[0] == 403
    assert send("POST", f"/containers/{ours.id}/stop")[0] == 204


def test_a_rule_by_name_finds_an_identifier(engine, ask, sleeper):
    other = engine.run("sleep", "600")
    send = ask(rules=f"GET %API_PREFIX_CONTAINERS%/{sleeper}/json")
    container = engine.client.containers.get(sleeper)
    for word in (sleeper, container.id, container.id[:12], container.id[:5]):
        assert send("GET", f"/containers/{word}/json")[0] == 200, word
    assert send("GET", f"/containers/{other.id}/json")[0] == 403
    # It was renamed: the rule is about the name that it has now.
    container.rename(unique())
    assert send("GET", f"/containers/{container.id[:7]}/json")[0] == 403


def test_bodies_are_read_as_the_engine_reads_them(engine, ask):
    send = ask()
    body = json.dumps({"image": IMAGE, "cmd": ["true"], "hostconfig": {"memory": 64 << 20, "NETWORKMODE": "none"}})
    status, answer = send("POST", "/containers/create", body)
    assert status == 201, answer
    made = engine.client.containers.get(answer["Id"]).attrs["HostConfig"]
    assert (made["Memory"], made["NetworkMode"]) == (64 << 20, "none")
    assert send("POST", "/containers/create", {"image": IMAGE, "hostconfig": {"privileged": True}})[0] == 403


@pytest.mark.parametrize("cli", docker_cli.installed(), ids=str)
def test_an_untyped_inspection_finds_an_image(engine, proxy, docker_at, cli):
    one = proxy(rules=None, env={"CETUSGUARD_PRESETS": "docker-cli-readonly"})
    docker = docker_at(one.addresses["tcp"])
    direct = docker_at(engine.address)
    for name in (IMAGE, engine.client.images.get(IMAGE).id):
        shown = json.loads(docker("inspect", name).stdout)
        assert IMAGE in shown[0]["RepoTags"]
    through, bare = docker("inspect", "nosuch", ok=False), direct("inspect", "nosuch", ok=False)
    assert (through.returncode, through.stderr) == (bare.returncode, bare.stderr)


def test_a_missing_object_is_the_engines_own_answer(engine, ask):
    send = ask()
    for method, path, body in (
        ("POST", "/containers/nosuch/exec", {"Cmd": ["true"]}),
        ("POST", "/containers/nosuch/start", None),
        ("POST", "/exec/0123/start", {"Detach": True}),
    ):
        assert send(method, path, body) == send(method, path, body, address=engine.address)


def test_pages_in_browsers_are_refused(engine, open_proxy):
    address = open_proxy.addresses["tcp"]
    for header in ("Origin: http://evil.example", "Sec-Fetch-Site: cross-site", "Host: evil.example"):
        status, answer = curl(address, "GET", "/_ping", "--header", header)
        assert status == 403 and "web page" in answer, (header, answer)
    status, _ = curl(address, "GET", "/_ping", "--header", "Sec-Fetch-Site: none")
    assert status == 200
    body = ("--header", "Content-Type:", "--data-binary", json.dumps({"Image": IMAGE, "Cmd": ["true"]}))
    assert curl(address, "POST", "/containers/create", *body)[0] == 400
