"""Fixtures: the engines last a session, everything else a test."""

import json
import os
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest
from xdist.workermanage import NodeManager

import docker_cli
from engine import Dockerd, NoEngine, Podman
from prometheus import ADMIN_TOKEN, Prometheus
from proxy import Proxy
from tools import CI, IMAGE, PATIENCE, engine_path, missing, require, run, unique, wait_for

NODE = Path(__file__).parent / "clients/node"

# Where the tests run in a shell's background, interrupts are ignored, and old clients leave it at that: they are to end by one.
signal.signal(signal.SIGINT, signal.default_int_handler)
# A cancelled job is ended by SIGTERM, at which Python would leave engines, mounts and bridges behind.
signal.signal(signal.SIGTERM, signal.default_int_handler)
# Workers whose tests are interrupted stop their engines, and are killed if that takes longer.
NodeManager.EXIT_TIMEOUT = PATIENCE


@pytest.fixture(scope="session")
def dockerd():
    try:
        engine = Dockerd()
    except NoEngine as reason:
        missing(f"no engine: {reason}")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def podman_service():
    try:
        engine = Podman()
    except NoEngine as reason:
        missing(f"no Podman service: {reason}")
    yield engine
    engine.close()


@pytest.fixture
def engine(dockerd):
    """The Docker Engine, left as it was found."""
    yield dockerd
    dockerd.sweep()


@pytest.fixture
def podman_engine(podman_service):
    yield podman_service
    podman_service.sweep()


@pytest.fixture
def proxy(request):
    """Starts proxies; the backend is the Docker Engine unless another one is given."""

    def start(backend=None, **options):
        one = Proxy(backend or request.getfixturevalue("engine").address, **options)
        running.callback(one.close)
        return one

    # A stack, so that each proxy is stopped even where another one did not stop well.
    with ExitStack() as running:
        yield start


@pytest.fixture
def open_proxy(engine, proxy, request):
    """A proxy that lets pass all that these clients do, on both kinds of frontend.

    A test that counts descriptors is marked `one_loop`: each event loop has some of its own once it has started.
    """
    return proxy(flags=("--workers", "1") if request.node.get_closest_marker("one_loop") else ())


@pytest.fixture(params=["tcp", "unix"])
def front(request):
    """The kind of frontend a client talks to."""
    return request.param


@pytest.fixture
def address(open_proxy, front):
    return open_proxy.addresses[front]


@pytest.fixture(params=docker_cli.installed(), ids=str)
def cli(request):
    return request.param


@pytest.fixture(scope="session")
def docker_config(tmp_path_factory):
    """A configuration folder, so that no user's own is read; plug-ins are still found."""
    folder = tmp_path_factory.mktemp("docker-config")
    plugins = str(Path.home() / ".docker/cli-plugins")
    (folder / "config.json").write_text(json.dumps({"cliPluginsExtraDirs": [plugins]}))
    return str(folder)


@pytest.fixture
def docker_at(cli, docker_config):
    """Binds the Docker CLI to an address."""
    return lambda address, **env: docker_cli.Docker(cli, address, docker_config, env)


@pytest.fixture
def docker(docker_at, address):
    """The Docker CLI, talking through a proxy that lets all pass."""
    return docker_at(address)


@pytest.fixture
def dockerode():
    """Runs one scenario of client.js and returns what it printed."""
    node = require("node")
    if not (NODE / "node_modules/dockerode").is_dir():
        missing("dockerode is not installed")

    def call(address, scenario, container="none"):
        program = run(node, NODE / "client.js", address, scenario, container, IMAGE, ok=True)
        return json.loads(program.stdout)

    return call


@pytest.fixture
def compose(tmp_path, name):
    """Runs the engine's docker-compose on the project in the test's folder, at an address."""
    program = require("docker-compose", path=engine_path())

    def call(address, *args, ok=True, project=name, **options):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "DOCKER_HOST": address}
        command = [program, "--no-ansi", "--project-name", project, *args]
        return run(*command, ok=ok, env=env, cwd=tmp_path, **options)

    return call


@pytest.fixture
def prometheus_of(tmp_path):
    """Starts a Prometheus that scrapes admin listeners, with their token and a file of rules."""
    with ExitStack() as running:

        def start(targets, token=ADMIN_TOKEN, rules=None):
            prometheus = Prometheus(tmp_path, targets, token, rules)
            running.callback(prometheus.close)
            return prometheus

        yield start


@pytest.fixture
def admin_proxy(proxy, tmp_path):
    """Starts proxies with an admin listener on TCP, and returns each with the listener's address."""
    token = tmp_path / "admin-token"
    token.write_text(ADMIN_TOKEN)

    def start(*flags, **options):
        admin = ("--admin-addr", "tcp://127.0.0.1:0", "--admin-token-file", token)
        one = proxy(flags=(*admin, *flags), **options)
        ready = wait_for(
            lambda: one.records(msg="the admin listener is ready"), "the admin listener"
        )
        return one, ready[0]["address"].removeprefix("tcp://")

    return start


@pytest.fixture
def sleeper(engine):
    """The name of a running container that does nothing."""
    return engine.run("sleep", "600").name


@pytest.fixture
def name():
    return unique()


def pytest_configure(config):
    """Let the process that has workers pass SIGTERM on to them, which it alone gets in a cancelled job."""
    if not config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        return

    def interrupt_workers(number, frame):
        for task in Path("/proc/self/task").iterdir():
            for child in (task / "children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGTERM, interrupt_workers)


def pytest_sessionstart():
    if CI and not docker_cli.installed():
        pytest.exit("CI promises a Docker CLI, and none is on the path", returncode=1)
