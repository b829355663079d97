"""How a pipeline talks to Kinesis: one writer for each stream in a process, and the clients of its destinations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import orjson

from aep.errors import StoppedError, UserError
from kinesis.delivery import Delivery as KinesisDelivery
from kinesis.errors import KinesisError
from kinesis.keys import KeyMaker
from kinesis.limits import DEFAULT_RECORD_BYTES, MAX_RECORD_BYTES, Fault, PutRecord
from kinesis.policy import WritePolicy
from kinesis.read_errors import reached
from kinesis.stream import Stream
from kinesis.writer import StreamWriter
from transforms.kinesis.access import KinesisAccess
from transforms.kinesis.destination import KinesisStream, as_stream
from transforms.kinesis.preflight import StreamFindings, check_stream
from transforms.records.chunk import Batch, Chunk
from transforms.records.delivery import Connection, Counts, Delivery, Order
from transforms.records.destination import Destination
from transforms.worker import metrics, process
from transforms.worker.under_way import REQUESTS

_LOG = logging.getLogger(__name__)


class _CountingStream(Stream):
    def put(self, records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        with REQUESTS:
            return super().put(records)


@dataclass(frozen=True)
class KinesisConnection:
    """How this pipeline talks to Kinesis; the same for all its routes.

    Attributes:
        access: Credentials, and the way there.
        max_in_flight: Requests under way at a time at most, for each stream and worker process.
        order: `key` sends the records of a partition key in their order, each once the one before has its answer.
        max_waiting_bytes: Of memory for records without an answer, for each stream and worker process; then less is
            read.
        budget_seconds: Trying one record for longer than this ends the bundle; None tries for ever.
    """

    access: KinesisAccess
    max_in_flight: int
    order: Order
    max_waiting_bytes: int
    budget_seconds: float | None

    @property
    def name(self) -> str:
        """Return what tables and messages call it."""
        return "Kinesis"

    @property
    def shards(self) -> int:
        """Return 1: the writer of a stream keeps keys in order, whichever batch they are in."""
        return 1

    def client(self, destination: Destination) -> KinesisClient:
        """Return a client for a stream, which shares the process's writer of that stream."""
        return KinesisClient(self, as_stream(destination))

    def check(self, destinations: Iterable[Destination], *, local: bool) -> None:
        """Look at the streams, and at the rights to them; see `check_stream`.

        Where this machine delivers, it is tried for half a minute to reach Kinesis, and a missing right is mentioned by
        what would use it.

        Raises:
            UserError: What is missing, where, and what to do. On a cluster that is only logged: the workers may have
                other credentials than this machine.
        """
        for name in dict.fromkeys(as_stream(destination).stream for destination in destinations):
            try:
                findings = self.look_at(name, patient=local)
            except UserError as error:
                if local:
                    raise
                _LOG.warning("on this machine: %s", error)
                continue
            for missing in () if local else findings.missing_rights:
                _LOG.info("on this machine: stream %s: %s", name, missing)

    def look_at(self, stream: str, *, patient: bool = False) -> StreamFindings:
        """Return what there is to be known of a stream before a run; see `check_stream`.

        Raises:
            UserError: What is wrong, and what to do.
        """
        return check_stream(Stream(stream, self.access.client), self.order, patient=patient)

    def writer(self, stream: str) -> StreamWriter:
        """Return the process's writer of a stream: one for all routes, or it would not know of all records of a key."""
        key = ("kinesis writer", stream, self)

        def make() -> StreamWriter:
            policy = WritePolicy(
                ordered=self.order == "key",
                max_in_flight=self.max_in_flight,
                max_record_bytes=MAX_RECORD_BYTES,
                max_waiting_bytes=self.max_waiting_bytes,
                budget_seconds=self.budget_seconds,
            )
            calls = _CountingStream(stream, self.access.client)
            writer = StreamWriter(calls, policy, ending=_ending)
            metrics.watch(metrics.IN_FLIGHT, key, lambda: writer.under_way)
            return writer

        return process.shared(key, make)

    def record_limit(self, name: str) -> int:
        """Return how large the records of a stream may be; waits while nobody answers.

        Raises:
            UserError: Credentials, or the stream.
        """
        stream = Stream(name, self.access.client)
        seconds = float("inf") if self.budget_seconds is None else self.budget_seconds
        try:
            summary = reached(stream.describe, process.pause, seconds)
        except KinesisError as error:
            if _ending():
                raise StoppedError(f"stopped while records waited; they will be read again: {error}") from None
            raise self.access.user_error(error) from None
        if summary is not None:
            return summary.max_record_bytes
        _LOG.info(
            "no right to kinesis:DescribeStreamSummary on %s: its records may have %d bytes, unless "
            "kinesis_max_record_bytes says otherwise, and whether it keeps order is not known",
            stream.name,
            DEFAULT_RECORD_BYTES,
        )
        return DEFAULT_RECORD_BYTES


