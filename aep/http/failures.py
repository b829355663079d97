"""What the error of a failed request means: in which layer it failed, and what to say of it."""

from __future__ import annotations

import http.client
import re
import ssl
import traceback

import requests
import urllib3

# What an error of the operating system has before its words.
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
# OpenSSL's codes for a certificate whose authority is not known.
_UNKNOWN_AUTHORITY = frozenset({18, 19, 20, 21})
# And for one that breaks a rule of RFC 5280 that OpenSSL checks only on request, by X509_V_FLAG_X509_STRICT.
_NOT_STRICT = frozenset(range(80, 95))

# OpenSSL's reasons for an answer that is no TLS, as that of a server of plain HTTP; those of one version or another.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})


def let_go(error: BaseException) -> None:
    """Free what the failed call still holds.

    The libraries' errors refer to themselves through the frames they passed, and those to the request's body; without
    this each try of an outage would leave up to 1 MB behind until the garbage collector happens to run.
    """
    cause = error.__context__
    error.__context__ = None
    while cause is not None:
        traceback.clear_frames(cause.__traceback__)
        cause = cause.__context__ or cause.__cause__


def host_of(url: str) -> str:
    """Return the host of a URL, with its port if it has one."""
    parsed = urllib3.util.parse_url(url)
    return f"{parsed.host}:{parsed.port}" if parsed.port else str(parsed.host)


def words_of(error: BaseException) -> str:
    """Return the operating system's or TLS library's own words, without the layers wrapped around them."""
    inner = innermost(error)
    if type(inner) in (ValueError, http.client.BadStatusLine):
        return "not well-formed HTTP"  # the library's words quote the line, which may be of a reply with a token
    return _NUMBER.sub("", str(inner)) or type(inner).__name__


def innermost(error: BaseException) -> BaseException:
    """Return the error that all others are wrapped around."""
    while True:
        inner = error.__cause__ or error.__context__ or getattr(error, "reason", None)
        if inner is None and error.args and isinstance(error.args[-1], BaseException):
            inner = error.args[-1]
        if not isinstance(inner, BaseException) or inner is error:
            return error
        error = inner


def tls_refused(error: BaseException) -> bool:
    """Return whether TLS failed for what one side thinks of the other, rather than for a connection that was cut."""
    inner = innermost(error)
    cut = ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError
    return isinstance(inner, ssl.SSLError) and not isinstance(inner, cut)


def tls_advice(error: BaseException) -> str:
    """Return what to do about a failure of TLS, to be put behind its own words; "" for nothing that is known."""
    inner = innermost(error)
    if getattr(inner, "verify_code", None) in _UNKNOWN_AUTHORITY:
        return "; to trust its authority, set aep_ca_file"
    if getattr(inner, "verify_code", None) in _NOT_STRICT:
        return (
            ". Python 3.13 and later want certificates as RFC 5280 describes them: have a new one issued for what the "
            "message names, the server, the proxy or the authority in aep_ca_file, or use Python 3.12 or earlier"
        )
    reason = getattr(inner, "reason", None) or ""
    if "CERTIFICATE_REQUIRED" in reason:
        return "; set aep_client_certificate"
    if reason in _NOT_TLS:
        return "; this port does not speak TLS: check the port, or use http:// if it is plain HTTP"
    return ""


def never_connected(error: requests.exceptions.RequestException) -> bool:
    """Return whether no connection was made, so that nothing can have been received."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)
