"""Dead letters: records that could not be delivered, each with its reason and its original bytes.

They are written in the bundle that read the record, by a sink fused with the step that refused it: when a sink fails,
the bundle fails and nothing is committed.
"""

from __future__ import annotations

import base64
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import apache_beam as beam
import orjson
from apache_beam import coders
from apache_beam.io.filesystems import FileSystems

from aep.errors import ConfigurationError
from transforms import account, process
from transforms.chunks import Chunk, Headers, Record
from transforms.kafka_client import KafkaCluster, send_all

# A file is written once this many bytes are waiting, and at the end of the bundle.
_FILE_BYTES = 8_000_000


class SinkError(Exception):
    """Dead letters or receipts cannot be written: where, why, and what to do."""


REPLAYS_HEADER = "beam_aep.replays"
"""How often a record that is under way has been replayed; on its way only, a dead letter has a field for it."""


@dataclass(slots=True)
class DeadLetter:
    """A record that was refused, where it came from, and why.

    Attributes:
      stage: the step that refused it: ``parse``, ``map``, ``validate``, ``post``, or ``ingest``, where AEP did so after
        it had received it; see ``transforms.failed_records``.
      code: the kind of reason, fit for counting and filtering.
      message: the reason in words.
      pointer: JSON pointer to the first offending field, "" for the whole record.
      errors: all the reasons that were kept, each ``{"code", "pointer", "schema_pointer", "message"}``.
      error_count: how many there were.
      route: name of the route.
      schema: ``{"id", "version", "sha256"}`` of the schema it was checked against.
      attempts: how often it was posted.
      replays: how often the record had been replayed when it was refused.
      at: when, seconds since 1970.
      topic, partition, record: the record as it was read.
    """

    stage: str
    code: str
    message: str
    topic: str
    partition: int
    record: Record
    route: str = ""
    pointer: str = ""
    errors: list[dict[str, str]] = field(default_factory=list)
    error_count: int = 1
    schema: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    replays: int = 0
    at: float = field(default_factory=time.time)

    def to_json(self) -> bytes:
        """One line of JSON. Bytes that are not UTF-8 text are under ``<name>_base64``."""
        record = self.record
        return orjson.dumps(
            {
                "stage": self.stage,
                "code": self.code,
                "message": self.message,
                "pointer": self.pointer,
                "errors": self.errors,
                "error_count": self.error_count,
                "route": self.route,
                "schema": self.schema,
                "attempts": self.attempts,
                "replays": self.replays,
                "at": iso_time(self.at),
                "topic": self.topic,
                "partition": self.partition,
                "offset": record.offset,
                "timestamp": record.timestamp,
                "headers": [{"name": name, **_text("value", value)} for name, value in record.headers],
                **_text("key", record.key),
                **_text("value", record.value),
            }
        )

    @classmethod
    def from_json(cls, line: bytes) -> DeadLetter:
        """The dead letter that ``to_json`` wrote.

        Raises:
          LookupError, ValueError, TypeError: it wrote none such.
        """
        fields = orjson.loads(line)
        if not isinstance(fields, dict):
            raise ValueError("no JSON object")
        headers = tuple((header["name"], _bytes("value", header)) for header in fields["headers"])
        record = Record(fields["offset"], fields["timestamp"], _bytes("key", fields), headers, _bytes("value", fields))
        one = cls(
            record=record,
            at=time_of(fields["at"]),
            replays=fields.get("replays", 0),  # dead letters of before there were replays have none
            **{
                name: fields[name]
                for name in (
                    *("stage", "code", "message", "pointer", "errors", "error_count", "route", "schema", "attempts"),
                    *("topic", "partition"),
                )
            },
        )
        one.check()
        return one

    def check(self) -> None:
        """Looks at what was read from outside, before anybody relies on it.

        Raises:
          TypeError: a field has a value of another kind than dead letters have; names the field.
        """
        for name, kind in _KINDS.items():
            value = getattr(self.record if name in Record._fields else self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} is no {kind.__name__}")
        if not all(isinstance(text, str) for text in self.schema.values()):
            raise TypeError("schema has something else than texts")
        for error in self.errors:
            if not (isinstance(error, dict) and all(isinstance(error.get(name), str) for name in _ERROR_FIELDS)):
                raise TypeError(f"one of errors has not {', '.join(_ERROR_FIELDS)}")

    def kafka_headers(self) -> Headers:
        """The record's own headers, Kafka Connect's dead-letter headers, and ours.

        (Kafka Connect, dead letter queue: ``__connect.errors.topic``, ``.partition``, ``.offset``, ``.stage``,
        ``.exception.class.name``, ``.exception.message``.)
        """
        reason: dict[str, str] = {
            "__connect.errors.topic": self.topic,
            "__connect.errors.partition": str(self.partition),
            "__connect.errors.offset": str(self.record.offset),
            "__connect.errors.stage": self.stage,
            "__connect.errors.exception.class.name": self.code,
            "__connect.errors.exception.message": self.message,
            "beam_aep.stage": self.stage,
            "beam_aep.code": self.code,
            "beam_aep.message": self.message,
            "beam_aep.pointer": self.pointer,
            "beam_aep.errors": orjson.dumps(self.errors).decode(),
            "beam_aep.error_count": str(self.error_count),
            "beam_aep.route": self.route,
            "beam_aep.schema": orjson.dumps(self.schema).decode(),
            "beam_aep.attempts": str(self.attempts),
            REPLAYS_HEADER: str(self.replays),
            "beam_aep.at": iso_time(self.at),
            "beam_aep.timestamp": str(self.record.timestamp),
        }
        # A record that is dead-lettered a second time carries the reasons of the second.
        own = [(name, value) for name, value in self.record.headers if name not in reason]
        return (*own, *((name, value.encode()) for name, value in reason.items()))


