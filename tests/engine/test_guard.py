"""What the guard refuses does take effect on a real engine, and what people ordinarily do passes."""

import io
import json

import docker
import pytest

from curl import curl
from test_documented_rules import BASIC
from tools import IMAGE, unique, wait_for

JSON = ("--header", "Content-Type: application/json", "--data-binary")

# What a container has in the end where the engine is asked directly: a body, and the part of its inspection that shows it.
CONTAINERS = {
    "privileged": ({"Privileged": True}, lambda host: host["Privileged"]),
    "bind": ({"Binds": ["/etc:/x"]}, lambda host: host["Binds"] == ["/etc:/x"]),
    "bind in another spelling": ({"binds": ["/etc:/x"]}, lambda host: host["Binds"] == ["/etc:/x"]),
    "mount": (
        {"Mounts": [{"Type": "bind", "Source": "/etc", "Target": "/x"}]},
        lambda host: host["Mounts"][0]["Source"] == "/etc",
    ),
    "volume with a driver's options": (
        {
            "Mounts": [
                {
                    "Type": "volume",
                    "Target": "/x",
                    "VolumeOptions": {
                        "DriverConfig": {
                            "Name": "local",
                            "Options": {"type": "none", "o": "bind", "device": "/etc"},
                        }
                    },
                }
            ]
        },
        lambda host: host["Mounts"][0]["VolumeOptions"]["DriverConfig"]["Options"]["device"] == "/etc",
    ),
    "host network": ({"NetworkMode": "host"}, lambda host: host["NetworkMode"] == "host"),
    "host pid": ({"PidMode": "host"}, lambda host: host["PidMode"] == "host"),
    "host ipc": ({"IpcMode": "host"}, lambda host: host["IpcMode"] == "host"),
    "host uts": ({"UTSMode": "host"}, lambda host: host["UTSMode"] == "host"),
    "host users": ({"UsernsMode": "host"}, lambda host: host["UsernsMode"] == "host"),
    "host cgroups": ({"CgroupnsMode": "host"}, lambda host: host["CgroupnsMode"] == "host"),
    "capability": ({"CapAdd": ["SYS_ADMIN"]}, lambda host: "SYS_ADMIN" in host["CapAdd"][0]),
    "device": (
        {"Devices": [{"PathOnHost": "/dev/kmsg", "PathInContainer": "/dev/x", "CgroupPermissions": "rwm"}]},
        lambda host: host["Devices"][0]["PathOnHost"] == "/dev/kmsg",
    ),
    "device rule": (
        {"DeviceCgroupRules": ["c 1:3 rwm"]},
        lambda host: host["DeviceCgroupRules"] == ["c 1:3 rwm"],
    ),
    "seccomp": (
        {"SecurityOpt": ["seccomp=unconfined"]},
        lambda host: host["SecurityOpt"] == ["seccomp=unconfined"],
    ),
    "masked paths": ({"MaskedPaths": []}, lambda host: host["MaskedPaths"] == []),
    "read-only paths": ({"ReadonlyPaths": []}, lambda host: host["ReadonlyPaths"] == []),
    "cgroup parent": ({"CgroupParent": "/x"}, lambda host: host["CgroupParent"] == "/x"),
    "oom score": ({"OomScoreAdj": -900}, lambda host: host["OomScoreAdj"] == -900),
    "null does not take it back": (
        '{"Privileged":true,"Privileged":null}',
        lambda host: host["Privileged"],
    ),
    "the last spelling counts": (
        '{"Privileged":false,"pRIVILEGED":true}',
        lambda host: host["Privileged"],
    ),
    "a long s": ('{"Bind\u017f":["/etc:/x"]}', lambda host: host["Binds"] == ["/etc:/x"]),
}


def create(address, host, **more):
    host = host if isinstance(host, str) else json.dumps(host)
    body = f'{{"Image":"{IMAGE}","Cmd":["true"],"HostConfig":{host}}}'
    status, answer = curl(address, "POST", "/v1.41/containers/create", *JSON, body)
    return status, json.loads(answer)


