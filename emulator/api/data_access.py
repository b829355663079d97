"""The Data Access API: `/data/foundation/export`, files of batches as lines of JSON.

Sources: "Data Access API guide", "Retrieving failed batches". AEP gives the good records as Parquet; here they
are JSON, one record a line, as the failed ones are.
"""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.gateway import Call, Gateway
from emulator.api.problems import json_response
from emulator.state.batches import Batch, Batches
from emulator.state.errors import ApiError
from emulator.state.ingestion import Ingestion

BASE = "/data/foundation/export"
SUCCESS = "_SUCCESS"  # the empty file with which a writer says that it was done


class DataAccess:
    """Files of batches over HTTP."""

    def __init__(self, batches: Batches, ingestion: Ingestion) -> None:
        self._batches = batches
        self._ingestion = ingestion

    def routes(self, gateway: Gateway) -> list[Route]:
        return gateway.routes(
            BASE,
            [
                ("GET", "/batches/{id}/failed", self._failed),
                ("GET", "/batches/{id}/files", self._files),
                ("GET", "/files/{id}", self._file),
            ],
        )

    async def _failed(self, call: Call) -> Response:
        batch = await self._batch(call, call.path("id"))
        name = file_name(batch)
        path = call.query.get("path")
        if path is None:
            here = f"{call.base_url}{BASE}/batches/{batch.id}/failed"
            length = len(self._content(batch))
            entries = [_entry(SUCCESS, 0, here), _entry(name, length, here)] if batch.failed else []
            return _listed(entries)
        if batch.failed and path in (SUCCESS, name):
            return _download(b"" if path == SUCCESS else self._content(batch))
        raise _not_found(f"file {path} of batch {batch.id}")

    async def _files(self, call: Call) -> Response:
        batch = await self._batch(call, call.path("id"))
        file_id = f"{batch.id}-1"
        entry = {
            "dataSetFileId": file_id,
            "dataSetViewId": batch.dataset_id,
            "version": "1.0.0",
            "created": str(batch.created_ms),
            "updated": str(batch.updated_ms),
            "isValid": True,
            "_links": {"self": {"href": f"{call.base_url}{BASE}/files/{file_id}"}},
        }
        return _listed([] if batch.failed else [entry])

    async def _file(self, call: Call) -> Response:
        batch_id, _, number = call.path("id").rpartition("-")
        batch = await self._batch(call, batch_id)
        if number != "1" or batch.failed:
            raise _not_found(f"file {call.path('id')}")
        name = file_name(batch)
        path = call.query.get("path")
        if path is None:
            here = f"{call.base_url}{BASE}/files/{call.path('id')}"
            return _listed([_entry(name, len(self._content(batch)), here)])
        if path != name:
            raise _not_found(f"file {path} of batch {batch.id}")
        return _download(self._content(batch))

    async def _batch(self, call: Call, batch_id: str) -> Batch:
        await self._ingestion.caught_up()
        batch = self._batches.find(call.org_id, batch_id)
        if batch is None:
            raise _not_found(f"batch {batch_id}")
        return batch

    def _content(self, batch: Batch) -> bytes:
        return b"".join([record + b"\n" for record in self._batches.records(batch.id)])


def file_name(batch: Batch) -> str:
    digest = hashlib.sha256(batch.id.encode()).hexdigest()
    return f"part-00000-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}-c000.json"


def _entry(name: str, length: int, here: str) -> dict[str, Any]:
    return {"name": name, "length": str(length), "_links": {"self": {"href": f"{here}?path={name}"}}}


def _listed(entries: list[dict[str, Any]]) -> Response:
    return json_response({"data": entries, "_page": {"limit": 100, "count": len(entries)}})


def _download(content: bytes) -> Response:
    return Response(content, media_type="application/octet-stream")


def _not_found(what: str) -> ApiError:
    detail = f"{what} not found"
    return ApiError(404, {"type": "/placeholder/type/uri", "status": 404, "title": "NotFoundError", "detail": detail})
