"""Routes: which topics go to which destination, from a routes file or from a single run's options.

A routes file is YAML:

    routes:
      - name: profiles
        topics: [loyalty-profiles]
        inlet_url: https://dcs.adobedc.net/collection/INLET_ID
        dataset_id: DATASET_ID
        schema_file: configs/schemas/loyalty-profile.schema.json

What a route leaves out of `org_id`, `source_name`, `payload`, `format`, `map_patch_dialect`, `auth` and `headers` comes
from the options.
"""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError

from aep.mapping.json_patch import PatchDialect
from pipelines.options.checks import (
    format_faults,
    missing_credentials,
    needed_by,
    payload_faults,
    pin_faults,
    reads_back,
)
from pipelines.options.declarations import Auth, Format, OptionGroup, Payload
from pipelines.options.platform_access import missing_access
from pipelines.options.settings import Settings
from pipelines.options.table import describe_type, explain
from pipelines.options.types import (
    Files,
    Headers,
    IdRule,
    InletUrl,
    Operations,
    Pointers,
    RecordMapping,
    Sha256,
    Strings,
    Topics,
    When,
)
from pipelines.options.yaml_files import (
    Entry,
    OptionsError,
    OptionsLoader,
    describe,
    entries_of,
    read_document,
    read_text,
    unknown,
)
from transforms.records.topic_names import covers


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is no name of a route (letters, digits, '.', '_', '-'): it shows in metrics")
    return name


class RouteSpec(OptionGroup):
    """A route as configured: the topics it takes in, and where and how their records are posted.

    Attributes:
        topics: names of topics; one that starts with ^ is a regular expression. Empty: whatever is read, for
            a single route that reads files.
        schema_id: the schema's $id; None stands for the one in `schema_file`. Without a file it is looked up.
        schema_sha256: digest of `schema_file`, to refuse another.
        id_from: what a missing `_id` is made of: `offset`, or JSON pointers to fields.
        operations: `header.operations`, to make upserts of raw records.
        key_field: the attribute that a tombstone's key becomes in a delete.
        when: fields, by their JSON pointers, and the values of which they must have one.
        format: how values are written.
        avro_schema_file: the files of plain Avro's schema, its own last; empty stands for Confluent's wire format.
        map_patch_dialect: whose rules the patch follows; before `map`, which is compiled by it.
        map: the patch or the map that makes XDM records, or a file with one of them.
        identity: whether a record must have an identity; None, here and in the next two, takes the option's value.
        primary_identity: JSON pointers of the primary identity; empty uses the schema's descriptors.
        namespaces: identity namespaces allowed in `identityMap`; empty allows all.
    """

    name: Annotated[str, AfterValidator(_check_name)]
    topics: Topics = ()
    inlet_url: InletUrl
    dataset_id: str | None = None
    org_id: str | None = None
    flow_id: str | None = None
    source_name: str | None = None
    schema_file: str | None = None
    schema_id: str | None = None
    schema_sha256: Sha256 | None = None
    id_from: IdRule = ()
    operations: Operations = Field(default_factory=dict)
    key_field: str | None = None
    when: When = ()
    format: Format = "json"
    avro_schema_file: Files = ()
    map_patch_dialect: PatchDialect = "rfc6902"
    map: RecordMapping = None
    identity: Literal["off", "required"] | None = None
    primary_identity: Pointers | None = None
    namespaces: Strings | None = None
    payload: Payload = "entity"
    auth: Auth = "none"
    headers: Headers = Field(default_factory=dict)


def load_routes(settings: Settings) -> list[RouteSpec]:
    """Makes the routes of a run, each valid by itself and all of them together.

    Without a routes file there is one route, called `default`, made from the options.

    Raises:
        OptionsError: with all problems found, one a line, each with file and line.
    """
    path = settings.general.routes_file
    if path is None:
        single = _single_route(settings)
        if problems := _registry_gaps([single], settings):
            raise OptionsError(problems)
        return [single]
    problems = []
    routes = _read_routes(read_text(path, "routes file"), path, settings, problems)
    problems += _check_together(routes, path, settings)
    problems += _registry_gaps([route for route, _ in routes], settings)
    if problems:
        raise OptionsError(problems)
    return [route for route, _ in routes]


