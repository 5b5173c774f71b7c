"""Certificates made with openssl: an authority, a server and clients."""

from tools import run

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


def authority(folder, name):
    """A self-signed authority: `name`.pem and `name`-key.pem."""
    run(
        "openssl", "req", "-x509", *CURVE, "-subj", f"/CN={name}", "-days", "2",
        "-keyout", folder / f"{name}-key.pem", "-out", folder / f"{name}.pem", ok=True,
    )  # fmt: skip


def leaf(folder, issuer, name, usage, place=None, days=2):
    """A certificate of `issuer` for a serverAuth or clientAuth: cert.pem and key.pem in `place`."""
    place = place or folder / name
    place.mkdir()
    request, extensions = place / "request.pem", place / "extensions"
    extensions.write_text(
        f"extendedKeyUsage={usage}\nsubjectAltName=IP:127.0.0.1,DNS:localhost\n"
        "basicConstraints=CA:FALSE\n"
    )
    run(
        "openssl", "req", *CURVE, "-subj", f"/CN={name}",
        "-keyout", place / "key.pem", "-out", request, ok=True,
    )  # fmt: skip
    run(
        "openssl", "x509", "-req", "-in", request, "-days", str(days), "-extfile", extensions,
        "-CA", folder / f"{issuer}.pem", "-CAkey", folder / f"{issuer}-key.pem",
        "-CAcreateserial", "-out", place / "cert.pem", ok=True,
    )  # fmt: skip
    return place
