"""Pages of other origins: a browser may send to the collection service from any of them (CORS), and nowhere else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

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


async def preflight(request: Request) -> Response:
    """Answer what a browser asks before it sends."""
    headers = {
        "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": request.headers.get("access-control-request-headers", "content-type"),
        "access-control-max-age": str(PREFLIGHT_SECONDS),
    }
    return share(request, Response(status_code=204, headers=headers))
