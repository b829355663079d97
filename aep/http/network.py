"""How the client reaches the hosts of AEP and IMS: proxy, CA bundle and client certificate."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass

import urllib3
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from aep.errors import AepError, ConfigurationError, ConnectError
from aep.http import secrets

# What a proxy answers to CONNECT when the trouble is its own or of the network behind it, and may pass.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Network:
    """The connection to the inlets and to IMS.

    It holds paths and references to secrets, so it may travel to workers; these are read there, when a session is made.

    Attributes:
        proxy: `http://HOST:PORT` or `https://HOST:PORT` (TLS to the proxy itself), without credentials. Hosts whose
            URL is https are reached through a tunnel (CONNECT), those whose URL is http by forwarding.
        proxy_user: For a proxy that wants credentials (Basic, RFC 7617).
        proxy_password: Secret reference.
        ca_file: PEM file of the authorities to trust, which takes the place of the public ones that certifi brings.
        client_certificate: PEM file of the certificate to present when asked, with those of its issuers.
        client_key: PEM file of its private key; None when that is in the file of the certificate.
        client_key_password: Secret reference, for a key that is encrypted.
        gzip: Compress the bodies of requests. Adobe's documents do not say that AEP takes that.
    """

    proxy: str | None
    proxy_user: str | None
    proxy_password: str | None
    ca_file: str | None
    client_certificate: str | None
    client_key: str | None
    client_key_password: str | None
    gzip: bool

    @property
    def has_files(self) -> bool:
        """Whether it needs files on the machine that sends."""
        return bool(self.ca_file or self.client_certificate)

    def check(self) -> None:
        """Read every file and secret, as a session does.

        Raises:
            ConfigurationError: One of them is missing or wrong.
            NetworkError: The service that keeps a secret cannot be reached.
        """
        self.tls()
        self.proxy_headers()

    def proxy_headers(self) -> dict[str, str]:
        """Return the headers for the proxy alone, including the password.

        Raises:
            ConfigurationError, NetworkError: There is no password, see `aep.http.secrets.resolve`.
        """
        if self.proxy_user is None or self.proxy_password is None:
            return {}
        credentials = f"{self.proxy_user}:{secrets.resolve(self.proxy_password)}"
        # A password of the environment that is not UTF-8 goes out with the bytes that it has there.
        encoded = base64.b64encode(credentials.encode(errors="surrogateescape"))
        return {"Proxy-Authorization": f"Basic {encoded.decode()}"}

    def tls(self) -> ssl.SSLContext:
        """Return settings for TLS to servers, and to the proxy if its URL is https.

        Raises:
            ConfigurationError: A file is missing, unreadable or not what it should be, or its password is wrong.
            NetworkError: The service that keeps the key's password cannot be reached.
        """
        context = create_urllib3_context()
        if self.ca_file is None:
            context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
        else:
            _load_certificates(context, "aep_ca_file", self.ca_file)
        if self.client_certificate is not None:
            self._show_certificate(context, self.client_certificate)
        return context

    def _show_certificate(self, context: ssl.SSLContext, certificate: str) -> None:
        # OpenSSL says the same of a broken certificate as of a broken key; alone, the certificate is told apart.
        _load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "aep_client_certificate", certificate)
        option, key = "aep_client_certificate", certificate
        if self.client_key is not None:
            option, key = "aep_client_key", self.client_key
            _must_be_readable(option, key)
        asked = False

        def password() -> str:
            # Without a callback OpenSSL would ask at the terminal.
            nonlocal asked
            asked = True
            if self.client_key_password is None:
                raise ConfigurationError(f"{option}: {key} is encrypted: set aep_client_key_password")
            return secrets.resolve(self.client_key_password)

        try:
            context.load_cert_chain(certificate, key, password)
        except (ssl.SSLError, ValueError) as error:  # ValueError: a password longer than OpenSSL takes
            if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
                reason = f"has a private key that does not match {certificate}"
            elif asked:
                reason = "has a private key that aep_client_key_password does not decrypt"
            else:
                reason = "has no private key in PEM format"
            raise ConfigurationError(f"{option}: {key} {reason}") from None


def proxy_refusal(network: Network, host: str, status: int | None, words: str) -> AepError:
    """Return the error for a proxy that does not connect to a host; nothing has been sent to the host.

    Args:
        network: The proxy and its credentials.
        host: Where to.
        status: What the proxy answered, None when it gave no answer.
        words: The message of the library or the operating system.
    """
    proxy = proxy_address(network)
    if status == 407:
        if network.proxy_user is None:
            return ConfigurationError(
                f"the proxy {proxy} requires a user name and a password (407): set aep_proxy_user and "
                "aep_proxy_password"
            )
        return ConfigurationError(
            f"the proxy {proxy} refuses the user name or the password (407): check aep_proxy_user and "
            "aep_proxy_password"
        )
    if status is None or status in _PASSING:
        return ConnectError(f"the proxy {proxy} does not connect to {host}: {words}")
    return ConfigurationError(
        f"the proxy {proxy} refuses a connection to {host}: {words}; check aep_proxy, and what the proxy allows"
    )


def proxy_address(network: Network) -> str:
    """Return the proxy's host and port; a phrase for it if none was given, as on a network with a transparent proxy."""
    if network.proxy is None:
        return "on the way"
    url = urllib3.util.parse_url(network.proxy)
    return f"{url.host}:{url.port or (443 if url.scheme == 'https' else 80)}"


def _load_certificates(context: ssl.SSLContext, option: str, path: str) -> None:
    _must_be_readable(option, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise ConfigurationError(f"{option}: {path} has no certificate in PEM format") from None


def _must_be_readable(option: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise ConfigurationError(f"{option}: {path} cannot be read: {reason}") from None
