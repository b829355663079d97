"""The Catalog Service API: datasets at `/data/foundation/catalog/dataSets`, batches at `.../batches`.

Sources: "Create a dataset with APIs", "Ingest streaming record data", "Enable a dataset for updates", "Error
diagnostics" (batches), and the Catalog's OpenAPI document. `datasets` and `batch` are older spellings. Adobe
publishes no error bodies of the Catalog; those here are in the gateway's form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from emulator.api.gateway import Answer, Call, Gateway
from emulator.api.json_patch import apply_patch
from emulator.api.problems import json_response
from emulator.state.batches import Batch, Batches
from emulator.state.datasets import Datasets
from emulator.state.errors import ApiError, bad_request
from emulator.state.ingestion import Ingestion

BASE = "/data/foundation/catalog"
MAX_PAGE = 100
# What the Catalog decides itself and no client changes.
_DECIDED = ("imsOrg", "version", "created", "updated", "createdClient", "createdUser", "viewId", "files", "sandboxId")


class Catalog:
    """Datasets and batches over HTTP."""

    def __init__(self, datasets: Datasets, batches: Batches, ingestion: Ingestion) -> None:
        self._datasets = datasets
        self._batches = batches
        self._ingestion = ingestion

    def routes(self, gateway: Gateway) -> list[Route]:
        """Return all endpoints, in each spelling."""
        endpoints: list[tuple[str, str, Answer]] = []
        for name in ("dataSets", "datasets"):
            endpoints += [
                ("GET", f"/{name}", self._list),
                ("POST", f"/{name}", self._create),
                ("GET", f"/{name}/{{id}}", self._look_up),
                ("PATCH", f"/{name}/{{id}}", self._patch),
                ("PATCH", f"/v2/{name}/{{id}}", self._merge),
                ("DELETE", f"/{name}/{{id}}", self._delete),
            ]
        for name in ("batches", "batch"):
            endpoints += [("GET", f"/{name}", self._list_batches), ("GET", f"/{name}/{{id}}", self._look_up_batch)]
        return gateway.routes(BASE, endpoints)

    def _list(self, call: Call) -> Response:
        found = self._datasets.of(call.org_id)
        for name in ("name", "schemaRef.id"):
            if name in call.query:
                wanted = call.query[name]
                found = [each for each in found if _at(each[1], name) == wanted]
        if "properties" in call.query:
            kept = call.query["properties"].split(",")
            found = [(key, {name: each[name] for name in kept if name in each}) for key, each in found]
        return json_response(dict(_page(call, found)))

    def _create(self, call: Call) -> Response:
        dataset_id = self._datasets.create(call.org_id, call.client_id, call.sandbox, call.json_object())
        location = {"location": f"{call.base_url}{BASE}/dataSets/{dataset_id}"}
        return json_response([f"@/dataSets/{dataset_id}"], 201, location)

    def _look_up(self, call: Call) -> Response:
        return json_response({call.path("id"): self._found(call)})

    def _patch(self, call: Call) -> Response:
        """Return a JSON Patch, or (as older tutorials have it) an object to merge."""
        body = call.json()
        if isinstance(body, dict):
            return self._merge(call)
        try:
            changed = apply_patch(self._found(call), body)
        except ValueError as error:
            raise bad_request(str(error)) from error
        return self._changed(call, changed)

    def _merge(self, call: Call) -> Response:
        return self._changed(call, merged(self._found(call), call.json_object()))

    def _changed(self, call: Call, changed: dict[str, Any]) -> Response:
        old = self._found(call)
        self._datasets.change(call.org_id, call.path("id"), {**changed, **{key: old[key] for key in _DECIDED}})
        return json_response([f"@/dataSets/{call.path('id')}"])

    def _delete(self, call: Call) -> Response:
        self._found(call)
        self._datasets.delete(call.path("id"))
        return json_response([f"@/dataSets/{call.path('id')}"])

    def _found(self, call: Call) -> dict[str, Any]:
        found = self._datasets.find(call.org_id, call.path("id"))
        if found is None:
            raise _not_found(f"dataset {call.path('id')}")
        return found

    async def _list_batches(self, call: Call) -> Response:
        """Return batches. What waits is validated first and open batches are closed, so that a list has all that was
        confirmed.
        """
        await self._ingestion.caught_up()
        found = self._batches.list(
            call.org_id,
            status=call.query.get("status"),
            dataset_id=call.query.get("dataSet"),
            created_after=call.whole_number("createdAfter", 0),
            created_before=call.whole_number("createdBefore", 2**53),
        )
        order = call.query.get("orderBy", "desc:created")
        if order.rpartition(":")[2] not in ("created", "updated"):
            raise bad_request(f"orderBy must be created or updated, with asc: or desc: before it, not {order!r}")
        by_update = order.endswith("updated")
        found.sort(key=lambda each: (each.updated_ms if by_update else each.created_ms, each.id))
        if order.startswith("desc:"):
            found.reverse()
        return json_response({each.id: shown_batch(each) for each in _page(call, found)})

    async def _look_up_batch(self, call: Call) -> Response:
        await self._ingestion.caught_up()
        batch = self._batches.find(call.org_id, call.path("id"))
        if batch is None:
            raise _not_found(f"batch {call.path('id')}")
        return json_response({batch.id: shown_batch(batch)})


def shown_batch(batch: Batch) -> dict[str, Any]:
    """Return a batch as the Catalog shows it."""
    failed = batch.records if batch.failed else 0
    return {
        "status": "failed" if batch.failed else "success",
        "relatedObjects": [{"type": "dataSet", "id": batch.dataset_id}],
        "metrics": {
            "inputRecordCount": batch.records,
            "outputRecordCount": batch.records - failed,
            "failedRecordCount": failed,
            "invalidRecordCount": failed,
            "invalidRecordsStreamingValidation": failed,
            "recordsSize": batch.bytes,
        },
        "errors": [
            {"code": code, "description": description, "recordCount": count}
            for code, (description, count) in batch.errors.items()
        ],
        "imsOrg": batch.org_id,
        "sandboxId": "prod",
        "inputFormat": {"format": "json"},
        "version": "1.0.0",
        "created": batch.created_ms,
        "updated": batch.updated_ms,
        "createdUser": "streaming",
        "tags": {"acp_producer": ["streaming"]},
    }


def merged(target: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Merge an object into another, member by member; null takes one away (RFC 7396)."""
    result = dict(target)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def _page(call: Call, found: Sequence[Any]) -> Sequence[Any]:
    """Cut a list by `limit` and by `offset`, which is called `start` as well."""
    first = call.whole_number("offset", call.whole_number("start", 0))
    return found[first : first + min(call.whole_number("limit", MAX_PAGE), MAX_PAGE)]


def _at(value: Any, dotted: str) -> Any:
    for step in dotted.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _not_found(what: str) -> ApiError:
    detail = f"Object {what} not found"
    return ApiError(404, {"type": "/placeholder/type/uri", "status": 404, "title": "NotFoundError", "detail": detail})
