"""A certificate authority for tests and the leaf certificates that receivers show.

good        signed by the authority, for localhost, 127.0.0.1-4 and ::1
wrong_name  signed by the authority, for another host
expired     signed by the authority, ended yesterday
future      signed by the authority, begins tomorrow
self_signed right names, signed by itself
other_ca    right names, signed by an authority that nobody trusts
"""

import datetime
import ipaddress
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NAMES = ["localhost", "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "::1"]


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


class Authority:
    """A CA whose files stand in `folder`; leafs are made on demand and kept."""

    def __init__(self, folder, name="Test authority"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._leafs = {}
        now = datetime.datetime.utcnow()
        self._cert = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 30 * DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True, content_commitment=False, key_encipherment=False,
                    data_encipherment=False, key_agreement=False, key_cert_sign=True,
                    crl_sign=True, encipher_only=False, decipher_only=False),
                critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(self._cert.public_bytes(serialization.Encoding.PEM))

    def leaf(self, kind="good"):
        """(certificate file, key file) of one of the kinds above."""
        if kind not in self._leafs:
            self._leafs[kind] = self._make(kind)
        return self._leafs[kind]

    def context(self, kind="good"):
        """A server-side TLS context that shows the leaf."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.leaf(kind))
        return context

    def _make(self, kind):
        if kind == "other_ca":
            return Authority(self.folder / "other", "Unknown authority").leaf("good")
        now = datetime.datetime.utcnow()
        begin, end = now - 10 * DAY, now + 20 * DAY
        if kind == "expired":
            end = now - DAY
        if kind == "future":
            begin = now + DAY
        names = ["other.example"] if kind == "wrong_name" else NAMES
        key = ec.generate_private_key(ec.SECP256R1())
        own = kind == "self_signed"
        signer = key if own else self._key
        cert = (
            x509.CertificateBuilder()
            .subject_name(_name(kind))
            .issuer_name(_name(kind) if own else self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(
                x509.SubjectAlternativeName([_alternative(name) for name in names]),
                critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False)
            .sign(signer, hashes.SHA256())
        )
        cert_file = self.folder / f"{kind}.pem"
        key_file = self.folder / f"{kind}.key"
        cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))
        return str(cert_file), str(key_file)
