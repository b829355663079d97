"""The page of codes has each code that the code can give, and its examples are messages that come."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from aep.formats.avro import schema_key
from aep.formats.exported_profile import check_shape
from aep.formats.json import parse_object
from aep.ingestion.envelope import Destination
from aep.mapping.conditions import compile_conditions
from aep.mapping.field_map import compile_map
from aep.mapping.json_patch import compile_patch
from aep.mapping.message import unwrap
from aep.mapping.transform import RecordTransform
from aep.mapping.upserts import check_operations
from aep.xdm.identities import check_identity_fields, check_identity_map, identity_fields
from aep.xdm.rules import check_id, check_size, check_timestamp
from aep.xdm.wording import message_of
from kinesis.keys import KeyMaker, PartitionKeys
from pipelines.cli.dead_letters.page import page
from transforms.aep.inlet import AepInlet
from transforms.kinesis.exported_profiles import parse_profile
from transforms.records.dead_letter_codes import CODES, link_of
from transforms.records.prepare import MapStep, ParseStep, route_of
from transforms.records.record import UNREADABLE_HEADERS, Record
from transforms.records.route import Route, parse_json

ROOT = Path(__file__).parents[4]

# How a code is named where a refusal is made, by the name of what is called: the position of the argument.
MAKERS = {
    "Refusal": 2,
    "ParseFailure": 0,
    "TransformFault": 0,
    "XdmError": 0,
    "Fault": 0,
    "Reject": 0,
    "Answer": 0,
    "_refuse": 0,
    "_malformed": 0,
}
# Where the code comes from elsewhere: another refusal, whose own maker is looked at, or the keyword of a schema.
PASSED_ON = {"code", "answer.code", "error.kind.name", "self.code", "self._fault_code", "fault[0]"}
# Answers that no dead letter is made of.
NO_CODES = {"", "unsent"}


def found_in_code() -> Iterator[tuple[str, str]]:
    """Yield each code with the place that gives it, and each expression that is not known to pass one on."""
    folders = ("aep/formats", "aep/mapping", "aep/xdm", "aep/ingestion", "kinesis", "transforms")
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in MAKERS:
                continue
            position = MAKERS[node.func.id]
            if len(node.args) <= position or any(isinstance(each, ast.Starred) for each in node.args[: position + 1]):
                continue  # made of another refusal
            argument = node.args[position]
            options = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
            for option in options:
                place = f"{path.relative_to(ROOT)}:{node.lineno}"
                if isinstance(option, ast.Constant):
                    yield str(option.value), place
                elif isinstance(option, ast.Name) and option.id in constants:
                    yield str(constants[option.id]), place
                elif isinstance(option, ast.Name) and option.id == "CODE":
                    yield "avro", place
                elif ast.unparse(option) not in PASSED_ON:
                    yield ast.unparse(option), place


# What `PASSED_ON` passes on and is not made by a maker.
NAMED_OTHERWISE = {
    "aep/mapping/message.py": ("dataset", "org"),
    "aep/xdm/identities.py": ("empty_identity", "ecid", "blocked_identity", "identity_too_long"),
    "transforms/records/prepare.py": ("patch", "map"),
    "transforms/aep/failed_records.py": ("failed",),
}


def test_each_code_that_a_pipeline_can_give_is_explained() -> None:
    found = {code: place for code, place in found_in_code() if code not in NO_CODES}
    for path, codes in NAMED_OTHERWISE.items():
        for code in codes:
            assert f'"{code}"' in (ROOT / path).read_text()
            found[code] = path
    found |= dict.fromkeys(KEYWORDS, "a keyword of schemas")
    assert {f"{code} ({found[code]})" for code in found.keys() - CODES.keys()} == set()
    assert CODES.keys() - found.keys() == set(), "explained, and not given by anything"
    assert len(found) > 55


# --- Keywords of schemas: each kind of violation that the validator knows ---

KINDS: dict[str, tuple[dict[str, Any], Any]] = {
    "AdditionalItems": ({"items": [{}], "additionalItems": False}, [1, 2]),
    "AdditionalProperties": ({"additionalProperties": False, "properties": {"b": {}}}, {"a": 1}),
    "AnyOf": ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1),
    "Enum": ({"enum": ["red", "green"]}, "blue"),
    "ExclusiveMaximum": ({"maximum": 3, "exclusiveMaximum": True}, 3),
    "ExclusiveMinimum": ({"minimum": 3, "exclusiveMinimum": True}, 3),
    "Format": ({"format": "date-time"}, "31.1.2026"),
    "MaxItems": ({"maxItems": 1}, [1, 2]),
    "MaxLength": ({"maxLength": 3}, "abcd"),
    "MaxProperties": ({"maxProperties": 1}, {"a": 1, "b": 2}),
    "Maximum": ({"maximum": 100}, 101),
    "MinItems": ({"minItems": 1}, []),
    "MinLength": ({"minLength": 2}, "a"),
    "MinProperties": ({"minProperties": 1}, {}),
    "Minimum": ({"minimum": 0}, -1),
    "MultipleOf": ({"multipleOf": 2}, 3),
    "Not": ({"not": {"type": "string"}}, "a"),
    "OneOfMultipleValid": ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1),
    "OneOfNotValid": ({"oneOf": [{"type": "number"}, {"type": "integer"}]}, "a"),
    "Pattern": ({"pattern": "^[A-Z]+$"}, "abc"),
    "Required": ({"required": ["timestamp"]}, {}),
    "Type": ({"type": "string"}, 3),
    "UniqueItems": ({"uniqueItems": True}, [1, 1]),
}
# Of later drafts of JSON Schema than the one that schemas are compiled as, or of features that they do not use.
NOT_OF_DRAFT_4 = {
    *("Constant", "Contains", "ContentEncoding", "ContentMediaType", "FalseSchema", "PropertyNames"),
    *("UnevaluatedItems", "UnevaluatedProperties", "Custom", "Referencing"),
    *("BacktrackLimitExceeded", "FromUtf8", "RegexEngineFailure"),
}


def violation(kind: str) -> jsonschema_rs.ValidationError:
    schema, instance = KINDS[kind]
    (error,) = jsonschema_rs.Draft4Validator(schema, validate_formats=True).iter_errors(instance)
    return error


# By keyword; of two kinds with one, the first.
KEYWORDS = {violation(kind).kind.name: kind for kind in reversed(KINDS)}


def test_each_kind_of_violation_is_known() -> None:
    known = {name for name in dir(jsonschema_rs.ValidationErrorKind) if name[0].isupper()}
    assert known == KINDS.keys() | NOT_OF_DRAFT_4


# --- Examples ---


def keyword(code: str) -> str:
    error = violation(KEYWORDS[code])
    return message_of(code, error.kind.as_dict(), error)


def refused(value: bytes) -> Any:
    return parse_object(value)


INLET: Destination = Destination("https://dcs.adobedc.net/collection/i", "message", None, org_id="O", dataset_id="D")
RECORD = Record(0, 0, None, (), b"{}")
ROUTE: Route = Route(
    "r", ("t",), AepInlet("https://dcs.adobedc.net/collection/i", "entity", "s", auth="none"), parse_json
)
REF = {"schemaRef": {"id": "s", "contentType": "c;version=1"}}

RULES: dict[str, Callable[[], Any]] = {
    "empty": lambda: refused(b""),
    "json": lambda: refused(b"{oops"),
    "integer_range": lambda: refused(b'{"a": 92345678901234567890}'),
    "duplicate_key": lambda: refused(b'{"a": 1, "a": 2}'),
    "too_deep": lambda: refused(b'{"a":' * 300 + b"1" + b"}" * 300),
    "avro": lambda: schema_key(b'{"a": 1}', None),
    "map": lambda: compile_map({"/total": {"from": "/sum"}}).apply({}, None),  # type: ignore[arg-type]
    "patch": lambda: compile_patch([{"op": "remove", "path": "/a"}], "rfc6902").apply({}),
    "too_large": lambda: check_size(13, 10),
    "empty_id": lambda: check_id({"_id": " "}),
    "timestamp_future": lambda: check_timestamp({"timestamp": "1970-01-01T00:16:40Z"}, 0, 300, None),
    "timestamp_old": lambda: check_timestamp({"timestamp": "1970-01-01T00:00:00Z"}, 864_000, 300, 1),
    "no_identity": lambda: check_identity_map({}, frozenset(), True)[0],
    "primary_identity_missing": lambda: check_identity_fields({}, identity_fields((), ("/a",)))[0],
    "many_primary": lambda: identity_map(A=[{"id": "1", "primary": True}, {"id": "2", "primary": True}]),
    "empty_identity": lambda: identity_map(A=[{"id": ""}]),
    "blocked_identity": lambda: identity_map(A=[{"id": "anonymous"}]),
    "ecid": lambda: identity_map(ECID=[{"id": "7"}]),
    "identity_too_long": lambda: identity_map(A=[{"id": "x" * 1025}]),
    "unknown_namespace": lambda: check_identity_map({"identityMap": {"B": []}}, frozenset("a"), False)[0],
    "too_many_identities": lambda: identity_map(A=[{"id": str(number)} for number in range(21)]),
    "envelope": lambda: unwrap({}, INLET),
    "schema_ref": lambda: unwrap({"header": {}, "body": {"xdmEntity": {}}}, INLET),
    "dataset": lambda: unwrap(message(datasetId="x"), INLET),
    "org": lambda: unwrap(message(datasetId="D", imsOrgId="x"), INLET),
    "bad_key": lambda: KeyMaker(PartitionKeys("identity", (), False))({"identityMap": {}}, None),
    "transform_result": lambda: RecordTransform("tests.own_steps:a_list").load()({}, None),  # type: ignore[arg-type]
    "kpl_aggregated": lambda: parse_profile(Record(0, 0, None, (), b"\xf3\x89\x9a\xc2\x0a\x01a")),
    "header_name": lambda: ParseStep((ROUTE,), "skip")(Record(0, 0, None, UNREADABLE_HEADERS, b"{}")),
    "tombstone": lambda: ParseStep((ROUTE,), "dead_letter")(Record(0, 0, None, (), None)),
    "no_route": lambda: route_of(RECORD, {}, (replace(ROUTE, when=compile_conditions({"/a": [1]})),)),
    "id_field_missing": lambda: MapStep(replace(ROUTE, id_from=("/a",)))("t", 0, RECORD, {}, b"{}"),
    "operations": lambda: check_operations({"header": {"operations": {"data": "merge"}}}),
}


def message(**header: str) -> dict[str, Any]:
    return {"header": {**REF, **header}, "body": {"xdmMeta": REF, "xdmEntity": {}}}


def identity_map(**namespaces: list[dict[str, Any]]) -> Any:
    return check_identity_map({"identityMap": namespaces}, frozenset(), False)[0]


@pytest.mark.parametrize("code", [*KEYWORDS, *RULES])
def test_examples_are_messages_that_come(code: str) -> None:
    given = RULES[code]().message if code in RULES else keyword(code)
    assert given == {"additionalProperties": keyword("additionalProperties")}.get(code, CODES[code].example)


def test_the_shape_of_exported_profiles_has_keywords_of_the_page() -> None:
    found = check_shape({"segmentMembership": {"ups": {"1": {"status": "x", "createdAt": "y"}}}})
    assert found is not None
    assert {error.code for error in found.errors} <= CODES.keys()


# --- The page ---


def test_the_page_is_made_from_the_codes() -> None:
    assert (ROOT / "docs" / "dead-letter-codes.md").read_text() == page(), "run `make docs`"


@pytest.mark.parametrize("code", [*CODES, "DCVS-1106-400", "org.apache.kafka.connect.errors.DataException"])
def test_links_lead_to_a_heading(code: str) -> None:
    file, anchor = link_of(code).split("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / file).read_text(), re.MULTILINE)
    assert anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_a_code_that_nobody_knows_leads_to_the_page() -> None:
    assert link_of("what") == "docs/dead-letter-codes.md"