def _registry_gaps(routes: Sequence[RouteSpec], settings: Settings) -> list[str]:
    """What is not given and needed to take schemas from the registry."""
    from_registry = [route.name for route in routes if route.schema_id and not route.schema_file]
    if not from_registry:
        return []
    because = f"for the schema of route {from_registry[0]}, which has a schema_id and no schema_file"
    return [f"{text}, {because}" for _, text in missing_access(settings)]


def _defaults(settings: Settings) -> dict[str, Any]:
    """What routes share unless they say otherwise."""
    aep = settings.aep
    return {
        "org_id": aep.org_id,
        "source_name": aep.source_name,
        "payload": settings.xdm.payload,
        "format": settings.kafka.format,
        "auth": aep.auth,
        "headers": aep.headers,
        "map_patch_dialect": settings.map.patch_dialect,
    }


def _single_route(settings: Settings) -> RouteSpec:
    aep, xdm = settings.aep, settings.xdm
    assert aep.inlet_url is not None  # parse() refuses a run with neither inlet nor routes
    return RouteSpec(
        name="default",
        topics=settings.kafka.topics,
        inlet_url=aep.inlet_url,
        dataset_id=aep.dataset_id,
        flow_id=aep.flow_id,
        schema_file=xdm.schema_file,
        schema_id=xdm.schema_id,
        schema_sha256=xdm.schema_sha256,
        id_from=xdm.id_from,
        operations=aep.operations,
        key_field=aep.key_field,
        avro_schema_file=settings.kafka.avro_schema_file,
        map=settings.map.file,
        **_defaults(settings),
    )


GIVE_TOPICS = "give the topics of this route"

# A route, and the line on which each of its keys stands; "" stands for the route itself.
_Placed = tuple[RouteSpec, dict[str, int]]


def _read_routes(text: str, path: str, settings: Settings, problems: list[str]) -> list[_Placed]:
    with read_document(text, path, problems) as (loader, document):
        lists = []
        for key, value in document.value if document else []:
            place = f"{path}:{key.start_mark.line + 1}"
            if key.value != "routes":
                problems.append(f"{place}: {unknown('key', str(key.value), ['routes'])}")
            elif not isinstance(value, yaml.SequenceNode) or not value.value:
                problems.append(f"{place}: routes: expected a list of routes")
            else:
                lists.append(value)
        if len(lists) != 1 and not problems:
            problems.append(f"{path}: must have one key, routes, with a list of routes")
        nodes = lists[0].value if len(lists) == 1 else []
        routes = [_read_route(loader, node, path, settings, problems) for node in nodes]
        return [route for route in routes if route is not None]


