import hashlib
import pickle
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.xdm.schema import FileSchemaSource, SchemaError, parse_schema
from tests.aep.xdm.schemas import EVENT, FOLDER, PROFILE, document, schema


def test_the_samples_schemas() -> None:
    assert EVENT.id == "https://ns.adobe.com/acme/schemas/loyalty-event"
    assert EVENT.is_event
    assert EVENT.tenant == "_acme"
    assert EVENT.title == "Loyalty event"
    assert PROFILE.id == "https://ns.adobe.com/acme/schemas/loyalty-profile"
    assert not PROFILE.is_event
    assert PROFILE.content_type == "application/vnd.adobe.xed-full+json;version=1"


def test_content_type_names_the_major_version() -> None:
    assert schema({"a": {}}, version="2.13").content_type == "application/vnd.adobe.xed-full+json;version=2"
    parsed = parse_schema(b'{"$id":"https://ns.adobe.com/x","properties":{"a":{}}}', "x.json")
    assert parsed.version == "1"
    assert parsed.title == "https://ns.adobe.com/x"


@pytest.mark.parametrize(
    "more",
    [
        {"meta:class": "https://ns.adobe.com/xdm/context/experienceevent"},
        {"meta:extends": ["https://ns.adobe.com/xdm/data/time-series"]},
        {"required": ["_id", "timestamp"]},
        {"required": ["@id", "xdm:timestamp"]},
    ],
)
def test_events_are_known_by_class_or_by_what_they_require(more: dict[str, Any]) -> None:
    fields = {"_id": {"type": "string"}, "timestamp": {"type": "string"}}
    assert schema(fields, **more).is_event
    assert not schema(fields).is_event


def test_schemas_and_sources_can_be_pickled() -> None:
    source = FileSchemaSource(str(FOLDER / "loyalty-event.schema.json"))
    assert pickle.loads(pickle.dumps(source)).load() == pickle.loads(pickle.dumps(EVENT)) == EVENT


def test_a_byte_order_mark_in_front_of_a_schema_is_passed_over_and_its_digest_is_of_the_file() -> None:
    marked = b"\xef\xbb\xbf" + PROFILE.document
    parsed = parse_schema(marked, "x.json")
    assert (parsed.document, parsed.id) == (PROFILE.document, PROFILE.id)
    assert parsed.sha256 == hashlib.sha256(marked).hexdigest()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"{", ["not JSON", "line 1"]),
        (b"[]", ["not a JSON object"]),
        (b'{"properties":{"a":{}}}', ["$id"]),
        (document({}), ['no "properties"', "xed-full+json"]),
        (
            document({"a": {"$ref": "https://ns.adobe.com/xdm/common/geo"}}),
            ["not resolved", "#/properties/a/$ref", "xed-full"],
        ),
        (document({"a": {}}, allOf=[{}]), ["not resolved", "#/allOf"]),
        (document({"a": {"items": {"$ref": "#"}}}), ["recursive", "#/properties/a/items/$ref"]),
        (document({"a": {"properties": {"b": {"$ref": "#/properties/a"}}}}), ["recursive", "#/properties/a"]),
        (document({"xdm:timestamp": {}}), ["compatibility notation", "xdm:timestamp"]),
        (document({"a": {"properties": {"@id": {}}}}), ["compatibility notation", "#/properties/a"]),
        (document({"a": {"pattern": "(?=x)y"}}), ["linear time", "(?=x)y", "#/properties/a"]),
        (document({"a": {"pattern": "(a)\\1"}}), ["linear time"]),
        (document({"a": {"pattern": "("}}), ["linear time"]),
        (document({"a": {}}, required=["b"]), ["requires the field 'b'"]),
        (document({"a": {"pattern": "[\\w-.]"}}), ["#/properties/a", "regular expression of ECMA 262"]),
        (document({"a": {"pattern": "\\p{L}{1,5000}"}}), ["#/properties/a", "large repetitions", "maxLength"]),
        (
            document({"a": {"properties": {"b": {"type": "strin"}}}}),
            ["not a valid JSON Schema at #/properties/a/properties/b/type: "],
        ),
        (document({"a": {"minLength": "x"}}), ["not a valid JSON Schema"]),
        (
            b'{"$id":"x","properties":{"a":' + b'{"properties":{"a":' * 500 + b"{}" + b"}}" * 501,
            ["not a valid JSON Schema"],
        ),
        (document({"a": 5}), ["not a valid JSON Schema"]),
        (document({"a": {}}, **{"meta:descriptors": {}}), ["meta:descriptors must be a list"]),
        *(
            (
                document(
                    {"a": {}},
                    **{"meta:descriptors": [{"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": place}]},
                ),
                ["xdm:sourceProperty must be a JSON pointer, such as /_acme/memberId"],
            )
            for place in ("_acme.memberId", "a", "", 5, None)
        ),
    ],
)
def test_unusable_schemas_are_refused(text: bytes, words: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        parse_schema(text, "configs/x.json")
    message = str(caught.value)
    assert message.startswith("configs/x.json: ")
    for word in words:
        assert word in message


def test_fields_may_be_named_like_keywords() -> None:
    fields: dict[str, Any] = {"$ref": {"type": "string"}, "allOf": {"type": "string"}, "properties": {"type": "string"}}
    assert orjson.loads(schema(fields).document)["properties"] == fields


def test_an_open_object_may_require_what_it_does_not_declare() -> None:
    assert schema({"a": {}}, required=["b"], additionalProperties=True)
    assert schema({"a": {}}, anyOf=[{"properties": {"c": {}}, "required": ["a", "c"]}])


def test_sample_values_are_not_searched_for_references() -> None:
    assert schema({"a": {"type": "object", "examples": [{"$ref": "x"}], "default": {"allOf": []}}})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "none.json")
    with pytest.raises(SchemaError, match=r"none\.json: cannot read the XDM schema.*xed-full"):
        FileSchemaSource(path).load()