@pytest.mark.parametrize("what", CONTAINERS)
def test_what_is_refused_would_take_effect(engine, open_proxy, what):
    host, shows = CONTAINERS[what]
    status, answer = create(engine.address, host)
    assert status == 201, answer
    inspected = engine.client.containers.get(answer["Id"])
    assert shows(inspected.attrs["HostConfig"]), inspected.attrs["HostConfig"]
    inspected.remove()

    status, answer = create(open_proxy.addresses["tcp"], host)
    assert status in (400, 403) and answer["message"].startswith("cetusguard: "), answer
    assert not engine.client.containers.list(all=True)


@pytest.mark.parametrize(
    ("path", "body", "made"),
    [
        (
            "/volumes/create",
            {"Name": "NAME", "DriverOpts": {"type": "none", "o": "bind", "device": "/etc"}},
            lambda client, name: client.volumes.get(name).attrs["Options"]["device"] == "/etc",
        ),
        (
            "/networks/create",
            {"Name": "NAME", "Options": {"com.docker.network.bridge.name": "cgx0"}},
            lambda client, name: client.networks.list(names=[name])[0].attrs["Options"],
        ),
    ],
)
def test_what_is_refused_would_be_made(engine, open_proxy, name, path, body, made):
    text = json.dumps(body).replace("NAME", name)
    status, answer = curl(engine.address, "POST", path, *JSON, text)
    assert status == 201, answer
    assert made(engine.client, name)

    other = unique()
    status, answer = curl(open_proxy.addresses["tcp"], "POST", path, *JSON, text.replace(name, other))
    assert status == 403, answer
    assert other not in str(engine.client.volumes.list()) + str(engine.client.networks.list(names=[other]))


def test_a_privileged_command_is_refused_twice(engine, open_proxy, sleeper):
    """When it is made, and when one that somebody else has made is started."""
    address = open_proxy.addresses["tcp"]
    body = '{"Cmd":["true"],"Privileged":true}'
    path = f"/containers/{sleeper}/exec"
    assert curl(address, "POST", path, *JSON, body)[0] == 403
    status, answer = curl(engine.address, "POST", path, *JSON, body)
    assert status == 201
    made = json.loads(answer)["Id"]
    status, answer = curl(address, "POST", f"/exec/{made}/start", *JSON, '{"Detach":true}')
    assert status == 403 and "ProcessConfig.privileged" in answer
    assert not engine.client.api.exec_inspect(made)["Running"]
    ordinary = engine.client.api.exec_create(sleeper, "true")["Id"]
    assert curl(address, "POST", f"/exec/{ordinary}/start", *JSON, '{"Detach":true}')[0] == 200


def test_ordinary_containers_start(open_proxy, docker, engine, name):
    """What people do every day: ports, names, variables, volumes, limits, a user, a health check."""
    options = [
        "--publish", "127.0.0.1::80", "--env", "A=b", "--label", "a=b", "--user", "1000:1000", "--memory", "32m",
        "--cpus", "0.5", "--pids-limit", "50", "--restart", "unless-stopped", "--add-host", "x:1.2.3.4",
        "--volume", f"{name}:/data", "--tmpfs", "/scratch", "--health-cmd", "true", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--read-only", "--ulimit", "nofile=64:64",
        "--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "--log-opt", "max-size=1m", "--group-add", "100",
        "--stop-timeout", "1", "--hostname", "h", "--shm-size", "32m",
    ]  # fmt: skip
    docker.out("create", "--name", name, *options, IMAGE, "sleep", "600")
    host = engine.client.containers.get(name).attrs["HostConfig"]
    assert host["Memory"] == 32 << 20 and host["CapDrop"] == ["ALL"] and host["Binds"] == [f"{name}:/data"]


