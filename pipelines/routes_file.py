"""Routes: which topics go to which destination, from a routes file or from a single run's options.

A routes file is YAML:

    routes:
      - name: profiles
        topics: [loyalty-profiles]
        inlet_url: https://dcs.adobedc.net/collection/INLET_ID
        dataset_id: DATASET_ID
        schema_file: configs/schemas/loyalty-profile.schema.json

What a route leaves out of `org_id`, `source_name`, `payload`, `auth` and `headers` comes from the options.
"""

import re
from collections.abc import Sequence
from itertools import combinations
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, ValidationError

from pipelines.option_checks import covers, missing_credentials, needed_by, reads_dead_letters
from pipelines.option_types import Headers, InletUrl, Topics
from pipelines.options import Auth, OptionGroup, Payload, describe_type, explain
from pipelines.options_yaml import (
    Entry,
    OptionsError,
    OptionsLoader,
    describe,
    entries_of,
    read_document,
    read_text,
    unknown,
)
from pipelines.settings import Settings


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise ValueError(f"{name!r} is no name of a route (letters, digits, '.', '_', '-'): it shows in metrics")
    return name


class RouteSpec(OptionGroup):
    """A route as configured: the topics it takes in, and where and how their records are posted.

    Attributes:
        topics: names of topics; one that starts with ^ is a regular expression. Empty: whatever is read, for
            a single route that reads files.
        schema_id: the schema's $id; None stands for the one in `schema_file`.
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
        return [_single_route(settings)]
    problems: list[str] = []
    routes = _read_routes(read_text(path, "routes file"), path, settings, problems)
    problems += _check_together(routes, path, settings)
    if problems:
        raise OptionsError(problems)
    return [route for route, _ in routes]


def _defaults(settings: Settings) -> dict[str, Any]:
    """What routes share unless they say otherwise."""
    aep = settings.aep
    return {
        "org_id": aep.org_id,
        "source_name": aep.source_name,
        "payload": settings.xdm.payload,
        "auth": aep.auth,
        "headers": aep.headers,
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
        **_defaults(settings),
    )


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
    for field in ("topics", *needed_by(route.payload)):
        if not getattr(route, field):
            because = f"payload={route.payload} needs it" if field != "topics" else "give the topics of this route"
            problems.append(f"{path}:{first}: route {route.name}: {field}: missing: {because}")
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
        for topic in _shared_topics(route, other):
            problems.append(
                f"{path}:{other_lines['topics']}: topics: {topic} belongs to route {route.name} "
                f"(line {lines['topics']}) too: a record has one route"
            )
    for route, lines in routes:
        if again := reads_dead_letters(route.topics, settings.dead_letter.topic):
            problems.append(
                f"{path}:{lines['topics']}: topics: {again} takes in dead_letter_topic "
                f"({settings.origin('dead_letter_topic')}), a loop without end"
            )
        place = f"{path}:{lines.get('auth', lines[''])}"
        problems += [
            f"{place}: {finding.text}"
            for finding in missing_credentials(settings, route.auth, f"auth={route.auth} of route {route.name}")
        ]
    return problems


def _shared_topics(route: RouteSpec, other: RouteSpec) -> list[str]:
    """Topics that both routes take in, as far as names tell; two patterns can still meet in a topic."""
    shared = [topic for topic in other.topics if not topic.startswith("^") and _takes(route, topic)]
    shared += [topic for topic in route.topics if not topic.startswith("^") and _takes(other, topic)]
    shared += [topic for topic in other.topics if topic.startswith("^") and topic in route.topics]
    return list(dict.fromkeys(shared))


def _takes(route: RouteSpec, name: str) -> bool:
    return any(covers(topic, name) for topic in route.topics)
