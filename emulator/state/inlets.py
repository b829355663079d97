"""Inlets (the receiving ends of streaming connections) with their datasets and schemas."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emulator.state import mapping
from emulator.state.schemas import Schema, load_schema
from emulator.state.store import Store

Validation = Literal["off", "door", "async"]
DataType = Literal["xdm", "raw"]


@dataclass(frozen=True)
class Dataset:
    """A dataset that an inlet accepts messages for; without a schema any schemaRef is taken and none is checked.

    Attributes:
        id: Its id.
        schema: The schema that its records must follow.
        booked: It is in the Catalog: its records go on into batches and, if it is enabled, into Profile.
    """

    id: str
    schema: Schema | None
    booked: bool = False


class FlowTarget(NamedTuple):
    """Where a dataflow leads to, and the attributes that it makes entities of; None if it changes nothing."""

    dataset_id: str
    mappings: Sequence[mapping.Mapping] | None


@dataclass(frozen=True)
class Inlet:
    """The endpoint of one streaming connection, as the collection service sees it.

    `flows` finds the dataflows that begin here; None for an inlet of `/__local`, which takes any flow id.
    """

    id: str
    name: str
    org_id: str
    authentication_required: bool
    data_type: DataType
    validation: Validation
    datasets: Mapping[str, Dataset]
    flows: Callable[[str], FlowTarget | None] | None = None

    def schema_of(self, dataset_id: str | None) -> Schema | None:
        """Return the schema that messages for a dataset must follow, if one is known. Raw messages have none."""
        dataset = self.datasets.get(dataset_id) if dataset_id and self.data_type == "xdm" else None
        return dataset.schema if dataset else None


class DatasetRequest(BaseModel):
    """One entry of `schemas` in an inlet's definition."""

    model_config = ConfigDict(extra="forbid")

    dataset_id: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")


class InletRequest(BaseModel):
    """The body of `POST /__local/inlets`, and an entry of the `--inlets` file.

    Attributes:
        id: Inlet id of 64 hexadecimal characters; made up when absent.
        name: Name for people.
        org_id: Organisation that messages must name, if they name one.
        authentication_required: Whether requests need a bearer token.
        data_type: `xdm` (messages in Adobe's envelope) or `raw` (plain JSON objects).
        validation: When messages are checked against the schema: `off`, at the `door`, or `async`, after they
            were accepted, as AEP does.
        dataset_id: Dataset of `schema`; made up when absent.
        schema: Resolved XDM schema document of the dataset.
        schemas: Several datasets instead: a list of `{"dataset_id", "schema"}`.
    """

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]{1,128}$")
    name: str = "inlet"
    org_id: str = Field(default="ACME@AdobeOrg", min_length=1)
    authentication_required: bool = False
    data_type: DataType = "xdm"
    validation: Validation = "async"
    dataset_id: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    schemas: list[DatasetRequest] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_way(self) -> InletRequest:
        if self.schemas and (self.schema_ is not None or self.dataset_id is not None):
            raise ValueError("give either schema and dataset_id, or schemas, not both")
        return self


def named_inlet_id(org_id: str, name: str) -> str:
    """Return the id of an inlet from the `--inlets` file that gives none: the same at each start."""
    return hashlib.sha256(f"{org_id}/{name}".encode()).hexdigest()


def make_inlet(request: InletRequest, inlet_id: str) -> Inlet:
    """Make an inlet from its definition. Dataset ids that are not given follow from the inlet's id.

    Raises:
        ValueError: A schema that cannot be used, or two datasets of the same id.
    """
    entries = request.schemas or [DatasetRequest(dataset_id=request.dataset_id, schema=request.schema_)]
    datasets: dict[str, Dataset] = {}
    for number, entry in enumerate(entries):
        dataset_id = entry.dataset_id or hashlib.sha256(f"{inlet_id}/{number}".encode()).hexdigest()[:24]
        if dataset_id in datasets:
            raise ValueError(f"dataset {dataset_id} is given twice")
        where = f"schema of dataset {dataset_id}"
        schema = None if entry.schema_ is None else load_schema(entry.schema_, where)
        datasets[dataset_id] = Dataset(dataset_id, schema)
    return Inlet(
        id=inlet_id,
        name=request.name,
        org_id=request.org_id,
        authentication_required=request.authentication_required,
        data_type=request.data_type,
        validation=request.validation,
        datasets=datasets,
    )


def describe(inlet: Inlet, base_url: str) -> dict[str, Any]:
    """Return the description of an inlet in `POST` and `GET /__local/inlets`; `datasetId` is its first dataset."""
    dataset_ids = list(inlet.datasets)
    return {
        "inletId": inlet.id,
        "inletUrl": f"{base_url.rstrip('/')}/collection/{inlet.id}",
        "datasetId": dataset_ids[0] if dataset_ids else None,
        "datasetIds": dataset_ids,
        "name": inlet.name,
        "orgId": inlet.org_id,
        "authenticationRequired": inlet.authentication_required,
        "dataType": inlet.data_type,
        "validation": inlet.validation,
    }


class Inlets:
    """All inlets that exist, kept in the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._inlets: dict[str, Inlet] = {}
        for inlet_id, definition in store.definitions("inlet"):
            self._inlets[inlet_id] = make_inlet(InletRequest.model_validate(definition), inlet_id)

    def __iter__(self) -> Iterator[Inlet]:
        return iter(self._inlets.values())

    def get(self, inlet_id: str) -> Inlet | None:
        return self._inlets.get(inlet_id)

    def add(self, inlet: Inlet) -> None:
        """Add an inlet that is defined elsewhere, or replace the one of the same id."""
        self._inlets[inlet.id] = inlet

    def remove(self, inlet_id: str) -> None:
        """Take away an inlet that is defined elsewhere."""
        self._inlets.pop(inlet_id, None)

    def create(self, definition: object, *, stable_id: bool = False) -> Inlet:
        """Create an inlet, or replace the one of the same id.

        Args:
            definition: JSON value in the form of `InletRequest`.
            stable_id: Derive an id that is not given from organisation and name instead of making one up.

        Raises:
            ValueError: The definition cannot be used.
        """
        request = InletRequest.model_validate(definition)
        made_up = named_inlet_id(request.org_id, request.name) if stable_id else secrets.token_hex(32)
        inlet = make_inlet(request, request.id or made_up)
        self._inlets[inlet.id] = inlet
        self._store.define("inlet", inlet.id, definition)
        return inlet
