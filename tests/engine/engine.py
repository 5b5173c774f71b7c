"""Private engines: a dockerd and a Podman service of our own, beside any that the machine runs."""

import fcntl
import ipaddress
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import docker

from image import busybox_layer
from tools import IMAGE, PATIENCE, engine_path, podman_path, require, run, unique, wait_for

# Podman's own limits need CAP_SYS_RESOURCE, crun refuses hybrid cgroups, and no test needs a
# network; the delay is how long a finished exec can be asked about, and its monitor lingers. Locks in
# shared memory are those of every Podman of the user, and one that starts frees them all.
PODMAN_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
exit_command_delay = 5
lock_type = "file"
runtime = "runc"
[network]
network_config_dir = "{home}/networks"
"""


SUBNET_LOCK = Path(tempfile.gettempdir()) / "cg-subnets.lock"


class NoEngine(Exception):
    """The daemon does not start on this machine; the text says why."""


class Engine:
    """A daemon with its own folder and socket; the subclasses know how to start theirs."""

    def __init__(self):
        # A socket path is limited to 108 bytes, which pytest's own folders can exceed.
        self.home = Path(tempfile.mkdtemp(prefix="cg-", dir="/tmp"))
        self.socket = self.home / "engine.sock"
        self.address = f"unix://{self.socket}"
        self.process = None

    def start(self):
        """Start the daemon and wait until it answers."""
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), env=self.environment(), stdout=log, stderr=log
            )
        try:
            wait_for(self.answers, "the engine")
        except AssertionError as failure:
            self.halt()
            last_words = (self.home / "log").read_text(errors="replace")[-600:]
            self.clear()
            raise NoEngine(f"{failure}: {last_words}") from None

    def answers(self):
        assert self.process.poll() is None, "the daemon ended at its start"
        try:
            self.client = docker.DockerClient(base_url=self.address, timeout=PATIENCE)
        except docker.errors.DockerException:
            return False
        return True

    def halt(self):
        """Stop the daemon by its process id and wait for its end."""
        self.process.terminate()
        try:
            self.process.wait(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=PATIENCE)

    def restart(self):
        self.halt()
        self.start()

    def close(self):
        try:
            self.sweep()
        finally:
            # A signal to the process group ends the daemon first: its mounts and folder remain.
            self.client.close()
            self.halt()
            self.clear()

    def clear(self):
        """Detach what the daemon left mounted, deepest first, and remove its folder."""
        mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith(f"{self.home}/"):
                run("umount", "--lazy", mount, ok=True)
        shutil.rmtree(self.home, ignore_errors=True)

    def sweep(self):
        """Remove what a test made."""
        for container in self.client.containers.list(all=True, ignore_removed=True):
            container.remove(force=True, v=True)
        for volume in self.client.volumes.list():
            volume.remove(force=True)

    def run(self, *command, **options):
        """Start a container around the proxy, for a test to work on."""
        quick = {
            # Most programs as process 1 ignore SIGTERM, and a stop would take its ten seconds.
            "stop_signal": "SIGKILL",
            # Networks are most of the time that a container takes to start; and the guard lets nobody enter
            # a container of the host's network.
            "network_mode": "none",
        }
        options = {"detach": True, "name": unique(), **quick, **options}
        return self.client.containers.run(IMAGE, list(command), **options)

    def connections(self):
        """How many clients hold a connection to the socket (state 03 is connected)."""
        rows = (line.split() for line in Path("/proc/net/unix").read_text().splitlines())
        return sum(row[-1] == str(self.socket) and row[5] == "03" for row in rows)


class Dockerd(Engine):
    def __init__(self, *flags):
        super().__init__()
        self.flags = flags
        # Where the machine runs a containerd, dockerd uses that one.
        self.namespace = unique()
        self.bridge = self.namespace
        (self.home / "daemon.json").write_text("{}")
        # Engines that start at the same moment would find the same subnet to be free.
        with open(SUBNET_LOCK, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.subnet, self.pool = free_subnets()
            self.make_bridge()
        self.start()
        self.client.api.import_image_from_data(busybox_layer(), *IMAGE.split(":"))

    def make_bridge(self):
        """BuildKit's RUN needs one; docker0 is the machine's, and `--bridge=none` deletes it."""
        gateway = f"{next(ipaddress.ip_network(self.subnet).hosts())}/24"
        for change in (
            ["link", "add", self.bridge, "type", "bridge"],
            ["address", "add", gateway, "dev", self.bridge],
            ["link", "set", self.bridge, "up"],
        ):
            if (result := run("ip", *change)).returncode != 0:
                self.clear()
                raise NoEngine(f"ip {' '.join(change)}: {result.stderr.strip()}")

    def command(self):
        return [
            require("dockerd", path=engine_path()), "--host", self.address,
            "--config-file", self.home / "daemon.json",
            "--data-root", self.home / "data",
            "--exec-root", self.home / "exec",
            "--pidfile", self.home / "pid",
            "--containerd-namespace", self.namespace,
            "--containerd-plugins-namespace", f"{self.namespace}-plugins",
            "--bridge", self.bridge, "--fixed-cidr", self.subnet,
            "--default-address-pool", f"base={self.pool},size=28",
            "--iptables=false", "--ip6tables=false", "--ip-masq=false",
            *self.flags,
        ]  # fmt: skip

    def environment(self):
        # dockerd starts its containerd by name, which starts its shim by name, and that one runc.
        return {"PATH": engine_path()}

    def halt(self):
        super().halt()
        # dockerd could not do this itself where it had to be killed.
        pidfile = self.home / "exec/containerd/containerd.pid"
        if pidfile.exists():
            run("kill", "-KILL", pidfile.read_text())

    def sweep(self):
        super().sweep()
        for network in self.client.networks.list(filters={"type": "custom"}):
            network.remove()
        for image in self.client.images.list():
            for reference in image.tags or [image.id]:
                if reference != IMAGE:
                    self.client.images.remove(reference, force=True)

    def clear(self):
        super().clear()
        run("ip", "link", "delete", self.bridge)


class Podman(Engine):
    def __init__(self):
        super().__init__()
        self.start()
        self.api("POST", "/images/import", params={"reference": IMAGE}, data=busybox_layer())

    def command(self):
        return [
            require("podman", path=podman_path()), "--root", self.home / "root", "--runroot", self.home / "run",
            "--tmpdir", self.home / "tmp", "system", "service", "--time=0", self.address,
        ]  # fmt: skip

    def environment(self):
        settings = self.home / "containers.conf"
        settings.write_text(PODMAN_SETTINGS.format(home=self.home))
        return {"PATH": os.environ["PATH"], "CONTAINERS_CONF": str(settings)}

    def api(self, method, path, **options):
        """Call Podman's own API."""
        url = f"{self.client.api.base_url}/v4.0.0/libpod{path}"
        answer = self.client.api.request(method, url, **options)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def sweep(self):
        for pod in self.api("GET", "/pods/json"):
            self.api("DELETE", f"/pods/{pod['Id']}?force=true")
        super().sweep()
        for secret in self.api("GET", "/secrets/json"):
            self.api("DELETE", f"/secrets/{secret['ID']}")
        for network in self.api("GET", "/networks/json"):
            if network["name"] != "podman":
                self.api("DELETE", f"/networks/{network['name']}")


def free_subnets():
    """A /24 for the bridge and one for networks that this machine does not use yet."""
    taken = run("ip", "-4", "route", "show", "table", "all", ok=True).stdout
    for third in range(1, 255):
        bridge, pool = f"10.213.{third}.0/24", f"10.214.{third}.0/24"
        if bridge not in taken and f"10.214.{third}." not in taken:
            return bridge, pool
    raise AssertionError("no free subnet")
