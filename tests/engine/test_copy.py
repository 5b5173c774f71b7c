"""`docker cp` and export: archives up and down."""

import os

from image import tar
from tools import PATIENCE, wait_for

RANDOM = os.urandom(1024 * 1024)


def test_copy_in_and_out(docker, sleeper, tmp_path):
    source, back = tmp_path / "source", tmp_path / "back"
    source.mkdir()
    (source / "a").write_text("one")
    (source / "b").symlink_to("a")
    docker("cp", source, f"{sleeper}:/copied")
    assert docker.out("exec", sleeper, "cat", "/copied/b") == "one"
    docker("cp", f"{sleeper}:/copied", back)
    assert (back / "a").read_text() == "one" and os.readlink(back / "b") == "a"


def test_copy_of_a_large_file(docker_at, open_proxy, sleeper, tmp_path):
    """In over TCP and out over the Unix socket."""
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(RANDOM * 64)
    docker_at(open_proxy.addresses["tcp"])("cp", source, f"{sleeper}:/large", timeout=2 * PATIENCE)
    docker_at(open_proxy.addresses["unix"])("cp", f"{sleeper}:/large", back, timeout=2 * PATIENCE)
    assert back.read_bytes() == source.read_bytes()
    assert open_proxy.peak_memory() < 64 * 1024


def test_copy_through_pipes(docker, sleeper):
    docker("cp", "-", f"{sleeper}:/", input=tar({"piped": b"through"}), text=False)
    archive = docker("cp", f"{sleeper}:/piped", "-", text=False).stdout
    assert b"through" in archive


def test_copy_of_what_is_not_there(docker, sleeper):
    absent = docker("cp", f"{sleeper}:/absent", "-", ok=False)
    assert "/absent" in absent.stderr


def test_export(docker, engine, tmp_path):
    container = engine.run("sh", "-c", "echo kept >/exported; exec sleep 600")
    wait_for(lambda: container.exec_run("test -s /exported").exit_code == 0, "the file")
    docker("export", "--output", tmp_path / "root.tar", container.name)
    assert b"kept\n" in (tmp_path / "root.tar").read_bytes()
