"""`cetusguard schema` accepts what `serve` accepts, as far as a schema can tell, and editors' own validators read it."""

import json
import re

import jsonschema
import pytest
import yaml

from proxy import REPOSITORY, binary
from tools import run


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(run(binary(), "schema", ok=True).stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def examples():
    page = "".join((REPOSITORY / f"docs/{name}.md").read_text() for name in ("profiles", "guard"))
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    # Others are parts of Compose files.
    yield from (block for block in blocks if not block.startswith(("environment:", "services:")))
    for file in sorted(REPOSITORY.glob("examples/*/config/*.yaml")):
        yield file.read_text()


def test_every_example_is_valid(validator):
    texts = list(examples())
    assert len(texts) >= 2
    for text in texts:
        assert not list(validator.iter_errors(yaml.safe_load(text))), text


@pytest.mark.parametrize(
    "text",
    [
        "log-levl: 7",
        "log-level: 8",
        "no-builtin-rules: maybe",
        "mode: on",
        "rate-limit: 20",
        "max-streams: many",
        "rules: {a: b}",
        "idle-timeout: 5",
        "frontends: [{profile: a}]",
        "frontends: [{addr: 'tcp://:1', port: 1}]",
        "profiles: {default: {}}",
        "profiles: {a: {clients: [{}]}}",
        "profiles: {a: {clients: [{uid: 1}]}}",
        "profiles: {a: {clients: [{label: x}]}}",
    ],
)
def test_what_serve_refuses_is_marked(validator, text, tmp_path):
    assert list(validator.iter_errors(yaml.safe_load(text))), text
    config = tmp_path / "config.yaml"
    config.write_text(text)
    assert run(binary(), "--config", config, ok=False).returncode == 2


def test_what_serve_takes_is_not_marked(validator):
    for text in [
        "{}",
        "rules: [GET /a, GET /b]\nrules-file: /x\nlog-level: debug\nlog-format: json\nmode: audit",
        "rate-limit: 5000/h\nrate-burst: 3\nmax-streams: none\nuser-agents: [x*, y]\nidle-timeout: 1m 30s",
        "frontends: [{addr: 'unix:///x', socket-mode: 0660, socket-group: 2375, socket-owner: root}]",
        "profiles: {a.b-c: {mode: audit, clients: [{user: 1}, {container: a, label: b=}]}}",
    ]:
        assert not list(validator.iter_errors(yaml.safe_load(text))), text
