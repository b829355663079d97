"""What every destination can count on: one that is nothing like AEP, through the same steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import orjson
import pytest

from aep.errors import ConfigurationError
from aep.formats.json import ParsedObject, ParseFailure
from aep.mapping.repeated_ids import IdSample
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from testing.defaults import by_default
from tests.transforms.eager import Collect
from tests.transforms.examples import batch_limits, chunk
from transforms.batch import GroupIntoBatches
from transforms.map import ApplyMapping
from transforms.parse import ParseRecords
from transforms.post import Post
from transforms.records.chunk import Batch
from transforms.records.delivery import Counts, Order
from transforms.records.destination import Destination, Form, Sizes
from transforms.records.route import Route, Routes, parse_json
from transforms.validate import ValidateXdm
from transforms.worker import metrics

# What arrived, request by request; FnApiRunner works in this process.
_arrived: list[list[bytes]] = []


@dataclass(frozen=True)
class Stream:
    """A stream that takes a key with each record, and two records or 100 bytes at a time."""

    name: str

    def sizes(self) -> Sizes:
        return Sizes(max_request_bytes=100, request_overhead=0, record_overhead=20, max_record_bytes=80, max_records=2)

    def form(self) -> Form:
        return Form(finish=lambda record, _, is_deletion: _stamped(record, is_deletion))

    def deletion(self, key: bytes | None) -> ParsedObject | ParseFailure:
        gone = {"key": (key or b"").decode()}
        return ParsedObject(gone, orjson.dumps(gone))

    def id_sample(self, schema: ResolvedSchema | None) -> IdSample | None:
        return None


def _stamped(record: dict[str, Any], is_deletion: bool) -> ParsedObject:
    stamped = {**record, "gone": is_deletion}
    return ParsedObject(stamped, orjson.dumps(stamped))


@dataclass(frozen=True)
class StreamAnswer:
    accepted: bool
    code: str
    message: str
    attempts: int
    receipt: dict[str, str]


@dataclass
class StreamDelivery:
    requests: int = 1
    sent_bytes: int = 0
    accepted: int = 0
    retries: Counter[str] = field(default_factory=Counter)
    duplicates_possible: int = 0
    answers: list[StreamAnswer] = field(default_factory=list)
    seconds: float = 0.0
    in_flight: int = 1


class StreamClient:
    waiting = ()

    def deliver(self, batch: Batch, observer: Callable[[Counts], None], aside: Callable[[], None]) -> StreamDelivery:
        _arrived.append(batch.bodies)
        made = StreamDelivery(sent_bytes=sum(map(len, batch.bodies)))
        for at, body in enumerate(batch.bodies):
            refused = b"bad" in body
            code, words = ("bad_key", "the stream refuses it") if refused else ("", "")
            made.answers.append(StreamAnswer(not refused, code, words, 1, {"sequenceNumber": f"{at}"}))
        made.accepted = sum(answer.accepted for answer in made.answers)
        observer(made)
        return made

    def take_renewals(self) -> int:
        return 0


@dataclass(frozen=True)
class StreamConnection:
    name: str = "Streams"
    max_in_flight: int = 2
    order: Order = "none"
    shards: int = 1

    def client(self, destination: Destination) -> StreamClient:
        if not isinstance(destination, Stream):
            raise ConfigurationError("expected a stream")
        return StreamClient()

    def check(self, destinations: Iterable[Destination], *, local: bool) -> None:
        return None


@pytest.mark.parametrize("mode", ["bundle", "state"])
def test_records_go_to_another_destination_by_the_same_steps(mode: Any) -> None:
    _arrived.clear()
    to = Routes([Route("out", ("events",), Stream(f"orders-{mode}"), parse_json)])
    values = [b'{"n":1}', b'{"n":"bad"}', None, b'{"n":"%s"}' % (b"x" * 80), b'{"n":5}']
    dead, receipts = Collect(), Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        read = pipeline | beam.Create([chunk(*values)], reshuffle=False)
        parsed = read | ParseRecords(to, "delete")
        valid = (parsed.main | ApplyMapping(to)).main | ValidateXdm(to, by_default(XdmRules))
        batches = valid.main | GroupIntoBatches(to, batch_limits(), mode)
        posted = batches | "PutToStream" >> Post(to, StreamConnection(), receipts=True)
        (valid.dead_letters, posted.dead_letters) | beam.Flatten() | "Dead" >> dead
        posted.receipts | "Receipts" >> receipts
    arrived = [orjson.loads(body) for bodies in _arrived for body in bodies]
    assert sorted(arrived, key=str) == sorted(
        [{"n": 1, "gone": False}, {"n": "bad", "gone": False}, {"key": "", "gone": True}, {"n": 5, "gone": False}],
        key=str,
    )
    assert {len(bodies) for bodies in _arrived} == {2}  # what the stream takes, though the options allow more
    found = sorted((one.stage, one.code, one.record.offset) for one in dead.taken())
    assert found == [("post", "bad_key", 1), ("validate", "too_large", 3)]
    lines = [orjson.loads(line) for lines in receipts.taken() for line in lines]
    assert sorted(line["offset"] for line in lines) == [0, 2, 4]
    assert all("sequenceNumber" in line and "xactionId" not in line for line in lines)
    counts = metrics.process_counts()
    assert (counts["accepted"], counts["requests"], counts["route/out/accepted"]) == (3, 2, 3)
