"""The Catalog: datasets and batches, `/data/foundation/catalog`.

Sources: "Create a dataset with APIs", "Ingest streaming record data", "Enable a dataset for updates", "Error
diagnostics", "Retrieving failed batches", Catalog Service API (OpenAPI).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aep.platform.client import PlatformClient, Query, segment

BASE = "/data/foundation/catalog"
MAX_PAGE = 100

# The tags of a dataset whose records go to Profile and Identity Service ("Ingest streaming record data").
PROFILE_TAGS: Mapping[str, Sequence[str]] = {"unifiedIdentity": ["enabled:true"], "unifiedProfile": ["enabled:true"]}


class DataSet(NamedTuple):
    """A dataset.

    Attributes:
        id: 24 hexadecimal characters.
        name: Display name.
        schema_id: `$id` of its schema.
        content_type: Content type of its schema, with the version.
        tags: By name.
        document: The whole object of the Catalog.
    """

    id: str
    name: str
    schema_id: str
    content_type: str
    tags: Mapping[str, Sequence[str]]
    document: Mapping[str, Any]

    @property
    def for_profile(self) -> bool:
        """Whether its records go to Profile. Adobe's documents write the tag with and without a blank."""
        return any(str(each).replace(" ", "") == "enabled:true" for each in self.tags.get("unifiedProfile", ()))


class BatchError(NamedTuple):
    """One kind of error in a batch: Adobe's code, what it means, and how many records have it."""

    code: str
    description: str
    records: int


class Batch(NamedTuple):
    """A group of records of a dataset.

    Attributes:
        id: As in the address of its files.
        status: `success`, `failed`, ...
        dataset_id: Dataset id of the dataset, empty if the Catalog gives none.
        created_ms, updated_ms: Epoch milliseconds.
        metrics: Counts such as `inputRecordCount` and `failedRecordCount`.
        errors: What was wrong.
        document: The whole object of the Catalog.
    """

    id: str
    status: str
    dataset_id: str
    created_ms: int
    updated_ms: int
    metrics: Mapping[str, int]
    errors: Sequence[BatchError]
    document: Mapping[str, Any]


