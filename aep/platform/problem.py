"""Error replies of the management APIs: read every form that Adobe's documents show into one.

| form | of | source |
| --- | --- | --- |
| `error_code`, `message` | the gateway | Experience Platform troubleshooting guide, request header errors |
| `type`, `title`, `detail` | older Schema Registry, gateway | Schema Registry troubleshooting guide |
| `type` ending in a code, `title`, `detail`, `report` | Schema Registry | Schema Registry API (OpenAPI) |
| the same with `report.additionalDetails[].errorReason`, which say most | Schema Registry | seen live, 2026 |
| `type`, `title`, `report.message` | data collection | Streaming validation guide |
| `errorMessage` | Flow Service | Experience Platform troubleshooting guide |
| `message` beginning with a code, `cause`, `statusCode`; 429 in a list | Profile | Profile API (OpenAPI) |

No error bodies of the Catalog and of Data Access are published.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from aep.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    PlatformError,
    UnavailableError,
)
from aep.http.backoff import retry_after
from aep.http.transport import Reply

MAX_WORDS = 500
MAX_RETRY_AFTER_SECONDS = 120.0

# XDM-1012-404, UPS-MRG-1000001
_CODE = r"[A-Z][A-Z0-9]*(?:-[A-Z]+)*-\d+(?:-\d{3})?"
_CODE_IN_TYPE = re.compile(rf"(?:^|/)({_CODE})$")
_CODE_BEFORE_WORDS = re.compile(rf"({_CODE})\s*:\s*")

# The gateway's codes of a token that is missing or not valid. A 401 needs no code.
_TOKEN_CODES = frozenset({"403010", "401013"})


class Problem(NamedTuple):
    """A refusal. Text that the reply does not have is empty.

    Attributes:
        status: HTTP status.
        code: Adobe's code, such as `XDM-1012-404` or `403000`.
        title: Title of the kind of problem.
        detail: What is wrong, and the reasons that the report gives besides; the reply itself, shortened, if it has an
            unknown form.
        request_id: Id by which Adobe's support can find the call.
        retry_after: Seconds that the reply asks to wait, 120 at most.
    """

    status: int
    code: str
    title: str
    detail: str
    request_id: str
    retry_after: float

    @property
    def token_refused(self) -> bool:
        """Whether another access token may help.

        Adobe's documents show 401 or 403 for an invalid token, and 403 for much else.
        """
        if self.status == 401 or self.code in _TOKEN_CODES:
            return True
        return self.status == 403 and "token" in self.detail.lower()

    def error(self, method: str, url: str) -> PlatformError:
        """Return the error to raise for it; `url` without its query."""
        kind = _error_type(self)
        return kind(self.status, self.code, self.title, self.detail, self.request_id, method, url)


def read_problem(reply: Reply, wall_clock: Callable[[], float] = time.time) -> Problem:
    """Read a reply that is not a success; `wall_clock` is for a `Retry-After` that is a date."""
    fields = _fields(reply.body)
    report = fields.get("report")
    report = report if isinstance(report, dict) else {}
    code = _text(fields.get("error_code"))
    if not code and (match := _CODE_IN_TYPE.search(_text(fields.get("type")))):
        code = match[1]
    words = (
        fields.get("detail"),
        report.get("message"),
        report.get("detailed-message"),
        fields.get("message"),
        fields.get("errorMessage"),
    )
    detail = next((text for text in map(_text, words) if text), "")
    if not code and (match := _CODE_BEFORE_WORDS.match(detail)):
        code, detail = match[1], detail[match.end() :]
    cause = _text(fields.get("cause"))
    if cause:
        detail = f"{detail} (cause: {cause})" if detail else cause
    title = _text(fields.get("title"))
    if not detail and not title and not set(fields) & {"statusCode", "status"}:
        detail = _text(reply.body[: 4 * MAX_WORDS].decode("utf-8", "replace"))
    reasons = "; ".join(_reasons(report, detail))[:MAX_WORDS]
    detail = detail[:MAX_WORDS]
    if reasons:
        detail = f"{detail.rstrip('.')}: {reasons}" if detail else reasons
    request_id = _text(report.get("registryRequestId")) or _text(reply.headers.get("x-request-id"))
    wait_ms = _text(fields.get("retryAfterMs"))
    in_body = int(wait_ms) / 1000 if wait_ms.isascii() and wait_ms.isdigit() else 0.0
    in_header = retry_after(reply.headers.get("retry-after"), MAX_RETRY_AFTER_SECONDS, wall_clock)
    wait = max(min(in_body, MAX_RETRY_AFTER_SECONDS), in_header)
    return Problem(reply.status, code, title[:MAX_WORDS], detail, request_id, wait)


def _reasons(report: Mapping[str, Any], detail: str) -> list[str]:
    """Return what the report says besides the detail, each once."""
    details = report.get("additionalDetails")
    objects = [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
    reasons = dict.fromkeys(_text(each.get("errorReason")) for each in objects)
    return [reason for reason in reasons if reason and reason not in detail]


def _fields(body: bytes) -> dict[str, Any]:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    if isinstance(content, list) and content:
        content = content[0]
    return content if isinstance(content, dict) else {}


def _text(value: object) -> str:
    """Return text or a number on one line; "" for anything else."""
    if isinstance(value, str):
        return " ".join(value.split())
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _error_type(problem: Problem) -> type[PlatformError]:
    """Return the class of a problem.

    The statuses for a stale etag and a taken title are not documented for all APIs, so the text decides.
    """
    status = problem.status
    stale = "does not match the current version" in problem.detail
    taken = "Title must be unique" in problem.detail or "already exists with the same title" in problem.detail
    if status in (409, 412) or (400 <= status < 500 and (stale or taken)):
        return ConflictError
    if status in (401, 403):
        return ForbiddenError
    if status == 404:
        return NotFoundError
    if status in (408, 429) or status >= 500:
        return UnavailableError
    return InvalidRequestError if 400 <= status < 500 else PlatformError
