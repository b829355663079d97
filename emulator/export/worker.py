"""Write queued exports to their streams, apart from the collection and the validation.

Source: "Amazon Kinesis connection": failed requests are stored and tried twice more. The pauses are not published;
here they are one and two seconds. Meanwhile the whole dataflow waits, so that refused records go first and a throttled
stream receives everything in the end.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from emulator.export.backfill import Backfills
from emulator.export.queue import ExportQueue, Failure, Waiting
from emulator.state.destinations import Destination, Destinations

RETRY_SECONDS = (1.0, 2.0)
LOOK_SECONDS = 1.0  # between looks at a pending backfill, since the switch for its delay may change
MAX_RECORDS = 500
MAX_BYTES = 1 << 20  # in a request: what a shard takes in a second, so that no record is refused again and again
ALONE_BYTES = 1_000_000  # close to the largest record of a stream: a larger one makes Kinesis refuse the whole request

_ENDED = "FlowDisabled"


class StreamRefusal(NamedTuple):
    """Why Kinesis did not take a record."""

    code: str
    message: str


class StreamWriter(Protocol):
    """Writes to streams with the credentials of their destination."""

    async def put(self, destination: Destination, records: Sequence[tuple[str, bytes]]) -> list[StreamRefusal | None]:
        """Put records, as (partition key, data); return for each why it was refused, None if it was taken."""
        ...


class Exporter:
    """The worker.

    Args:
        queue: What waits.
        backfills: Fills it with the members of newly mapped audiences.
        destinations: Where records go.
        writer: Writes them.
        timer: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        queue: ExportQueue,
        backfills: Backfills,
        destinations: Destinations,
        writer: StreamWriter,
        timer: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._backfills = backfills
        self._destinations = destinations
        self._writer = writer
        self._timer = timer
        self._held: dict[str, float] = {}  # when each dataflow that pauses goes on
        self._wake = asyncio.Event()

    def notify(self) -> None:
        """Wake the worker: there may be something to do."""
        self._wake.set()

    async def run(self) -> None:
        """Write queued exports until cancelled."""
        while True:
            self._wake.clear()
            while self._backfills.step():
                await asyncio.sleep(0)
            sent = False
            for org_id, flow_id in self._queue.flows():
                if self._held.get(flow_id, 0) <= self._timer():
                    await self._send_some(org_id, flow_id)
                    await asyncio.sleep(0)  # a put within the process may not have let other tasks run
                    sent = True
            if not sent:
                await self._wait()

    async def _wait(self) -> None:
        waits = [until - self._timer() for until in self._held.values()]
        backfill = self._backfills.wait_seconds()
        if backfill is not None:
            waits.append(min(backfill, LOOK_SECONDS))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._wake.wait(), max(0.01, min(waits)) if waits else None)
        now = self._timer()
        self._held = {flow_id: until for flow_id, until in self._held.items() if until > now}

    async def _send_some(self, org_id: str, flow_id: str) -> None:
        records = next_request(self._queue.oldest(flow_id, MAX_RECORDS))
        destination = next((each for each in self._destinations.enabled(org_id) if each.flow_id == flow_id), None)
        if destination is None:
            why = "the dataflow was disabled or deleted before the record was sent"
            self._queue.settle((), (), [Failure(each, _ENDED, why) for each in records])
            return
        refusals = await self._writer.put(destination, [(each.partition_key, each.data) for each in records])
        sent, again, failed = [], [], []
        for record, refusal in zip(records, refusals, strict=True):
            if refusal is None:
                sent.append(record)
            elif record.tries < len(RETRY_SECONDS):
                again.append(record)
            else:
                failed.append(Failure(record, *refusal))
        self._queue.settle(sent, again, failed)
        if again:
            self._held[flow_id] = self._timer() + min(RETRY_SECONDS[each.tries] for each in again)


def next_request(records: Sequence[Waiting]) -> list[Waiting]:
    """Return the first records that fit into one request, at least one if there are any."""
    request: list[Waiting] = []
    size = 0
    for record in records:
        size += len(record.data) + len(record.partition_key.encode())
        if request and (size > MAX_BYTES or len(record.data) > ALONE_BYTES):
            break
        request.append(record)
    return request