def _read_route(
    loader: OptionsLoader, node: yaml.Node, path: str, settings: Settings, problems: list[str]
) -> _Placed | None:
    first = node.start_mark.line + 1
    if not isinstance(node, yaml.MappingNode):
        problems.append(f"{path}:{first}: a route must be a mapping, with name, topics, inlet_url, ...")
        return None
    before = len(problems)
    entries = entries_of(loader, node, path, problems)
    for entry in entries:
        if entry.key not in RouteSpec.model_fields:
            problems.append(f"{path}:{entry.line}: {unknown('key of a route', entry.key, RouteSpec.model_fields)}")
    values = {entry.key: entry.value for entry in entries if entry.key in RouteSpec.model_fields}
    lines = {"": first} | {entry.key: entry.line for entry in entries}
    defaults = _defaults(settings)
    if isinstance(values.get("headers"), dict):  # mappings merge key by key, as they do among options files
        values["headers"] = {**defaults["headers"], **values["headers"]}
    try:
        route = RouteSpec(**(defaults | values))
    except ValidationError as errors:
        problems += _explain(errors, entries, first, path)
        return None
    needed = needed_by(route.payload, route.schema_id)
    for field in ("topics", *needed):
        if not getattr(route, field):
            because = f"payload={route.payload} needs it{needed[field]}" if field != "topics" else GIVE_TOPICS
            problems.append(f"{path}:{first}: route {route.name}: {field}: missing: {because}")
    for field, text in pin_faults(route.schema_file, route.schema_sha256):
        problems.append(f"{path}:{lines.get(field, first)}: route {route.name}: {field}: {text}")
    for field, text in payload_faults(route.payload, route.id_from, route.operations, settings.kafka.tombstones):
        problems.append(f"{path}:{lines.get(field, first)}: route {route.name}: {field}: {text}")
    for field, text in format_faults(route.format, route.avro_schema_file, settings.kafka):
        problems.append(f"{path}:{lines.get(field, first)}: route {route.name}: {field}: {text}")
    return (route, lines) if len(problems) == before else None


def _explain(errors: ValidationError, entries: Sequence[Entry], first: int, path: str) -> list[str]:
    places = {entry.key: entry for entry in entries}
    problems = []
    for error in errors.errors(include_url=False):
        field = str(error["loc"][0])
        entry = places.get(field)
        if entry is None:
            problems.append(f"{path}:{first}: {field}: missing: a route needs it")
            continue
        _, type_name, _ = describe_type(RouteSpec.model_fields[field].annotation)
        for key, text in explain(error, type_name, secret=field == "headers"):
            problems.append(f"{path}:{entry.lines.get(key or '', entry.line)}: {field}: {text}")
    return problems


def _check_together(routes: Sequence[_Placed], path: str, settings: Settings) -> list[str]:
    """Finds names and topics that two routes claim, loops through dead letters, and missing credentials."""
    problems = []
    for (route, lines), (other, other_lines) in combinations(routes, 2):
        if route.name == other.name:
            problems.append(
                f"{path}:{other_lines['name']}: name: {describe(other.name)} is taken by the route on line {lines['']}"
            )
        for topic in shared_topics(route, other):
            place = f"{path}:{other_lines['topics']}: topics: {topic} belongs to route {route.name}"
            if not route.when:
                hint = ", and that one takes them all: put it after this" if other.when else ""
                problems.append(f"{place} (line {lines['topics']}) too: a record has one route{hint}")
            elif (route.format, route.avro_schema_file) != (other.format, other.avro_schema_file):
                problems.append(f"{place} (line {lines['topics']}) too, which reads it in another format")
    for route, lines in routes:
        for name, written in (
            ("dead_letter_topic", settings.dead_letter.topic),
            ("receipt_topic", settings.receipt.topic),
        ):
            if again := reads_back(route.topics, written):
                problems.append(
                    f"{path}:{lines['topics']}: topics: {again} takes in {name} ({settings.origin(name)}), a loop "
                    "without end"
                )
        place = f"{path}:{lines.get('auth', lines[''])}"
        problems += [
            f"{place}: {finding.text}"
            for finding in missing_credentials(settings, route.auth, f"auth={route.auth} of route {route.name}")
        ]
    return problems


def shared_topics(route: RouteSpec, other: RouteSpec) -> list[str]:
    """Topics that both routes take in, as far as names tell; two patterns can still meet in a topic."""
    shared = [topic for topic in other.topics if not topic.startswith("^") and _takes(route, topic)]
    shared += [topic for topic in route.topics if not topic.startswith("^") and _takes(other, topic)]
    shared += [topic for topic in other.topics if topic.startswith("^") and topic in route.topics]
    return list(dict.fromkeys(shared))


def _takes(route: RouteSpec, name: str) -> bool:
    return any(covers(topic, name) for topic in route.topics)
