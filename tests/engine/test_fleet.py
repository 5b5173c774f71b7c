"""The examples for many hosts: their files are valid, and a changed policy takes effect.

tests/packaging/swarm starts the stack of examples/swarm.
"""

import json
import os
import socket
import tempfile

import kubernetes_validate
import pytest
import yaml

from curl import curl
from prometheus import ADMIN_TOKEN, ask
from proxy import REPOSITORY, binary
from tools import PATIENCE, require, run, wait_for

KUBERNETES = REPOSITORY / "examples/kubernetes/daemonset.yaml"
ANSIBLE = REPOSITORY / "examples/ansible"
OLD = "rules: GET %API_PREFIX_VOLUMES%\n"
NEW = "rules: GET %API_PREFIX_CONTAINERS%/json\n"
MISTAKE = "rules: GET %NO_SUCH_VARIABLE%\n"


def objects():
    return [one for one in yaml.safe_load_all(KUBERNETES.read_text()) if one]


def kind(name):
    return next(one for one in objects() if one["kind"] == name)


def policy(address):
    return json.loads(ask(address, "/policy", {"Authorization": f"Bearer {ADMIN_TOKEN}"}))


def calls_list(proxy):
    """The status of a call that the new policy allows and the old one refuses."""
    return curl(proxy.addresses["unix"], "GET", "/containers/json")[0]


# The oldest and the newest version that the validator and the API share.
@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_kubernetes_accepts_the_objects(version):
    assert len(objects()) == 4
    for one in objects():
        kubernetes_validate.validate(one, version, strict=True)
    broken = kind("DaemonSet")
    broken["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFs"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, version, strict=True)


def test_the_daemon_set_names_what_there_is(tmp_path):
    pod = kind("DaemonSet")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    assert not any("subPath" in mount for mount in container["volumeMounts"])
    config = kind("ConfigMap")
    volume = next(volume for volume in pod["volumes"] if volume["name"] == "policy")
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    places = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    environment = {entry["name"]: entry["value"] for entry in container["env"]}
    [name] = config["data"]
    assert environment["CETUSGUARD_CONFIG"] == f"{places['policy']}/{name}"
    (tmp_path / name).write_text(config["data"][name])
    (tmp_path / "token").write_text(ADMIN_TOKEN)
    environment |= {
        "CETUSGUARD_CONFIG": str(tmp_path / name),
        "CETUSGUARD_ADMIN_TOKEN_FILE": str(tmp_path / "token"),
    }
    run(binary(), "check", ok=True, env=environment)


class ConfigMapVolume:
    """A folder in which the kubelet keeps a ConfigMap (pkg/volume/util/atomic_writer.go).

    Each version of the files has a folder of its own. `..data` leads to that folder, and is replaced by
    a rename.
    """

    def __init__(self, folder, text):
        self.folder, self.version = folder, 0
        folder.mkdir()
        self.update(text)
        (folder / "cetusguard.yaml").symlink_to("..data/cetusguard.yaml")

    def update(self, text):
        data = self.folder / "..data"
        old = os.readlink(data) if data.is_symlink() else None
        self.version += 1
        name = f"..2026_01_01_00_00_00.{self.version:09}"
        (self.folder / name).mkdir()
        (self.folder / name / "cetusguard.yaml").write_text(text)
        (self.folder / "..data_tmp").symlink_to(name)
        (self.folder / "..data_tmp").rename(data)
        if old:
            (self.folder / old / "cetusguard.yaml").unlink()
            (self.folder / old).rmdir()


def test_a_changed_config_map_takes_effect(admin_proxy, tmp_path):
    volume = ConfigMapVolume(tmp_path / "policy", OLD)
    config = tmp_path / "policy/cetusguard.yaml"
    one, address = admin_proxy("--config", config, rules=None)
    first = policy(address)
    assert calls_list(one) == 403

    volume.update(NEW)
    wait_for(lambda: policy(address)["hash"] != first["hash"], "the new policy")
    second = policy(address)
    assert second["last_reload"]["result"] == "success"
    assert calls_list(one) == 200

    volume.update(MISTAKE)
    wait_for(lambda: policy(address)["last_reload"]["result"] == "failure", "the mistake")
    assert "NO_SUCH_VARIABLE" in json.dumps(policy(address)["last_reload"]["mistakes"])
    assert policy(address)["hash"] == second["hash"]
    assert calls_list(one) == 200

    volume.update(OLD)
    wait_for(lambda: policy(address)["hash"] == first["hash"], "the first policy")
    assert one.process.poll() is None


@pytest.fixture
def variables(engine, tmp_path):
    """The variables of the playbook for this machine, in a folder of its own."""
    # Below a path that is short enough for a socket.
    with tempfile.TemporaryDirectory(prefix="cg-", dir="/tmp") as short, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        yield {
            "cetusguard_binary": str(binary()),
            "cetusguard_program": str(tmp_path / "cetusguard"),
            "cetusguard_folder": str(tmp_path / "etc"),
            "cetusguard_frontend": f"unix://{short}/front.sock",
            "cetusguard_backend": engine.address,
            "cetusguard_admin_port": port,
            "cetusguard_presets": [],
        }


@pytest.fixture
def play(variables, tmp_path):
    """Runs the playbook for this machine, without systemd."""
    program = require("ansible-playbook")
    inventory = tmp_path / "inventory.yaml"
    host = {"ansible_connection": "local", "ansible_become": False}
    inventory.write_text(json.dumps({"docker_hosts": {"hosts": {"here": host}}}))
    environment = {**os.environ, "HOME": str(tmp_path)}

    def call(rules, *options, ok=True):
        command = [program, "--inventory", inventory, "--skip-tags", "service", *options]
        extra = json.dumps({**variables, "cetusguard_rules": rules})
        command += ["--extra-vars", extra, ANSIBLE / "playbook.yaml"]
        return run(*command, ok=ok, env=environment, timeout=5 * PATIENCE)

    return call


def test_ansible_reads_the_playbook(play):
    play("", "--syntax-check")


def test_ansible_rolls_a_policy_out(play, proxy, variables, tmp_path):
    port = variables["cetusguard_admin_port"]
    config = tmp_path / "etc/cetusguard.yaml"
    config.parent.mkdir()
    # A reload cannot change the addresses.
    addresses = {
        "frontend-addr": variables["cetusguard_frontend"],
        "backend-addr": variables["cetusguard_backend"],
        "admin-addr": f"tcp://127.0.0.1:{port}",
    }
    config.write_text(yaml.safe_dump(addresses) + OLD)
    one = proxy(
        frontends=(addresses["frontend-addr"],),
        flags=("--config", config),
        rules=None,
        env={"CETUSGUARD_FRONTEND_ADDR": "", "CETUSGUARD_BACKEND_ADDR": ""},
    )
    wait_for(lambda: one.records(msg="the admin listener is ready"), "the admin listener")
    assert calls_list(one) == 403

    played = play("GET %API_PREFIX_CONTAINERS%/json")
    # The play has waited for it.
    assert calls_list(one) == 200, played.stdout
    shown = json.loads(ask(f"127.0.0.1:{port}", "/policy"))
    assert f"Policy {shown['hash']}" in played.stdout
    again = play("GET %API_PREFIX_CONTAINERS%/json")
    assert "changed=0" in again.stdout, again.stdout

    text = config.read_text()
    refused = play("GET %NO_SUCH_VARIABLE%", ok=False)
    assert "NO_SUCH_VARIABLE" in refused.stdout + refused.stderr
    assert config.read_text() == text
    assert calls_list(one) == 200
