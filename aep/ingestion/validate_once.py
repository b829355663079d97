"""Send one event with synchronous validation: AEP validates it before it replies, and says what is wrong.

For trials: AEP takes 60 such requests a minute and connection, in some data centres only, and drops what fails
("Streaming validation guide").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from aep.errors import AuthenticationError, ConfigurationError
from aep.http.auth import TokenSource
from aep.http.transport import Reply, Request, Transport
from aep.ingestion.envelope import Destination, Envelope, error_message, read_xaction_id, single_url

# Both names are AEP's: of the request's parameter, and of what the reply tells in older documents.
_BLOCKS = ("syncValidation", "synchronousValidation")
_MOST_NESTED = 20


class Violation(NamedTuple):
    """One rule of the schema that the event breaks: where, which keyword, and AEP's text."""

    pointer: str
    keyword: str
    message: str


class Verdict(NamedTuple):
    """AEP's verdict on an event.

    Attributes:
        status: HTTP status.
        received: Whether AEP has the event now.
        validated: Whether it was validated before the answer.
        xaction_id: `xactionId` of the event that was received, else empty.
        message: AEP's words, if it refuses the event.
        violations: Violations of the schema; AEP stops after five.
    """

    status: int
    received: bool
    validated: bool
    xaction_id: str
    message: str
    violations: tuple[Violation, ...]


def send_validated(
    destination: Destination, record: bytes, transport: Transport, tokens: TokenSource | None
) -> Verdict:
    """Send a record once.

    Args:
        destination: The inlet and the envelope.
        record: As JSON.
        transport: Sends requests.
        tokens: For an inlet that asks for authentication.

    Raises:
        AuthenticationError: The inlet refuses the token, or wants one.
        ConfigurationError: It does not validate synchronously, or is not an inlet.
        NetworkError: No complete reply came.
    """
    url = f"{single_url(destination.inlet_url)}?syncValidation=true"
    headers = {"Content-Type": "application/json", **destination.headers}
    if destination.flow_id:
        headers["x-adobe-flow-id"] = destination.flow_id
    token = tokens.token() if tokens is not None else ""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    reply = transport.send(Request(url, Envelope(destination).message(record), headers))
    if reply.status >= 300:
        reply = reply.without(token)
    return read_verdict(reply)


def read_verdict(reply: Reply) -> Verdict:
    """Read the reply to a request with synchronous validation.

    Raises:
        AuthenticationError, ConfigurationError: It says nothing about the event.
    """
    if reply.status in (401, 403):
        raise AuthenticationError(
            f"the inlet answers {reply.status}: {error_message(reply.body)}; check the route's auth"
        )
    if reply.status == 501:
        raise ConfigurationError("this location of AEP does not validate synchronously (501): only VA7 does")
    fields = _object(reply.body)
    if 200 <= reply.status < 300:
        xaction_id = read_xaction_id(reply.body)
        if not xaction_id:
            raise ConfigurationError(
                f"the endpoint answers {reply.status}, which is not how AEP replies: check aep_inlet_url, and whether "
                "a proxy answers in AEP's place"
            )
        block: dict[str, Any] = next((fields[name] for name in _BLOCKS if isinstance(fields.get(name), dict)), {})
        return Verdict(reply.status, True, block.get("status") == "pass", xaction_id, "", ())
    report = fields.get("report")
    cause = report.get("cause") if isinstance(report, dict) else None
    found = cause.get("_streamingValidation") if isinstance(cause, dict) else None
    violations = tuple(_violations(found, 0))
    return Verdict(reply.status, False, bool(violations), "", error_message(reply.body), violations)


def _violations(nodes: object, depth: int) -> Iterator[Violation]:
    """Yield the leaves of a tree whose inner nodes only count them."""
    if not isinstance(nodes, list) or depth > _MOST_NESTED:
        return
    for node in nodes:
        if not isinstance(node, dict):
            continue
        if node.get("causingExceptions"):
            yield from _violations(node["causingExceptions"], depth + 1)
        else:
            pointer = str(node.get("pointerToViolation", "")).removeprefix("#")
            yield Violation(pointer, str(node.get("keyword", "")), str(node.get("message", "")))


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
