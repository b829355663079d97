"""The formats of values that options name, and the parser of each: here a new one is added."""

from __future__ import annotations

from collections.abc import Callable

from aep.formats.avro import AvroReader, AvroSchemaError
from pipelines.options.declarations import Format, KafkaOptions
from pipelines.options.route_keys import RouteSpec
from pipelines.options.yaml_files import OptionsError, read_text
from transforms.kafka.confluent_registry import SchemaRegistry
from transforms.parse_avro import ParseAvro, ParseConfluentAvro
from transforms.records.route import Parse, parse_json


def _json(spec: RouteSpec, kafka: KafkaOptions) -> Parse:
    return parse_json


def _avro(spec: RouteSpec, kafka: KafkaOptions) -> Parse:
    if not spec.avro_schema_file:
        return ParseConfluentAvro(SchemaRegistry(str(kafka.schema_registry_url), kafka.schema_registry_config))
    schemas: list[str] = []
    for path in spec.avro_schema_file:
        schemas.append(read_text(path, "Avro schema"))
        try:
            AvroReader(schemas[-1], schemas[:-1])
        except AvroSchemaError as error:
            raise OptionsError([f"{path}: {error}"]) from None
    return ParseAvro(schemas[-1], tuple(schemas[:-1]))


PARSERS: dict[Format, Callable[[RouteSpec, KafkaOptions], Parse]] = {"json": _json, "avro": _avro}
"""What makes the parser of a route, by its format."""
