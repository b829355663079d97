"""What is asked of identities, in `identityMap` and in the fields that descriptors name."""

from typing import Any

import orjson
import pytest

from aep.xdm.identities import Identity, identities, with_descriptors
from aep.xdm.rejection import Rejection
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema
from aep.xdm.validate import XdmValidator
from testing.defaults import by_default
from tests.aep.xdm.schemas import schema

HALF = "9223372036854775807"
ECID = HALF + "0000000000000000001"
TEXT = {"type": "string"}
FIELDS: dict[str, Any] = {
    "identityMap": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "object"}}},
    "_acme": {"type": "object"},
    "email": TEXT,
    "ecid": TEXT,
}
WITHOUT = schema(FIELDS)


def descriptor(place: str, namespace: str | int = "Email", **more: Any) -> dict[str, Any]:
    return {"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": place, "xdm:namespace": namespace, **more}


def described(*descriptors: dict[str, Any]) -> ResolvedSchema:
    return schema(FIELDS, **{"meta:descriptors": list(descriptors)})


def check(entity: dict[str, Any], of: ResolvedSchema = WITHOUT, **rules: Any) -> Rejection | None:
    return XdmValidator(of, by_default(XdmRules, **rules)).check(entity)


def only_error(entity: dict[str, Any], of: ResolvedSchema = WITHOUT, **rules: Any) -> tuple[str, str]:
    found = check(entity, of, **rules)
    assert found is not None
    assert found.error_count == 1
    return found.code, found.pointer


def mapped(**namespaces: list[Any]) -> dict[str, Any]:
    return {"identityMap": namespaces}


@pytest.mark.parametrize(
    ("namespaces", "code", "place"),
    [
        ({"Email": [{"id": ""}]}, "empty_identity", "/identityMap/Email/0/id"),
        ({"Email": [{"id": "a"}, {"id": "  "}]}, "empty_identity", "/identityMap/Email/1/id"),
        ({"Email": [{}]}, "empty_identity", "/identityMap/Email/0/id"),
        ({"a/b": [{"id": None}]}, "empty_identity", "/identityMap/a~1b/0/id"),
        ({"ECID": [{"id": ECID[:-1]}]}, "ecid", "/identityMap/ECID/0/id"),
        ({"ecid": [{"id": ECID + "1"}]}, "ecid", "/identityMap/ecid/0/id"),
        ({"ECID": [{"id": "１" * 38}]}, "ecid", "/identityMap/ECID/0/id"),
        ({"ECID": [{"id": "x" * 38}]}, "ecid", "/identityMap/ECID/0/id"),
        ({"Email": [{"id": "x" * 1025}]}, "identity_too_long", "/identityMap/Email/0/id"),
        (
            {"Email": [{"id": str(n)} for n in range(11)], "Phone": [{"id": "1"}] * 10},
            "too_many_identities",
            "/identityMap",
        ),
        (
            {"Email": [{"id": "a", "primary": True}], "Phone": [{"id": "b", "primary": True}]},
            "many_primary",
            "/identityMap",
        ),
    ],
)
def test_identities_that_would_be_skipped(namespaces: dict[str, Any], code: str, place: str) -> None:
    assert only_error(mapped(**namespaces)) == (code, place)


def test_good_mapped() -> None:
    full: dict[str, Any] = {
        "ECID": [{"id": ECID}],
        "Email": [{"id": "x" * 1024, "primary": True}],
        "Phone": [{"id": str(n)} for n in range(18)],
    }
    assert check(mapped(**full)) is None
    assert check(mapped()) is None
    assert check(mapped(Email=[])) is None


def test_only_listed_namespaces_in_any_case() -> None:
    entity = mapped(EMAIL=[{"id": "a"}], crmId=[{"id": "1"}, {"id": "2"}])
    assert check(entity, namespaces=("Email", "CRMID")) is None
    assert only_error(entity, namespaces=("Email",)) == ("unknown_namespace", "/identityMap/crmId")


