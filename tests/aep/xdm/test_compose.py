"""Composition and compatibility notation.

The rules are those of "Basics of schema composition" and of the compatibility mode in the appendix of the Schema
Registry guide; the names in these examples are Adobe's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from aep.xdm.compose import LeftOut, compose
from aep.xdm.merge import CompositionError, compatible_name, xdm_type
from aep.xdm.rules import XdmRules
from aep.xdm.schema import SchemaError, parse_schema
from aep.xdm.validate import XdmValidator
from emulator.state.standard_xdm import COMPONENTS
from testing.defaults import by_default

RECORD = "https://ns.adobe.com/xdm/data/record"
PLACE = "https://ns.adobe.com/xdm/common/place"
TEXT = {"type": "string"}

DOCUMENTS: dict[str, dict[str, Any]] = {
    RECORD: {
        "$id": RECORD,
        "title": "Record",
        "type": "object",
        "meta:extensible": True,
        "definitions": {"record": {"properties": {"@id": {"type": "string", "format": "uri-reference"}}}},
        "allOf": [{"$ref": "#/definitions/record"}],
    },
    PLACE: {
        "$id": PLACE,
        "title": "Place",
        "description": "Where it is",
        "type": "object",
        "properties": {
            "xdm:city": {"title": "City", "type": "string"},
            "schema:latitude": {"type": "number"},
            "repo:createDate": {"type": "string", "format": "date-time"},
        },
        "required": ["xdm:city"],
    },
}


def composed(schema: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return compose(schema, {**DOCUMENTS, **more}.get)


def properties(*fields: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return composed({"$id": "x", "type": "object", "properties": dict(fields)})["properties"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("@id", ("_id",)),
        ("@type", ("_type",)),
        ("xdm:timestamp", ("timestamp",)),
        ("timestamp", ("timestamp",)),
        ("_id", ("_id",)),
        ("_acme", ("_acme",)),
        ("field-with-dash", ("field-with-dash",)),
        ("repo:createDate", ("_repo", "createDate")),
        ("schema:latitude", ("_schema", "latitude")),
        ("https://ns.adobe.com/xdm/channels/direct-mail", ("_channels", "directMail")),
        ("https://ns.adobe.com/experience/campaign/message", ("_experience", "campaign", "message")),
        ("https://ns.adobe.com/xdm/location", ("location",)),
        ("xdm:direct-mail", ("directMail",)),
        (
            "https://ns.adobe.com/experience/decisioning/content-references/contentReferencesMap",
            ("_experience", "decisioning", "content-references", "contentReferencesMap"),
        ),
        (
            "https://ns.adobe.com/experience/offer-management/offer-type",
            ("_experience", "offer-management", "offerType"),
        ),
        ("xdm:", ("xdm:",)),
    ],
)
def test_names(name: str, path: tuple[str, ...]) -> None:
    assert compatible_name(name) == path


def test_all_of_and_definitions() -> None:
    schema = {
        "$id": "s",
        "title": "Places",
        "version": "1.2",
        "type": "object",
        "definitions": {"own": {"properties": {"xdm:size": {"type": "integer"}}, "required": ["xdm:size"]}},
        "allOf": [{"$ref": RECORD}, {"$ref": PLACE}, {"$ref": "#/definitions/own"}],
    }
    result = composed(schema)
    assert set(result["properties"]) == {"_id", "city", "_schema", "_repo", "size"}
    assert result["required"] == ["city", "size"]
    assert result["meta:extends"] == [RECORD, PLACE]
    assert (result["$id"], result["title"], result["version"], result["type"]) == ("s", "Places", "1.2", "object")
    assert not {"allOf", "definitions", "description", "meta:extensible"} & set(result)


def test_names_in_objects() -> None:
    result = properties(
        ("repo:createDate", {"type": "string", "format": "date-time"}),
        ("repo:etag", TEXT),
        ("https://ns.adobe.com/experience/campaign/message", TEXT),
    )
    assert result["_repo"] == {
        "type": "object",
        "meta:xdmType": "object",
        "meta:xedConverted": True,
        "properties": {
            "createDate": {
                "type": "string",
                "format": "date-time",
                "meta:xdmType": "date-time",
                "meta:xdmField": "repo:createDate",
            },
            "etag": {"type": "string", "meta:xdmType": "string", "meta:xdmField": "repo:etag"},
        },
    }
    message = result["_experience"]["properties"]["campaign"]["properties"]["message"]
    assert message["meta:xdmField"] == "https://ns.adobe.com/experience/campaign/message"


def test_references_in_fields() -> None:
    place = properties(("xdm:home", {"$ref": PLACE, "title": "Home", "type": "string"}))["home"]
    assert (place["title"], place["type"]) == ("Home", "object")  # what stands beside a $ref demands nothing
    assert "description" not in place
    assert place["meta:referencedFrom"] == PLACE
    assert place["required"] == ["city"]
    assert place["properties"]["city"] == {
        "title": "City",
        "type": "string",
        "meta:xdmType": "string",
        "meta:xdmField": "xdm:city",
    }


def test_references_in_arrays_and_maps() -> None:
    result = properties(
        ("xdm:places", {"type": "array", "items": {"$ref": PLACE}}),
        ("xdm:map", {"type": "object", "additionalProperties": {"type": "array", "items": {"$ref": PLACE}}}),
    )
    assert "city" in result["places"]["items"]["properties"]
    assert result["places"]["meta:xdmType"] == "array"
    assert "city" in result["map"]["additionalProperties"]["items"]["properties"]
    assert result["map"]["meta:xdmType"] == "map"


def test_reference_into_another_document() -> None:
    outer = {"$id": "o", "definitions": {"t": {"properties": {"c": {"$ref": "#/definitions/u"}}}, "u": TEXT}}
    result = composed({"$id": "s", "properties": {"a": {"$ref": "o#/definitions/t"}}}, o=outer)
    assert result["properties"]["a"]["properties"]["c"]["type"] == "string"


def test_fields_of_two_components_become_one() -> None:
    def branch(name: str) -> dict[str, Any]:
        own = {"type": "object", "properties": {name: TEXT}, "required": [name]}
        return {"properties": {"_acme": own}, "required": ["_acme"]}

    result = composed({"$id": "s", "type": "object", "allOf": [branch("a"), branch("b")]})
    assert set(result["properties"]["_acme"]["properties"]) == {"a", "b"}
    assert result["properties"]["_acme"]["required"] == ["a", "b"]
    assert result["required"] == ["_acme"]


def test_fields_within_arrays_and_maps_of_two_components_become_one() -> None:
    def branch(name: str) -> dict[str, Any]:
        own = {"type": "object", "properties": {name: TEXT}, "required": [name]}
        return {
            "properties": {
                "list": {"type": "array", "items": own},
                "map": {"type": "object", "additionalProperties": {"type": "array", "items": own}},
            }
        }

    result = composed({"$id": "s", "type": "object", "allOf": [branch("a"), branch("b")]})["properties"]
    for items in (result["list"]["items"], result["map"]["additionalProperties"]["items"]):
        assert set(items["properties"]) == {"a", "b"}
        assert items["required"] == ["a", "b"]
    number = {"properties": {"list": {"type": "array", "items": {"type": "integer"}}}}
    with pytest.raises(CompositionError, match=r"/list/\*: the type 'integer' contradicts the earlier type 'object'"):
        composed({"$id": "s", "allOf": [branch("a"), number]})


def test_required_in_an_object_that_a_name_asks_for() -> None:
    result = composed({"$id": "s", "properties": {"repo:etag": TEXT}, "required": ["repo:etag"]})
    assert result["required"] == ["_repo"]
    assert result["properties"]["_repo"]["required"] == ["etag"]


DECISIONING = "https://ns.adobe.com/experience/decisioning"
TIME_SERIES = {
    "$id": "time-series",
    "properties": {"@id": TEXT, "xdm:timestamp": {"type": "string", "format": "date-time"}},
}
PROPOSITION = {"$id": "proposition", "properties": {f"{DECISIONING}/propositionID": TEXT}}
# The rules of adobe/xdm that stand in a branch of their own and name a field of a namespace.
NAMESPACED_RULES: list[tuple[list[dict[str, Any]], dict[str, Any]]] = [
    (
        [
            {"$ref": "time-series"},
            {"$ref": "proposition"},
            {"properties": {}},
            {"required": ["@id", "xdm:timestamp", f"{DECISIONING}/propositionID"]},
        ],
        {"_id": "e", "timestamp": "2026-01-02T03:04:05Z", "_experience": {"decisioning": {"propositionID": "p"}}},
    ),
    (
        [
            {"properties": {f"{DECISIONING}/{name}": TEXT for name in ("name", "activity", "placement", "itemCount")}},
            {"required": [f"{DECISIONING}/{name}" for name in ("name", "activity", "placement")]},
        ],
        {"_experience": {"decisioning": {"name": "n", "activity": "a", "placement": "p"}}},
    ),
    # content-component-details, and offer-representation, where the field's declaration comes after the rule
    (
        [{"properties": {"@type": TEXT, "dc:format": TEXT}}, {"required": ["@type", "dc:format"]}],
        {"_type": "t", "_dc": {"format": "f"}},
    ),
    ([{"required": ["dc:format"]}, {"properties": {"dc:format": TEXT, "dc:language": TEXT}}], {"_dc": {"format": "f"}}),
]


def without_each_leaf(entity: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for name, value in entity.items():
        rest = {other: copy.deepcopy(each) for other, each in entity.items() if other != name}
        if isinstance(value, dict):
            yield from ({**rest, name: less} for less in without_each_leaf(value))
        else:
            yield rest


@pytest.mark.parametrize(("branches", "good"), NAMESPACED_RULES)
def test_a_required_namespaced_name_in_a_branch_of_its_own(
    branches: list[dict[str, Any]], good: dict[str, Any]
) -> None:
    parts = {"proposition": PROPOSITION, "time-series": TIME_SERIES}
    document = composed({"$id": "s", "type": "object", "allOf": branches}, **parts)
    validator = XdmValidator(parse_schema(orjson.dumps(document), "s"), by_default(XdmRules))
    assert validator.check(good) is None
    lacking = list(without_each_leaf(good))
    assert lacking
    for entity in lacking:
        refused = validator.check(entity)
        assert refused is not None, entity
        assert {each.code for each in refused.errors} == {"required"}


def test_the_smallest_required_namespaced_name_refuses_an_empty_namespace() -> None:
    name = "https://ns.adobe.com/experience/x/id"
    branches = [{"$ref": "#/definitions/a"}, {"required": [name]}]
    document = composed({"$id": "s", "definitions": {"a": {"properties": {name: TEXT}}}, "allOf": branches})
    validator = XdmValidator(parse_schema(orjson.dumps(document), "s"), by_default(XdmRules))
    lacking: list[dict[str, Any]] = [{}, {"_experience": {}}, {"_experience": {"x": {}}}]
    for entity in lacking:
        assert validator.check(entity) is not None
    assert validator.check({"_experience": {"x": {"id": "1"}}}) is None


GROUP: dict[str, Any] = {
    "$id": "group",
    "properties": {
        "xdm:web": {
            "type": "object",
            "properties": {
                "xdm:page": {"type": "object", "properties": {"xdm:URL": TEXT, "xdm:name": TEXT}},
                "xdm:referrer": {"$ref": PLACE},
            },
            "required": ["xdm:page", "xdm:referrer"],
        },
        "xdm:list": {"type": "array", "items": {"type": "object", "properties": {"xdm:SKU": TEXT, "xdm:name": TEXT}}},
        "https://ns.adobe.com/experience/campaign/message": {
            "type": "object",
            "properties": {"id": TEXT, "size": TEXT},
        },
    },
    "required": ["xdm:web", "xdm:list"],
}


def names_in(properties: dict[str, Any]) -> dict[str, Any]:
    """Return names of fields, with those in each."""
    inner = {name: field.get("items", field).get("properties", {}) for name, field in properties.items()}
    return {name: names_in(fields) for name, fields in inner.items()}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("/web/page/URL", {"web": {"page": {"URL": {}}}}),
        (["/web/page/URL"], {"web": {"page": {"URL": {}}}}),
        (["/web/page/URL", "/web/page/name"], {"web": {"page": {"URL": {}, "name": {}}}}),
        (["/web/page", "/web/page/URL"], {"web": {"page": {"URL": {}, "name": {}}}}),
        ("/web/referrer/_schema", {"web": {"referrer": {"_schema": {"latitude": {}}}}}),
        ("/list/SKU", {"list": {"SKU": {}}}),
        ("/list[*]/SKU", {"list": {"SKU": {}}}),
        (
            ["/_experience/campaign/message/id", "/list"],
            {"_experience": {"campaign": {"message": {"id": {}}}}, "list": {"SKU": {}, "name": {}}},
        ),
    ],
)
def test_only_the_fields_of_a_ref_property_are_taken(wanted: Any, expected: dict[str, Any]) -> None:
    result = composed({"$id": "s", "allOf": [{"$ref": "group", "meta:refProperty": wanted}]}, group=GROUP)
    assert names_in(result["properties"]) == expected
    assert result["required"] == [name for name in ("web", "list") if name in expected]
    if "web" in expected:
        assert result["properties"]["web"]["required"] == list(expected["web"])
    assert "meta:refProperty" not in result


def test_two_references_with_ref_properties_take_both() -> None:
    references = [{"$ref": "group", "meta:refProperty": each} for each in ("/web/page/URL", "/list/SKU")]
    result = composed({"$id": "s", "allOf": references}, group=GROUP)
    assert names_in(result["properties"]) == {"web": {"page": {"URL": {}}}, "list": {"SKU": {}}}
    assert result["meta:extends"] == ["group"]
    assert composed(result) == result


@pytest.mark.parametrize(
    ("wanted", "hint"),
    [
        ("/web/none", "s, #/allOf/0/meta:refProperty: group has no field /web/none"),
        ("/web/page/URL/x", "group has no field /web/page/URL/x"),
        ("web", "expected a pointer to a field, such as /person/name, or a list of them, got 'web'"),
        ("", "expected a pointer"),
        (5, "expected a pointer"),
        (["/web", None], "got None"),
    ],
)
def test_ref_properties_that_point_to_nothing(wanted: Any, hint: str) -> None:
    with pytest.raises(CompositionError) as refused:
        composed({"$id": "s", "allOf": [{"$ref": "group", "meta:refProperty": wanted}]}, group=GROUP)
    assert hint in str(refused.value)
    assert refused.value.component == "s"


def test_own_fields_in_standard_objects_are_merged_with_them() -> None:
    own = {"type": "object", "properties": {"_acme": {"type": "object", "properties": {"core": TEXT}}}}
    extended = {"properties": {"list": {"type": "array", "items": own}}}
    result = composed({"$id": "s", "allOf": [{"$ref": "group"}, extended]}, group=GROUP)
    assert names_in(result["properties"])["list"] == {"SKU": {}, "name": {}, "_acme": {"core": {}}}


def test_alternatives_are_dropped() -> None:
    result = properties(
        ("xdm:any", {"anyOf": [TEXT, {"type": "integer"}]}),
        ("xdm:one", {"type": "object", "oneOf": [{"properties": {"a": TEXT}}]}),
        ("xdm:names", {"type": "object", "patternProperties": {"^a": TEXT}}),
    )
    assert result["any"] == {"type": "string", "meta:xdmType": "string", "meta:xdmField": "xdm:any"}
    assert set(result["one"]) == set(result["names"]) == {"type", "meta:xdmType", "meta:xdmField"}


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        (TEXT, "string"),
        ({"type": "string", "format": "date"}, "date"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"type": "string", "format": "uri"}, "string"),
        ({"type": "integer"}, "int"),
        ({"type": "integer", "minimum": 0, "maximum": 9007199254740991}, "long"),
        ({"type": "integer", "minimum": "0"}, "int"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "array"}, "array"),
        ({"type": "object"}, "object"),
        ({"type": "object", "additionalProperties": TEXT}, "map"),
        ({"type": "object", "additionalProperties": True}, "object"),
    ],
)
def test_xdm_types(field: dict[str, Any], kind: str) -> None:
    assert xdm_type(field) == kind


@pytest.mark.parametrize("extends", [True, 5, None, {"a": 1}, [5]])
def test_parents_that_are_none_are_no_parents(extends: Any) -> None:
    assert composed({"$id": "s", "properties": {}, "allOf": [{"$ref": "g"}]}, g={"$id": "g", "meta:extends": extends})[
        "meta:extends"
    ] == ["g"]


def test_stated_xdm_type_stays() -> None:
    assert properties(("n", {"type": "integer", "meta:xdmType": "long"}))["n"]["meta:xdmType"] == "long"


def test_resolved_schema_stays_as_it_is() -> None:
    once = composed({"$id": "s", "type": "object", "allOf": [{"$ref": RECORD}, {"$ref": PLACE}]})
    assert composed(once) == once


def test_documents_are_not_changed() -> None:
    before = copy.deepcopy(DOCUMENTS)
    schema = {"$id": "s", "allOf": [{"$ref": PLACE}, {"properties": {"xdm:city": {"maxLength": 5}}}]}
    composed(schema)
    assert before == DOCUMENTS


@pytest.mark.parametrize(
    ("schema", "hint"),
    [
        ({"allOf": [{"$ref": "https://ns.adobe.com/none"}]}, "'https://ns.adobe.com/none' does not exist"),
        ({"allOf": [{"$ref": "#/definitions/none"}]}, "'#/definitions/none' in s points to nothing"),
        ({"properties": {"a": {"$ref": "#"}}}, "recursive"),
        (
            {"allOf": [{"properties": {"a": TEXT}}, {"properties": {"a": {"type": "integer"}}}]},
            "s/a: the type 'integer' contradicts the earlier type 'string'",
        ),
    ],
)
def test_refused(schema: dict[str, Any], hint: str) -> None:
    with pytest.raises(SchemaError) as refused:
        composed({"$id": "s", **schema})
    assert hint in str(refused.value)


def test_standard_components_make_a_schema_that_validates() -> None:
    event = "https://ns.adobe.com/xdm/context/experienceevent"
    schema = {"$id": "s", "type": "object", "allOf": [{"$ref": event}, {"$ref": f"{event}-web"}]}
    resolved = parse_schema(orjson.dumps(compose(schema, COMPONENTS.get)), "s")
    assert resolved.is_event
    validator = XdmValidator(resolved, by_default(XdmRules))
    entity = {"_id": "e", "timestamp": "2026-01-02T03:04:05Z", "web": {"webPageDetails": {"name": "home"}}}
    assert validator.check(entity) is None
    entity["web"]["webPageDetails"] = {"xdm:name": "home"}  # type: ignore[index]
    assert validator.check(entity) is not None


def test_rules_that_are_lost_are_told_with_their_place() -> None:
    inner = {"$id": "i", "definitions": {"d": {"properties": {"a/b": {"type": "object", "oneOf": [{}]}}}}}
    fields = {"xdm:one": {"$ref": "i#/definitions/d"}, "xdm:list": {"type": "array", "items": {"anyOf": [TEXT]}}}
    told: list[LeftOut] = []
    compose({"$id": "s", "allOf": [{"properties": fields}]}, {"i": inner}.get, told.append)
    assert told == [
        LeftOut("i", "/definitions/d/properties/a~1b/oneOf"),
        LeftOut("s", "/allOf/0/properties/xdm:list/items/anyOf"),
    ]


@pytest.mark.parametrize(
    ("inner", "component"),
    [
        ({"allOf": [{"$ref": "none"}]}, "i"),
        ({"properties": {"a": {"$ref": "#/none"}}}, "i"),
        ({"properties": {"a": {"$ref": "#"}}}, "i"),
        ({"properties": {"a": {"type": "integer"}}}, "i"),
        ({"properties": {"b": TEXT}}, "s"),
    ],
)
def test_a_fault_names_the_component_it_stands_in(inner: dict[str, Any], component: str) -> None:
    first, last = {"properties": {"a": TEXT}}, {"properties": {"b": {"type": "integer"}}}
    schema = {"$id": "s", "allOf": [first, {"$ref": "i"}, last]}
    with pytest.raises(CompositionError) as refused:
        compose(schema, {"i": {"$id": "i", **inner}}.get)
    assert refused.value.component == component


@pytest.mark.parametrize(
    ("malformed", "said"),
    [
        ({"allOf": 5}, "s, #/allOf: expected a list"),
        ({"allOf": ["x"]}, "s, #/allOf/0: expected an object"),
        ({"allOf": [{"$ref": {}}]}, r"s, #/allOf/0/\$ref: expected a string"),
        ({"properties": ["x"]}, "s, #/properties: expected an object"),
        ({"properties": {"a": {"required": "b"}}}, "s, #/properties/a/required: expected a list of strings"),
        ({"required": [None]}, "s, #/required: expected a list of strings"),
    ],
)
def test_what_is_no_schema_is_refused_where_it_stands(malformed: dict[str, Any], said: str) -> None:
    with pytest.raises(CompositionError, match=f"^{said}$"):
        composed({"$id": "s", **malformed})