class Catalog:
    """The Catalog of one organisation and sandbox."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def datasets(self, name: str | None = None) -> Iterator[DataSet]:
        """Yield all datasets, or those of this name: `GET /dataSets`, in pages of 100."""
        # To the Catalog these have a meaning of their own ("Filter Catalog data using query parameters").
        plain = name is None or not re.search(r"[,!*~]", name)
        for dataset_id, document in self._listed("/dataSets", {"name": name if plain else None}):
            found = _dataset(dataset_id, document)
            if name is None or found.name == name:
                yield found

    def dataset(self, dataset_id: str) -> DataSet:
        """Return one dataset: `GET /dataSets/{id}` (Enable a dataset for updates).

        Raises:
            NotFoundError: There is none.
        """
        return _dataset(dataset_id, self._looked_up(f"/dataSets/{segment(dataset_id)}", dataset_id))

    def create_dataset(
        self,
        name: str,
        schema_id: str,
        content_type: str,
        description: str = "",
        tags: Mapping[str, Sequence[str]] | None = None,
    ) -> str:
        """Create a dataset: `POST /dataSets` (Ingest streaming record data).

        Args:
            name: Display name; need not be unique.
            schema_id: `$id` of its schema.
            content_type: Such as `application/vnd.adobe.xed-full+json;version=1`.
            description: Free text.
            tags: Such as `PROFILE_TAGS`.

        Returns:
            Its id.
        """
        content: dict[str, Any] = {
            "name": name,
            "description": description,
            "schemaRef": {"id": schema_id, "contentType": content_type},
        }
        if tags:
            content["tags"] = dict(tags)
        return self._changed("POST", "/dataSets", content)

    def patch_dataset(self, dataset_id: str, operations: Sequence[Mapping[str, Any]]) -> None:
        """Change a dataset by a JSON Patch: `PATCH /dataSets/{id}` (Enable a dataset for updates)."""
        headers = {"Content-Type": "application/json-patch+json"}
        self._changed("PATCH", f"/dataSets/{segment(dataset_id)}", list(operations), headers)

    def merge_dataset(self, dataset_id: str, changes: Mapping[str, Any]) -> None:
        """Merge an object into a dataset: `PATCH /v2/dataSets/{id}` (Catalog Service API)."""
        self._changed("PATCH", f"/v2/dataSets/{segment(dataset_id)}", changes)

    def delete_dataset(self, dataset_id: str) -> None:
        """`DELETE /dataSets/{id}` (Catalog Service API)."""
        self._client.send("DELETE", f"{BASE}/dataSets/{segment(dataset_id)}")

    def batches(
        self,
        status: str | None = None,
        dataset_id: str | None = None,
        created_after_ms: int | None = None,
        created_before_ms: int | None = None,
    ) -> Iterator[Batch]:
        """Batches: `GET /batches` (Catalog Service API), in pages of 100.

        The oldest come first, so that batches which are made meanwhile do not shift the pages.

        Args:
            status: Such as `failed`; None for all.
            dataset_id: None for all datasets.
            created_after_ms, created_before_ms: Epoch milliseconds, exclusive.
        """
        query: Query = {
            "status": status,
            "dataSet": dataset_id,
            "createdAfter": created_after_ms,
            "createdBefore": created_before_ms,
            "orderBy": "asc:created",
        }
        for batch_id, document in self._listed("/batches", query):
            yield _batch(batch_id, document)

    def batch(self, batch_id: str) -> Batch:
        """Return one batch: `GET /batches/{id}` (Error diagnostics).

        Raises:
            NotFoundError: There is none.
        """
        return _batch(batch_id, self._looked_up(f"/batches/{segment(batch_id)}", batch_id))

    def _listed(self, path: str, query: Query) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the objects of a list by id. `start` is the number of objects to leave out (Catalog Service API).

        A page may have fewer than was asked for: the Catalog has lower limits for some callers ("Filter Catalog data
        using query parameters"). So only a page with nothing new is the last one.
        """
        seen: set[str] = set()

        def following(page: dict[str, Any]) -> Query | None:
            fresh = page.keys() - seen
            seen.update(page)
            return {"start": len(seen)} if fresh else None

        for page in self._client.pages(BASE + path, {"limit": MAX_PAGE, **query}, following=following):
            for object_id, document in page.items():
                if isinstance(document, dict) and object_id not in seen:
                    yield object_id, document

    def _looked_up(self, path: str, object_id: str) -> dict[str, Any]:
        found = self._client.json("GET", BASE + path, needs=(object_id,))[object_id]
        return found if isinstance(found, dict) else {}

    def _changed(self, method: str, path: str, content: object, headers: Mapping[str, str] | None = None) -> str:
        """Make a call that is answered by references such as `["@/dataSets/ID"]`; return the id."""
        reply = self._client.send(method, BASE + path, content, headers=headers)
        found = self._client.parsed(method, BASE + path, reply)
        if not isinstance(found, list) or not found or not isinstance(found[0], str):
            raise self._client.misfit(method, BASE + path, reply, 'not a list such as ["@/dataSets/ID"]')
        return found[0].rpartition("/")[2]


def _dataset(dataset_id: str, document: dict[str, Any]) -> DataSet:
    schema = document.get("schemaRef")
    schema = schema if isinstance(schema, dict) else {}
    tags = document.get("tags")
    return DataSet(
        dataset_id,
        str(document.get("name", "")),
        str(schema.get("id", "")),
        str(schema.get("contentType", "")),
        {name: values for name, values in tags.items() if isinstance(values, list)} if isinstance(tags, dict) else {},
        document,
    )


def _batch(batch_id: str, document: dict[str, Any]) -> Batch:
    related = [each for each in document.get("relatedObjects") or () if isinstance(each, dict)]
    errors = [each for each in document.get("errors") or () if isinstance(each, dict)]
    return Batch(
        batch_id,
        str(document.get("status", "")),
        next((str(each.get("id", "")) for each in related if each.get("type") == "dataSet"), ""),
        int(document.get("created") or 0),
        int(document.get("updated") or 0),
        dict(document.get("metrics") or {}),
        [
            BatchError(str(each.get("code", "")), str(each.get("description", "")), int(each.get("recordCount") or 0))
            for each in errors
        ],
        document,
    )
