"""The Data Collection endpoint of AEP (streaming ingestion): the form of requests and replies.

Adobe's documents: "Streaming Ingestion API" (OpenAPI), "Stream multiple messages in a single HTTP request",
"Create a streaming connection for HTTP API".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import orjson

from aep.errors import ConfigurationError
from aep.ingestion.received import Received

Payload = Literal["entity", "message", "raw"]

_OPEN, _CLOSE = b'{"messages":[', b"]}"
# Around and between the messages of a batch: the array itself, and a comma for each message.
BATCH_OVERHEAD = len(_OPEN) + len(_CLOSE)
MESSAGE_OVERHEAD = 1

# "Payload too large - thrown when the total payload request is greater than 1MB" (Stream multiple messages).
MAX_REQUEST_BYTES = 1_000_000

# Of what AEP says of a request or a message; it goes into logs and dead letters.
_MOST_WORDS = 500


@dataclass(frozen=True)
class Destination:
    """Where in AEP records of one kind go, and how they are wrapped.

    Attributes:
        inlet_url: `https://dcs.adobedc.net/collection/{inlet}`, as the streaming connection shows it.
        payload: `entity`, records are XDM entities and get the envelope; `message`, records are ready-made
            envelopes; `raw`, records are plain JSON for a dataflow with a mapping.
        schema_id, content_type: The `schemaRef` of the envelope.
        flow_id: The dataflow; in the envelope's header for entities, and as `x-adobe-flow-id` for all.
    """

    inlet_url: str
    payload: Payload
    schema_id: str | None = None
    content_type: str = "application/vnd.adobe.xed-full+json;version=1"
    org_id: str | None = None
    dataset_id: str | None = None
    flow_id: str | None = None
    source_name: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Envelope:
    """The parts that surround each record of a destination in a request body.

    The parts are the same for all records, so that wrapping is joining bytes. (Streaming Ingestion API, message
    format: `header` with schemaRef, imsOrgId, datasetId, flowId, source; `body` with xdmMeta and xdmEntity.)
    """

    def __init__(self, destination: Destination):
        self.prefix, self.suffix = b"", b""
        if destination.payload == "entity":
            schema_ref = {"id": destination.schema_id, "contentType": destination.content_type}
            header: dict[str, Any] = {"schemaRef": schema_ref}
            for name, value in (
                ("imsOrgId", destination.org_id),
                ("datasetId", destination.dataset_id),
                ("flowId", destination.flow_id),
                ("source", {"name": destination.source_name} if destination.source_name else None),
            ):
                if value:
                    header[name] = value
            whole = orjson.dumps({"header": header, "body": {"xdmMeta": {"schemaRef": schema_ref}, "xdmEntity": 0}})
            self.prefix, self.suffix = whole[:-3], whole[-2:]

    @property
    def overhead(self) -> int:
        """Bytes that a record adds to a batch besides its own."""
        return len(self.prefix) + len(self.suffix) + MESSAGE_OVERHEAD

    def message(self, record: bytes) -> bytes:
        """Return one record as a message: the body for the single-message endpoint."""
        return self.prefix + record + self.suffix

    def batch(self, records: Sequence[bytes]) -> bytes:
        """Return the body for the batch endpoint."""
        between = self.suffix + b"," + self.prefix
        return b"".join((_OPEN, self.prefix, between.join(records), self.suffix, _CLOSE))


def is_inlet_url(url: str) -> bool:
    """Return whether a URL is that of an inlet, with or without `batch/` (Streaming Ingestion API)."""
    return re.search(r"/collection/(batch/)?[^/]+$", url) is not None


def batch_url(inlet_url: str) -> str:
    """Return the URL that takes many messages in a request, made from the inlet's URL.

    Raises:
        ConfigurationError: This is not a URL of an inlet.
    """
    if not is_inlet_url(inlet_url):
        raise ConfigurationError(
            f"aep_inlet_url {inlet_url} is not an inlet URL: "
            "it should look like https://dcs.adobedc.net/collection/<inlet id>"
        )
    return single_url(inlet_url).replace("/collection/", "/collection/batch/", 1)


def single_url(inlet_url: str) -> str:
    """Return the URL that takes one message in a request."""
    return inlet_url.replace("/collection/batch/", "/collection/", 1)


class MessageResult(NamedTuple):
    """AEP's result for one message of a batch. `status` is 200 for an accepted one."""

    status: int
    message: str = ""
    xaction_id: str = ""

    @property
    def accepted(self) -> bool:
        """Whether AEP has received the message."""
        return 200 <= self.status < 300


