"""The formats of values that options name: here a new one is added."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from aep.formats.avro import AvroReader, AvroSchemaError
from pipelines.options.problems import Fault
from pipelines.options.yaml_files import OptionsError, read_text
from transforms.kafka.confluent_registry import SchemaRegistry
from transforms.parse_avro import ParseAvro, ParseConfluentAvro
from transforms.records.route import Parse, parse_json

Format = Literal["json", "avro"]


class FormatKeys(Protocol):
    """What formats ask of a route's keys; a protocol, because the declarations of keys and options name `Format`."""

    @property
    def format(self) -> Format:
        """How values are written."""

    @property
    def avro_schema_file(self) -> tuple[str, ...]:
        """The files of the Avro schema."""


class FormatOptions(Protocol):
    """What formats ask of the options of Kafka."""

    @property
    def source(self) -> str:
        """`native` or `file`."""

    @property
    def schema_registry_url(self) -> str | None:
        """Where Confluent's Schema Registry is."""

    @property
    def schema_registry_config(self) -> Mapping[str, str]:
        """Properties of its client."""


def _nothing_wrong(keys: FormatKeys, kafka: FormatOptions) -> Iterator[Fault]:
    return iter(())


def _nothing_to_reach(parsers: Iterable[Parse]) -> None:
    return None


@dataclass(frozen=True)
class ValueFormat:
    """What a format brings.

    Attributes:
        title: What people call it.
        parser: Makes the parser of a route. It is compared by value and travels to workers.
        own_keys: Keys of a route that belong to values of this format alone.
        faults: Finds what a route lacks for this format, or what does not go with it.
        check: Given the parsers of all routes, of whatever format, looks before a run whether what this format's need
            on the network is there. Raises a `UserError`.
    """

    title: str
    parser: Callable[[FormatKeys, FormatOptions], Parse]
    own_keys: tuple[str, ...] = ()
    faults: Callable[[FormatKeys, FormatOptions], Iterator[Fault]] = _nothing_wrong
    check: Callable[[Iterable[Parse]], None] = _nothing_to_reach


def _json(keys: FormatKeys, kafka: FormatOptions) -> Parse:
    return parse_json


def _avro(keys: FormatKeys, kafka: FormatOptions) -> Parse:
    if not keys.avro_schema_file:
        return ParseConfluentAvro(SchemaRegistry(str(kafka.schema_registry_url), kafka.schema_registry_config))
    schemas: list[str] = []
    for path in keys.avro_schema_file:
        schemas.append(read_text(path, "Avro schema"))
        try:
            AvroReader(schemas[-1], schemas[:-1])
        except AvroSchemaError as error:
            raise OptionsError([f"{path}: {error}"]) from None
    return ParseAvro(schemas[-1], tuple(schemas[:-1]))


def _avro_faults(keys: FormatKeys, kafka: FormatOptions) -> Iterator[Fault]:
    if kafka.source == "file":
        yield Fault("format", "avro cannot be read with kafka_source=file, which reads lines of JSON")
    elif not keys.avro_schema_file and kafka.schema_registry_url is None:
        yield Fault("format", "avro needs schemas: give a kafka_schema_registry_url, or an avro_schema_file")


def _reach_registry(parsers: Iterable[Parse]) -> None:
    registries = [parser.registry for parser in parsers if isinstance(parser, ParseConfluentAvro)]
    if registries:
        registries[0].check()  # there is one in a run


FORMATS: dict[Format, ValueFormat] = {
    "json": ValueFormat("JSON", _json),
    "avro": ValueFormat("Avro", _avro, ("avro_schema_file",), _avro_faults, _reach_registry),
}


def format_faults(keys: FormatKeys, kafka: FormatOptions) -> Iterator[Fault]:
    """Find what does not go with the format of a route's values."""
    for name, other in FORMATS.items():
        if name != keys.format:
            for key in other.own_keys:
                if getattr(keys, key):
                    yield Fault(key, f"is for values in {other.title}, and format={keys.format}", ("format",))
    yield from FORMATS[keys.format].faults(keys, kafka)


def check_formats(parsers: Iterable[Parse]) -> None:
    """Look whether what the parsers of all routes need on the network is there.

    Raises:
        UserError: It is not.
    """
    found = list(parsers)
    for each in FORMATS.values():
        each.check(found)
