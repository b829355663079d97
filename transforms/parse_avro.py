"""Parsers of records in Avro, for routes: one for each way to know the schema."""

from __future__ import annotations

from dataclasses import dataclass

from aep.avro import AvroReader, split_wire_format
from aep.strict_json import ParsedObject, ParseFailure
from transforms import process
from transforms.schema_registry import SchemaRegistry

_EMPTY = ParseFailure("empty", "the value is empty")


@dataclass(frozen=True)
class ParseAvro:
    """Parses values that are Avro and nothing else, all of one schema.

    Attributes:
      schema: as JSON; ``AvroReader`` must accept it.
    """

    schema: str

    def __call__(self, value: bytes) -> ParsedObject | ParseFailure:
        """The record that the value is."""
        return process.shared(("avro", self.schema), lambda: AvroReader(self.schema)).read(value)


@dataclass(frozen=True)
class ParseConfluentAvro:
    """Parses values in Confluent's wire format, whose schemas are in a registry."""

    registry: SchemaRegistry

    def __call__(self, value: bytes) -> ParsedObject | ParseFailure:
        """The record that the value is; waits while the registry cannot be reached.

        Raises:
          ConfigurationError, StoppedError: see ``SchemaRegistry.reader``.
        """
        if not value:
            return _EMPTY
        found = split_wire_format(value)
        if isinstance(found, ParseFailure):
            return found
        schema_id, data = found
        reader = self.registry.reader(schema_id)
        return reader if isinstance(reader, ParseFailure) else reader.read(data)
