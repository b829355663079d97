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

from pipelines.options.checks import reads_back, single_route, written_topics
from pipelines.options.destination import DestinationKind, K
from pipelines.options.formats import format_faults
from pipelines.options.route_keys import RouteKeys, describe_keys
from pipelines.options.settings import Settings
from pipelines.options.table import OPTIONS, TEXT_BY_KEYS, describe_type, explain
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


def load_routes(settings: Settings, kind: DestinationKind[K]) -> list[K]:
    """Read the keys of a run's routes, each valid by itself and all of them together.

    Without a routes file there is one route, called `default`, made from the options.

    Args:
        settings: All options.
        kind: Where the pipeline sends to, which declares the keys.

    Raises:
        OptionsError: With all problems found, one a line, each with file and line.
    """
    path = settings.general.routes_file
    if path is None:
        return [kind.keys(name="default", **single_route(settings, kind))]
    problems: list[str] = []
    routes = _read_routes(read_text(path, "routes file"), path, settings, kind, problems)
    problems += _check_together(routes, path, settings)
    if problems:
        raise OptionsError(problems)
    return [route for route, _ in routes]


def _defaults(settings: Settings, kind: DestinationKind[K]) -> dict[str, Any]:
    """Return what routes share unless they say otherwise."""
    shared = (key for key in describe_keys(kind.keys).values() if key.shared and not key.rule)
    return {key.name: settings.value(OPTIONS[key.option]) for key in shared if key.option}


GIVE_TOPICS = "give the topics of this route"

# The keys of a route, and the line on which each of them stands; "" stands for the route itself.
_Placed = tuple[K, dict[str, int]]


def _read_routes(
    text: str, path: str, settings: Settings, kind: DestinationKind[K], problems: list[str]
) -> list[_Placed[K]]:
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
        routes = [_read_route(loader, node, path, settings, kind, problems) for node in nodes]
        return [route for route in routes if route is not None]


def _read_route(
    loader: OptionsLoader,
    node: yaml.Node,
    path: str,
    settings: Settings,
    kind: DestinationKind[K],
    problems: list[str],
) -> _Placed[K] | None:
    first = node.start_mark.line + 1
    known = describe_keys(kind.keys)
    if not isinstance(node, yaml.MappingNode):
        needed = ", ".join(key.name for key in known.values() if key.needed)
        problems.append(f"{path}:{first}: a route must be a mapping with {needed}, ...")
        return None
    before = len(problems)
    entries = entries_of(loader, node, path, problems)
    for entry in entries:
        if entry.key not in known:
            problems.append(f"{path}:{entry.line}: {unknown('key of a route', entry.key, known)}")
    values = {
        entry.key: entry.written if known[entry.key].type == TEXT_BY_KEYS else entry.value
        for entry in entries
        if entry.key in known
    }
    lines = {"": first} | {entry.key: entry.line for entry in entries}
    defaults = _defaults(settings, kind)
    for key, shared in defaults.items():  # mappings merge key by key, as they do among options files
        if isinstance(shared, dict) and isinstance(values.get(key), dict):
            values[key] = {**shared, **values[key]}
    try:
        route = kind.keys(**(defaults | values))
    except ValidationError as errors:
        problems += _explain(errors, entries, first, path, kind.keys)
        return None
    if not route.topics:
        problems.append(f"{path}:{first}: route {route.name}: topics: missing: {GIVE_TOPICS}")
    for fault in (*kind.faults(route, settings, _own_name), *format_faults(route, settings.kafka)):
        line = next((lines[key] for key in (fault.key, *fault.others) if key in lines), first)
        problems.append(f"{path}:{line}: route {route.name}: {fault.key}: {fault.text}")
    return (route, lines) if len(problems) == before else None


def _own_name(key: str) -> str:
    return key


def _explain(
    errors: ValidationError, entries: Sequence[Entry], first: int, path: str, keys: type[RouteKeys]
) -> list[str]:
    places = {entry.key: entry for entry in entries}
    problems = []
    for error in errors.errors(include_url=False):
        field = str(error["loc"][0])
        entry = places.get(field)
        if entry is None:
            problems.append(f"{path}:{first}: {field}: missing: a route needs it")
            continue
        _, type_name, _ = describe_type(keys.model_fields[field].annotation)
        for key, text in explain(error, type_name, secret=describe_keys(keys)[field].secret):
            problems.append(f"{path}:{entry.lines.get(key or '', entry.line)}: {field}: {text}")
    return problems


def _check_together(routes: Sequence[_Placed[K]], path: str, settings: Settings) -> list[str]:
    """Find names and topics that two routes claim, and loops through dead letters."""
    problems = []
    for (route, lines), (other, other_lines) in combinations(routes, 2):
        if route.name == other.name:
            problems.append(
                f"{path}:{other_lines['name']}: name: {describe(other.name)} is taken by the route on line {lines['']}"
            )
        for topic in shared_topics(route, other):
            place = f"{path}:{other_lines['topics']}: topics: {topic} belongs to route {route.name}"
            if not route.when:
                hint = ", and that route takes all records: put it after this one" if other.when else ""
                problems.append(f"{place} (line {lines['topics']}) too, but a record has one route{hint}")
            elif (route.format, route.avro_schema_file) != (other.format, other.avro_schema_file):
                problems.append(f"{place} (line {lines['topics']}) too, in another format")
    for route, lines in routes:
        for name, written in written_topics(settings).items():
            if again := reads_back(route.topics, written):
                problems.append(
                    f"{path}:{lines['topics']}: topics: {again} matches {name} ({settings.origin(name)}), an endless "
                    "loop"
                )
    return problems


def shared_topics(route: RouteKeys, other: RouteKeys) -> list[str]:
    """Return topics that both routes match, as far as names show; two patterns can still match the same topic."""
    shared = [topic for topic in other.topics if not topic.startswith("^") and _takes(route, topic)]
    shared += [topic for topic in route.topics if not topic.startswith("^") and _takes(other, topic)]
    shared += [topic for topic in other.topics if topic.startswith("^") and topic in route.topics]
    return list(dict.fromkeys(shared))


def _takes(route: RouteKeys, name: str) -> bool:
    return any(covers(topic, name) for topic in route.topics)
