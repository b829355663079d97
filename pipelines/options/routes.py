"""Routes: which topics go to which destination, from a routes file or from a single run's options.

A routes file is YAML:

    routes:
      - name: profiles
        topics: [loyalty-profiles]
        inlet_url: https://dcs.adobedc.net/collection/INLET_ID
        dataset_id: DATASET_ID
        schema_file: configs/schemas/loyalty-profile.schema.json

The keys, and which of them a route may leave to the options, are declared in `route_keys`.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.options.checks import (
    format_faults,
    missing_credentials,
    needed_by,
    payload_faults,
    pin_faults,
    reads_back,
    written_topics,
)
from pipelines.options.platform_access import missing_access
from pipelines.options.route_keys import ROUTE_KEYS, SINGLE_ROUTE, RouteSpec
from pipelines.options.settings import Settings
from pipelines.options.table import OPTIONS, describe_type, explain
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


def load_routes(settings: Settings) -> list[RouteSpec]:
    """Make the routes of a run, each valid by itself and all of them together.

    Without a routes file there is one route, called `default`, made from the options.

    Raises:
        OptionsError: With all problems found, one a line, each with file and line.
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
    """Return what is not given and needed to take schemas from the registry."""
    from_registry = [route.name for route in routes if route.schema_id and not route.schema_file]
    if not from_registry:
        return []
    because = f"for the schema of route {from_registry[0]}, which has a schema_id and no schema_file"
    return [f"{text}, {because}" for _, text in missing_access(settings)]


def _defaults(settings: Settings) -> dict[str, Any]:
    """Return what routes share unless they say otherwise."""
    shared = (key for key in ROUTE_KEYS.values() if key.shared and not key.rule)
    return {key.name: settings.value(OPTIONS[key.option]) for key in shared if key.option}


def _single_route(settings: Settings) -> RouteSpec:
    given = {key.name: settings.value(OPTIONS[key.option]) for key in ROUTE_KEYS.values() if key.option in SINGLE_ROUTE}
    return RouteSpec(name="default", **given, **_defaults(settings))


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
        for key, text in explain(error, type_name, secret=ROUTE_KEYS[field].secret):
            problems.append(f"{path}:{entry.lines.get(key or '', entry.line)}: {field}: {text}")
    return problems


def _check_together(routes: Sequence[_Placed], path: str, settings: Settings) -> list[str]:
    """Find names and topics that two routes claim, loops through dead letters, and missing credentials."""
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
        for name, written in written_topics(settings).items():
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
    """Return topics that both routes take in, as far as names tell; two patterns can still meet in a topic."""
    shared = [topic for topic in other.topics if not topic.startswith("^") and _takes(route, topic)]
    shared += [topic for topic in route.topics if not topic.startswith("^") and _takes(other, topic)]
    shared += [topic for topic in other.topics if topic.startswith("^") and topic in route.topics]
    return list(dict.fromkeys(shared))


def _takes(route: RouteSpec, name: str) -> bool:
    return any(covers(topic, name) for topic in route.topics)
