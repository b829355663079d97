"""The Catalog's datasets, as the collection service and the ingestion see them: with the schema to follow."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from emulator.state.errors import ApiError, bad_request
from emulator.state.inlets import Dataset
from emulator.state.registry import TIME_SERIES, Registry
from emulator.state.repository import Repository
from emulator.state.schemas import load_schema
from emulator.state.store import Store

DISABLED = "disabled"


class Identity(NamedTuple):
    """An identity field: its path, its namespace, and whether it is the primary one."""

    path: tuple[str, ...]
    namespace: str
    primary: bool


class Behaviour(NamedTuple):
    """What ingestion must know of a dataset besides its schema.

    Attributes:
        is_event: The schema is of a time-series class.
        for_profile: The dataset and its schema are enabled for Profile.
        identities: Identity fields of the schema, the primary one first.
    """

    is_event: bool
    for_profile: bool
    identities: tuple[Identity, ...]


class Datasets:
    """All datasets of the Catalog."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._repository = Repository(store, "dataset")
        self._registry = registry
        self._derived: dict[str, tuple[object, Dataset, Behaviour]] = {}

    def organisations(self) -> set[str]:
        return self._repository.organisations()

    def of(self, org_id: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the datasets of an organisation as (id, definition)."""
        return self._repository.of(org_id)

    def find(self, org_id: str, dataset_id: str) -> dict[str, Any] | None:
        """Return the definition of a dataset."""
        return self._repository.get(org_id, dataset_id)

    def create(self, org_id: str, client_id: str, sandbox: str, body: dict[str, Any]) -> str:
        """Create a dataset; return its id.

        Raises:
            ApiError: It names no existing schema, or cannot be enabled for Profile.
        """
        dataset_id, view_id = secrets.token_hex(12), secrets.token_hex(12)
        now = int(time.time() * 1000)
        name = body.get("name") or f"dataset {dataset_id}"
        tags = _tags(body)
        table = "".join(each if each.isalnum() else "_" for each in str(name).lower())
        created = {
            "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
            **body,
            "name": name,
            "imsOrg": org_id,
            "sandboxId": sandbox,
            "tags": {"adobe/pqs/table": [table], **tags},
            "classification": {"dataBehavior": self._behaviour(org_id, body)},
            "version": "1.0.0",
            "created": now,
            "updated": now,
            "createdClient": client_id,
            "createdUser": client_id,
            "updatedUser": client_id,
            "viewId": view_id,
            "files": f"@/dataSets/{dataset_id}/views/{view_id}/files",
        }
        self._keep(org_id, dataset_id, created)
        return dataset_id

    def change(self, org_id: str, dataset_id: str, changed: dict[str, Any]) -> None:
        """Replace the definition of a dataset by its next version.

        Raises:
            ApiError: As for `create`.
        """
        patch = int(str(changed["version"]).rpartition(".")[2]) + 1
        self._keep(org_id, dataset_id, {**changed, "version": f"1.0.{patch}", "updated": int(time.time() * 1000)})

    def delete(self, dataset_id: str) -> None:
        """Delete a dataset."""
        self._repository.remove(dataset_id)
        self._derived.pop(dataset_id, None)

    def collected(self, org_id: str, dataset_id: str) -> tuple[Dataset, Behaviour] | None:
        """Return a dataset as messages meet it; None if the organisation has none of this id."""
        definition = self._repository.get(org_id, dataset_id)
        if definition is None:
            return None
        state = (self._registry.revision, definition["version"])
        known = self._derived.get(dataset_id)
        if known is None or known[0] != state:
            known = (state, *self._derive(org_id, dataset_id, definition))
            self._derived[dataset_id] = known
        return known[1:]

    def _derive(self, org_id: str, dataset_id: str, definition: dict[str, Any]) -> tuple[Dataset, Behaviour]:
        schema = self._registry.find(org_id, definition["schemaRef"]["id"])
        if schema is None:  # deleted since
            return Dataset(dataset_id, None, booked=True), Behaviour(False, False, ())
        resolved = self._registry.resolved(org_id, schema)
        descriptors = self._registry.identities(org_id, schema["$id"])
        identities = tuple(
            Identity(
                tuple(each["xdm:sourceProperty"][1:].split("/")),
                str(each["xdm:namespace"]),
                bool(each.get("xdm:isPrimary")),
            )
            for each in descriptors
        )
        resolved["meta:descriptors"] = descriptors  # for the rules of Identity Service on the values of these fields
        for identity in identities:
            if identity.primary:
                require_path(resolved, identity.path)
        behaviour = Behaviour(
            is_event=TIME_SERIES in resolved.get("meta:extends", ()),
            for_profile=enabled(definition, "unifiedProfile") and "union" in schema.get("meta:immutableTags", ()),
            identities=identities,
        )
        checked = load_schema(resolved, schema["$id"]) if resolved.get("properties") else None
        if DISABLED in definition["tags"].get("acp_validationContext", ()):
            checked = None
        return Dataset(dataset_id, checked, booked=True), behaviour

    def _behaviour(self, org_id: str, body: dict[str, Any]) -> str:
        """`record` or `time-series`, as the Catalog classifies a dataset."""
        schema = self._registry.find(org_id, _schema_id(body))
        return "time-series" if schema and TIME_SERIES in schema.get("meta:extends", ()) else "record"

    def _keep(self, org_id: str, dataset_id: str, definition: dict[str, Any]) -> None:
        definition = {**definition, "tags": _tags(definition)}
        schema_id = _schema_id(definition)
        schema = self._registry.find(org_id, schema_id)
        if schema is None or schema["meta:resourceType"] != "schemas":
            raise ApiError(400, {"title": "BadRequestError", "status": 400, "detail": f"no schema {schema_id!r}"})
        if enabled(definition, "unifiedProfile"):
            tagged = "union" in schema.get("meta:immutableTags", ())
            if not tagged or not self._registry.has_primary_identity(org_id, schema):
                raise bad_request("To enable profile datasets the schema should be valid")
        self._repository.put(org_id, dataset_id, definition)


class OrgDatasets(Mapping[str, Dataset]):
    """The datasets that the inlets of an organisation accept messages for: all that it has, at any time."""

    def __init__(self, datasets: Datasets, org_id: str) -> None:
        self._datasets = datasets
        self._org_id = org_id

    def __getitem__(self, dataset_id: str) -> Dataset:
        found = self._datasets.collected(self._org_id, dataset_id)
        if found is None:
            raise KeyError(dataset_id)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        return iter([dataset_id for dataset_id, _ in self._datasets.of(self._org_id)])

    def __len__(self) -> int:
        return len(self._datasets.of(self._org_id))


def _tags(definition: Mapping[str, Any]) -> dict[str, Any]:
    tags = definition.get("tags") or {}
    if not isinstance(tags, dict) or not all(isinstance(each, list) for each in tags.values()):
        raise bad_request("tags must be lists of strings")
    return tags


def _schema_id(definition: dict[str, Any]) -> str:
    reference = definition.get("schemaRef")
    return str(reference.get("id")) if isinstance(reference, dict) else ""


def enabled(definition: dict[str, Any], tag: str) -> bool:
    """Return whether a dataset's tag says `enabled:true`; Adobe's own examples differ in blanks."""
    return any(str(each).replace(" ", "") == "enabled:true" for each in definition.get("tags", {}).get(tag, ()))


def require_path(resolved: dict[str, Any], path: tuple[str, ...]) -> None:
    """Make a field and all objects around it mandatory ("Ingest streaming record data": primary identity).

    Nothing is done for a field that the schema has lost since it was described.
    """
    node = resolved
    for step in path:
        node = node.get("properties", {}).get(step, {})
    if not node:
        return
    node = resolved
    for step in path:
        node["required"] = list(dict.fromkeys([*node.get("required", ()), step]))
        node = node["properties"][step]
