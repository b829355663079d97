"""An inlet of AEP's streaming ingestion, as the destination of a route."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from aep.formats.json import ParsedObject, ParseFailure
from aep.ingestion import envelope
from aep.ingestion.envelope import BATCH_OVERHEAD, MAX_REQUEST_BYTES, Envelope
from aep.mapping.ids import MissingField
from aep.mapping.message import unwrap
from aep.mapping.repeated_ids import IdSample, sample_of
from aep.mapping.upserts import DELETE, UpsertEnvelope, attributes_to_delete, check_operations, operations_of
from aep.xdm.rejection import Rejection
from aep.xdm.schema import ResolvedSchema
from transforms.records.destination import Destination, FillId, Form, Sizes

Auth = Literal["none", "oauth", "token"]


@dataclass(frozen=True)
class AepInlet(envelope.Destination):
    """An inlet, and how records are wrapped for it.

    Attributes:
        auth: How requests to it authenticate.
        operations: `header.operations` that make upserts of raw records; empty for none. See `aep.mapping.upserts`.
        key_field: The attribute that the key of a tombstone becomes in a delete; None for keys that are JSON objects.
    """

    auth: Auth = field(kw_only=True)
    operations: Mapping[str, str] = field(default_factory=dict)
    key_field: str | None = None

    @property
    def inlet_id(self) -> str:
        """The last part of the inlet's address."""
        return self.inlet_url.rstrip("/").rpartition("/")[2]

    def sizes(self) -> Sizes:
        """Return the limits of a request (Stream multiple messages)."""
        overhead = Envelope(self).overhead
        return Sizes(MAX_REQUEST_BYTES, BATCH_OVERHEAD, overhead, MAX_REQUEST_BYTES - BATCH_OVERHEAD - overhead)

    def form(self) -> Form:
        """Return what is made of messages and of raw records; entities get their envelope as they are posted."""
        if self.payload == "message":
            return Form(fill_id=_fill_message, unwrap=_Entities(self))
        if self.payload == "raw":
            return Form(finish=_Upserts(self), unwrap=_unwrap_raw)
        return Form()

    def deletion(self, key: bytes | None) -> ParsedObject | ParseFailure:
        """Return the attributes by which AEP finds what to delete."""
        return attributes_to_delete(key, self.key_field)

    def id_sample(self, schema: ResolvedSchema | None) -> IdSample | None:
        """Return a sample of events to find different ones that share an `_id`, of which Profile keeps one."""
        return sample_of(self, schema)


def as_inlet(destination: Destination) -> AepInlet:
    """Return the destination of a route to AEP, for what asks AEP alone.

    Raises:
        TypeError: The route has another destination, so it is in the wrong pipeline.
    """
    if not isinstance(destination, AepInlet):
        raise TypeError(f"expected an inlet of AEP, not {type(destination).__name__}")
    return destination


def _fill_message(message: dict[str, Any], body: bytes, fill: FillId) -> bytes | MissingField:
    """Fill the entity in a ready-made envelope; one without an entity is refused in validation."""
    holder = message.get("body")
    entity = holder.get("xdmEntity") if isinstance(holder, dict) else None
    if not isinstance(entity, dict) or entity.get("_id") is not None:
        return body
    filled = fill(entity, orjson.dumps(entity))
    return filled if isinstance(filled, MissingField) else orjson.dumps(message)


class _Entities:
    """The entities of messages, whose envelopes have to fit the inlet.

    An envelope is looked at only where it differs from that of the last message that fitted.
    """

    def __init__(self, to: AepInlet):
        self._to = to
        self._fits: tuple[object, object] | None = None  # header and xdmMeta that do

    def __call__(self, message: dict[str, Any], _: bytes) -> dict[str, Any] | Rejection:
        body = message.get("body")
        if not isinstance(body, dict):
            return unwrap(message, self._to)
        parts = message.get("header"), body.get("xdmMeta")
        entity = body.get("xdmEntity")
        if parts == self._fits and isinstance(entity, dict):
            return entity
        found = unwrap(message, self._to)
        if isinstance(found, dict):
            self._fits = parts
        return found


def _unwrap_raw(record: dict[str, Any], _: bytes) -> dict[str, Any] | Rejection | None:
    """Return a raw record that brings operations has the mapping's attributes: no schema here knows them."""
    return record if operations_of(record) is None else check_operations(record)


class _Upserts:
    """Puts a header around a raw record that needs one and has none."""

    def __init__(self, to: AepInlet):
        self._upserts = UpsertEnvelope(to, to.operations) if to.operations else None
        self._deletes = UpsertEnvelope(to, DELETE)

    def __call__(self, record: dict[str, Any], body: bytes, is_deletion: bool) -> ParsedObject:
        if is_deletion:
            return ParsedObject(*self._deletes.wrap(record, body))
        if self._upserts is None or operations_of(record) is not None:
            return ParsedObject(record, body)
        return ParsedObject(*self._upserts.wrap(record, body))
