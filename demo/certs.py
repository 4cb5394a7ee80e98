"""A certificate authority of the demo's own, made with the openssl command.

The server trusts it through --ca-file, beside the system's authorities; nobody else does.
"""

import subprocess

AUTHORITY = """[req]
distinguished_name = name
x509_extensions = authority
prompt = no
[name]
CN = Hookswitch demo authority
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
RECEIVER = """[req]
distinguished_name = name
x509_extensions = receiver
prompt = no
[name]
CN = Hookswitch demo receiver
[receiver]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def _make(folder, name, config, *more):
    """A key and a certificate of two days, folder/NAME.key and folder/NAME.pem."""
    (folder / f"{name}.cnf").write_text(config, encoding="ascii")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:prime256v1", "-noenc", "-days", "2", "-sha256",
               "-config", f"{name}.cnf", "-keyout", f"{name}.key", "-out", f"{name}.pem", *more]
    done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"openssl could not make {name}.pem: {done.stderr.strip()}")
    return folder / f"{name}.pem", folder / f"{name}.key"


def make(folder):
    """(authority's certificate, receivers' certificate, receivers' key)."""
    authority, _ = _make(folder, "authority", AUTHORITY)
    cert, key = _make(folder, "receiver", RECEIVER, "-CA", "authority.pem",
                      "-CAkey", "authority.key")
    return authority, cert, key
