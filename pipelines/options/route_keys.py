"""The keys of a route, declared once: most are an option of a run with a single route, and have its help."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from aep.ingestion.envelope import Payload
from aep.mapping.json_patch import PatchDialect
from aep.xdm.rules import Identity
from pipelines.options.declarations import Format
from pipelines.options.group import OptionGroup
from pipelines.options.table import OPTIONS, describe_type, holds_secret
from pipelines.options.types import (
    Files,
    Headers,
    HeaderValue,
    IdRule,
    InletUrl,
    Operations,
    Pointers,
    RecordMapping,
    Sha256,
    Strings,
    Topics,
    TransformReference,
    When,
)
from transforms.aep.inlet import Auth


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is not a valid route name (letters, digits, '.', '_', '-'): it shows in metrics")
    return name


_REQUIRED: Any = ...


def _key(default: Any, help_: str, type_: str | None = None, option: str | None = None) -> Any:
    """Return a key with a help of its own; `type_` is its type in words, where Python's would not tell."""
    return Field(default, json_schema_extra={"help": help_, "type": type_, "option": option})


def _of(option: str) -> Any:
    """Return a key that is an option where there is a single route; in a routes file each route gives its own."""
    return Field(OPTIONS[option].default, json_schema_extra={"option": option})


def _shared(option: str) -> Any:
    """Return a key that a route may leave to the option of the run."""
    return Field(OPTIONS[option].default, json_schema_extra={"option": option, "shared": True})


def _rule(option: str) -> Any:
    """Return a rule of the run's that a route may replace by its own; None: it does not."""
    return Field(None, json_schema_extra={"option": option, "shared": True, "rule": True})


class RouteSpec(OptionGroup):
    """A route as configured: the topics it takes in, and where and how their records are posted."""

    name: Annotated[str, AfterValidator(_check_name)] = _key(
        _REQUIRED, "What metrics, dead letters and the summary call the route."
    )
    topics: Topics = Field(
        OPTIONS["kafka_topics"].default, json_schema_extra={"option": "kafka_topics", "needed": True}
    )
    inlet_url: InletUrl = Field(json_schema_extra={"option": "aep_inlet_url"})
    dataset_id: str | None = _of("aep_dataset_id")
    org_id: HeaderValue | None = _shared("aep_org_id")
    flow_id: HeaderValue | None = _of("aep_flow_id")
    source_name: str | None = _shared("aep_source_name")
    schema_file: str | None = _of("xdm_schema_file")
    schema_id: str | None = _of("xdm_schema_id")
    schema_sha256: Sha256 | None = _of("xdm_schema_sha256")
    id_from: IdRule = _of("xdm_id_from")
    operations: Operations = _of("aep_operations")
    key_field: str | None = _of("aep_key_field")
    when: When = _key(
        (),
        "Conditions on the record as it was parsed: JSON pointers to fields, each with the values of which the field "
        "must have one. A record takes the first route of its topic whose conditions it fits. Empty: any record.",
        "mapping of JSON pointers to values",
    )
    drop: When = _key(
        (),
        "Conditions of the same form, on the record as it was parsed. A record of the route that fits all of them is "
        "left out: neither mapped nor posted nor dead-lettered, only counted as dropped. Empty: none is left out.",
        "mapping of JSON pointers to values",
    )
    format: Format = _shared("kafka_format")
    avro_schema_file: Files = _of("kafka_avro_schema_file")
    # Before `map`, which is compiled by it.
    map_patch_dialect: PatchDialect = _shared("map_patch_dialect")
    map: RecordMapping = _key(
        None,
        "The patch or the map that makes XDM records, or a file with either. A list is a JSON Patch (RFC 6902); a "
        "mapping says of each XDM field which field, constant or Kafka metadata it is made of.",
        "list of operations, mapping of fields, or path of a file, or null",
        option="map_file",
    )
    transform: TransformReference | None = _of("map_transform")
    identity: Identity | None = _rule("xdm_identity")
    primary_identity: Pointers | None = _rule("xdm_primary_identity")
    namespaces: Strings | None = _rule("xdm_namespaces")
    payload: Payload = _shared("xdm_payload")
    auth: Auth = _shared("aep_auth")
    headers: Headers = _shared("aep_headers")


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


def _route_keys() -> dict[str, RouteKey]:
    keys = {}
    for name, info in RouteSpec.model_fields.items():
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


ROUTE_KEYS: dict[str, RouteKey] = _route_keys()

OWN_RULES = tuple(key.name for key in ROUTE_KEYS.values() if key.rule)
"""Keys that are rules beyond the schema."""

SINGLE_ROUTE = tuple(key.option for key in ROUTE_KEYS.values() if key.option and not key.shared)
"""What only a run with a single route says with options; in a routes file each route says its own."""
