"""Connections that turn into a raw pipe: attach and exec, with half-close in both directions."""

import hashlib
import os
import signal
import socket

import pexpect
import pytest

from tools import IMAGE, PATIENCE, wait_for

MEGABYTES = 1024 * 1024


def test_exec(docker, sleeper):
    result = docker("exec", sleeper, "sh", "-c", "echo out; echo err >&2")
    assert (result.stdout, result.stderr) == ("out\n", "err\n")


def test_exec_reads_a_pipe_to_its_end(docker, sleeper):
    """The end of stdin travels as a half-close; without it `cat` would never end."""
    assert docker.out("exec", "-i", sleeper, "cat", input="x\n") == "x"


@pytest.mark.parametrize("status", [3, 255])
def test_exec_hands_on_the_exit_status(docker, sleeper, status):
    assert docker("exec", sleeper, "sh", "-c", f"exit {status}", ok=None).returncode == status


def test_exec_of_no_program(docker, sleeper):
    result = docker("exec", sleeper, "no-such-program", ok=False)
    assert result.returncode in (126, 127)
    assert "no-such-program" in result.stdout + result.stderr


def test_exec_detached(docker, sleeper):
    docker("exec", "--detach", sleeper, "touch", "/made")
    wait_for(
        lambda: docker("exec", sleeper, "test", "-e", "/made", ok=None).returncode == 0, "/made"
    )


def test_exec_on_a_terminal(docker, sleeper):
    terminal = docker.terminal("exec", "-it", sleeper, "sh", rows=31, columns=97)
    terminal.sendline("tty && stty size")
    terminal.expect_exact("/dev/pts/0")
    # The CLI sends the size in a request of its own, which may come after the shell's start.
    wait_for(lambda: size(terminal) == "31 97", "the terminal's size")
    terminal.setwinsize(40, 120)
    wait_for(lambda: size(terminal) == "40 120", "the changed size")
    terminal.sendline("exit 7")
    assert end(terminal) == 7


def end(terminal):
    """Read what is left and return the exit status."""
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus


def size(terminal):
    terminal.sendline("echo size=$(stty size).")
    terminal.expect(r"size=(\d+ \d+)\.")
    return terminal.match[1]


def test_exec_moves_much_data_both_ways(docker, sleeper, tmp_path):
    """32 MB in and out again at the same time, through buffers much smaller than that."""
    sent = os.urandom(MEGABYTES) * 32
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(sent)
    with source.open("rb") as stdin, sink.open("wb") as stdout:
        docker("exec", "-i", sleeper, "cat", stdin=stdin, stdout=stdout, timeout=2 * PATIENCE)
    assert hashlib.sha256(sink.read_bytes()).digest() == hashlib.sha256(sent).digest()


def test_exec_output_after_the_end_of_input(docker, sleeper):
    """The answer may come long after the client closed its half."""
    # A slow machine makes this second longer, and the answer has to come all the same.
    script = "cat >/dev/null; sleep 1; echo late"
    assert docker.out("exec", "-i", sleeper, "sh", "-c", script, input="x") == "late"


def test_exec_that_ends_before_its_input(docker, sleeper):
    """The engine closes first; a client that still has input to send ends all the same."""
    client = docker.start("exec", "-i", sleeper, "echo", "done")
    assert client.stdout.readline() == "done\n"
    assert client.wait(timeout=PATIENCE) == 0
    client.stdin.close()
    client.stdout.close()


def test_run_with_input(docker):
    assert docker.out("run", "--rm", "-i", IMAGE, "wc", "-c", input="12345") == "5"


def test_run_on_a_terminal(docker):
    terminal = docker.terminal("run", "--rm", "-t", IMAGE, "sh", "-c", "tty; exit 3")
    terminal.expect_exact("/dev/pts/0")
    assert end(terminal) == 3


def test_run_interactively_on_a_terminal(docker, name):
    terminal = docker.terminal("run", "--rm", "-it", "--name", name, IMAGE, "sh")
    terminal.sendline("echo $((6*7))")
    terminal.expect("42")
    terminal.sendline("exit")
    assert end(terminal) == 0


def test_attach(docker, engine):
    container = engine.run("sh", "-c", "read line; echo got $line; exit 5", stdin_open=True)
    client = docker.start("attach", container.name)
    client.stdin.write("word\n")
    client.stdin.flush()
    # The engine leaves off output when input ends, so this end stays open for now.
    assert client.stdout.readline() == "got word\n"
    client.communicate(timeout=PATIENCE)
    assert client.returncode == 5


