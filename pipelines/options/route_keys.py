"""The keys of a route, declared once: most are an option of a run with a single route, and have its help.

Here are those of all routes. The kind of destination adds its own, as `pipelines/destinations/aep/keys.py`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from aep.mapping.json_patch import PatchDialect
from pipelines.options.formats import Format
from pipelines.options.group import OptionGroup
from pipelines.options.kafka_types import Topics
from pipelines.options.table import OPTIONS, describe_type, holds_secret
from pipelines.options.types import Files, RecordMapping, TransformReference, When


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is not a valid route name (letters, digits, '.', '_', '-'): it shows in metrics")
    return name


REQUIRED: Any = ...
"""As the default of a key that each route must give."""


def own_key(default: Any, help_: str, type_: str | None = None, option: str | None = None) -> Any:
    """Declare a key with its own help; `type_` is its type in words, if Python's is not clear."""
    return Field(default, json_schema_extra={"help": help_, "type": type_, "option": option})


def key_of(option: str, *, required: bool = False) -> Any:
    """Declare a key that is an option where there is a single route; in a routes file each route gives its own."""
    default = REQUIRED if required else OPTIONS[option].default
    return Field(default, json_schema_extra={"option": option})


def shared_key(option: str) -> Any:
    """Declare a key that a route may leave to the option of the run."""
    return Field(OPTIONS[option].default, json_schema_extra={"option": option, "shared": True})


def rule_key(option: str) -> Any:
    """Declare a key for a rule of the run's that a route may replace by its own; None: it does not."""
    return Field(None, json_schema_extra={"option": option, "shared": True, "rule": True})


class RouteKeys(OptionGroup):
    """What every route can say: the topics it takes in, and what is made of their records.

    These are a routes file's words. What runs is a `Route`, which the kind of destination makes of them.
    """

    name: Annotated[str, AfterValidator(_check_name)] = own_key(
        REQUIRED, "Name of the route in metrics, dead letters and the summary."
    )
    topics: Topics = Field(
        OPTIONS["kafka_topics"].default, json_schema_extra={"option": "kafka_topics", "needed": True}
    )
    when: When = own_key(
        (),
        "Conditions on the record as it was parsed: JSON pointers to fields, each with the values of which the field "
        "must have one. A record takes the first route of its topic whose conditions it meets. Empty: any record.",
        "mapping of JSON pointers to values",
    )
    drop: When = own_key(
        (),
        "Conditions of the same form, on the record as it was parsed. A record of the route that fits all of them is "
        "dropped: neither mapped nor posted nor dead-lettered, only counted. Empty: none is dropped.",
        "mapping of JSON pointers to values",
    )
    format: Format = shared_key("kafka_format")
    avro_schema_file: Files = key_of("kafka_avro_schema_file")
    # Before `map`, which is compiled by it.
    map_patch_dialect: PatchDialect = shared_key("map_patch_dialect")
    map: RecordMapping = own_key(
        None,
        "The patch or the map that makes the records to send, or a file with either. A list is a JSON Patch (RFC "
        "6902); a mapping names, for each field, the field, constant or Kafka metadata it is made from.",
        "list of operations, mapping of fields, or path of a file, or null",
        option="map_file",
    )
    transform: TransformReference | None = key_of("map_transform")


@dataclass(frozen=True)
class RouteKey:
    """What is known of one key of a route; made from its declaration above.

    Attributes:
        type: The type as a person reads it.
        needed: Whether each route of a routes file must give it.
        option: The option that gives it where there is a single route, None for a key that only routes have.
        shared: Whether a route that leaves it out takes the option's value.
        secret: As for an option.
        rule: Whether it is one of the rules: a route that gives none of them has those of the run, not a copy.
    """

    name: str
    type: str
    needed: bool
    default: Any
    option: str | None
    shared: bool
    rule: bool
    secret: bool
    help: str


def describe_keys(model: type[RouteKeys]) -> dict[str, RouteKey]:
    """Return what is known of each key that a model declares, by name."""
    keys = {}
    for name, info in model.model_fields.items():
        extra: Any = info.json_schema_extra
        option = extra.get("option")
        keys[name] = RouteKey(
            name=name,
            type=extra.get("type") or describe_type(info.annotation)[1],
            needed=info.is_required() or extra.get("needed", False),
            default=info.default,
            option=option,
            shared=extra.get("shared", False),
            rule=extra.get("rule", False),
            secret=holds_secret(info.annotation, *info.metadata),
            help=extra.get("help") or OPTIONS[option].help,
        )
    return keys


def single_route_options(model: type[RouteKeys]) -> tuple[str, ...]:
    """Return what only a run with a single route says with options; in a routes file each route says its own."""
    return tuple(key.option for key in describe_keys(model).values() if key.option and not key.shared)
