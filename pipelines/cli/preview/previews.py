"""What a run would make of records: each on its own, and the requests that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from pipelines.options.destination import DestinationKind, RequestPreview
from transforms.batch import BatchLimits, Packer
from transforms.records.chunk import Batch, Chunk
from transforms.records.outcome import Dropped, Followed, Prepared, Refusal
from transforms.records.prepare import Preparation
from transforms.records.record import Record
from transforms.records.route import Route


@dataclass
class Preview:
    """A record, and what becomes of it.

    Attributes:
        topic, partition, record: As it was read.
        followed: The record at each step.
        request: Position of the request that it is a part of; None where it is sent in none.
    """

    topic: str
    partition: int
    record: Record
    followed: Followed
    request: int | None = None

    @property
    def place(self) -> str:
        """Return where it was read: topic, partition, offset."""
        return f"{self.topic}-{self.partition}@{self.record.offset}"

    @property
    def after(self) -> bytes | None:
        """Return the record as it would be sent, or as it was refused; None where nothing was made of it."""
        outcome = self.followed.outcome
        return outcome.body if isinstance(outcome, Prepared) else self.followed.mapped

    @property
    def as_row(self) -> dict[str, Any]:
        """Return it for `--json`."""
        followed, record = self.followed, self.record
        outcome = followed.outcome
        words = {Prepared: "sent", Refusal: "refused", Dropped: "dropped"}
        return {
            "topic": self.topic,
            "partition": self.partition,
            "offset": record.offset,
            "key": _text(record.key),
            "route": followed.route or None,
            "outcome": words[type(outcome)],
            "value": _text(record.value) if followed.parsed is None else None,
            "before": _json(followed.parsed),
            "after": _json(self.after),
            "dropped": outcome.reason if isinstance(outcome, Dropped) else None,
            "refusal": refusal_row(outcome) if isinstance(outcome, Refusal) else None,
            "request": self.request,
        }


@dataclass(frozen=True)
class Request:
    """A request that would be sent.

    Attributes:
        route: Whose records it carries.
        batch: The records.
        preview: All of it.
    """

    route: Route
    batch: Batch
    preview: RequestPreview

    @property
    def as_row(self) -> dict[str, Any]:
        """Return it for `--json`."""
        records = len(self.batch.bodies) - len(self.preview.refused)
        body = orjson.Fragment(self.preview.body)
        return {"route": self.route.name, "to": self.preview.to, "records": records, "body": body}


def follow(chunk: Chunk, prepare: Preparation) -> Iterator[Preview]:
    """Yield what becomes of the records of a chunk."""
    for record in chunk.records:
        yield Preview(chunk.topic, chunk.partition, record, prepare.follow(chunk.topic, chunk.partition, record))


def requests_of(
    previews: Sequence[Preview], kind: DestinationKind[Any], limits: BatchLimits, shards: int
) -> list[Request]:
    """Return the requests of records that are sent together, and say in each preview which is its own.

    What only making a request shows not to fit becomes a refusal.

    Args:
        previews: In their order.
        kind: Where they are sent.
        limits: Of a request, beside the destination's own.
        shards: How many shards of keys there are of which a request has one.
    """
    if kind.request is None:
        return []
    requests: list[Request] = []
    lanes: dict[tuple[str, int], list[tuple[Preview, Chunk, Route]]] = {}
    for preview in previews:
        outcome = preview.followed.outcome
        if isinstance(outcome, Prepared):
            chunk = Chunk(preview.topic, preview.partition, [preview.record], outcome.route.name, bodies=[outcome.body])
            ((shard, _),) = chunk.by_shard(shards).items()
            lanes.setdefault((outcome.route.name, shard), []).append((preview, chunk, outcome.route))
    for (name, shard), lane in lanes.items():
        route = lane[0][2]
        packer = Packer(name, limits, route.destination.sizes(), shard)
        waiting = iter(lane)
        for batch in _pack(packer, (chunk for _, chunk, _ in lane)):
            made = kind.request(route.destination, batch)
            for number, _ in enumerate(batch.bodies):
                preview, _, _ = next(waiting)
                fault = made.refused.get(number)
                if fault is None:
                    preview.request = len(requests)
                else:
                    preview.followed = preview.followed._replace(outcome=Refusal("post", name, *fault))
            if len(made.refused) < len(batch.bodies):
                requests.append(Request(route, batch, made))
    return requests


def _pack(packer: Packer, chunks: Iterable[Chunk]) -> Iterator[Batch]:
    for chunk in chunks:
        yield from packer.add(chunk)
    yield from packer.flush()


def refusal_row(refusal: Refusal) -> dict[str, Any]:
    """Return a refusal for `--json`."""
    return {
        "stage": refusal.stage,
        "code": refusal.code,
        "pointer": refusal.pointer,
        "message": refusal.message,
        "violations": [
            {"code": each.code, "pointer": each.pointer, "message": each.message} for each in refusal.violations
        ],
    }


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="backslashreplace")


def _json(body: bytes | None) -> orjson.Fragment | None:
    return None if body is None else orjson.Fragment(body)
