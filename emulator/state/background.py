"""Work that goes on in the background of the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Protocol

_LOGGER = logging.getLogger(__name__)


class Worker(Protocol):
    """Something that works for ever."""

    async def run(self) -> None:
        """Work until it is cancelled."""
        ...


@contextlib.asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    """Keep workers running in the background of a `with` block."""
    tasks = [asyncio.create_task(worker.run()) for worker in workers]
    for task in tasks:
        task.add_done_callback(_report)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _report(task: asyncio.Task[None]) -> None:
    """Say that a worker has ended, which it never should: the server would go on without it unnoticed."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _LOGGER.error("a worker of the emulator has failed", exc_info=error)
