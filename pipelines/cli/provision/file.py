"""Reading a provision file, with the line of everything in it, and writing the routes file that comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from aep.errors import UserError
from aep.ingestion.envelope import Payload
from aep.provision.checks import check
from aep.provision.checks_destinations import SECRETS
from aep.provision.model import (
    Connection,
    DataSetEntry,
    Destination,
    FieldGroup,
    FieldSpec,
    Flow,
    IdentityField,
    MappingEntry,
    Problem,
    Provision,
    RouteEntry,
    Schema,
    Segment,
    with_tenant,
)
from aep.provision.model import Path as Place
from aep.provision.routes import RouteValues
from pipelines.destinations.aep.keys import AepRouteKeys, payload_faults
from pipelines.options.route_keys import describe_keys
from pipelines.options.routes import GIVE_TOPICS, shared_topics
from pipelines.options.table import describe_type, explain
from pipelines.options.yaml_files import OptionsError, describe, dump, read_document, read_text, unknown

_MODELS: Mapping[str, type[BaseModel]] = {
    "field_groups": FieldGroup,
    "schemas": Schema,
    "datasets": DataSetEntry,
    "connections": Connection,
    "flows": Flow,
    "segments": Segment,
    "destinations": Destination,
    "routes": RouteEntry,
}
# Keys of a routes file that the provision file does not have: they are what provisioning finds out.
_FOUND_OUT = frozenset(
    [
        "inlet_url",
        "dataset_id",
        "org_id",
        "flow_id",
        "source_name",
        "schema_file",
        "schema_id",
        "schema_sha256",
        "auth",
    ]
)
_ROUTE_KEYS = [
    *RouteEntry.model_fields,
    *(name for name in AepRouteKeys.model_fields if name not in _FOUND_OUT | {*RouteEntry.model_fields}),
]
_ANY_INLET = "https://dcs.adobedc.net/collection/INLET_ID"
_MARK = "# Written by `beam-aep provision` from"
_INIT_MARK = "# Written by `beam-aep init`"  # samples/project/routes.yaml


@dataclass(frozen=True)
class ProvisionFile:
    """A file that passed all checks that need no call.

    Attributes:
        path: Path of the file.
        wanted: What it declares.
        lines: The line of each key and list item.
    """

    path: str
    wanted: Provision
    lines: Mapping[Place, int]

    def of_tenant(self, tenant: str) -> ProvisionFile:
        """Return the same with the tenant id in place of `{TENANT_ID}`."""
        lines = {with_tenant(place, tenant): line for place, line in self.lines.items()}
        return ProvisionFile(self.path, self.wanted.with_tenant(tenant), lines)

    def rule_refusal(self, segment: Segment, error: UserError) -> str:
        """Return what to say where AEP rejects a segment of the file: PQL is AEP's, and checked by it alone."""
        place: Place = ("segments", self.wanted.segments.index(segment), "rule")
        text = f"AEP rejects segment {segment.name}, whose rule is here: {error}"
        return self.refusals([Problem(place, text)])[0]

    def refusals(self, problems: Iterable[Problem]) -> list[str]:
        return _placed(self.path, self.lines, problems)


def read_provision(path: str) -> ProvisionFile:
    """Read a file and check what can be checked without a call.

    Raises:
        OptionsError: With all problems found, one a line, each with file and line.
    """
    refusals: list[str] = []
    lines: dict[Place, int] = {}
    document: Any = None
    with read_document(read_text(path, "provision file"), path, refusals) as (loader, node):
        if node is not None:
            try:
                document = loader.construct_object(node, deep=True)
                _note_lines(node, (), lines)
            except yaml.MarkedYAMLError as error:
                line = error.problem_mark.line + 1 if error.problem_mark else 1
                refusals.append(f"{path}:{line}: {error.problem}")
    if not refusals and not document:
        refusals.append(f"{path}: declares nothing: add {', '.join(_MODELS)}")
    if refusals:
        raise OptionsError(refusals)
    try:
        wanted = Provision.model_validate(document)
    except ValidationError as errors:
        found = [_explain(error, lines) for error in errors.errors(include_url=False)]
        raise OptionsError(_placed(path, lines, found)) from None
    problems = [*_route_problems(wanted), *check(wanted)]
    if problems:
        raise OptionsError(_placed(path, lines, problems))
    return ProvisionFile(path, wanted, lines)


def routes_text(source: str, routes: Sequence[RouteValues], schema_folder: Path) -> str:
    lines = [f"{_MARK} {Path(source).name}, which overwrites it: change that file instead.", "routes:"]
    for route in routes:
        values = dict(route.values)
        if route.schema_file is not None:
            values["schema_file"] = str(schema_folder / route.schema_file)
        for number, (key, value) in enumerate(values.items()):
            lines.append(f"  {'-' if number == 0 else ' '} {key}: {dump(value)}")
    return "\n".join(lines) + "\n"


