"""A dead letter: a record that could not be delivered, with its reason and its original bytes."""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import orjson
from apache_beam import coders

from aep.xdm.schema import ResolvedSchema
from transforms.records.outcome import Refusal
from transforms.records.record import UNREADABLE_HEADERS, Headers, Message, Record

REPLAYS_HEADER = "beam_aep.replays"
"""How often a record that is under way has been replayed; on its way only, a dead letter has a field for it."""


@dataclass(slots=True)
class DeadLetter:
    """A record that was refused, where it came from, and why.

    Attributes:
        stage: The step that refused it: `parse`, `map`, `transform`, `validate`, `post`, or `ingest`, where
            AEP did so after it had received it; see `transforms.records.failed_records`.
        code: The kind of reason, fit for counting and filtering.
        message: The reason in words.
        pointer: JSON pointer to the first offending field, "" for the whole record.
        errors: All the reasons that were kept, each `{"code", "pointer", "schema_pointer", "message"}`.
        error_count: How many there were.
        route: Name of the route.
        schema: `{"id", "version", "sha256"}` of the schema it was checked against.
        attempts: How often it was posted.
        replays: How often the record had been replayed when it was refused.
        at: When, seconds since 1970.
        topic, partition, record: The record as it was read.
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
        """Return one line of JSON. Bytes that are not UTF-8 text are under `<name>_base64`."""
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
        """Return the dead letter that `to_json` wrote.

        Raises:
            LookupError, ValueError, TypeError: It wrote none such.
        """
        fields = orjson.loads(line)
        if not isinstance(fields, dict):
            raise ValueError("no JSON object")
        headers = tuple((header["name"], _bytes("value", header)) for header in fields["headers"])
        record = Record(fields["offset"], fields["timestamp"], _bytes("key", fields), headers, _bytes("value", fields))
        one = cls(
            record=record,
            at=time_of(fields["at"]),
            replays=fields.get("replays", 0),  # absent in files written before replay existed
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
        """Validate the field types of an untrusted dead letter.

        Raises:
            TypeError: A field has a value of another kind than dead letters have; names the field.
        """
        for name, kind in _KINDS.items():
            value = getattr(self.record if name in Record._fields else self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name}: expected {kind.__name__}")
        if not all(isinstance(text, str) for text in self.schema.values()):
            raise TypeError("schema has something else than texts")
        for error in self.errors:
            if not (isinstance(error, dict) and all(isinstance(error.get(name), str) for name in _ERROR_FIELDS)):
                raise TypeError(f"one of errors has not {', '.join(_ERROR_FIELDS)}")

    def to_message(self) -> Message:
        """Return the record's own key and value, with the reason in headers."""
        return self.record.key, self.record.value, self.kafka_headers()

    def kafka_headers(self) -> Headers:
        """Return the record's own headers, Kafka Connect's dead-letter headers, and ours.

        (Kafka Connect, dead letter queue: `__connect.errors.topic`, `.partition`, `.offset`, `.stage`,
        `.exception.class.name`, `.exception.message`.)
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


def dead_letter(reason: Refusal, topic: str, partition: int, record: Record, attempts: int = 0) -> DeadLetter:
    """Return the dead letter of a record that was refused.

    Args:
        reason: Why.
        topic, partition: Where the record was read.
        record: As it was read.
        attempts: How often it was posted.
    """
    if record.headers == UNREADABLE_HEADERS:
        record = record._replace(headers=())  # so that a replay takes it, without them
    count = dict(record.headers).get(REPLAYS_HEADER)
    replays = 0
    if count and re.fullmatch(rb"\d{1,9}", count):
        headers = tuple((name, value) for name, value in record.headers if name != REPLAYS_HEADER)
        record, replays = record._replace(headers=headers), int(count)
    return DeadLetter(
        reason.stage,
        reason.code,
        reason.message,
        topic,
        partition,
        record,
        reason.route,
        reason.pointer,
        [error._asdict() for error in reason.errors],
        reason.error_count,
        schema_fields(reason.schema),
        attempts,
        replays,
    )


def schema_fields(schema: ResolvedSchema | None) -> dict[str, str]:
    """Return the schema as dead letters name it."""
    return {"id": schema.id, "version": schema.version, "sha256": schema.sha256} if schema else {}


def damage(error: Exception) -> str:
    """Return what is wrong with what should be a dead letter."""
    return f"it has no {error}" if isinstance(error, LookupError) else str(error)


def iso_time(seconds: float) -> str:
    """Return a time as dead letters have it: ISO 8601, UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def time_of(iso: str) -> float:
    """Return the seconds since 1970 of a time as dead letters have it."""
    return datetime.fromisoformat(iso).timestamp()


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
        raise TypeError(f"{name}: expected text")
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