_KINDS: dict[str, type] = {
    **dict.fromkeys(("stage", "code", "message", "topic", "route", "pointer"), str),
    **dict.fromkeys(("partition", "error_count", "attempts", "replays", "offset", "timestamp"), int),
    "errors": list,
    "schema": dict,
}
_ERROR_FIELDS = ("code", "pointer", "message")


def dead_letter(stage: str, code: str, message: str, chunk: Chunk, record: Record, **reason: Any) -> DeadLetter:
    """A dead letter for a record of a chunk; ``reason`` has further fields of ``DeadLetter``."""
    replays = dict(record.headers).get(REPLAYS_HEADER)
    if replays and re.fullmatch(rb"\d{1,9}", replays):
        headers = tuple((name, value) for name, value in record.headers if name != REPLAYS_HEADER)
        record, reason["replays"] = record._replace(headers=headers), int(replays)
    return DeadLetter(stage, code, message, chunk.topic, chunk.partition, record, chunk.route, **reason)


@dataclass(frozen=True)
class DeadLetterSinks:
    """Where dead letters go; at least one must be given.

    Attributes:
      path: a folder on any Beam filesystem, for files of JSON lines.
      topic: a Kafka topic of ``cluster``; the value is the original, the reason is in the headers.
    """

    path: str | None = None
    topic: str | None = None
    cluster: KafkaCluster | None = None

    def __post_init__(self) -> None:
        if not self.path and not self.topic:
            raise ValueError("dead letters need a place: give dead_letter_path, dead_letter_topic or both")
        if self.topic and self.cluster is None:
            raise ValueError("dead_letter_topic needs kafka_bootstrap_servers")


class WriteDeadLetters(beam.PTransform):
    """Writes dead letters to the sinks by the end of the bundle, or fails the bundle."""

    def __init__(self, sinks: DeadLetterSinks):
        super().__init__()
        self._sinks = sinks

    def expand(self, dead_letters: beam.PCollection[DeadLetter]) -> beam.PCollection[None]:
        """Adds the sink."""
        return dead_letters | beam.ParDo(_WriteDeadLetters(self._sinks))


class _WriteDeadLetters(beam.DoFn):
    def __init__(self, sinks: DeadLetterSinks):
        self._sinks = sinks

    def start_bundle(self) -> None:
        self._waiting: list[DeadLetter] = []
        self._bytes = 0

    def process(self, element: DeadLetter) -> None:
        self._waiting.append(element)
        self._bytes += _size(element)
        if self._bytes >= _FILE_BYTES:
            self._write()

    def finish_bundle(self) -> None:
        if self._waiting:
            self._write()

    def _write(self) -> None:
        waiting = self._waiting
        with process.remember_failure():
            if self._sinks.path:
                write_to_sink(self._sinks.path, [one.to_json() for one in waiting], "dead_letter_path")
            if self._sinks.topic and self._sinks.cluster:
                send_all(self._sinks.cluster, self._sinks.topic, map(_as_message, waiting))
        # Only now: the account of a run that fails must not name what is nowhere to be found.
        for code, number in Counter(one.code for one in waiting).items():
            account.count(account.DEAD_LETTERED + code, number)
        for route, number in Counter(one.route for one in waiting).items():
            if route:  # what was not parsed has none where fields decide
                account.count_outcome(route, dead_lettered=number)
        self.start_bundle()


