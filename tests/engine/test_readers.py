"""Queries and bodies are read as Go reads them: what was judged is what an engine understands.

An "engine" that is nothing but Go's own readers answers each request with what it has understood, once through the
proxy and once without it. Both must agree, and arguments for `ps` that pass are given to the real `ps`.
"""

import http.client
import json
import os
import random
import subprocess
from urllib.parse import quote, urlencode

import pytest

from proxy import Proxy
from tools import PATIENCE, require, run

# One build of the readers serves all tests.
pytestmark = pytest.mark.xdist_group("readers")

SOURCE = "clients/go-readers/main.go"
RULES = "GET,POST %API_PREFIX_CONTAINERS%(/.*)?\nGET %API_PREFIX_IMAGES%(/.*)?\nGET %API_PREFIX_EVENTS%\nGET %API_PREFIX_LIBPOD%(/.*)?"
ROUNDS = 1500


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """The address of the readers."""
    folder = tmp_path_factory.mktemp("readers")
    env = {**os.environ, "GOCACHE": str(folder / "cache"), "GOFLAGS": "-mod=mod"}
    source = os.path.join(os.path.dirname(__file__), SOURCE)
    run(require("go"), "build", "-o", folder / "readers", source, ok=True, env=env, timeout=5 * PATIENCE)
    program = subprocess.Popen([folder / "readers"], stdout=subprocess.PIPE, text=True)
    yield program.stdout.readline().strip()
    program.kill()
    program.wait()