def test_restricted_containers_run(engine, proxy, docker_at, name):
    one = proxy(flags=("--guard", "restricted"))
    docker = docker_at(one.addresses["tcp"])
    strict = ["--user", "1000", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
    refused = docker("run", "--rm", "--network", "none", IMAGE, "id", "-u", ok=False)
    assert "the level restricted needs a user other than root" in refused.stderr
    assert docker.out("run", "--rm", "--network", "none", *strict, IMAGE, "id", "-u") == "1000"
    docker("run", "--detach", "--name", name, "--network", "none", *strict, IMAGE, "sleep", "600")
    assert docker.out("exec", "--user", "1000", name, "id", "-u") == "1000"
    assert docker("exec", name, "id", ok=False).returncode != 0


def test_an_exception_opens_a_folder_for_reading(engine, proxy, docker_at, tmp_path):
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside/file").write_text("content")
    one = proxy(flags=("--guard-allow", f"bind={tmp_path}/inside/**:ro"))
    docker = docker_at(one.addresses["tcp"])
    run = ["run", "--rm", "--network", "none"]
    alone = f"type=bind,source={tmp_path}/inside,target=/x,readonly,bind-nonrecursive"
    assert docker.out(*run, "--mount", alone, IMAGE, "cat", "/x/file") == "content"
    read = docker(*run, "--volume", f"{tmp_path}/inside:/x:ro", IMAGE, "cat", "/x/file", ok=None)
    speaks = min(docker.api(), tuple(map(int, engine.client.version()["ApiVersion"].split("."))))
    if speaks < (1, 44):
        # Mounts below the folder would stay writable.
        assert read.returncode != 0
        assert "would stay writable" in read.stderr or "reading only" in read.stderr, read
    else:
        assert read.stdout == "content"
    refused = docker(*run, "--volume", f"{tmp_path}/inside:/x", IMAGE, "true", ok=False)
    assert "it is allowed for reading only (:ro)" in refused.stderr
    for other in [tmp_path, f"{tmp_path}/inside/..", "/"]:
        assert docker(*run, "--volume", f"{other}:/x:ro", IMAGE, "true", ok=False).returncode != 0


def test_the_documented_risks_are_closed(engine, proxy, docker_at, name):
    """With the rules of the documentation: its four risks of a raw socket fail, its management tool works."""
    one = proxy(rules=BASIC)
    docker = docker_at(one.addresses["tcp"])
    for options in (["--privileged"], ["--volume", "/:/host"], ["--pid", "host"], ["--network", "host"]):
        refused = docker("run", "--rm", *options, IMAGE, "true", ok=False)
        assert "guard-allow" in refused.stderr, refused
    docker("create", "--name", name, "--network", "none", "--volume", f"{name}:/d", "--env", "A=b", IMAGE, "sleep", "600")
    docker("start", name)
    assert docker.out("exec", name, "echo", "hello") == "hello"
    docker("stop", "--time", "0", name)
    refused = wait_for(lambda: one.records(msg="request refused", reason="guard"), "the log")
    assert len(refused) == 4


def test_a_build_on_the_host_network_is_refused(engine, open_proxy):
    dockerfile = io.BytesIO(f"FROM {IMAGE}\nRUN cat /proc/net/dev".encode())

    def build(address, **options):
        client = docker.APIClient(base_url=address, version="auto")
        dockerfile.seek(0)
        return "".join(map(str, client.build(fileobj=dockerfile, rm=True, **options)))

    address = open_proxy.addresses["tcp"]
    # The bridge of this engine's own is an interface of the host's.
    assert engine.bridge in build(engine.address, network_mode="host", nocache=True)
    with pytest.raises(docker.errors.APIError, match="networkmode: shares the host's network"):
        build(address, network_mode="host")
    assert "Successfully built" in build(address, network_mode="none")


def test_a_form_does_not_take_the_querys_place(engine, open_proxy):
    """The engine lets a form's fields go before the parameters that were judged."""
    form = ("--header", "Content-Type: application/x-www-form-urlencoded", "--data-binary")
    path = "/images/create?fromImage=nothing.invalid/judged"
    _, answer = curl(engine.address, "POST", path, *form, "fromImage=nothing.invalid/form&tag=1")
    assert "nothing.invalid/judged" not in answer
    status, answer = curl(open_proxy.addresses["tcp"], "POST", path, *form, "fromImage=x")
    assert status == 400 and "would read a form as parameters" in answer
