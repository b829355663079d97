"""CountRepeats: exported profiles with the same content as the last record of the profile.

AEP exports a profile each time a mapped attribute is written, also with the same value.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import apache_beam as beam
import orjson

from aep.formats.exported_profile import identities_of
from transforms.kinesis.record import SEQUENCE_NUMBER, SHARD
from transforms.records.chunk import Chunk
from transforms.records.record import Record
from transforms.worker import metrics, process

# The last record is remembered for this many identities, at about 200 bytes each.
_IDENTITIES = 200_000

Identity = tuple[str, str]


class Place(NamedTuple):
    """Where a record stands in its stream; `arrival` in milliseconds since 1970."""

    shard: bytes
    sequence_number: int
    arrival: int

    def is_after(self, other: Place) -> bool:
        """Return whether the record came later; one that is read again, after a failure, did not."""
        if self.shard == other.shard:
            return self.sequence_number > other.sequence_number
        return self.arrival > other.arrival


class Found(NamedTuple):
    """Whether a record repeats the last one of its profile, and does so within the time asked for."""

    repeat: bool
    within: bool


class LastProfiles:
    """The content of the last record of each profile.

    A record is a repeat if the last record of each of its identities had the same content, so a profile that changes
    and changes back is not one. Neither is one that is read again after a failure: it may not have been written. Nor is
    what follows a record that arrived before the last one, in a shard that is behind: which of the two is the last
    depends on whether one asks for the time of arrival or for the order in which they are written.

    Args:
        most: Identities to remember.
    """

    def __init__(self, most: int = _IDENTITIES):
        self._most = most
        self._last: OrderedDict[Identity, tuple[bytes | None, Place]] = OrderedDict()  # None: no content repeats it
        self._lock = threading.Lock()

    def look(self, identities: Iterable[Identity], content: bytes, place: Place, within_seconds: float) -> Found:
        """Compare a record with the last one of its profile; remember it unless it repeats that within the time.

        Args:
            identities: Of the profile.
            content: A digest of the record.
            place: Where it was read.
            within_seconds: From one arrival to the other.
        """
        keys = tuple(identities)
        with self._lock:
            before = [self._last.get(key) for key in keys]
            repeat = all(last is not None and last[0] == content and place.is_after(last[1]) for last in before)
            oldest = min((last[1].arrival for last in before if last is not None), default=0)
            within = repeat and abs(place.arrival - oldest) < within_seconds * 1000
            for key, last in zip(keys, before, strict=True):
                if last is not None and place.shard != last[1].shard and not place.is_after(last[1]):
                    self._last[key] = None, last[1]
                elif not within:
                    self._last[key] = content, place
                self._last.move_to_end(key)
            while len(self._last) > self._most:
                self._last.popitem(last=False)
        return Found(repeat, within)


class CountRepeats(beam.PTransform):
    """Count repeats, and drop those that follow within a time.

    The last records belong to the worker process and are forgotten with it: a repeat may pass then, a change always
    does.

    Args:
        run: Tells the runs of one process apart.
        drop_seconds: From the arrival of the record that is repeated; 0 drops none.
    """

    def __init__(self, run: str, drop_seconds: float):
        super().__init__()
        self._run = run
        self._drop_seconds = drop_seconds

    def expand(self, chunks: beam.PCollection[Chunk]) -> beam.PCollection[Chunk]:
        """Add the step."""
        kept = chunks | beam.ParDo(_CountRepeats(self._run, self._drop_seconds))
        kept.element_type = Chunk
        return kept


class _CountRepeats(beam.DoFn):
    def __init__(self, run: str, drop_seconds: float):
        self._run = run
        self._drop_seconds = drop_seconds

    def process(self, element: Chunk) -> Iterator[Chunk]:
        last = process.shared(("last profiles", self._run), LastProfiles)
        kept = Chunk(element.topic, element.partition, [])
        repeats = 0
        for record, profile, body in zip(element.records, element.entities, element.bodies, strict=True):
            content = hashlib.blake2b(orjson.dumps(profile, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
            found = last.look(identities_of(profile), content, _place(record), self._drop_seconds)
            repeats += found.repeat
            if not found.within:
                kept.records.append(record)
                kept.entities.append(profile)
                kept.bodies.append(body)
        metrics.count(metrics.REPEATS, repeats)
        metrics.count(metrics.REPEATS_DROPPED, len(element.records) - len(kept.records))
        if kept.records:
            yield kept


def _place(record: Record) -> Place:
    headers = dict(record.headers)
    return Place(headers[SHARD] or b"", int(headers[SEQUENCE_NUMBER] or 0), record.timestamp)
