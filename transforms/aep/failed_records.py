"""Records that AEP rejected after accepting them, as dead letters for a replay.

They come from failed batches, which contain what was posted and nothing of Kafka. So a record's place is made up: the
partition -1, the offset a number by which no two records are the same, and a topic by which a replay finds the route.
A route whose records are XDM already gets its own topic. Routes that parse, map, transform
or filter would do so twice, so their failed records get a synthetic topic, see `returned_topic`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from aep.platform.catalog import Batch
from aep.platform.data_access import FailedRecord, RecordError
from aep.xdm.rules import XdmRules
from transforms.aep.inlet import as_inlet
from transforms.records.dead_letter import DeadLetter, schema_fields
from transforms.records.outcome import Refusal
from transforms.records.prepare import Preparation
from transforms.records.record import Record
from transforms.records.route import Route, Routes, parse_json

STAGE = "ingest"
PARTITION = -1
BATCH_HEADER, XACTION_HEADER = "aep_batch", "aep_xaction_id"

# Under these Adobe adds what was wrong to the message (Retrieving failed batches).
_ADDED = ("_errors", "_validationErrors")
# "...: #/commerce/order/currencyCode: string [R$] does not match ...", and "#: required key [x] not found".
_POINTER = re.compile(r"#((?:/[^\s:]*)?):")
_RECORDS_IN_A_MILLISECOND = 1_000_000


def returned_topic(route: Route) -> str:
    """Return the topic of the failed records of a route that does not take XDM from its topics."""
    return f"failed-batches.{route.name}"


def takes_back(route: Route, routes: Routes) -> str | None:
    """Return a topic whose records the route takes and posts unchanged; None if it has none."""
    named = next((topic for topic in route.topics if not topic.startswith("^")), None)
    as_it_is = _as_posted(route) == route
    return named if as_it_is and named and [one.name for one in routes.of_topic(named)] == [route.name] else None


def with_returned(routes: Routes) -> Routes:
    """Return the routes of a replay: for each that cannot take its own posted records, another one that can.

    An existing route for its `returned_topic` is kept.
    """
    returned = [
        replace(_as_posted(route), name=f"{route.name}.returned", topics=(returned_topic(route),))
        for route in routes
        if takes_back(route, routes) is None and returned_topic(route) not in routes.topics
    ]
    return Routes([*returned, *routes])  # the first goes before patterns of topics


def _as_posted(route: Route) -> Route:
    """Return the route for records that it has already mapped."""
    return replace(route, when=(), parse=parse_json, drop=(), mapping=None, transform=None)


def route_of_dataset(dataset_id: str, routes: Routes) -> Route | None:
    """Return the route to a dataset, the first of several."""
    return next((route for route in routes if as_inlet(route.destination).dataset_id == dataset_id), None)


def dead_letters_of(
    batch: Batch, records: Iterator[FailedRecord], route: Route, routes: Routes, rules: XdmRules
) -> Iterator[tuple[DeadLetter, Refusal | None]]:
    """Yield the records of a failed batch as dead letters, each with the result of our own check.

    Args:
        batch: As the Catalog has it.
        records: Records of its files, in their order.
        route: To its dataset.
        routes: All of them.
        rules: Of our check.
    """
    topic = takes_back(route, routes) or returned_topic(route)
    prepare = Preparation((_as_posted(route),), rules, "skip")
    for number, failed in enumerate(records):
        value = failed.line
        if failed.document is not None:
            value = orjson.dumps(posted(failed.document, as_inlet(route.destination).payload))
        header = (failed.document or {}).get("header")
        header = header if isinstance(header, dict) else {}
        received = str(header.get("createdAt"))  # Adobe's documents have it as a number and as text
        first = failed.errors[0] if failed.errors else RecordError("", "", "", "AEP gives no reason")
        record = Record(
            batch.created_ms * _RECORDS_IN_A_MILLISECOND + number,
            int(received) if received.isascii() and received.isdigit() else batch.created_ms,
            None,
            ((BATCH_HEADER, batch.id.encode()), (XACTION_HEADER, str(header.get("xactionId", "")).encode())),
            value,
        )
        outcome = prepare(topic, PARTITION, record)
        ours = outcome if isinstance(outcome, Refusal) else None
        letter = DeadLetter(
            STAGE,
            code_of(first),
            first.message,
            topic,
            PARTITION,
            record,
            route=route.name,
            pointer=pointer_of(first),
            errors=[*map(_theirs, failed.errors), *_ours(ours)],
            error_count=max(1, len(failed.errors) + (ours.error_count if ours else 0)),
            schema=schema_fields(route.schema),
            attempts=1,
            at=batch.created_ms / 1000,
        )
        yield letter, ours


def posted(document: dict[str, Any], payload: str) -> dict[str, Any]:
    """Return what was posted for a record: its entity where the envelope was ours, else all but the errors."""
    sent = {name: value for name, value in document.items() if name not in _ADDED}
    body = sent.get("body")
    entity = body.get("xdmEntity") if payload == "entity" and isinstance(body, dict) else None
    return entity if isinstance(entity, dict) else sent


def code_of(error: RecordError) -> str:
    """Return Adobe's code, or the keyword of the schema where Adobe gives none."""
    return error.code or error.keyword or "failed"


def pointer_of(error: RecordError) -> str:
    """Return the place of an error, as a JSON pointer; taken from Adobe's text if only that has it."""
    if error.pointer:
        return error.pointer.removeprefix("#")
    found = _POINTER.search(error.message)
    return found[1] if found else ""


def _theirs(error: RecordError) -> dict[str, str]:
    fields = {"code": code_of(error), "pointer": pointer_of(error), "schema_pointer": "", "message": error.message}
    return {**fields, "by": "AEP"}


def _ours(found: Refusal | None) -> Sequence[dict[str, str]]:
    return [{**error._asdict(), "by": "beam-aep"} for error in found.violations] if found else ()