class KinesisClient:
    """The client of a stream in this process.

    Args:
        connection: With the process's writer of the stream, which is made for the first batch.
        to: The stream.
    """

    def __init__(self, connection: KinesisConnection, to: KinesisStream):
        self._connection = connection
        self._to = to
        self._make_key = KeyMaker(to.keys)
        self._access = connection.access
        self._max_record_bytes = to.max_record_bytes
        self._writer: StreamWriter | None = None

    @property
    def waiting(self) -> Sequence[str]:
        """Return why batches wait to be sent again."""
        return self._writer.waiting if self._writer is not None else ()

    def start(self, batch: Batch, observer: Callable[[Counts], None]) -> Future[Delivery]:
        """Take in a batch, in the order in which batches come; block while too much waits, or nobody answers at first.

        Returns:
            What became of it, or a `UserError`.
        """
        delivered: Future[Delivery] = Future()
        if self._writer is None:
            try:
                if self._max_record_bytes is None:
                    self._max_record_bytes = self._connection.record_limit(self._to.stream)
                self._writer = self._connection.writer(self._to.stream)
            except UserError as error:
                delivered.set_exception(error)
                return delivered

        def pass_on(done: Future[KinesisDelivery]) -> None:
            error = done.exception()
            if error is None:
                delivered.set_result(done.result())
                return
            delivered.set_exception(self._access.user_error(error) if isinstance(error, KinesisError) else error)

        records = list(put_records(batch, self._make_key))
        self._writer.start(
            records, observer, kept_bytes=kept_bytes(batch), max_record_bytes=self._max_record_bytes
        ).add_done_callback(pass_on)
        return delivered

    def deliver(self, batch: Batch, observer: Callable[[Counts], None], aside: Callable[[], None]) -> Delivery:
        """Send a batch, and wait until each record has its answer; see `transforms.records.delivery.Client`."""
        return self.start(batch, observer).result()

    def take_renewals(self) -> int:
        """Return 0: boto3 renews credentials by itself and does not say so."""
        return 0


def put_records(batch: Batch, make_key: KeyMaker) -> Iterator[PutRecord | Fault]:
    """Yield the records of a batch with their partition keys, or why one has none."""
    for chunk in batch.chunks:
        keys = chunk.partition_keys or _keys_of(chunk, make_key)
        for body, key in zip(chunk.bodies, keys, strict=True):
            yield key if isinstance(key, Fault) else PutRecord(body, key)


def kept_bytes(batch: Batch) -> int:
    """Return the bytes of what was read, for dead letters, where it is not what is put."""
    return sum(
        len(record.value or b"")
        for chunk in batch.chunks
        for record, body in zip(chunk.records, chunk.bodies, strict=True)
        if record.value is not body
    )


def _keys_of(chunk: Chunk, make_key: KeyMaker) -> list[str | Fault]:
    """Make the keys of a chunk that was encoded since it was validated: batches were made in state."""
    parse = make_key.needs_object
    return [
        make_key(orjson.loads(body) if parse else {}, record.key)
        for record, body in zip(chunk.records, chunk.bodies, strict=True)
    ]


def as_kinesis(connection: Connection) -> KinesisConnection:
    """Return the connection of a pipeline to Kinesis.

    Raises:
        TypeError: It is another pipeline's.
    """
    if not isinstance(connection, KinesisConnection):
        raise TypeError(f"expected a connection to Kinesis, not {type(connection).__name__}")
    return connection


def _ending() -> bool:
    return process.time_left() <= 0