@pytest.fixture
def ask(readers):
    """Sends one request to the readers, through the proxy and without it; returns both answers."""
    one = Proxy(f"tcp://{readers}", rules=RULES, frontends=("tcp://127.0.0.1:0",))
    through = http.client.HTTPConnection(one.addresses["tcp"].removeprefix("tcp://"))
    direct = http.client.HTTPConnection(readers)

    def send(connection, method, target, body, headers):
        try:
            connection.putrequest(method, target, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            return response.status, response.read()
        except (http.client.HTTPException, ConnectionError):
            return None, b""
        finally:
            connection.close()

    def both(method, target, body=b"", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return [send(connection, method, target, body, headers) for connection in (through, direct)]

    yield both
    one.close()


OPTIONS = ["-ef", "aux", "-e", "-o", "-eo", "axo", "-eF", "-eLf", "e", "eww", "auxe", "-m", "m", "-L", "O", "-O", "--sort=pid"]
COLUMNS = ["pid", "args", "user", "luid", "uid", "environ", "comm", "PID", "ppid", "luid=PID", "uid=PID", "pid=X", "ppid=PID", "cmd:9"]
BETWEEN = [" ", ",", "+", "%20", "\t", "%09", "%0a", "%0b", "%c2%a0", "  ", ", ", "%2C", "%00", ""]
NAMES = ["ps_args"] * 6 + ["PS_ARGS", "ps%5Fargs", "ps_arg%73", "p%C5%BF_args", "ps_args%00"]


def ps_query(chance):
    words = [chance.choice(OPTIONS + COLUMNS * 2) for _ in range(chance.randint(1, 4))]
    value = words[0] + "".join(chance.choice(BETWEEN) + word for word in words[1:])
    pairs = [f"{chance.choice(NAMES)}={value.replace(' ', '+').replace(chr(9), '%09')}"]
    if chance.random() < 0.2:
        pairs.insert(chance.randint(0, 1), chance.choice(["ps_args=-ef", "x=1", "ps_args", "stream=false", "%zz=1", "a;b=1"]))
    return chance.choice("&&&&&;").join(pairs)


def lines_of_ps(arguments, pids):
    """What Docker makes of ps: the lines whose PID column names a process of the container (moby, daemon/top_unix.go)."""
    listed = run("ps", *arguments, env={"PATH": os.environ["PATH"], "COLUMNS": "1000"})
    if listed.returncode != 0 or not listed.stdout:
        return []
    title, *lines = listed.stdout.splitlines()
    if "PID" not in title.split():
        return []
    at, kept, was_kept = title.split().index("PID"), [], False
    for line in lines:
        fields = line.split()
        if len(fields) <= at:
            continue
        if fields[at] == "-":
            if was_kept:
                kept.append(line)
            continue
        was_kept = fields[at].isdigit() and int(fields[at]) in pids
        if was_kept:
            kept.append(line)
    return kept


def test_arguments_of_ps_show_the_containers_own_processes_alone(ask):
    chance = random.Random(19)
    env = {"PATH": os.environ["PATH"], "SECRET": "variable-of-a-process"}
    inside, outside = (subprocess.Popen(["sleep", "600.0" + end], env=env) for end in ("1", "2"))
    # As if processes of the container had the numbers that other columns hold: users, priorities, the parent of all here.
    pids = {inside.pid, 0, 1000, 19, 20, 80, os.getpid()}
    try:
        passed = set()
        for _ in range(ROUNDS):
            target = f"/containers/web/top?{ps_query(chance)}"
            (status, read), (_, meant) = ask("GET", target)
            if status == 200:
                assert json.loads(read)["ps_args"] == json.loads(meant)["ps_args"], target
                passed.add(tuple(json.loads(read)["ps_args"]))
        shown = {arguments: "\n".join(lines_of_ps(arguments, pids)) for arguments in passed}
        for arguments, lines in shown.items():
            assert "600.02" not in lines and "variable-of-a-process" not in lines, (arguments, lines)
        assert len(passed) >= 30 and any("600.01" in lines for lines in shown.values()), passed
        # The oracle itself can tell.
        assert "600.02" in "\n".join(lines_of_ps(["-ouid=PID", "-eoargs"], pids))
        assert "variable-of-a-process" in "\n".join(lines_of_ps(["auxeww"], pids))
    finally:
        for process in (inside, outside):
            process.kill()
            process.wait()


VALUES = [
    '{"label":["a=b"]}', '{"label":{"a=b":true}}', '{"name":["x"],"NAME":["y"]}', '{"label":["a"],"label":["b"]}',
    '{"id":["\\u0061"]}', "{}", "", "[]", "null", '{"label":["a"]} x', '{"label":["\ud83d\ude00"]}', '{"label":["%zz"]}',
]  # fmt: skip
PLACES = ["/containers/json", "/images/json", "/events", "/v1.41/containers/json", "/containers/web/json"]


def filter_query(chance):
    pairs = []
    for _ in range(chance.randint(1, 3)):
        name = chance.choice(["filters", "filters", "filters", "Filters", "filter%73", "all", "limit", "f%69lters"])
        value = chance.choice(VALUES)
        text = value.encode("utf-8", "surrogatepass") if "\ud83d" in value else value.encode()
        pairs.append(f"{name}={chance.choice([quote(text), quote(text, safe='{}[]:,=')])}")
    return chance.choice(["&", "&", "&", ";", "&&"]).join(pairs)


def test_filters_are_forwarded_as_they_are_read(ask):
    chance = random.Random(21)
    passed = 0
    for _ in range(ROUNDS):
        target = f"{chance.choice(PLACES)}?{filter_query(chance)}"
        (status, read), (meant_status, meant) = ask("GET", target)
        if status == 200:
            assert (meant_status, json.loads(meant)) == (200, json.loads(read)), target
            passed += 1
    assert passed >= ROUNDS // 4, passed


def test_no_form_goes_before_the_query(ask):
    """Go reads the fields of a form before the parameters of the query (net/http, ParseForm)."""
    form = urlencode({"filters": '{"label":["other"]}', "ps_args": "auxe", "signal": "KILL"}).encode()
    for kind in (
        "application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=utf-8",
        " application/x-www-form-urlencoded;", "application/x-www-form-urlencoded ;a=b",
    ):  # fmt: skip
        for target in ("/containers/prune?filters={}", "/containers/web/kill", "/containers/web/wait"):
            (status, read), (meant_status, meant) = ask("POST", target, form, Content_Type=kind)
            assert (meant_status, "other" in meant.decode()) == (200, True), (target, kind)
            assert status != 200 or "other" not in read.decode(), (target, kind, read)


FIELDS = {
    "Image": ['"x"', '"\\u0078"', "null", '""'],
    "User": ['"1"', "null"],
    "Env": ['["A=b"]', "[]", "null"],
    "Labels": ['{"a":"b"}', '{"a":"b","A":"c"}', "{}", "null"],
    "HostConfig": ["{}", "null"],
}
HOST_FIELDS = {
    "Privileged": ["true", "false", "null"],
    "Binds": ['["/:/host"]', '["v:/x"]', "[]", "null"],
    "NetworkMode": ['"host"', '"\\u0068ost"', '"none"', '""'],
    "PidMode": ['"host"', '""'],
    "CapAdd": ['["SYS_ADMIN"]', "[]"],
    "Memory": ["1", "1e3", "1.0", "9223372036854775808"],
}
FOLDS = {"s": "sS\u017f", "k": "kK\u212a"}


def spelled(chance, name):
    """The name as it stands, or in another case, or with letters that Go folds to the same, or escaped."""
    if chance.random() < 0.5:
        return name
    letters = [chance.choice(FOLDS.get(letter.lower(), letter.lower() + letter.upper())) for letter in name]
    return "".join(f"\\u{ord(letter):04x}" if chance.random() < 0.1 else letter for letter in letters)


def fields(chance, known, extra=()):
    names = [chance.choice(list(known)) for _ in range(chance.randint(1, 4))]
    pairs = [(spelled(chance, name), chance.choice(known[name])) for name in names] + list(extra)
    chance.shuffle(pairs)
    blank = chance.choice(["", "", " ", "\n", "\u00a0", ","]) if chance.random() < 0.1 else ""
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + blank + "}"


def create_body(chance):
    host = [(spelled(chance, "HostConfig"), fields(chance, HOST_FIELDS)) for _ in range(chance.choice([0, 1, 1, 1, 2]))]
    return fields(chance, FIELDS, host) + chance.choice(["", "", "", " ", "{}", "x"])


def test_a_body_is_judged_as_it_is_read(ask):
    chance = random.Random(23)
    passed = refused = 0
    for _ in range(ROUNDS):
        body = create_body(chance).encode("utf-8", "surrogatepass")
        (status, read), (meant_status, meant) = ask("POST", "/containers/create", body, Content_Type="application/json")
        if status != 200:
            refused += 1
            continue
        passed += 1
        create, direct = json.loads(read)["create"], json.loads(meant)["create"]
        host = create["HostConfig"] or {}
        assert not host.get("Privileged") and "/:/host" not in (host.get("Binds") or []), body
        assert "host" not in (host.get("NetworkMode"), host.get("PidMode")) and not host.get("CapAdd"), body
        # What the client meant is what the engine reads; only what is empty may be missing.
        assert meant_status == 200 and full(create) == full(direct), body
    assert passed >= ROUNDS // 20 and refused >= ROUNDS // 4, (passed, refused)


def full(value):
    """The value without what says nothing."""
    if not isinstance(value, dict):
        return value
    kept = {key: full(one) for key, one in value.items()}
    return {key: one for key, one in kept.items() if one}
