"""Work that goes on in the background of the server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator
from typing import Protocol

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0  # before a worker that failed begins again

_LOGGER = logging.getLogger(__name__)


class Worker(Protocol):
    """Something that works for ever."""

    async def run(self) -> None:
        """Work until it is cancelled."""
        ...


@contextlib.asynccontextmanager
async def running(*workers: Worker) -> AsyncIterator[None]:
    """Keep workers running in the background of a `with` block. One that fails is reported, and begins again."""
    tasks = [asyncio.create_task(_run(worker)) for worker in workers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run(worker: Worker) -> None:
    pause = FIRST_PAUSE_S
    while True:
        try:
            await worker.run()
        except sqlite3.Error as error:  # such as a full disk
            _LOGGER.error("a worker of the emulator has failed, and begins again in %g s: %s", pause, error)
        except Exception:
            _LOGGER.exception("a worker of the emulator has failed, and begins again in %g s", pause)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
