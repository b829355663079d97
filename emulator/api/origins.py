"""Pages of other origins: a browser may send to the collection service from any of them (CORS), and nowhere else.

A page whose own name has been made to lead here (DNS rebinding) is of the same origin for its browser. So a server that
only this machine reaches answers to names of this machine only.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from emulator.api.problems import json_response

# Names that nobody can buy: reserved ones (RFC 2606, 6761, 6762, 9476 and ICANN's .internal), and Adobe's, which a
# proxy before this server leads here.
_NOBODYS = ("localhost", "test", "example", "invalid", "local", "internal", "alt")
_ADOBES = ("adobe.io", "adobedc.net", "adobelogin.com")

PREFLIGHT_SECONDS = 600  # how long a browser may rely on the answer to its preflight


def share(request: Request, response: Response) -> Response:
    """Let the page that sent a request read the response."""
    origin = request.headers.get("origin")
    if origin is not None:
        response.headers["access-control-allow-origin"] = origin
        response.headers["vary"] = "Origin"
    return response


def is_foreign(request: Request) -> bool:
    """Return whether a browser sent a request for a page of another origin. Browsers say so on each POST, programs
    never.
    """
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def answering_to_local_names(app: ASGIApp) -> ASGIApp:
    """Return an application that refuses requests to names that may be those of a page on the Internet."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_local_name(host := Request(scope).headers.get("host", "")):
            await app(scope, receive, send)
            return
        why = "it listens for this machine alone: use 127.0.0.1 or localhost, or start it with another --host"
        await json_response({"error": f"the emulator does not answer to {host!r}, since {why}"}, 421)(
            scope, receive, send
        )

    return wrapped


@lru_cache(maxsize=64)
def is_local_name(host: str) -> bool:
    """Return whether a `Host` is an address, has a single label, or is a name that no page on the Internet can have."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if "." not in name and ":" not in name:
        return True
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return name.rpartition(".")[2] in _NOBODYS or name.endswith(tuple(f".{each}" for each in _ADOBES))
    return True


async def preflight(request: Request) -> Response:
    """Answer what a browser asks before it sends."""
    headers = {
        "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": request.headers.get("access-control-request-headers", "content-type"),
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }
    return share(request, Response(status_code=204, headers=headers))
