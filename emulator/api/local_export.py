"""The endpoints for audiences and exports under `/__local`.

| call | does |
| --- | --- |
| POST /__local/evaluate | evaluates all audiences for all profiles, as AEP does daily; counts who entered and left |
| GET /__local/exports | how many records wait to be written, and how many activations have members to queue |
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from emulator.api.local import local_route
from emulator.export.service import ProfileExport
from emulator.state.ingestion import Ingestion


class LocalExport:
    """Serves scheduled evaluation and the length of the export queue."""

    def __init__(self, export: ProfileExport, ingestion: Ingestion) -> None:
        self._export = export
        self._ingestion = ingestion

    def routes(self) -> list[Route]:
        """Return all endpoints."""
        return [
            local_route("POST", "evaluate", self._evaluate),
            local_route("GET", "exports", self._exports),
        ]

    async def _evaluate(self, _request: Request, _body: Any) -> object:
        await self._ingestion.caught_up()
        return (await self._export.evaluate())._asdict()

    def _exports(self, _request: Request, _body: Any) -> object:
        return {"waiting": self._export.queue.waiting(), "backfills": self._export.backfills()}
