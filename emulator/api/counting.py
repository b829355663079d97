"""Counting mode: a collector for benchmarks, cheap enough not to be what is measured.

It answers 200 and 207 as the real one does, with one response for each message, and counts requests, bytes and
messages. The messages of a batch are counted by the `"xdmEntity"` keys in the raw bytes (in a raw inlet the body
is parsed): exact for every client that sends messages in Adobe's envelope, unless an entity has a key or a value
of that very name. Nothing else is looked at: no envelope, no schema, no `_id`, so `unique_ids` and `duplicates`
are null, every message counts as accepted, and nothing is kept. Authentication, the size limit and the faults of
whole requests (latency, outages, ...) work as always; those of single elements do not.
"""

from __future__ import annotations

import uuid

import orjson
from starlette.requests import Request
from starlette.responses import Response

from emulator.api.collection import Collection, Outcome
from emulator.api.faults import Faults
from emulator.api.problems import json_response, problem
from emulator.state.inlets import Inlet
from emulator.state.store import AcceptedMessage

_MESSAGE_KEY = b'"xdmEntity"'


class CountingCollection(Collection):
    """The collection service without its checks."""

    def answer_single(self, request: Request, inlet: Inlet, faults: Faults, body: bytes) -> Outcome:
        """Answer as if the message were fine."""
        received_ms = int(self._clock() * 1000)
        answer = {
            "inletId": inlet.id,
            "xactionId": self._number(received_ms),
            "receivedTimeMs": received_ms,
            "syncValidation": {"skipped": True},
        }
        return Outcome(json_response(answer), accepted_count=1)

    def answer_batch(self, request: Request, inlet: Inlet, faults: Faults, body: bytes) -> Outcome:
        """Answer as if all messages were fine."""
        if inlet.data_type == "xdm":
            count = body.count(_MESSAGE_KEY)
        else:
            try:
                count = len(orjson.loads(body)["messages"])
            except (orjson.JSONDecodeError, KeyError, TypeError):
                return Outcome(problem(400, f"inletId: [{inlet.id}] The 'messages' field is mandatory"))
        return Outcome(Response(self._answer(inlet, count), 207, media_type="application/json"), accepted_count=count)

    def save(self, inlet: Inlet, accepted: tuple[AcceptedMessage, ...]) -> None:
        """Keep the counts in memory only; they are saved when the server ends."""

    def _answer(self, inlet: Inlet, count: int) -> bytes:
        received_ms = int(self._clock() * 1000)
        head = {"inletId": inlet.id, "batchId": self._number(received_ms), "receivedTimeMs": received_ms}
        prefix = f'{{"xactionId":"{uuid.uuid4()}-'
        responses = ",".join([f'{prefix}{index}"}}' for index in range(count)])
        return orjson.dumps(head)[:-1] + f',"responses":[{responses}]}}'.encode()
