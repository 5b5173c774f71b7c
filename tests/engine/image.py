"""Images made on the spot: no registry can be reached."""

import io
import tarfile
from pathlib import Path

from tools import require, run


def tar(entries):
    """A tar in memory of {path: bytes, or the target of a symbolic link}."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in entries.items():
            header = tarfile.TarInfo(name)
            header.mode = 0o755
            if isinstance(content, str):
                header.type, header.linkname = tarfile.SYMTYPE, content
                archive.addfile(header)
            else:
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def busybox_layer():
    """A root file system of the machine's static busybox and its applets."""
    program = require("busybox")
    applets = run(program, "--list", ok=True).stdout.split()
    links = {f"bin/{name}": "busybox" for name in applets if name != "busybox"}
    return tar({"bin/busybox": Path(program).read_bytes(), **links})
