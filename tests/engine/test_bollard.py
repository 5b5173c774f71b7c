"""bollard, a client in Rust: a program built elsewhere, named by CETUSGUARD_BOLLARD.

It finds the proxy in DOCKER_HOST and an image with a shell in its first argument, works as
bollard's users do, and exits with 0 if all went well.
"""

import os

import pytest

from tools import IMAGE, PATIENCE, run


def test_bollard(address):
    program = os.environ.get("CETUSGUARD_BOLLARD")
    if not program:
        pytest.skip("CETUSGUARD_BOLLARD names no program")
    run(program, IMAGE, env={"DOCKER_HOST": address, "CETUSGUARD_TEST_PATIENCE": str(PATIENCE)}, ok=True)