def _size(one: DeadLetter) -> int:
    record = one.record
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.value or b"") + len(record.key or b"") + headers + 1000


def write_to_sink(folder: str, lines: Sequence[bytes], option: str) -> None:
    """Writes a file of JSON lines, as ``write_lines`` does.

    Args:
      folder: for the file.
      lines: without their ends.
      option: that names the folder.

    Raises:
      SinkError: the folder cannot be written to.
    """
    try:
        write_lines(folder, lines)
    except Exception as error:  # each file system of Beam's has errors of its own
        raise SinkError(f"{folder} cannot be written to: {reason_of(error)}; check {option}") from error


def reason_of(error: Exception) -> str:
    """What a person reads of an error of a file system, of whichever kind that is."""
    return getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__


def write_file(folder: str, dead_letters: Iterable[DeadLetter]) -> str:
    """Writes a file of dead letters and returns its path."""
    return write_lines(folder, (one.to_json() for one in dead_letters))


def write_lines(folder: str, lines: Iterable[bytes], name: str | None = None) -> str:
    """Writes a file of JSON lines and returns its path. A file that has its final name is whole.

    Args:
      folder: for the file.
      lines: without their ends.
      name: of the file; None for a new one, made of the time.
    """
    name = name or f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.jsonl"
    path = FileSystems.join(folder, name)
    unfinished = FileSystems.join(folder, f".{name}.unfinished")
    try:
        with FileSystems.create(unfinished, mime_type="application/jsonl") as file:
            for line in lines:
                file.write(line + b"\n")
        FileSystems.rename([unfinished], [path])
    except Exception:
        with suppress(Exception):  # it takes the room that a full disk lacks
            FileSystems.delete([unfinished])
        raise
    return path


def list_files(place: str) -> list[str]:
    """The files of a folder, oldest first, or those that fit a pattern that ends with ``.jsonl``."""
    (matched,) = FileSystems.match([place if place.endswith(".jsonl") else FileSystems.join(place, "*.jsonl")])
    return sorted(metadata.path for metadata in matched.metadata_list)


def read_file(path: str) -> Iterator[DeadLetter]:
    """The dead letters of a file.

    Raises:
      ConfigurationError: a line is none; names file and line.
    """
    with FileSystems.open(path) as file:
        for number, line in enumerate(file.read().splitlines(), start=1):
            try:
                yield DeadLetter.from_json(line)
            except (ValueError, LookupError, TypeError) as error:
                raise ConfigurationError(f"{path}, line {number}, is no dead letter: {damage(error)}") from None


def damage(error: Exception) -> str:
    """What is wrong with what should be a dead letter."""
    return f"it has no {error}" if isinstance(error, LookupError) else str(error)


def read_files(place: str) -> Iterator[DeadLetter]:
    """The dead letters of a folder or of the files that fit a pattern, oldest file first."""
    for path in list_files(place):
        yield from read_file(path)


def iso_time(seconds: float) -> str:
    """A time as dead letters have it: ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def time_of(iso: str) -> float:
    """The seconds since 1970 of a time as dead letters have it."""
    return datetime.fromisoformat(iso).timestamp()


def _as_message(one: DeadLetter) -> tuple[bytes | None, bytes | None, Headers]:
    return one.record.key, one.record.value, one.kafka_headers()


def _text(name: str, content: bytes | None) -> dict[str, str | None]:
    if content is None:
        return {name: None}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}


def _bytes(name: str, fields: dict[str, Any]) -> bytes | None:
    encoded = fields.get(f"{name}_base64")
    if encoded is not None:
        return base64.b64decode(encoded)
    text = fields[name]
    if not isinstance(text, str | None):
        raise TypeError(f"{name} is no text")
    return None if text is None else text.encode()


class _DeadLetterCoder(coders.Coder):
    """Dead letters as JSON, wherever a runner materialises their edge. Deterministic."""

    def encode(self, value: DeadLetter) -> bytes:
        return value.to_json()

    def decode(self, encoded: bytes) -> DeadLetter:
        return DeadLetter.from_json(encoded)

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type[DeadLetter]:
        return DeadLetter


coders.registry.register_coder(DeadLetter, _DeadLetterCoder)
