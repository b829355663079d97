"""Turns the configuration of Adobe's Kafka Connect sink into options, and says what changes with the move.

A connector has one inlet, so that it becomes one destination, given by options; only where a predicate has some topics
patched and others not does it become routes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from aep.errors import UserError
from pipelines.cli.import_connector.aep import (
    AEP_PROPERTIES,
    import_auth,
    import_dead_letters,
    import_endpoint,
    import_headers,
    import_payload,
    import_proxy,
    import_sending,
)
from pipelines.cli.import_connector.draft import LEVELS, Draft, Note, nearest
from pipelines.cli.import_connector.kafka import import_consumer, import_group, import_topics
from pipelines.cli.import_connector.values import import_converters, import_transforms
from pipelines.destinations.aep.keys import AepRouteKeys
from pipelines.options.declarations import GROUPS
from pipelines.options.route_keys import single_route_options
from pipelines.options.table import OPTIONS, explain

_SINK = re.compile(r"(com\.adobe\.platform\.streaming\.sink\.impl\.)?AEPSink(Connector)?")


class ImportProblemError(UserError):
    """A configuration that can't be taken over: `problems` holds all that was found, without any value."""

    def __init__(self, problems: list[str]) -> None:
        self._problems = problems
        super().__init__("\n".join(problems))

    @property
    def problems(self) -> list[str]:
        return self._problems


@dataclass(frozen=True)
class Imported:
    """What a connector's configuration comes to.

    Attributes:
        name: The connector's.
        options: Options of the options file.
        patch: Operations of JSON Patch for `map_file`; empty for none.
        routes: Routes of a routes file, where topics are patched differently; empty for a single destination.
        missing: Options that a run needs and the configuration does not give, each with a stand-in.
        variables: Environment variables to set before a run, each with what it holds.
        notes: What changes with the move, the most pressing first.
    """

    name: str
    options: dict[str, Any]
    patch: list[Any]
    routes: list[dict[str, Any]]
    missing: dict[str, str]
    variables: dict[str, str]
    notes: list[Note]


@dataclass(frozen=True)
class Overrides:
    """Values missing from or overriding the connector's configuration.

    Attributes:
        name: Name of the connector, where its file has none.
        bootstrap_servers: The brokers.
        new_group: A consumer group to use in place of the connector's.
        schema_file, schema_id: The schema of the messages, to check them by before they are posted.
        dead_letter_path: Where dead letters go if the connector had no topic for them.
    """

    name: str | None = None
    bootstrap_servers: str | None = None
    new_group: str | None = None
    schema_file: str | None = None
    schema_id: str | None = None
    dead_letter_path: str = "dead-letters"


def import_connector(
    properties: Mapping[str, str], worker: Mapping[str, str] | None = None, overrides: Overrides | None = None
) -> Imported:
    """Turn the properties of a connector, and of the workers that run it if they are known, into options.

    Raises:
        ImportProblemError: With all that is in the way.
    """
    overrides = overrides or Overrides()
    _check_class(properties)
    draft = Draft(_with_worker(properties, worker or {}))
    draft.left.pop("connector.class")
    unknown = [name for name in draft.left if name.startswith("aep.") and name not in AEP_PROPERTIES]
    for name in unknown:
        close = nearest(name, AEP_PROPERTIES)
        guess = f", did you mean {close}?" if close else ""
        draft.problems.append(f"{name}: unknown property{guess} The connector ignores it: correct or remove it.")
        draft.left.pop(name)
    name = draft.take("name") or overrides.name or ""
    if not name:
        draft.problems.append("name: missing: the consumer group is connect-NAME, so give the connector's with --name")
    topics = import_topics(draft)
    import_group(draft, name, overrides.new_group)
    import_consumer(draft, overrides.bootstrap_servers)
    import_converters(draft)
    import_transforms(draft, topics)
    import_endpoint(draft)
    import_headers(draft)
    import_payload(draft, overrides.schema_file, overrides.schema_id)
    import_auth(draft)
    import_proxy(draft)
    import_sending(draft)
    import_dead_letters(draft, topics, overrides.dead_letter_path)
    _rest(draft)
    draft.problems += _faults(draft)
    if draft.problems:
        raise ImportProblemError(draft.problems)
    patch, routes = _route(draft, topics)
    notes = sorted(draft.notes, key=lambda note: LEVELS.index(note.level))
    return Imported(name, draft.options, patch, routes, draft.missing, draft.variables, notes)


def _check_class(properties: Mapping[str, str]) -> None:
    name = properties.get("connector.class", "").strip()
    if not name:
        raise ImportProblemError(["connector.class: missing: this is not a connector's configuration"])
    if not _SINK.fullmatch(name):
        problem = (
            f"connector.class: {name} is not Adobe's sink, com.adobe.platform.streaming.sink.impl.AEPSinkConnector"
        )
        raise ImportProblemError([f"{problem}: only its properties are known"])


def _with_worker(properties: Mapping[str, str], worker: Mapping[str, str]) -> dict[str, str]:
    """Return the properties, with what a sink has from the workers' configuration unless its own says otherwise."""
    shared: dict[str, str] = {}
    own = dict(properties)
    for name, value in worker.items():
        if name == "bootstrap.servers":
            shared.setdefault(f"consumer.override.{name}", value)
        elif name.startswith("consumer."):
            shared[f"consumer.override.{name.removeprefix('consumer.')}"] = value
    if "value.converter" in worker and "value.converter" not in own:
        # The workers' converter knows nothing of the connector's value.converter.*.
        own = {name: value for name, value in own.items() if not name.startswith("value.converter.")}
        shared |= {name: value for name, value in worker.items() if name.startswith("value.converter")}
    return shared | own


def _rest(draft: Draft) -> None:
    for name in list(draft.left):
        draft.drop({name: "the connector makes no use of it, or there is no equivalent"})


def _faults(draft: Draft) -> list[str]:
    """Return values that an option does not take, by the properties they come from."""
    problems = []
    for group, (prefix, model) in GROUPS.items():
        fields = {option.field: option for option in OPTIONS.values() if option.group == group}
        values = {field: draft.options[o.name] for field, o in fields.items() if o.name in draft.options}
        try:
            model(**values)
        except ValidationError as errors:
            for error in errors.errors(include_url=False):
                option = fields[str(error["loc"][0])]
                words = explain(error, option.type, secret=option.secret)
                problems += [f"{draft.origins[prefix + option.field]}: {text} ({option.name})" for _, text in words]
    return problems


def _route(draft: Draft, topics: list[str]) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return the patch of all topics, or routes where topics are patched differently; the draft's options become
    theirs.
    """
    if None in draft.patches or not draft.patches:
        return draft.patches.get(None, []), []
    by_patch: dict[str, list[str]] = {}
    for topic in topics:
        by_patch.setdefault(json.dumps(draft.patches.get(topic, [])), []).append(topic)
    shared = {}
    for option in single_route_options(AepRouteKeys):
        if option in draft.options:
            shared[option.partition("_")[2]] = draft.options.pop(option)
    if inlet_url := draft.missing.pop("aep_inlet_url", None):
        shared["inlet_url"] = inlet_url
    routes = []
    for number, (patch, of) in enumerate(by_patch.items(), start=1):
        route = {"name": f"route-{number}", **shared, "topics": of}
        if operations := json.loads(patch):
            route["map"] = operations
        routes.append(route)
    return [], routes
