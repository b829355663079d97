"""From options to a client of Platform's management APIs, for the commands that call them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from aep.http.auth import OAuthClient, OAuthTokens, StaticToken, TokenSource
from aep.http.network import Network
from aep.http.transport import RequestsTransport, Timeouts
from aep.platform.client import PlatformClient
from pipelines.options.aep import AepOptions
from pipelines.options.checks import given
from pipelines.options.merge import parse
from pipelines.options.plain_http import plain_http
from pipelines.options.problems import Finding
from pipelines.options.settings import Settings


def platform_settings(argv: Sequence[str]) -> Settings:
    """Read the options of a command that calls management APIs: those of a pipeline, of which it needs few.

    An options file of a pipeline serves as it is; what it says of Kafka may be missing.

    Raises:
        OptionsError: With all problems found, one a line, each with its place.
    """
    return parse(argv, missing_access)


def platform_client(settings: Settings) -> PlatformClient:
    """Return a client for the organisation, sandbox and credentials of the options.

    Raises:
        ConfigurationError: `aep_platform_url` is not an address of a gateway.
    """
    aep = settings.aep
    transport = transport_of(settings)
    tokens = tokens_of(settings, transport)
    return PlatformClient(aep.platform_url, tokens, str(aep.client_id), str(aep.org_id), aep.sandbox, transport)


def transport_of(settings: Settings) -> RequestsTransport:
    """Return what sends requests, by the proxies and with the certificates of the options. Nothing is compressed."""
    return RequestsTransport(timeouts_of(settings.aep), replace(network_of(settings.aep), gzip=False))


def tokens_of(settings: Settings, transport: RequestsTransport) -> TokenSource:
    """Return the access tokens of the options' credentials, whether or not `aep_auth` says that inlets want one."""
    aep = settings.aep
    if uses_token(aep):
        return StaticToken(str(aep.token))
    client = OAuthClient(aep.ims_url, str(aep.client_id), str(aep.client_secret), aep.scopes)
    return OAuthTokens(client, transport)


def network_of(aep: AepOptions) -> Network:
    """Return the way to the inlets, to IMS and to Platform."""
    return Network(
        proxy=aep.proxy,
        proxy_user=aep.proxy_user,
        proxy_password=aep.proxy_password,
        ca_file=aep.ca_file,
        client_certificate=aep.client_certificate,
        client_key=aep.client_key,
        client_key_password=aep.client_key_password,
        gzip=aep.gzip,
    )


def timeouts_of(aep: AepOptions) -> Timeouts:
    """Return the time limits of a request."""
    return Timeouts(aep.connect_timeout_seconds, aep.timeout_seconds, aep.read_timeout_seconds)


def uses_token(aep: AepOptions) -> bool:
    """Return whether a ready token is used. `aep_auth` speaks of inlets, and `none` still leaves a choice here."""
    return aep.auth == "token" or (aep.auth == "none" and aep.client_secret is None and aep.token is not None)


def missing_access(settings: Settings) -> Iterator[Finding]:
    """Find what every call needs and is not given ("Authenticate and access Experience Platform APIs"), and addresses
    to which credentials would go unencrypted.
    """
    yield from missing_login(settings)
    yield from network_gaps(settings)
    yield from plain_http(settings)


def missing_login(settings: Settings) -> Iterator[Finding]:
    """Find what is not given of the organisation and the credentials that every call needs."""
    aep = settings.aep
    credential = (
        ("token", "a reference to an access token")
        if uses_token(aep)
        else ("client_secret", "a reference to the client secret, or with aep_token one to an access token")
    )
    for field, what in (
        ("org_id", "the organisation, as ID@AdobeOrg"),
        ("client_id", "the client id of the credentials, which is the API key"),
        credential,
    ):
        if getattr(aep, field) is None:
            yield Finding((f"aep_{field}",), f"aep_{field}: missing: give {what}")


def network_gaps(settings: Settings) -> Iterator[Finding]:
    """Find what a proxy or a client certificate needs and is not given."""
    for name, needed in (
        ("proxy_user", "proxy"),
        ("proxy_user", "proxy_password"),
        ("proxy_password", "proxy_user"),
        ("client_key", "client_certificate"),
        ("client_key_password", "client_certificate"),
    ):
        if getattr(settings.aep, name) is not None and getattr(settings.aep, needed) is None:
            yield Finding(
                (f"aep_{needed}", f"aep_{name}"),
                f"aep_{needed}: missing: {given(settings, f'aep_{name}')} needs it",
            )
