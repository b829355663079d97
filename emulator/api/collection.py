"""The streaming collection service: `POST /collection/{inletId}` and `POST /collection/batch/{inletId}`.

Sources: "Streaming Ingestion API", "Sending multiple messages in a single HTTP request", "Streaming validation
guide", and for the newer form of failed elements Adobe's Kafka Connect sink. Adobe does not say what happens to an
unknown inlet, malformed JSON, a body without `messages`, or a wrong Content-Type. Our choice: 404, 400, 400, 415.
Nor does Adobe say whether Content-Encoding is allowed: it is refused here with 415, as is the documented Smile.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
import sqlite3
import uuid
from asyncio import sleep
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.envelope import Envelope, Refusal, check_raw, check_xdm, refusal
from emulator.api.faults import Faults, FaultState, decide, misfit, pick_status, retry_after_header
from emulator.api.ims import Ims
from emulator.api.origins import preflight, share
from emulator.api.problems import MESSAGES, json_response, problem
from emulator.connection import drop_connection
from emulator.state.inlets import Inlet, Inlets
from emulator.state.recent import RecentTraffic
from emulator.state.store import AcceptedMessage, Store

MAX_BODY_BYTES = 1_000_000
SYNC_REQUESTS_A_MINUTE = 60

_LOGGER = logging.getLogger(__name__)
_BEARER = re.compile(r"bearer(\s+|$)", re.IGNORECASE)


class Outcome(NamedTuple):
    """The answer to a request that was read, and what became of its messages."""

    response: Response
    accepted: tuple[AcceptedMessage, ...] = ()
    accepted_count: int = 0
    rejected: int = 0
    deferred: int = 0


class Collection:
    """The collection service over the inlets that exist."""

    def __init__(
        self,
        inlets: Inlets,
        store: Store,
        faults: FaultState,
        ims: Ims,
        clock: Callable[[], float],
        on_pending: Callable[[], None],
        recent: RecentTraffic,
    ) -> None:
        self._inlets = inlets
        self._store = store
        self._faults = faults
        self._ims = ims
        self._clock = clock
        self._on_pending = on_pending
        self._recent = recent
        self._numbers = itertools.count(1)
        self._sync_requests: dict[str, deque[float]] = {}

    def routes(self) -> list[Route]:
        """Return the two endpoints, each with the preflight that a browser sends before it."""
        return [
            Route("/collection/batch/{inlet_id}", self._batch, methods=["POST"]),
            Route("/collection/{inlet_id}", self._single, methods=["POST"]),
            Route("/collection/batch/{inlet_id}", preflight, methods=["OPTIONS"]),
            Route("/collection/{inlet_id}", preflight, methods=["OPTIONS"]),
        ]

    async def _batch(self, request: Request) -> Response:
        return share(request, await self._serve(request, self.answer_batch))

    async def _single(self, request: Request) -> Response:
        return share(request, await self._serve(request, self.answer_single))

    async def _serve(self, request: Request, answer: Callable[[Request, Inlet, Faults, bytes], Outcome]) -> Response:
        try:
            body, size = await read_body(request)
        except ClientDisconnect:
            return Response()
        began = self._recent.begin()
        inlet = self._inlets.get(request.path_params["inlet_id"])
        if inlet is None:
            return problem(404, f"inletId: [{request.path_params['inlet_id']}] does not exist")
        faults = self._faults.effective(inlet.id)
        verdict = decide(faults, self._faults.draw, self._clock())
        if verdict.delay_s:
            await sleep(verdict.delay_s)

        if verdict.reset == "before":
            outcome = Outcome(Response())
        elif verdict.status is not None:
            outcome = Outcome(problem(verdict.status, headers=retry_after_header(faults, verdict.status)))
        else:
            refused = self._refuse(request, inlet, size, faults.max_body_bytes or MAX_BODY_BYTES)
            outcome = Outcome(refused) if refused else answer(request, inlet, faults, body)
        try:
            self._record(inlet, size, outcome, "reset" if verdict.reset else str(outcome.response.status_code))
        except sqlite3.Error as error:  # such as a full disk
            _LOGGER.error("what was sent to inlet %s cannot be stored, and is answered with 503: %s", inlet.name, error)
            outcome = Outcome(problem(503))
        self._recent.end(began, outcome.accepted_count + outcome.rejected + outcome.deferred)
        if verdict.reset:
            await drop_connection(request)
        return outcome.response

    def _refuse(self, request: Request, inlet: Inlet, size: int, max_bytes: int) -> Response | None:
        """Check the request as a whole, before its body is read."""
        if inlet.authentication_required:
            # "Bearer" in any case, or the bare token: "Authenticated Data Collection" of 2019 allows both
            token = _BEARER.sub("", request.headers.get("authorization", "").strip())
            if not token:
                return problem(401, f"[{inlet.id}] {MESSAGES[401]}")
            if not self._ims.is_valid(token):
                return problem(403, f"[{inlet.id}] {MESSAGES[403]}")
        if size > max_bytes:
            return problem(413)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            return problem(415, f"Content-Type must be application/json, got {content_type or 'none'}")
        if "content-encoding" in request.headers:
            return problem(415, "Content-Encoding is not supported")
        return None

    def _record(self, inlet: Inlet, size: int, outcome: Outcome, status: str) -> None:
        counts = self._store.counts(inlet.id)
        before = dataclasses.replace(counts, statuses=dict(counts.statuses))
        counts.requests += 1
        counts.bytes += size
        counts.messages += outcome.accepted_count + outcome.rejected + outcome.deferred
        counts.accepted += outcome.accepted_count
        counts.rejected += outcome.rejected
        counts.deferred += outcome.deferred
        counts.statuses[status] = counts.statuses.get(status, 0) + 1
        try:
            self.save(inlet, outcome.accepted)
        except sqlite3.Error:
            self._store.set_counts(inlet.id, before)
            raise

    def save(self, inlet: Inlet, accepted: tuple[AcceptedMessage, ...]) -> None:
        """Make the counts and the accepted messages of a request durable, before it is answered."""
        self._store.record(inlet.id, accepted)
        if any(message.pending for message in accepted):
            self._on_pending()

    def answer_single(self, request: Request, inlet: Inlet, faults: Faults, body: bytes) -> Outcome:
        """Answer `POST /collection/{inletId}`."""
        received_ms = int(self._clock() * 1000)
        sync_name = "syncValidation"
        if sync_name not in request.query_params and "synchronousValidation" in request.query_params:
            sync_name = "synchronousValidation"
        sync = request.query_params.get(sync_name, "").lower() == "true"
        if sync and not faults.sync_supported:
            return Outcome(problem(501))
        if sync and not self._may_validate_now(inlet.id):
            return Outcome(problem(429))
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return Outcome(problem(400, f"inletId: [{inlet.id}] The request body is not JSON: {error}"))

        xaction_id = self._number(received_ms)
        taken = self._take(message, inlet, request, xaction_id, received_ms, sync=sync)
        if isinstance(taken, Refusal):
            return Outcome(problem(400, taken.message, taken.cause), rejected=1)
        answer = {
            "inletId": inlet.id,
            "xactionId": xaction_id,
            "receivedTimeMs": received_ms,
            sync_name: {"status": "pass"} if sync else {"skipped": True},
        }
        return Outcome(json_response(answer), (taken,), 1)

    def answer_batch(self, request: Request, inlet: Inlet, faults: Faults, body: bytes) -> Outcome:
        """Answer `POST /collection/batch/{inletId}`: 207 whatever becomes of the single messages."""
        received_ms = int(self._clock() * 1000)
        try:
            envelope = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return Outcome(problem(400, f"inletId: [{inlet.id}] The request body is not JSON: {error}"))
        messages = envelope.get("messages") if isinstance(envelope, dict) else None
        if not isinstance(messages, list):
            return Outcome(problem(400, f"inletId: [{inlet.id}] The 'messages' field is mandatory"))

        batch_id = self._number(received_ms)
        prefix = f"{uuid.uuid4()}-" if faults.dialect == "status" else f"{batch_id}:"
        draw = self._faults.draw
        responses: list[dict[str, Any]] = []
        accepted: list[AcceptedMessage] = []
        deferred = 0
        for index, message in enumerate(messages):
            xaction_id = f"{prefix}{index}"
            status = pick_status(faults.element_rate, draw)
            if status is not None:
                deferred += status == 429 or status >= 500
                text = refusal(inlet, MESSAGES.get(status, f"HTTP {status}")).message
                responses.append(failed_element(faults.dialect, xaction_id, status, text))
                continue
            taken = self._take(message, inlet, request, xaction_id, received_ms)
            if isinstance(taken, Refusal):
                responses.append(failed_element(faults.dialect, xaction_id, 400, taken.message))
            else:
                accepted.append(taken)
                responses.append({"xactionId": xaction_id})

        answer = {"inletId": inlet.id, "batchId": batch_id, "receivedTimeMs": received_ms, "responses": responses}
        if faults.responses != "ok" and draw() < faults.responses_rate:
            misfitting = misfit(faults.responses, answer)
            response = Response("<html>OK</html>", 207) if misfitting is None else json_response(misfitting, 207)
        else:
            response = json_response(answer, 207)
        rejected = len(messages) - len(accepted) - deferred
        return Outcome(response, tuple(accepted), len(accepted), rejected, deferred)

    def _take(
        self, message: object, inlet: Inlet, request: Request, xaction_id: str, received_ms: int, sync: bool = False
    ) -> AcceptedMessage | Refusal:
        """Check one message on arrival, if the inlet does so; `sync` asks for it on every inlet."""
        if inlet.data_type == "xdm":
            checked = check_xdm(message, inlet)
        else:
            flow_id = request.headers.get("x-adobe-flow-id") or request.query_params.get("x-adobe-flow-id")
            checked = check_raw(message, inlet, flow_id, request.headers.get("x-adobe-dataset-id"))
        if isinstance(checked, Refusal):
            return checked
        schema = inlet.schema_of(checked.dataset_id)
        if schema and (sync or inlet.validation == "door"):
            report = schema.report(checked.entity)
            if report is not None:
                return refusal(inlet, "Message is invalid", {"_streamingValidation": [report]})
        try:
            entity = orjson.dumps(checked.entity)
        except orjson.JSONEncodeError:  # nested deeper than orjson writes, though not deeper than it reads
            return refusal(inlet, "Message is invalid")
        entity_id = checked.entity.get("_id")
        return AcceptedMessage(
            inlet_id=inlet.id,
            dataset_id=checked.dataset_id,
            flow_id=checked.flow_id,
            entity_id=None if entity_id is None else str(entity_id),
            xaction_id=xaction_id,
            received_ms=received_ms,
            entity=entity,
            pending=(schema is not None and inlet.validation == "async" and not sync) or _is_booked(checked, inlet),
        )

    def _may_validate_now(self, inlet_id: str) -> bool:
        """Apply the limit of 60 requests a minute and connection for synchronous validation, in a sliding window."""
        times = self._sync_requests.setdefault(inlet_id, deque())
        now = self._clock()
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= SYNC_REQUESTS_A_MINUTE:
            return False
        times.append(now)
        return True

    def _number(self, received_ms: int) -> str:
        """Return a transaction or batch id in Adobe's form: three numbers, the first the time in milliseconds."""
        number = next(self._numbers)
        return f"{received_ms}:{number % 10_000}:{number % 256}"


def _is_booked(checked: Envelope, inlet: Inlet) -> bool:
    """Return whether the asynchronous step puts a message into batches and Profile."""
    dataset = inlet.datasets.get(checked.dataset_id) if checked.dataset_id else None
    return dataset is not None and dataset.booked


def failed_element(dialect: str, xaction_id: str, status: int, message: str) -> dict[str, Any]:
    """Return a failed element of a 207, as Adobe's Kafka connector reads it or as the tutorial prints it."""
    if dialect == "statusCode":
        return {"statusCode": status, "message": message}
    return {"xactionId": xaction_id, "status": status, "message": message}


async def read_body(request: Request) -> tuple[bytes, int]:
    """Read a request's body to its end, keeping no more than AEP takes: (body, size in bytes).

    Raises:
        ClientDisconnect: The client went away.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
    return b"".join(chunks), size
