"""Parsers of records in Avro, for routes: one for each way to know the schema."""

from __future__ import annotations

from dataclasses import dataclass

from aep.formats.avro import VALUE_SCHEMA_ID, AvroReader, schema_key
from aep.formats.json import ParsedObject, ParseFailure
from transforms.kafka.confluent_registry import SchemaRegistry
from transforms.records.record import Headers
from transforms.worker import process

_EMPTY = ParseFailure("empty", "the value is empty")


@dataclass(frozen=True)
class ParseAvro:
    """Parses values that are Avro and nothing else, all of one schema.

    Attributes:
        schema: As JSON; `AvroReader` must accept it.
        references: The schemas whose types it uses, each after those that it uses itself.
    """

    schema: str
    references: tuple[str, ...] = ()

    def __call__(self, value: bytes, headers: Headers = ()) -> ParsedObject | ParseFailure:
        """Return the record that the value is; the headers say nothing about it."""
        key = ("avro", self.references, self.schema)
        return process.shared(key, lambda: AvroReader(self.schema, self.references)).read(value)


@dataclass(frozen=True)
class ParseConfluentAvro:
    """Parses values whose schemas are in Confluent's registry, and are named in front of them or in a header."""

    registry: SchemaRegistry

    def __call__(self, value: bytes, headers: Headers = ()) -> ParsedObject | ParseFailure:
        """Return the record that the value is; waits while the registry cannot be reached.

        Args:
            value: Value of a Kafka record.
            headers: Headers of the same record: one of them may name the schema.

        Raises:
            ConfigurationError, StoppedError: See `SchemaRegistry.reader`.
        """
        if not value:
            return _EMPTY
        header = None
        for name, content in headers:
            if name == VALUE_SCHEMA_ID:
                header = content
                break
        found = schema_key(value, header)
        if isinstance(found, ParseFailure):
            return found
        key, start = found
        reader = self.registry.reader(key)
        return reader if isinstance(reader, ParseFailure) else reader.read(value, start)
