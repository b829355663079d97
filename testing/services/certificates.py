"""Certificates made on the spot by the openssl command."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Authority:
    """A certificate authority with its files in a folder.

    Args:
        folder: Where its files go.
        key_usage: Whether its certificate says what its key is for, as RFC 5280 asks for and not every company's does.

    Attributes:
        certificate: Its own certificate, to be trusted.
    """

    def __init__(self, folder: Path, *, key_usage: bool = True) -> None:
        self._folder = folder
        self.certificate = folder / "ca.pem"
        use = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"] if key_usage else []
        new = ["-x509", "-nodes", "-days", "2", "-subj", "/CN=ca", *self._new_key("ca"), *use]
        self._openssl("req", *new, "-out", "ca.pem")

    def context(self, host: str = "IP:127.0.0.1", days: int = 2, *, client: bool = False) -> ssl.SSLContext:
        """TLS for a server of this name; a certificate for 0 days expires within the second.

        `client`: it takes clients with a certificate of this authority only.
        """
        certificate, key = self.issue("server", host, days)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(certificate, key)
        if client:
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(self.certificate)
        return made

    def issue(self, name: str, host: str = "IP:127.0.0.1", days: int = 2) -> tuple[Path, Path]:
        """Return a certificate and its key, as files."""
        self._openssl("req", "-nodes", "-subj", f"/CN={name}", *self._new_key(name), "-out", f"{name}.csr")
        (self._folder / "names").write_text(f"subjectAltName={host}\n")
        signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-days", str(days)]
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.pem")
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def encrypt(self, key: Path, password: str) -> Path:
        """Return the same key in a file that takes a password to read."""
        encrypted = key.with_suffix(".encrypted.key")
        to = ["-out", str(encrypted), "-passout", f"pass:{password}"]
        self._openssl("pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", str(key), *to)
        return encrypted

    def _new_key(self, name: str) -> list[str]:
        return ["-newkey", "rsa:2048", "-keyout", f"{name}.key"]

    def _openssl(self, *arguments: str) -> None:
        openssl = shutil.which("openssl")
        if openssl is None:
            pytest.skip("no openssl found")
        subprocess.run([openssl, *arguments], cwd=self._folder, check=True, capture_output=True)
