"""Schemas composed of component files and an organisation's own fields."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.xdm.build import Built, Recipe, build_schema, find_class, find_field_group
from aep.xdm.components import Component, Components, read_components
from aep.xdm.fields import fields_of
from aep.xdm.own_fields import read_own_fields
from aep.xdm.pointers import steps_of
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema, SchemaError
from aep.xdm.validate import XdmValidator
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT, PROFILE

XDM = "https://ns.adobe.com/xdm/"
EVENT_CLASS = f"{XDM}context/experienceevent"
COMPONENTS = read_components([str(Path(__file__).with_name("components"))])
TEXT = {"type": "string"}


def build(
    *groups: str, class_: str = "experienceevent", own: Sequence[Component] = (), components: Components = COMPONENTS
) -> Built:
    found = find_class(components, class_)
    chosen = [find_field_group(components, each, found) for each in groups]
    recipe = Recipe("https://ns.adobe.com/acme/schemas/visit", "Visit", found, chosen, "_acme", own)
    return build_schema(recipe, components, "visit.schema.json")


def document_of(built: Built) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(built.schema.document)
    return found


def own_fields(folder: Path, document: Any, name: str = "own.json") -> Component:
    path = folder / name
    path.write_bytes(orjson.dumps(document))
    return read_own_fields(str(path), "acme")


def with_component(folder: Path, **document: Any) -> Components:
    path = folder / "extra.schema.json"
    path.write_bytes(orjson.dumps({"meta:intendedToExtend": [EVENT_CLASS], **document}))
    return COMPONENTS.including([Component(str(path), orjson.loads(path.read_bytes()))])


def test_a_schema_as_the_registry_returns_it(tmp_path: Path) -> None:
    built = build("shopping", own=[own_fields(tmp_path, {"points": {"type": "integer", "title": "Points"}})])
    document = document_of(built)
    properties = document.pop("properties")
    assert document == {
        "$id": "https://ns.adobe.com/acme/schemas/visit",
        "meta:altId": "_acme.schemas.visit",
        "meta:resourceType": "schemas",
        "version": "1.0",
        "title": "Visit",
        "type": "object",
        "required": ["_id", "timestamp"],
        "meta:class": EVENT_CLASS,
        "meta:extends": [
            EVENT_CLASS,
            f"{XDM}context/identitymap",
            f"{XDM}data/time-series",
            f"{EVENT_CLASS}-shopping",
            "https://ns.adobe.com/acme/mixins/own",
        ],
        "meta:abstract": False,
        "meta:extensible": False,
        "meta:containerId": "tenant",
        "meta:tenantNamespace": "_acme",
        "meta:xdmType": "object",
    }
    assert set(properties) == {
        *("_id", "timestamp", "eventType", "eventMergeId", "identityMap"),
        *("basket", "total", "_channels", "_acme"),
    }
    assert properties["total"]["properties"]["_schema"]["properties"]["validThrough"]["format"] == "date"
    assert properties["_acme"]["properties"]["points"] == {"type": "integer", "meta:xdmType": "int"}
    assert built.warnings == ()
    assert (built.schema.is_event, built.schema.tenant) == (True, "_acme")
    assert b'"description"' not in built.schema.document
    assert (
        built.schema.document
        == build("shopping", own=[own_fields(tmp_path, {"points": {"type": "integer"}})])[0].document
    )


def test_fields_that_each_record_must_have_and_others() -> None:
    fields = {each.pointer: each.required for each in fields_of(document_of(build("shopping")))}
    assert [pointer for pointer, required in fields.items() if required] == [
        "/_id",
        "/timestamp",
        "/basket/*/SKU",
        "/basket/*/price/amount",
        "/total/amount",
    ]
    assert "/identityMap/*/*/authenticatedState" in fields
    assert "/_channels/directMail" in fields


def test_required_in_standard_names_and_in_a_namespace_object() -> None:
    inner = {"etag": {"type": "string", "meta:xdmField": "repo:etag"}}
    repo = {"type": "object", "meta:xedConverted": True, "properties": inner}
    found = list(fields_of({"properties": {"_repo": repo, "open": True}, "required": ["repo:etag"]}))
    assert found == [("/_repo", True), ("/_repo/etag", True), ("/open", False)]


FORMATS = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "uri-reference": "a1",
    "uri": "https://example.com/",
    "email": "a@example.com",
    "ipv4": "127.0.0.1",
    "ipv6": "::1",
}
# One of these fits each pattern of the schemas here.
TEXTS = ("EUR", "49", "SPRING", "DE", "12-24", "DE-BY", "en", "eu-central-1", "x")


def value_of(field: dict[str, Any]) -> Any:
    """Return a value that a field says is right."""
    if "enum" in field:
        return field["enum"][0]
    kind = field.get("type")
    if kind == "object" and "properties" not in field and isinstance(field.get("additionalProperties"), dict):
        return {"key": value_of(field["additionalProperties"])}
    if kind == "object":
        return {name: value_of(each) for name, each in field.get("properties", {}).items()}
    if kind == "array":
        return [value_of(field["items"])]
    if kind == "string":
        if "pattern" in field:
            return next(text for text in TEXTS if re.search(field["pattern"], text))
        return FORMATS[field["format"]] if field.get("format") in FORMATS else "x" * max(1, field.get("minLength", 1))
    return {"boolean": True, "integer": field.get("minimum", 1), "number": field.get("minimum", 1)}[str(kind)]


def replaced(entity: Any, steps: list[str], value: Any) -> Any:
    """Return the entity with another value at a place; `*` is the first of an array or map."""
    if not steps:
        return value
    if isinstance(entity, list):
        return [replaced(entity[0], steps[1:], value)]
    name = next(iter(entity)) if steps[0] == "*" else steps[0]
    return {**entity, name: replaced(entity[name], steps[1:], value)}


@pytest.mark.parametrize(
    "schema", [build("shopping").schema, build("contact", class_="profile").schema, EVENT, PROFILE], ids=lambda s: s.id
)
def test_what_a_schema_says_of_its_fields_is_what_is_checked(schema: ResolvedSchema) -> None:
    validator = XdmValidator(schema, by_default(XdmRules))
    document = orjson.loads(schema.document)
    entity = value_of(document)
    assert validator.check(entity) is None
    for field in fields_of(document):
        found = validator.check(replaced(entity, steps_of(field.pointer), None))
        assert found is not None, field.pointer
        assert found.pointer.count("/") == field.pointer.count("/")


def test_a_field_group_of_the_registry_for_own_fields(tmp_path: Path) -> None:
    group = {
        "$id": "https://ns.adobe.com/acme/mixins/1234",
        "type": "object",
        "meta:intendedToExtend": [EVENT_CLASS],
        "definitions": {
            "own": {"properties": {"_acme": {"type": "object", "properties": {"price": {"$ref": f"{XDM}data/price"}}}}}
        },
        "allOf": [{"$ref": "#/definitions/own"}],
    }
    more = {"_acme": {"type": "object", "properties": {"type": TEXT}, "required": ["type"]}}
    document = document_of(build(own=[own_fields(tmp_path, group), own_fields(tmp_path, more, "more.json")]))
    own = document["properties"]["_acme"]
    assert set(own["properties"]) == {"price", "type"}
    assert set(own["properties"]["price"]["properties"]) == {"amount", "currencyCode", "_schema"}
    assert own["required"] == ["type"]
    assert group["$id"] in document["meta:extends"]


def test_a_field_with_the_name_of_a_keyword(tmp_path: Path) -> None:
    own = own_fields(tmp_path, {"type": TEXT, "items": {"type": "array", "items": TEXT}})
    assert set(document_of(build(own=[own]))["properties"]["_acme"]["properties"]) == {"type", "items"}


def test_what_is_lost_is_told() -> None:
    path = find_field_group(COMPONENTS, "old-shopping", find_class(COMPONENTS, "experienceevent")).path
    assert build("old-shopping").warnings == (
        f"{path}: {EVENT_CLASS}-old-shopping is deprecated (meta:status)",
        f"{path}: left out #/definitions/old-shopping/properties/xdm:voucher/oneOf, "
        "which compatibility notation cannot express",
    )


def test_a_class_made_of_another_takes_its_field_groups(tmp_path: Path) -> None:
    derived = {"$id": "https://ns.adobe.com/acme/classes/visit", "allOf": [{"$ref": EVENT_CLASS}]}
    components = COMPONENTS.including([Component("visit.schema.json", derived)])
    built = build("shopping", class_="visit", components=components)
    assert built.schema.is_event
    assert document_of(built)["meta:class"] == derived["$id"]


@pytest.mark.parametrize(
    ("class_", "groups", "hint"),
    [
        ("shopping", [], "shopping is not a class"),
        ("price", [], "price is not a class"),
        ("experienceevents", [], "no component has 'experienceevents'"),
        ("profile", ["shopping"], f"is not meant for {XDM}context/profile, but for {EVENT_CLASS}"),
        ("profile", ["price"], "price is not a field group"),
    ],
)
def test_a_class_or_field_group_that_is_none(class_: str, groups: list[str], hint: str) -> None:
    with pytest.raises(SchemaError) as refused:
        build(*groups, class_=class_)
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        (
            {
                "definitions": {"a": {"properties": {"xdm:b": {"$ref": "https://ns.adobe.com/none"}}}},
                "allOf": [{"$ref": "#/definitions/a"}],
            },
            "x, #/definitions/a/properties/xdm:b: the XDM component 'https://ns.adobe.com/none' does not exist",
        ),
        ({"allOf": [{"$ref": "#/definitions/none"}]}, "$ref '#/definitions/none' in x points to nothing"),
        ({"properties": {"xdm:a": {"properties": {"xdm:b": {"$ref": "x"}}}}}, "the XDM schema is recursive: x# -> x#"),
        (
            {"properties": {"xdm:timestamp": {"type": "integer"}}},
            "x/timestamp: the type 'integer' contradicts the earlier type 'string'",
        ),
    ],
)
def test_components_that_do_not_fit_together(document: dict[str, Any], hint: str, tmp_path: Path) -> None:
    components = with_component(tmp_path, **{"$id": "x"}, **document)
    with pytest.raises(SchemaError) as refused:
        build("extra", components=components)
    assert str(refused.value).startswith(f"{tmp_path}/extra.schema.json: ")
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"_globex": {"type": "object", "properties": {"a": TEXT}}}, "the field '_globex' is outside _acme"),
        ({"properties": {"a": TEXT}}, "the field 'a' is outside _acme"),
        ({"definitions": {}, "type": "object"}, "it declares no fields"),
        ({"a": {"type": "object", "properties": {"_b": TEXT}}}, "the field /_acme/a/_b is not allowed"),
        ({"a": {"type": "array", "items": {"properties": {"xdm:b": TEXT}}}}, "the field /_acme/a/*/xdm:b is not"),
        ({"a": {"b": TEXT}}, "the field /_acme/a has no type"),
        ({"_acme": {"type": "object", "properties": {"a": {"title": "A"}}}}, "the field /_acme/a has no type"),
        ({"productListItems": {"_acme": {"a": TEXT}}}, "the field /productListItems has no type"),
        ({"a": "string"}, "#/properties/_acme/properties/a: expected a schema"),
        ({"a": {"$ref": "https://ns.adobe.com/none"}}, "'https://ns.adobe.com/none' does not exist"),
        ({"properties": {"_acme": {"$ref": "#"}}}, "recursive"),
        (
            {"meta:intendedToExtend": [f"{XDM}context/profile"], "properties": {"_acme": {"properties": {"a": TEXT}}}},
            f"is not meant for {EVENT_CLASS}",
        ),
    ],
)
def test_own_fields_that_are_refused(document: dict[str, Any], hint: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as refused:
        build(own=[own_fields(tmp_path, document)])
    assert str(tmp_path / "own.json") in str(refused.value)
    assert hint in str(refused.value)


def test_own_fields_that_are_declared_twice(tmp_path: Path) -> None:
    one = own_fields(tmp_path, {"a": {"type": "object", "properties": {"same": TEXT, "b": TEXT}}}, "one.json")
    other = {"same": TEXT, "b": {"type": "string", "maxLength": 5}}
    two = own_fields(tmp_path, {"a": {"type": "object", "properties": other}}, "two.json")
    with pytest.raises(SchemaError) as refused:
        build(own=[one, two])
    assert str(refused.value) == (
        f"{tmp_path}/two.json: the field /_acme/a/b is also declared in {tmp_path}/one.json, differently"
    )


IN_STANDARD_OBJECTS: dict[str, Any] = {
    "basket": {"type": "array", "items": {"type": "object", "properties": {"_acme": {"properties": {"core": TEXT}}}}},
    "_acme": {"type": "object", "properties": {"visits": {"type": "integer"}}},
}


def test_own_fields_in_standard_objects_are_built_and_checked(tmp_path: Path) -> None:
    more = {"basket": {"type": "array", "items": {"properties": {"_acme": {"properties": {"edge": TEXT}}}}}}
    own = [own_fields(tmp_path, IN_STANDARD_OBJECTS), own_fields(tmp_path, more, "more.json")]
    built = build("shopping", own=own)
    validator = XdmValidator(built.schema, by_default(XdmRules))
    event = {"_id": "e", "timestamp": "2026-01-02T03:04:05Z", "_acme": {"visits": 1}}
    item = {"SKU": "s", "_acme": {"core": "c", "edge": "e"}}
    assert validator.check({**event, "basket": [item, {"SKU": "t"}]}) is None
    for wrong, pointer in (
        ({**item, "_acme": {"core": 5}}, "/basket/0/_acme/core"),
        ({**item, "_acme": {"rind": "r"}}, "/basket/0/_acme"),
        ({**item, "_globex": {}}, "/basket/0"),
    ):
        refused = validator.check({**event, "basket": [wrong]})
        assert refused is not None
        assert refused.pointer == pointer


def test_own_fields_in_standard_objects_of_a_record(tmp_path: Path) -> None:
    components = with_component(
        tmp_path,
        **{
            "$id": "https://ns.adobe.com/xdm/context/person-details",
            "meta:intendedToExtend": [f"{XDM}context/profile"],
        },
        properties={
            "xdm:person": {
                "type": "object",
                "properties": {"xdm:name": {"type": "object", "properties": {"xdm:firstName": TEXT}}},
            }
        },
    )
    nick = {"person": {"properties": {"name": {"properties": {"_acme": {"properties": {"nickName": TEXT}}}}}}}
    built = build("extra", class_="profile", own=[own_fields(tmp_path, nick)], components=components)
    validator = XdmValidator(built.schema, by_default(XdmRules))
    assert validator.check({"person": {"name": {"firstName": "A", "_acme": {"nickName": "B"}}}}) is None
    assert validator.check({"person": {"_acme": {"nickName": "B"}}}) is not None
    assert validator.check({"_acme": {"nickName": "B"}}) is not None


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        (
            {
                "basket": {
                    "type": "array",
                    "items": {"properties": {"rind": TEXT, "_acme": {"properties": {"a": TEXT}}}},
                }
            },
            "the field '/basket/rind' is outside _acme",
        ),
        ({"hamper": {"properties": {"_acme": {"properties": {"a": TEXT}}}}}, "the field 'hamper' is outside _acme"),
        (
            {"basket": {"type": "array", "items": {"properties": {"_acme": {"properties": {"_acme": TEXT}}}}}},
            "the name of the field /basket/*/_acme/_acme is not allowed",
        ),
        (
            {"basket": {"type": "object", "properties": {"_acme": {"properties": {"a": TEXT}}}}},
            "the type 'object' contradicts the earlier type 'array'",
        ),
    ],
)
def test_own_fields_in_what_is_no_standard_object(document: dict[str, Any], hint: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError) as refused:
        build("shopping", own=[own_fields(tmp_path, document)])
    assert str(tmp_path / "own.json") in str(refused.value)
    assert hint in str(refused.value)


def test_own_fields_in_standard_objects_that_are_declared_twice(tmp_path: Path) -> None:
    other = {
        "basket": {"type": "array", "items": {"properties": {"_acme": {"properties": {"core": {"type": "integer"}}}}}}
    }
    with pytest.raises(SchemaError, match=r"the field /basket/_acme/core is also declared in .*own.json"):
        build("shopping", own=[own_fields(tmp_path, IN_STANDARD_OBJECTS), own_fields(tmp_path, other, "more.json")])


def test_a_namespace_of_adobe_is_no_tenant(tmp_path: Path) -> None:
    class_ = find_class(COMPONENTS, "profile")
    own = read_own_fields(str(own_fields(tmp_path, {"a": TEXT}).path), "repo")
    with pytest.raises(SchemaError, match="_repo is one of Adobe's own fields"):
        build_schema(Recipe("https://ns.adobe.com/x", "x", class_, [], "_repo", [own]), COMPONENTS, "x")