def test_attach_on_a_terminal(docker, engine):
    container = engine.run("sh", stdin_open=True, tty=True)
    terminal = docker.terminal("attach", container.name)
    terminal.sendline("echo $((6*7))")
    terminal.expect("42")
    terminal.sendline("exit 3")
    assert end(terminal) == 3


def test_attach_hands_on_signals(docker, engine):
    script = "trap 'echo caught; exit 9' INT; while true; do echo tick; sleep 0.1; done"
    client = docker.start("attach", engine.run("sh", "-c", script).name)
    # Output shows that the CLI is attached, and by then it catches signals.
    assert client.stdout.readline() == "tick\n"
    client.send_signal(signal.SIGINT)
    assert client.communicate(timeout=PATIENCE)[0].endswith("caught\n")
    assert client.returncode == 9


def test_refused_attach(docker_at, proxy, front, sleeper):
    """Old CLIs look at the status only where the answer does not say `Connection: close`."""
    guard = proxy(rules="GET %API_PREFIX_CONTAINERS%(/.*)?\nPOST %API_PREFIX_CONTAINERS%/.*/wait")
    docker = docker_at(guard.addresses[front])
    refused = docker("attach", "--no-stdin", sleeper, ok=False)
    assert refused.stdout == ""
    assert "unable to upgrade to tcp, received 403" in refused.stderr


@pytest.mark.one_loop
def test_a_killed_client_leaves_no_connection(docker, open_proxy, sleeper):
    docker("exec", sleeper, "true")
    before = open_proxy.descriptors()
    clients = []
    for _ in range(5):
        client = docker.start("exec", "-i", sleeper, "cat")
        client.stdin.write("x\n")
        client.stdin.flush()
        assert client.stdout.readline() == "x\n"
        clients.append(client)
    # A question of the proxy to the engine may have been open before.
    assert open_proxy.descriptors() >= before + 5 * 3 - 2
    for client in clients:
        client.kill()
        client.communicate()
    # What may stay is an idle connection to the engine for each exec that was created.
    wait_for(lambda: open_proxy.descriptors() <= before + 5 + 2, "the proxy to close")


def connect(address):
    """A plain socket to a frontend."""
    scheme, _, place = address.partition("://")
    if scheme == "unix":
        raw = socket.socket(socket.AF_UNIX)
        raw.settimeout(PATIENCE)
        raw.connect(place)
        return raw
    host, port = place.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def read_until(raw, mark):
    data = b""
    while mark not in data:
        chunk = raw.recv(4096)
        assert chunk, f"the connection ended before {mark!r}: {data!r}"
        data += chunk
    return data


def test_attach_without_an_upgrade_header(address, engine):
    """Old clients ask for no upgrade: the engine answers 200 and turns into a pipe all the same."""
    container = engine.run("sh", "-c", "read line; echo got $line", stdin_open=True, tty=True)
    path = f"/containers/{container.name}/attach?stream=1&stdin=1&stdout=1"
    with connect(address) as raw:
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n".encode())
        assert read_until(raw, b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
        raw.sendall(b"word\n")
        assert b"got word" in read_until(raw, b"got word")


def test_detach_keys_end_the_pipe_and_not_the_container(address, engine):
    """The engine ends its half first; the CLI itself can hang here, even without a proxy."""
    container = engine.run("cat", stdin_open=True, tty=True)
    path = f"/containers/{container.name}/attach?stream=1&stdin=1&stdout=1"
    with connect(address) as raw:
        upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: docker\r\n{upgrade}\r\n".encode())
        assert b" 101 " in read_until(raw, b"\r\n\r\n")
        raw.sendall(b"word\n")
        read_until(raw, b"word\r\nword")
        raw.sendall(b"\x10\x11")
        while raw.recv(4096):
            pass
    container.reload()
    assert container.status == "running"


def test_attach_over_a_websocket(address, engine):
    script = "read line; echo got $line; exec sleep 600"
    container = engine.run("sh", "-c", script, stdin_open=True, tty=True)
    path = f"/containers/{container.name}/attach/ws?stream=1&stdin=1&stdout=1"
    handshake = (
        f"GET {path} HTTP/1.1\r\nHost: docker\r\nOrigin: http://docker\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with connect(address) as raw:
        raw.sendall(handshake.encode())
        head = read_until(raw, b"\r\n\r\n")
        # The accept value belongs to the key: RFC 6455, section 1.3.
        assert head.startswith(b"HTTP/1.1 101") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
        # A final text frame of five bytes, masked with zeros.
        raw.sendall(b"\x81\x85\0\0\0\0word\n")
        assert b"got word" in read_until(raw, b"got word")
