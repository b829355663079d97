"""Refusals of the management APIs, raised where they are noticed."""

from __future__ import annotations

_BAD_REQUEST = {"type": "/placeholder/type/uri", "status": 400, "title": "BadRequestError"}


class ApiError(Exception):
    """A refusal with its status and its body, in the form of the API that refuses."""

    def __init__(self, status: int, body: object) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def bad_request(detail: str) -> ApiError:
    """Return a 400 in the form that the gateway itself gives ("A valid content-type must be specified")."""
    return ApiError(400, {**_BAD_REQUEST, "detail": detail})
