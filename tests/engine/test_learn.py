"""`cetusguard learn` watches a client at work; with what it wrote the client works, and without any line of it not."""

import io
import json
import os
import signal

import docker
import pytest
import yaml

from curl import curl
from image import tar
from test_podman import Remote
from tools import IMAGE, PATIENCE, run

# A name that YAML does not take as it is.
FOLDER = "it's #1 & a {folder}"


@pytest.fixture
def learn(engine, proxy, tmp_path):
    """What is learned from a session, a function of the address to talk to."""

    def call(session, *flags, at=engine):
        file = tmp_path / "learned.yml"
        teacher = proxy(at.address, rules=None, command="learn", flags=("--out", str(file), *flags))
        session(teacher.addresses["tcp"])
        at.sweep()
        assert teacher.stop(signal.SIGINT) == 0
        assert "learning, so that NOTHING is refused" in teacher.log()
        assert teacher.records(msg="request refused") == []
        return file

    return call


@pytest.fixture
def serve(engine, proxy):
    """Runs a session through a proxy with a configuration; what went wrong, and what was refused."""

    def call(session, config, at=engine):
        one = proxy(at.address, rules=None, flags=("--config", str(config)))
        failure = None
        try:
            session(one.addresses["tcp"])
        except Exception as what:
            failure = what
        at.sweep()
        return failure, one.refused()

    return call


@pytest.fixture
def round_trip(learn, serve, engine, tmp_path):
    """Learns from a session and serves it. Then it leaves out one thing at a time, of at most so many."""

    def call(session, most=100, at=engine):
        file = learn(session, "--risky", at=at)
        assert serve(session, file, at) == (None, [])

        learned = yaml.safe_load(file.read_text())
        parts = [("guard-allow", exception) for exception in learned.get("guard-allow", [])]
        for line in learned["rules"].splitlines():
            if not line.startswith("#"):
                methods, pattern = line.split("  #")[0].split(" ", 1)
                parts += [("rules", f"{method} {pattern}") for method in methods.split(",")]
        for index in sorted({round(step * (len(parts) - 1) / (most - 1)) for step in range(most)}):
            kind, part = parts[index]
            # A client that creates the container itself may enter it by the exceptions that created it.
            if part.startswith("target="):
                continue
            rest = [other for other in parts if other != parts[index]]
            less = {"guard": learned["guard"], "rules": "\n".join(value for key, value in rest if key == "rules")}
            # An empty list is a mistake.
            if exceptions := [value for key, value in rest if key == "guard-allow"]:
                less["guard-allow"] = exceptions
            (tmp_path / "less.yml").write_text(json.dumps(less))
            _, refused = serve(session, tmp_path / "less.yml", at)
            reasons = {reason for reason, _, _ in refused}
            assert ("guard" if kind == "guard-allow" else "no_rule") in reasons, f"not needed: {part}"
        return parts

    return call


def test_docker_cli(round_trip, docker_at, engine):
    def session(address):
        docker = docker_at(address)
        container = engine.run("echo", "said").name
        assert docker.out("logs", "--follow", container, ok=True) == "said"
        assert docker.out("ps", "--all", "--format", "{{.Names}}", ok=True) == container
        assert docker.out("inspect", "--format", "{{.Name}}", container, ok=True) == f"/{container}"

    assert len(round_trip(session)) == 3


def test_docker_cli_runs(round_trip, docker_at, engine, name):
    def session(address):
        docker = docker_at(address)
        options = ["--name", name, "--network", "host", "--stop-signal", "KILL"]
        docker("run", "--detach", "--cap-add", "NET_ADMIN", *options, IMAGE, "sleep", "600", ok=True)
        assert docker.out("exec", name, "echo", "inside", ok=True) == "inside"
        docker("cp", f"{name}:/bin/true", "-", ok=True, text=False)
        docker("rm", "--force", name, ok=True)

    parts = round_trip(session)
    assert {("guard-allow", "host-namespace=network"), ("guard-allow", "capability=NET_ADMIN")} < set(parts)


def test_docker_py(round_trip, name):
    def session(address):
        client = docker.DockerClient(base_url=address, timeout=PATIENCE)
        try:
            container = client.containers.create(IMAGE, ["sleep", "600"], network_mode="none")
            container.start()
            assert container.exec_run(["echo", "inside"]).output == b"inside\n"
            container.put_archive("/", tar({"put": b"content"}))
            assert container.logs() == b""
            container.remove(force=True)
            file = io.BytesIO(f"FROM {IMAGE}\nLABEL a=b\n".encode())
            client.images.build(fileobj=file, tag=name)
            client.images.remove(name)
        finally:
            client.close()

    round_trip(session)


