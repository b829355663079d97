"""What AEP does after it has accepted a message: mapping, validation against the dataset's schema, batches, Profile.

Sources: "Streaming validation guide", "Retrieving failed batches", "Create a streaming connection for raw data",
"Send partial row updates" (upserts). Only messages for datasets of the Catalog go into batches and into Profile; of
those for the datasets of `/__local` inlets the failed ones get into failed batches.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import orjson

from emulator.state.batches import Batches, Record
from emulator.state.datasets import Behaviour, Datasets
from emulator.state.failures import dcvs_errors, failed_record, without_required
from emulator.state.identities import Named, identities_in
from emulator.state.inlets import Dataset, Inlet, Inlets
from emulator.state.mapping import apply_mappings
from emulator.state.profile_store import Operation, Source
from emulator.state.store import PendingMessage, Store

CHUNK = 100  # messages validated at a stretch; requests are served in between
SLICE_S = 0.1  # seconds of validation at a stretch, where a request waits for it

_LOGGER = logging.getLogger(__name__)


class Job(NamedTuple):
    """A message with what stands behind it."""

    message: PendingMessage
    inlet: Inlet
    dataset: Dataset | None
    behaviour: Behaviour | None


class Profiles(Protocol):
    """Takes in what is good for Profile."""

    def take_record(
        self, source: Source, identities: Sequence[Named], entity: dict[str, Any], size: int, operation: Operation
    ) -> object: ...

    def take_event(
        self, source: Source, identities: Sequence[Named], entity: dict[str, Any], size: int, timestamp_ms: int
    ) -> object: ...


class Ingestion:
    """Validates accepted messages in the order of their arrival, also those left over from before a restart."""

    def __init__(self, inlets: Inlets, store: Store, datasets: Datasets, batches: Batches, profiles: Profiles) -> None:
        self._inlets = inlets
        self._store = store
        self._datasets = datasets
        self._batches = batches
        self._profiles = profiles
        self._wake = asyncio.Event()
        self._wake.set()

    def notify(self) -> None:
        """Say that messages wait."""
        self._wake.set()

    async def run(self) -> None:
        """Validate for ever."""
        while True:
            await self._wake.wait()
            if not self.validate_some():
                self._wake.clear()
            await asyncio.sleep(0)

    async def caught_up(self) -> None:
        """Validate all that was accepted until now; other requests are served in between."""
        last = self._store.last_seq
        while (oldest := self._store.oldest_pending()) is not None and oldest <= last:
            until = time.monotonic() + SLICE_S
            while self.validate_some() and time.monotonic() < until:
                pass
            await asyncio.sleep(0)

    def catch_up(self) -> None:
        """Validate all that waits, at once."""
        while self.validate_some():
            pass

    def validate_some(self) -> int:
        """Validate the oldest waiting messages; return how many.

        One that the emulator itself fails on is reported, counts as failed and holds up no other.
        """
        waiting = self._store.pending(CHUNK)
        try:
            self._validate(waiting)
        except sqlite3.Error:  # no fault of a message
            self._batches.forget()  # what was put into them is not there
            raise
        except Exception:  # noqa: BLE001 - one by one shows which, and reports it
            for message in waiting:
                self._validate_alone(message)
        return len(waiting)

    def _validate_alone(self, message: PendingMessage) -> None:
        try:
            self._validate([message])
        except sqlite3.Error:
            raise
        except Exception:
            _LOGGER.exception("the emulator failed to validate message %d; it counts as failed", message.seq)
            report = _report("emulator", "the emulator failed on this message; see its standard error")
            with self._store.transaction():
                self._store.settle([message], {message.seq: [report]})

    def _validate(self, waiting: Sequence[PendingMessage]) -> None:
        if not waiting:
            return
        errors: dict[int, Any] = {}
        records: dict[tuple[str, str, bool], list[Record]] = defaultdict(list)
        with self._store.transaction():
            for message in waiting:
                inlet = self._inlets.get(message.inlet_id)
                if inlet is None:  # deleted since
                    continue
                found, record = self._ingest(self._job(message, inlet))
                if found:
                    errors[message.seq] = found
                if record is not None and message.dataset_id is not None:
                    records[inlet.org_id, message.dataset_id, bool(found)].append(record)
            for (org_id, dataset_id, failed), each in records.items():
                self._batches.add(org_id, dataset_id, each, failed=failed)
            self._store.settle(waiting, errors)

    def _job(self, message: PendingMessage, inlet: Inlet) -> Job:
        dataset = inlet.datasets.get(message.dataset_id) if message.dataset_id else None
        behaviour = None
        if dataset is not None and dataset.booked:
            collected = self._datasets.collected(inlet.org_id, dataset.id)
            behaviour = collected[1] if collected else None
        return Job(message, inlet, dataset, behaviour)

    def _ingest(self, job: Job) -> tuple[list[dict[str, Any]], Record | None]:
        """Take in one message: its errors if it failed, and what goes into a batch."""
        message = job.message
        sent: dict[str, Any] = orjson.loads(message.entity)
        operation, entity, report = self._entity(job, sent)
        schema = job.dataset.schema if job.dataset else None
        if report is None and schema is not None and operation != "delete":
            report = schema.report(entity)
            if operation == "merge":
                report = without_required(report)
        if report is not None:
            text = failed_record(sent, report, message, job.inlet, schema)
            return [report], Record(message.seq, text, dcvs_errors(report))
        if job.behaviour is None:
            return [], None
        content = orjson.dumps(entity)
        if job.behaviour.for_profile and schema is not None:
            self._give_to_profile(job, job.behaviour, entity, len(content), operation)
        # partial rows are not consumed by the data lake
        return [], Record(message.seq, content) if operation == "create" else None

    def _entity(self, job: Job, sent: dict[str, Any]) -> tuple[Operation, dict[str, Any], dict[str, Any] | None]:
        """Return what a message is to do, with which entity, and the report of a failed mapping."""
        inlet = job.inlet
        if inlet.data_type != "raw" or inlet.flows is None:
            return "create", sent, None
        operation: Operation = "create"
        if isinstance(sent.get("header"), dict) and isinstance(sent.get("body"), dict):
            operations = sent["header"].get("operations") or {}
            if not isinstance(operations, dict):
                return operation, sent, _report("mapping", "operations in the header must be an object")
            asked = operations.get("data", "create")
            if asked not in ("create", "merge", "delete"):
                return operation, sent, _report("mapping", f"unknown operation {asked!r}")
            operation, sent = asked, sent["body"]
        target = inlet.flows(job.message.flow_id or "")
        if target is None or target.mappings is None:
            return operation, sent, None
        try:
            return operation, apply_mappings(target.mappings, sent), None
        except ValueError as error:
            return operation, sent, _report("mapping", str(error))

    def _give_to_profile(
        self, job: Job, behaviour: Behaviour, entity: dict[str, Any], size: int, operation: Operation
    ) -> None:
        message = job.message
        assert message.dataset_id is not None
        source = Source(job.inlet.org_id, message.dataset_id, message.seq, message.xaction_id, message.received_ms)
        identities = identities_in(entity, behaviour.identities)
        if behaviour.is_event:
            if operation != "create":  # upserts are for records
                return
            self._profiles.take_event(source, identities, entity, size, epoch_ms(entity["timestamp"]))
        else:
            self._profiles.take_record(source, identities, entity, size, operation)


def epoch_ms(timestamp: str) -> int:
    """Return an XDM date-time that was validated, in milliseconds since 1970."""
    seconds, _, rest = timestamp.replace("Z", "+00:00").partition(".")
    if rest:  # Python 3.10 reads 3 or 6 digits, XDM has 1 to 9
        digits = rest[: len(rest) - 6]
        seconds += f".{digits:0<6.6}{rest[len(digits) :]}"
    return int(datetime.fromisoformat(seconds).timestamp() * 1000)


def _report(keyword: str, text: str) -> dict[str, Any]:
    return {
        "schemaLocation": "#",
        "pointerToViolation": "#",
        "causingExceptions": [],
        "keyword": keyword,
        "message": text,
    }
