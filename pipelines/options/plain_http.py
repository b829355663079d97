"""Addresses by which credentials would travel unencrypted: `http://` to another host than this one."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from pipelines.options.problems import Finding
from pipelines.options.settings import Settings

ALLOW = "aep_allow_plain_http"


def leaves_this_machine_unencrypted(url: str) -> bool:
    """Return whether requests to a URL can be read on the way: http to a host that is not this one."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not _is_this_machine(parts.hostname or "")


def exposes(url: str, what: str) -> str:
    """Return what is wrong with sending credentials to such a URL, and what to do.

    Args:
        url: The address.
        what: The credentials, such as `access tokens`.
    """
    host = urlsplit(url).hostname
    return f"would send {what} to {host} unencrypted: use https, or set {ALLOW} if nobody else can read the network"


def plain_http(settings: Settings) -> Iterator[Finding]:
    """Find the options by which credentials for AEP would leave this machine unencrypted."""
    aep = settings.aep
    if aep.allow_plain_http:
        return
    has_secret, has_token = aep.client_secret is not None, aep.token is not None
    for name, url, what, is_sent in (
        ("aep_ims_url", aep.ims_url, "the client secret", has_secret),
        ("aep_platform_url", aep.platform_url, "access tokens", has_secret or has_token),
    ):
        if is_sent and leaves_this_machine_unencrypted(url):
            yield Finding((name, ALLOW), f"{name} ({settings.origin(name)}): {exposes(url, what)}")


def plain_registry(settings: Settings) -> Iterator[Finding]:
    """Find addresses of Confluent's Schema Registry to which its credentials would go unencrypted."""
    name, kafka = "kafka_schema_registry_url", settings.kafka
    if settings.aep.allow_plain_http or kafka.schema_registry_url is None:
        return
    has_login = any(key.startswith(("basic.auth.", "bearer.auth.")) for key in kafka.schema_registry_config)
    for url in (each.strip() for each in kafka.schema_registry_url.split(",")):
        if has_login and leaves_this_machine_unencrypted(url):
            what = exposes(url, "the credentials of kafka_schema_registry_config")
            yield Finding((name, ALLOW), f"{name} ({settings.origin(name)}): {what}")


def _is_this_machine(host: str) -> bool:
    """Return whether a host is this machine: localhost and names below it (RFC 6761, 6.3), and loopback addresses."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
