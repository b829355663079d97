from typing import Any

import pytest

from aep.xdm.fields import fields_of
from aep.xdm.harden import field_path, harden


def field(**more: Any) -> dict[str, Any]:
    """Harden one field of an object."""
    hardened = harden({"type": "object", "properties": {"x": more}}, integer_ranges=True, unknown_fields="reject")
    result: dict[str, Any] = hardened["properties"]["x"]
    return result


def test_only_validating_keywords_are_kept() -> None:
    noise = {
        "title": "t",
        "description": "d",
        "default": 1,
        "examples": [1],
        "meta:enum": {"a": "A"},
        "meta:xdmType": "string",
    }
    assert field(type="string", minLength=1, **noise) == {"type": "string", "minLength": 1}


def test_the_document_stays_as_it_is() -> None:
    document = {
        "type": "object",
        "properties": {"_repo": {"meta:xedConverted": True, "properties": {"x": {"meta:xdmField": "repo:x"}}}},
        "required": ["repo:x"],
    }
    before = repr(document)
    harden(document, integer_ranges=True, unknown_fields="reject")
    assert repr(document) == before


def test_objects_with_properties_are_closed_at_every_depth() -> None:
    inner = {"type": "object", "properties": {"y": {"type": "string"}}}
    hardened = harden(
        {"properties": {"a": inner, "b": {"type": "array", "items": inner}}},
        integer_ranges=True,
        unknown_fields="reject",
    )
    assert hardened["additionalProperties"] is False
    assert hardened["properties"]["a"]["additionalProperties"] is False
    assert hardened["properties"]["b"]["items"]["additionalProperties"] is False


def test_unknown_fields_may_be_allowed() -> None:
    hardened = harden({"properties": {"a": {"properties": {"b": {}}}}}, unknown_fields="allow", integer_ranges=True)
    assert "additionalProperties" not in hardened
    assert "additionalProperties" not in hardened["properties"]["a"]


def test_maps_keep_their_values_schema_and_bare_objects_stay_open() -> None:
    values = {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "string"}}}}
    hardened = field(type="object", additionalProperties=values)
    assert hardened["additionalProperties"]["type"] == "array"
    assert hardened["additionalProperties"]["items"]["additionalProperties"] is False
    assert field(type="object") == {"type": "object"}
    assert field(type="object", properties={"a": {}}, additionalProperties=True)["additionalProperties"] is True


def test_alternatives_are_not_closed() -> None:
    hardened = field(properties={"a": {}}, anyOf=[{"properties": {"b": {}}}, {"required": ["c"]}])
    assert "additionalProperties" not in hardened
    assert hardened["anyOf"] == [{"properties": {"b": {}}}, {"required": ["c"]}]
    assert field(properties={"a": {}}, oneOf=[{"required": ["a"]}])["additionalProperties"] is False


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("byte", -128, 127),
        ("short", -32768, 32767),
        ("int", -2147483648, 2147483647),
        ("long", -9007199254740992, 9007199254740992),
    ],
)
def test_integers_get_the_range_of_their_type(name: str, lowest: int, highest: int) -> None:
    assert field(**{"type": "integer", "meta:xdmType": name}) == {
        "type": "integer",
        "minimum": lowest,
        "maximum": highest,
    }


def test_a_declared_range_stays() -> None:
    assert field(**{"type": "integer", "meta:xdmType": "int", "minimum": 0})["minimum"] == 0
    exclusive = field(**{"type": "integer", "meta:xdmType": "int", "exclusiveMinimum": 0})
    assert exclusive == {"type": "integer", "minimum": 0, "exclusiveMinimum": True, "maximum": 2147483647}


def test_ranges_can_be_left_out() -> None:
    document = {"properties": {"x": {"type": "integer", "meta:xdmType": "int"}}}
    assert harden(document, integer_ranges=False, unknown_fields="reject")["properties"]["x"] == {"type": "integer"}
    assert field(type="integer") == {"type": "integer"}


def test_later_drafts_are_put_into_draft_4() -> None:
    assert field(const="a") == {"enum": ["a"]}
    assert field(exclusiveMaximum=5) == {"maximum": 5, "exclusiveMaximum": True}
    assert field(maximum=3, exclusiveMaximum=5) == {"maximum": 3, "exclusiveMaximum": False}
    assert field(maximum=5, exclusiveMaximum=True) == {"maximum": 5, "exclusiveMaximum": True}
    assert field(required=[]) == {}
    assert harden({"properties": {"a": True, "b": False}}, integer_ranges=True, unknown_fields="reject")[
        "properties"
    ] == {"a": {}, "b": {"not": {}}}


def test_required_is_put_into_the_records_names() -> None:
    hardened = harden(
        {
            "properties": {
                "_id": {"meta:xdmField": "@id"},
                "timestamp": {"meta:xdmField": "xdm:timestamp"},
                "_repo": {
                    "type": "object",
                    "meta:xedConverted": True,
                    "properties": {"createDate": {"meta:xdmField": "repo:createDate"}},
                },
            },
            "required": ["@id", "xdm:timestamp", "timestamp", "repo:createDate"],
        },
        integer_ranges=True,
        unknown_fields="reject",
    )
    assert hardened["required"] == ["_id", "timestamp", "_repo"]
    assert hardened["properties"]["_repo"]["required"] == ["createDate"]


def test_required_in_standard_names_holds_at_any_depth_of_namespaces() -> None:
    name = "https://ns.adobe.com/experience/decisioning/propositionID"
    space: dict[str, Any] = {"type": "object", "meta:xedConverted": True}
    decisioning = {**space, "properties": {"propositionID": {"meta:xdmField": name}, "other": {}}}
    properties = {"_experience": {**space, "properties": {"decisioning": decisioning}}}
    assert field_path(name, properties) == ("_experience", "decisioning", "propositionID")
    document = {"properties": properties, "required": [name]}
    hardened = harden(document, integer_ranges=True, unknown_fields="reject")
    experience = hardened["properties"]["_experience"]
    assert hardened["required"] == ["_experience"]
    assert experience["required"] == ["decisioning"]
    assert experience["properties"]["decisioning"]["required"] == ["propositionID"]
    required = [each.pointer for each in fields_of(document) if each.required]
    assert required == ["/_experience", "/_experience/decisioning", "/_experience/decisioning/propositionID"]


def test_standard_names_are_found_without_their_marks_too() -> None:
    assert field_path("@id", {"_id": {}}) == ("_id",)
    assert field_path("xdm:timestamp", {"timestamp": {}}) == ("timestamp",)
    assert field_path("xdm:other", {"timestamp": {}}) is None