def test_dockerode(round_trip, dockerode, engine):
    def session(address):
        container = engine.run("sleep", "600").name
        for scenario in ["list", "exec", "archive", "events", "networksAndVolumes"]:
            assert "outcome" in dockerode(address, scenario, container)

    round_trip(session, most=8)


def test_bollard(round_trip, engine):
    program = os.environ.get("CETUSGUARD_BOLLARD")
    if not program:
        pytest.skip("CETUSGUARD_BOLLARD names no program")
    round_trip(lambda address: run(program, IMAGE, env={"DOCKER_HOST": address, "CETUSGUARD_TEST_PATIENCE": str(PATIENCE)}, ok=True))


def test_compose(round_trip, compose, engine, tmp_path):
    (tmp_path / FOLDER).mkdir()
    service = {"image": IMAGE, "command": "sleep 600", "stop_signal": "SIGKILL"}
    bind = {"type": "bind", "source": f"./{FOLDER}", "target": "/in", "read_only": True}
    service["volumes"] = [bind, "kept:/kept"]
    project = {"version": "3.2", "services": {"web": service}, "volumes": {"kept": {}}}
    (tmp_path / "docker-compose.yml").write_text(json.dumps(project))

    def session(address):
        compose(address, "up", "-d")
        compose(address, "down", "--volumes")

    kind, exception = round_trip(session, most=6)[0]
    # Below API version 1.44, which this client may speak, what is mounted below would stay writable.
    assert kind == "guard-allow" and exception in (f"bind={tmp_path / FOLDER}", f"bind={tmp_path / FOLDER}:ro")


def test_podman(round_trip, podman_engine, name, tmp_path):
    """On Podman's own API, whose paths are other ones."""

    def session(address):
        podman = Remote(address)
        podman("create", "--name", name, "--volume", f"{tmp_path}:/in:ro", IMAGE, "echo", "said")
        assert name in podman.out("ps", "--all", "--format", "{{.Names}}")
        podman("cp", f"{name}:/bin/true", tmp_path / "copy")
        podman("rm", "--force", "--time", "0", name)

    # Podman makes no bind read-only all the way down.
    assert round_trip(session, most=5, at=podman_engine)[0] == ("guard-allow", f"bind={tmp_path}")


def test_curl(round_trip, engine, tmp_path):
    """What only few ask for, so that the guard has much to say."""
    (tmp_path / FOLDER).mkdir()
    mounts = [{"Type": "bind", "Source": str(tmp_path / FOLDER), "Target": "/in"}]
    binds = [f"{tmp_path}/a,b:/b", f"{tmp_path}/$HOME:/c:ro"]
    asked = {"Mounts": mounts, "Binds": binds, "PidMode": "host", "IpcMode": "host", "CapAdd": ["SYS_PTRACE"], "OomScoreAdj": -5}
    asked |= {"Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/n", "CgroupPermissions": "r"}]}
    asked |= {"SecurityOpt": ["seccomp=unconfined"], "DeviceCgroupRules": ["c 1:3 r"], "NetworkMode": "none"}
    body = json.dumps({"Image": IMAGE, "Cmd": ["true"], "HostConfig": asked})

    def session(address):
        ask = lambda status, *request: json.loads(expect(status, *curl(address, *request)) or "null")
        content = ["--header", "Content-Type: application/json", "--data", body]
        made = ask(201, "POST", "/v1.41/containers/create", *content)["Id"]
        assert ask(200, "GET", f"/containers/{made}/json")["HostConfig"]["PidMode"] == "host"
        ask(304, "POST", f"/containers/{made}/stop")
        ask(204, "DELETE", f"/containers/{made}?force=1")

    def expect(status, seen, text):
        assert seen == status, text
        return text

    parts = round_trip(session)
    assert len([part for part in parts if part[0] == "guard-allow"]) >= 6


def test_risky_calls_are_comments(learn, serve, dockerode, engine):
    """Unless --risky was given, what hands over files is left to be thought about."""

    def session(address):
        container = engine.run("sleep", "600").name
        assert "outcome" in dockerode(address, "list")
        assert "outcome" in dockerode(address, "archive", container)

    file = learn(session)
    failure, refused = serve(session, file)
    assert "outcome" in str(failure)
    assert {path.rsplit("/", 1)[1] for _, _, path in refused} == {"archive"}
    file.write_text(file.read_text().replace("  # GET,", "  GET,").replace("  # PUT ", "  PUT "))
    assert serve(session, file) == (None, [])
