"""What AEP does after it has accepted a message: the asynchronous validation against the dataset's schema.

Failed messages are kept with the errors that Adobe's failed batches show ("Streaming validation guide",
"Retrieving failed batches").
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import orjson

from emulator.inlets import Inlets
from emulator.store import Store

CHUNK = 100  # messages validated at a stretch; requests are served in between


class Ingestion:
    """Validates accepted messages in the order of their arrival, also those left over from before a restart."""

    def __init__(self, inlets: Inlets, store: Store) -> None:
        self._inlets = inlets
        self._store = store
        self._wake = asyncio.Event()
        self._wake.set()

    def notify(self) -> None:
        """Say that messages wait."""
        self._wake.set()

    async def run(self) -> None:
        """Validate for ever."""
        while True:
            await self._wake.wait()
            if not self.validate_some():
                self._wake.clear()
            await asyncio.sleep(0)

    def validate_some(self) -> int:
        """Validate the oldest waiting messages; return how many."""
        waiting = self._store.pending(CHUNK)
        errors: dict[int, Any] = {}
        for message in waiting:
            inlet = self._inlets.get(message.inlet_id)
            schema = inlet.schema_of(message.dataset_id) if inlet else None
            report = schema.report(orjson.loads(message.entity)) if schema else None
            if report is not None:
                errors[message.seq] = [report]
        if waiting:
            self._store.settle(waiting, errors)
        return len(waiting)


@contextlib.asynccontextmanager
async def running(ingestion: Ingestion) -> AsyncIterator[None]:
    """Keep the validation running in the background of a `with` block."""
    task = asyncio.create_task(ingestion.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