def test_an_identity_is_wanted_only_on_request() -> None:
    assert check({}) is None
    assert only_error({}, identity="required") == ("no_identity", "")
    assert only_error(mapped(Email=[]), identity="required") == ("no_identity", "")
    assert only_error(mapped(Email=[{"id": "a"}]), identity="required") == (
        "primary_identity_missing",
        "/identityMap",
    )
    assert check(mapped(Email=[{"id": "a", "primary": True}]), identity="required") is None


@pytest.mark.parametrize("value", [None, "", "  ", True, {}, 1.5])
def test_the_field_of_the_primary_identity_is_filled_in(value: Any) -> None:
    place = "/_acme/loyalty~1id"
    wanted: dict[str, Any] = {"primary_identity": (place,), "identity": "required"}
    assert only_error({"_acme": {"loyalty/id": value}}, **wanted) == ("primary_identity_missing", place)
    assert only_error({"_acme": {}}, **wanted) == ("primary_identity_missing", place)
    assert check({"_acme": {"loyalty/id": "M1"}}, **wanted) is None
    assert check({"_acme": {"loyalty/id": 17}}, primary_identity=(place,)) is None


def test_an_open_schema_lets_anything_stand_for_an_identity_map() -> None:
    validator = XdmValidator(schema({"a": {}}, additionalProperties=True), by_default(XdmRules, identity="required"))
    odds: tuple[Any, ...] = (None, 1, [], {"Email": 1}, {"Email": [1]}, {1: [{"id": "a"}]})
    for odd in odds:
        found = validator.check({"identityMap": odd, "_id": 5, "timestamp": []})
        assert found is not None
        assert found.code == "no_identity"


@pytest.mark.parametrize("value", ["null", "anonymous", "invalid"])
@pytest.mark.parametrize("namespace", ["Email", "CRMID", "a/b", ""])
def test_values_that_identity_service_blocks_in_any_namespace(value: str, namespace: str) -> None:
    found = check(mapped(**{namespace: [{"id": "a"}, {"id": value}]}))
    assert found is not None
    assert (found.code, found.error_count) == ("blocked_identity", 1)
    assert found.pointer.endswith("/1/id")
    assert f'"{value}"' in found.message


@pytest.mark.parametrize("value", ["NULL", "Anonymous", "nullable", "invalid@example.com", " null", "none"])
def test_values_that_are_like_a_blocked_one(value: str) -> None:
    assert check(mapped(Email=[{"id": value}])) is None


@pytest.mark.parametrize(
    ("value", "good"),
    [
        (HALF + HALF, True),
        ("0000000000000000001" * 2, True),
        ("1234567890123456789" * 2, True),
        ("9223372036854775808" + HALF, False),
        (HALF + "9223372036854775808", False),
        ("0" * 19 + HALF, False),
        (HALF + "0" * 19, False),
        ("9" * 38, False),
        (HALF + HALF[:-1], False),
        (HALF + HALF[:-1] + "٧", False),
        ("-" + HALF[1:] + HALF, False),
        ("null", False),
    ],
)
def test_an_ecid_is_two_positive_64_bit_integers(value: str, good: bool) -> None:
    place = "/ecid"
    by_map, by_field = check(mapped(ECID=[{"id": value}])), check({"ecid": value}, described(descriptor(place, "ecid")))
    assert [found and found.code for found in (by_map, by_field)] == [None if good else "ecid"] * 2


def test_a_namespace_may_be_told_by_its_id() -> None:
    by_id = described(descriptor("/ecid", 4, **{"xdm:property": "xdm:id"}))
    assert check({"ecid": ECID}, by_id) is None
    assert only_error({"ecid": "1"}, by_id) == ("ecid", "/ecid")
    by_code = described(descriptor("/ecid", "4", **{"xdm:property": "xdm:code"}))
    assert check({"ecid": "1"}, by_code) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("a@example.com", None),
        ("null", "blocked_identity"),
        ("anonymous", "blocked_identity"),
        ("invalid", "blocked_identity"),
        ("", "empty_identity"),
        (" ", "empty_identity"),
        ("x" * 1024, None),
        ("x" * 1025, "identity_too_long"),
    ],
)
def test_values_in_the_fields_of_descriptors(value: str, code: str | None) -> None:
    found = check({"email": value}, described(descriptor("/email")))
    assert (found and (found.code, found.pointer)) == (code and (code, "/email"))
    assert check({"email": value}) is None  # no descriptor makes an identity of it


