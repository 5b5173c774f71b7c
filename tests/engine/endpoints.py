"""The endpoint table of the policy, from its source, so that a new endpoint cannot be forgotten."""

import re
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).parents[2] / "crates/policy/src/endpoint/table.rs"
ROW = re.compile(r'^    \w+ "(?P<name>[^"]+)" (?P<method>\w+) "(?P<shape>[^"]+)" ')
# The placeholders of a shape that stand for objects of the engine, as in endpoint/object.rs.
KINDS = (
    "container", "exec", "image", "volume", "network", "service", "task", "node", "secret", "config", "plugin", "pod",
)  # fmt: skip
OBJECT = re.compile(r"\{(" + "|".join(KINDS) + r")\*?\}")


class Endpoint(NamedTuple):
    name: str
    method: str
    shape: str
    kind: str

    @property
    def is_libpod(self):
        return self.shape.startswith("/libpod/")

    def path(self, word):
        """Its path without a version, about the object of this name."""
        return re.sub(r"\{[^}]*\}", "x", OBJECT.sub(lambda _: word, self.shape, count=1))


def naming_objects():
    """Every endpoint that names an object."""
    rows = filter(None, map(ROW.match, TABLE.read_text().splitlines()))
    rows = [row for row in rows if OBJECT.search(row["shape"])]
    assert len(rows) > 100
    return [
        Endpoint(row["name"], row["method"].upper(), row["shape"], OBJECT.search(row["shape"])[1]) for row in rows
    ]
