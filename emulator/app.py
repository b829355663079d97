"""The application: one module for each of Adobe's APIs, all on one server, over one store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from emulator import ingestion
from emulator.collection import Collection
from emulator.counting import CountingCollection
from emulator.faults import FaultState
from emulator.ims import Ims
from emulator.inlets import Inlets
from emulator.local import Local
from emulator.problems import problem
from emulator.store import Store


class Emulator:
    """The services and what they share.

    Args:
        state: SQLite file that keeps everything over restarts; None keeps it for this process only.
        count_only: Serve the collection in counting mode, see `emulator.counting`.

    Raises:
        ValueError: The state file cannot be used.
    """

    def __init__(self, state: Path | None = None, *, count_only: bool = False) -> None:
        self.store = Store(state)
        self.inlets = Inlets(self.store)
        self.faults = FaultState(time.time)
        for _, shown in self.store.definitions("faults"):
            self.faults.restore(shown)
        self.ims = Ims(self.store, self.faults, time.time)
        self.ingestion = ingestion.Ingestion(self.inlets, self.store)
        service = CountingCollection if count_only else Collection
        self.collection = service(self.inlets, self.store, self.faults, self.ims, time.time, self.ingestion.notify)
        self.local = Local(self.inlets, self.store, self.faults, self.ims, count_only)

    def app(self) -> Starlette:
        """The ASGI application; it closes the store when the server ends."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with ingestion.running(self.ingestion):
                yield
            self.store.close()

        return Starlette(
            routes=[*self.collection.routes(), *self.ims.routes(), *self.local.routes()],
            exception_handlers={HTTPException: _http_error, Exception: _server_error},
            lifespan=lifespan,
        )


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers: Mapping[str, str] | None = error.headers
    return problem(error.status_code, error.detail, headers=headers)


async def _server_error(_: Request, _error: Exception) -> Response:
    return problem(500, "The emulator failed; its standard error says why")