def count_accepted(results: Sequence[MessageResult]) -> int:
    """Return how many of the messages AEP has received."""
    return len(results) if isinstance(results, Received) else sum([result.accepted for result in results])


def read_multi_status(body: bytes, count: int) -> Sequence[MessageResult] | None:
    """Return the results of a 207 in the order of the request's messages, or None if they do not match one to one.

    Adobe documents a failed message as `statusCode` and `message` (Stream multiple messages); its Kafka connector
    expects `status`, `message` and `xactionId`. Both are read. Results are matched by position; ids that
    number the messages (`<batch>-<n>`, `<batch>:<n>`) must not contradict it.
    """
    try:
        reply = orjson.loads(body)
        responses = reply["responses"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if not isinstance(responses, list) or len(responses) != count:
        return None
    ids = _read_received(responses)
    if ids is not None:
        return Received(ids, partial(MessageResult, 200, "")) if _ids_agree(ids, reply.get("batchId")) else None
    results: list[MessageResult] = []
    for response in responses:
        result = _read_result(response)
        if result is None:
            return None
        results.append(result)
    return results if _ids_agree([result.xaction_id for result in results], reply.get("batchId")) else None


def _read_received(responses: list[object]) -> list[str] | None:
    """Return the ids if each message was received, with an id and nothing else; None if one may not be.

    What `_read_result` would return, without a call for each: mostly AEP receives all that it is sent.
    """
    ids: list[Any] = [one.get("xactionId") for one in responses if type(one) is dict and len(one) == 1]
    return ids if len(ids) == len(responses) and all(ids) and set(map(type, ids)) <= {str} else None


def _read_result(response: object) -> MessageResult | None:
    if not isinstance(response, dict):
        return None
    xaction_id = response.get("xactionId")
    status = response.get("status")
    if status is None:
        status = response.get("statusCode")
    if status is None:
        return MessageResult(200, "", xaction_id) if isinstance(xaction_id, str) and xaction_id else None
    try:
        status = int(status)
    except (TypeError, ValueError, OverflowError):
        return None
    if not (200 <= status < 300 or 400 <= status < 600):
        return None  # neither received nor refused
    words = str(response.get("message") or "")[:_MOST_WORDS]
    return MessageResult(status, words, xaction_id if isinstance(xaction_id, str) else "")


def _ids_agree(ids: list[str], batch_id: object) -> bool:
    """Return False if ids repeat, or number the messages in another order than theirs."""
    stem = ids[0].rstrip("0123456789") if ids else ""
    in_order = [f"{stem}{index}" for index in range(len(ids))]
    if ids == in_order:
        return True
    present = [one for one in ids if one]
    if len(set(present)) != len(present):
        return False
    # `<batchId>:<n>` is documented as the number of the message, so even one may contradict its place.
    number = {f"{batch_id}{mark}{index}": index for mark in ":-" for index in range(len(ids))}
    if any(number.get(one, index) != index for index, one in enumerate(ids)):
        return False
    # Other ids must contradict all together; else they number nothing, as in Adobe's example of a partial success.
    return not stem.endswith((":", "-")) or set(ids) != set(in_order)


def read_xaction_id(body: bytes) -> str:
    """Return the `xactionId` of the reply to a single message; empty if it has none and so is not a reply from AEP."""
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return str(reply.get("xactionId") or "") if isinstance(reply, dict) else ""


def is_object(body: bytes) -> bool:
    """Return whether the body is a JSON object, as every reply of AEP's is."""
    try:
        return isinstance(orjson.loads(body), dict)
    except orjson.JSONDecodeError:
        return False


def error_message(body: bytes) -> str:
    """Return AEP's message in an error reply, at most 500 characters; the reply as text if it has another form.

    (Streaming validation guide: `{"type", "status", "title", "report": {"message", ...}}`.)
    """
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body[:_MOST_WORDS].decode("utf-8", "replace").strip()
    if not isinstance(problem, dict):
        return str(problem)[:_MOST_WORDS]
    report = problem.get("report")
    words = report.get("message") if isinstance(report, dict) else None
    words = words or problem.get("detail") or problem.get("message") or problem.get("title") or problem
    return str(words)[:_MOST_WORDS]