def test_a_field_of_a_descriptor_may_be_left_out_unless_it_is_the_primary_one() -> None:
    for more in ({}, {"xdm:isPrimary": False}):
        assert check({}, described(descriptor("/_acme/id", **more))) is None
    primary = described(descriptor("/email"), descriptor("/_acme/id", **{"xdm:isPrimary": True}))
    lacking: list[dict[str, Any]] = [{}, {"_acme": {}}, {"_acme": {"id": " "}}, {"_acme": {"id": [1]}}]
    for entity in lacking:
        assert only_error(entity, primary) == ("primary_identity_missing", "/_acme/id")
    assert only_error({"_acme": {"id": "null"}}, primary) == ("blocked_identity", "/_acme/id")
    assert check({"_acme": {"id": "m"}}, primary) is None
    assert check({"_acme": {"id": "m"}}, primary, identity="required") is None  # no identityMap needed


def test_a_primary_identity_of_the_rules_goes_before_that_of_the_schema() -> None:
    primary = described(descriptor("/ecid", "ECID", **{"xdm:isPrimary": True}))
    assert check({"email": "a"}, primary, primary_identity=("/email",)) is None
    assert only_error({"ecid": ECID}, primary, primary_identity=("/email",)) == ("primary_identity_missing", "/email")
    assert only_error({"email": "a", "ecid": "1"}, primary, primary_identity=("/email",)) == ("ecid", "/ecid")
    # The descriptor of the same field still tells its namespace.
    assert only_error({"ecid": "1"}, primary, primary_identity=("/ecid",)) == ("ecid", "/ecid")
    assert only_error({"email": "null"}, primary_identity=("/email",)) == ("blocked_identity", "/email")


def test_identities_of_a_schema() -> None:
    descriptors: list[Any] = [
        {"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": "/b", "xdm:namespace": "Email"},
        {"@type": "xdm:descriptorOneToOne", "xdm:sourceProperty": "/c"},
        {"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": "/a/x", "xdm:namespace": 6, "xdm:isPrimary": True},
        {"@type": "xdm:descriptorIdentity"},
        "a link",
    ]
    found = identities({"meta:descriptors": descriptors})
    assert found == [Identity("/a/x", "6", primary=True), Identity("/b", "Email", primary=False)]
    for odd in ({}, {"meta:descriptors": None}, {"meta:descriptors": {"@type": "xdm:descriptorIdentity"}}):
        assert identities(odd) == []


def test_a_primary_identity_of_the_rules_may_stand_in_an_array() -> None:
    place = "/identityMap/Email/0/id"
    assert check(mapped(Email=[{"id": "a"}]), primary_identity=(place,)) is None
    assert only_error(mapped(Email=[]), primary_identity=(place,)) == ("primary_identity_missing", place)


def test_a_descriptor_of_a_field_that_no_record_can_have_asks_nothing() -> None:
    primary = {"xdm:isPrimary": True}
    items = {"type": "array", "items": {"type": "object", "properties": {"id": TEXT}}}
    for place in ("/gone", "/email/gone", "/list[*]/id", "/list/id"):
        of = schema({**FIELDS, "list": items}, **{"meta:descriptors": [descriptor(place, **primary)]})
        assert of.identities == ()
        assert check({}, of) is None
    assert described(descriptor("/_acme/any", **primary)).identities  # an object that declares no fields has any


def test_a_file_has_its_descriptors_in_one_order() -> None:
    one, other = descriptor("/b", **{"@id": "1"}), descriptor("/a", **{"@id": "2"})
    document = with_descriptors({"$id": "s"}, [one, other])
    assert document == with_descriptors({"$id": "s"}, [other, one])
    assert orjson.loads(document) == {"$id": "s", "meta:descriptors": [other, one]}