def is_ours(path: Path) -> bool:
    """Return whether a routes file may be written: it is not there, or is of `routes_text` or `beam-aep init`."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").startswith((_MARK, _INIT_MARK))
    except FileNotFoundError:
        return True


def _placed(path: str, lines: Mapping[Place, int], problems: Iterable[Problem]) -> list[str]:
    placed = []
    for problem in problems:
        place = problem.path
        while place and place not in lines:  # what is missing is told with what should have it
            place = place[:-1]
        placed.append((lines.get(place, 1), problem.text))
    return [f"{path}:{line}: {text}" for line, text in sorted(placed, key=lambda each: each[0])]


def _note_lines(node: yaml.Node, place: Place, lines: dict[Place, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inside: Place = (*place, key.value)
            lines[inside] = key.start_mark.line + 1
            _note_lines(value, inside, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            inside = (*place, index)
            lines[inside] = item.start_mark.line + 1
            _note_lines(item, inside, lines)


def _explain(error: ErrorDetails, lines: Mapping[Place, int]) -> Problem:
    """Describe for the user what pydantic found wrong."""
    place = error["loc"]
    if error["type"] == "literal_error" and place not in lines:  # `name: int`, short for `name: {type: int}`
        place = place[:-1]
    key = str(place[-1])
    kind, got = error["type"], describe(error["input"], secret=key in SECRETS)
    if kind == "extra_forbidden":
        return Problem(place, unknown("key", key, _keys_at(place[:-1])))
    if kind == "missing":
        return Problem(place, f"{key}: missing")
    if kind == "literal_error":
        return Problem(place, f"{key}: expected one of {error['ctx']['expected'].replace(chr(39), '')}, got {got}")
    names = {"bool": "true or false", "string": "a text", "list": "a list", "dict": "a mapping", "model": "a mapping"}
    expected = names.get(kind.partition("_")[0])
    if isinstance(place[-1], int):
        key = f"{place[-2]}, entry {int(place[-1]) + 1}"
    return Problem(place, f"{key}: expected {expected}, got {got}" if expected else f"{key}: {error['msg']}, got {got}")


def _keys_at(place: Place) -> list[str]:
    """Return the keys that are allowed at a place in the file."""
    if not place:
        return list(_MODELS)
    if place[0] == "field_groups" and len(place) > 2:
        model: type[BaseModel] = FieldSpec
    elif len(place) > 2:
        model = IdentityField if place[2] == "identities" else MappingEntry
    else:
        model = _MODELS[str(place[0])]
    return [info.alias or name for name, info in model.model_fields.items()]


def _route_problems(wanted: Provision) -> list[Problem]:
    """Return what in the routes a routes file would not take, as far as it does not depend on the options of a run."""
    problems: list[Problem] = []
    made: list[AepRouteKeys] = []
    raw = {each.name for each in wanted.connections if each.data_type == "raw"}
    for index, route in enumerate(wanted.routes):
        path: Place = ("routes", index)
        passed_on = dict(route.model_extra or {})
        for key in [key for key in passed_on if key not in _ROUTE_KEYS]:
            del passed_on[key]
            text = f"{key}: is filled in by provisioning" if key in _FOUND_OUT else unknown("key", key, _ROUTE_KEYS)
            problems.append(Problem((*path, key), text))
        payload: Payload = "raw" if wanted.ends_of(route)[0] in raw else "entity"
        try:
            keys = AepRouteKeys(name=route.name, inlet_url=_ANY_INLET, payload=payload, **passed_on)
        except ValidationError as errors:
            for error in errors.errors(include_url=False):
                key = str(error["loc"][0])
                _, type_name, _ = describe_type(AepRouteKeys.model_fields[key].annotation)
                for _, text in explain(error, type_name, secret=describe_keys(AepRouteKeys)[key].secret):
                    problems.append(Problem((*path, *error["loc"]), f"{key}: {text}"))
            continue
        if not keys.topics:
            problems.append(Problem(path, f"route {keys.name}: topics: missing: {GIVE_TOPICS}"))
        for fault in payload_faults(keys, "skip"):
            problems.append(Problem((*path, fault.key), f"{fault.key}: {fault.text}"))
        for earlier in made:
            if not earlier.when:
                for topic in shared_topics(earlier, keys):
                    text = f"topics: {topic} also belongs to route {earlier.name}, which takes all of its records"
                    problems.append(Problem((*path, "topics"), text))
        made.append(keys)
    return problems
