"""What users of testcontainers do, with the image named: start a container, use it, and throw it away.

A program of its own, since testcontainers reads its settings when it is imported.
"""

import json
import os
import socket
import sys

from testcontainers.core.container import DockerContainer
from testcontainers.core.waiting_utils import wait_for_logs

PATIENCE = int(os.environ.get("CETUSGUARD_TEST_PATIENCE", "60"))

served = DockerContainer(sys.argv[1]).with_command(["sh", "-c", "echo ready; exec httpd -f -p 80"])
with served.with_env("A", "b").with_exposed_ports(80) as container:
    wait_for_logs(container, "ready", timeout=PATIENCE)
    code, printed = container.exec(["echo", "inside"])
    place = (container.get_container_host_ip(), int(container.get_exposed_port(80)))
    with socket.create_connection(place, timeout=PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answers = connection.recv(64).startswith(b"HTTP/1.")
    logs = container.get_logs()[0].decode()
print(json.dumps({"exec": [code, printed.decode()], "logs": logs, "port": answers}))
