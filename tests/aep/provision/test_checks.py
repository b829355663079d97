"""Adobe's rules for a provision file, each broken once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from aep.provision.checks import check, check_tenant
from aep.provision.fields import own_fields
from aep.provision.model import Provision
from tests.aep.provisioning import IDENTITY_MAP, parsed, sample

Break = Callable[[dict[str, Any]], object]
OWN = "_{TENANT_ID}"


def own(document: dict[str, Any]) -> Any:
    return document["field_groups"][0]["fields"][OWN]["fields"]


def add(document: dict[str, Any], kind: str, **entry: Any) -> None:
    document[kind].append(entry)


def entry(document: dict[str, Any], kind: str, index: int = 0) -> Any:
    return document[kind][index]


OWN_SPEC = {"type": "object", "fields": {"core": "string"}}


def in_array(**fields: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "fields": fields}}


def nick_named(document: dict[str, Any]) -> Any:
    """Return the schema, after its field group got a number in the standard object of a name."""
    nick = {"type": "object", "fields": {"nick": "int"}}
    name = {"type": "object", "fields": {OWN: nick}}
    document["field_groups"][0]["fields"]["person"] = {"type": "object", "fields": {"name": name}}
    return document["schemas"][0]


def test_own_fields_in_standard_objects_are_right() -> None:
    document = sample()
    nick_named(document)
    document["field_groups"][0]["fields"]["basket"] = in_array(**{OWN: OWN_SPEC})
    wanted = parsed(document)
    assert [name for _, name in own_fields(wanted)] == ["_acme"] * 3


def test_a_mapping_into_a_standard_object_that_has_own_fields() -> None:
    document = sample()
    nick_named(document)
    mappings = document["flows"][1]["mappings"]
    mappings += [{"source": "f", "destination": "person.name.firstName"}]
    mappings += [{"source": "t", "destination": "person._repo.etag"}]  # _repo is not an organisation's
    mappings += [{"source": "n", "destination": f"person.name.{OWN}.nick"}]
    parsed(document)
    mappings[-1]["destination"] += "name"
    (problem,) = check(Provision.model_validate(document))
    assert "nickname is in none of the field groups" in problem.text


def test_the_sample_is_right() -> None:
    assert parsed(sample()).schemas[0].identities[0].field == "/_acme/loyalty/memberId"


BROKEN: list[tuple[Break, tuple[str | int, ...], str]] = [
    (
        lambda d: entry(d, "field_groups")["fields"].update(points="int"),
        ("field_groups", 0, "fields", "points"),
        "custom fields must be under",
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update(_other={"type": "object", "fields": {"a": "int"}}),
        ("field_groups", 0, "fields", "_other"),
        "_{TENANT_ID} is used before",
    ),
    *(
        (lambda d, kind=kind, key=key: entry(d, kind).update({key: "Members "}), (kind, 0, key), "blanks at its ends")
        for kind, key in (("field_groups", "title"), ("datasets", "name"), ("connections", "name"), ("flows", "name"))
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update({OWN: "string"}),
        ("field_groups", 0, "fields", OWN),
        "must be an object",
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update(basket=in_array(rind="string", **{OWN: OWN_SPEC})),
        ("field_groups", 0, "fields", "basket", "items", "fields", "rind"),
        "rind: custom fields must be under",
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update(basket=in_array(sku="string")),
        ("field_groups", 0, "fields", "basket"),
        "basket: custom fields must be under",
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update(basket=in_array(**{OWN: "string"})),
        ("field_groups", 0, "fields", "basket", "items", "fields", OWN),
        "must be an object",
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update(basket=in_array(_other=OWN_SPEC)),
        ("field_groups", 0, "fields", "basket", "items", "fields", "_other"),
        "_{TENANT_ID} is used before",
    ),
    (
        lambda d: entry(d, "field_groups")["fields"].update(basket={**in_array(**{OWN: OWN_SPEC}), "pattern": "x"}),
        ("field_groups", 0, "fields", "basket", "pattern"),
        "does not go with the type array",
    ),
    (
        lambda d: own(d).update(a={"type": "object", "fields": {OWN: OWN_SPEC}}),
        ("field_groups", 0, "fields", OWN, "fields", "a", "fields", OWN),
        "no _ at its start",
    ),
    (
        lambda d: nick_named(d)["identities"].append({"field": f"/person/name/{OWN}/nick", "namespace": "N"}),
        ("schemas", 0, "identities", 2, "field"),
        "is of type int",
    ),
    (lambda d: own(d).update(_a="int"), ("field_groups", 0, "fields", OWN, "fields", "_a"), "no _ at its start"),
    (lambda d: own(d).update(a="object"), ("field_groups", 0, "fields", OWN, "fields", "a"), "fields: missing"),
    (lambda d: own(d).update(a="array"), ("field_groups", 0, "fields", OWN, "fields", "a"), "items: missing"),
    (lambda d: own(d).update(a="map"), ("field_groups", 0, "fields", OWN, "fields", "a"), "values: missing"),
    (
        lambda d: own(d).update(a={"type": "int", "pattern": "x"}),
        ("field_groups", 0, "fields", OWN, "fields", "a", "pattern"),
        "does not go with the type int",
    ),
    (
        lambda d: own(d).update(a={"type": "string", "pattern": "("}),
        ("field_groups", 0, "fields", OWN, "fields", "a", "pattern"),
        "not a valid regular expression",
    ),
    (
        lambda d: own(d).update(a={"type": "array", "items": {"type": "int", "enum": ["a"]}}),
        ("field_groups", 0, "fields", OWN, "fields", "a", "items", "enum"),
        "enum",
    ),
    (lambda d: entry(d, "field_groups").update(classes=["profil"]), ("field_groups", 0, "classes", 0), "unknown class"),
    (lambda d: entry(d, "field_groups").update(fields={}), ("field_groups", 0), "fields: missing"),
    (lambda d: entry(d, "schemas").update(title="Member details"), ("schemas", 0, "title"), "duplicate "),
    (lambda d: add(d, "datasets", name="Members", schema="Member"), ("datasets", 1, "name"), "duplicate "),
    (lambda d: entry(d, "schemas").pop("class"), ("schemas", 0), "class: missing"),
    (lambda d: entry(d, "schemas").update({"class": "person"}), ("schemas", 0, "class"), "unknown class"),
    (
        lambda d: entry(d, "schemas")["field_groups"].append("Memberships"),
        ("schemas", 0, "field_groups", 2),
        "Memberships: no such field group is declared in this file (declared: Member details)",
    ),
    (
        lambda d: entry(d, "schemas").update({"class": "experienceevent"}),
        ("schemas", 0, "field_groups", 0),
        "not meant to extend the class experienceevent",
    ),
    (
        lambda d: entry(d, "schemas")["identities"][1].update(primary=True),
        ("schemas", 0, "identities", 1, "primary"),
        "has /_{TENANT_ID}/loyalty/memberId already",
    ),
    (
        lambda d: entry(d, "schemas")["identities"].append({"field": "/personalEmail/address", "namespace": "E"}),
        ("schemas", 0, "identities", 2, "field"),
        "duplicate ",
    ),
    (
        lambda d: entry(d, "schemas")["identities"][0].update(field="personalEmail"),
        ("schemas", 0, "identities", 0, "field"),
        "must begin with /",
    ),
    (
        lambda d: entry(d, "schemas")["identities"][0].update(field="/_{TENANT_ID}/loyalty/points"),
        ("schemas", 0, "identities", 0, "field"),
        "is of type int",
    ),
    (
        lambda d: entry(d, "schemas").update(
            field_groups=["Member details"],
            identities=[{"field": "/_{TENANT_ID}/member", "namespace": "L", "primary": True}],
        ),
        ("schemas", 0, "identities", 0, "field"),
        "in none of the field groups",
    ),
    (lambda d: entry(d, "schemas").update(identities=[]), ("schemas", 0, "profile"), "give it a primary identity"),
    (lambda d: entry(d, "schemas").update(profile=False), ("datasets", 0, "profile"), "profile: true"),
    (lambda d: entry(d, "datasets").update(schema="Members"), ("datasets", 0, "schema"), "declared: Member"),
    (lambda d: entry(d, "datasets").pop("schema"), ("datasets", 0), "schema: missing"),
    (lambda d: entry(d, "connections", 2).update(data_type="raw"), ("connections", 2, "data_type"), "for xdm only"),
    (lambda d: entry(d, "connections", 2).update(delete=True), ("connections", 2, "delete"), "no call for that"),
    (lambda d: entry(d, "flows").update(connection="Strem"), ("flows", 0, "connection"), "Strem: no such connection"),
    (lambda d: entry(d, "flows").update(connection="Older"), ("flows", 0, "connection"), "no dataflows"),
    (lambda d: entry(d, "flows").pop("dataset"), ("flows", 0), "dataset: missing"),
    (lambda d: entry(d, "flows", 1).pop("mappings"), ("flows", 1), "mappings: missing"),
    (
        lambda d: entry(d, "flows").update(mappings=[{"source": "a", "destination": "b"}]),
        ("flows", 0, "mappings"),
        "not mapped",
    ),
    (
        lambda d: entry(d, "flows", 1)["mappings"].append({"source": "b", "destination": f"{OWN}.loyalty.memberID"}),
        ("flows", 1, "mappings", 1, "destination"),
        "memberID is in none of the field groups of schema Member",
    ),
    (
        lambda d: entry(d, "flows", 1)["mappings"].append({"source": "b", "destination": f"{OWN}.loyalty.memberId"}),
        ("flows", 1, "mappings", 1, "destination"),
        " in dataflow Raw members",
    ),
    (lambda d: entry(d, "routes").update(flow="Member"), ("routes", 0, "flow"), "no such dataflow"),
    (lambda d: entry(d, "routes").update(dataset="Members"), ("routes", 0, "dataset"), "remove this"),
    (lambda d: entry(d, "routes").pop("flow"), ("routes", 0), "give a flow, or a connection and a dataset"),
    (
        lambda d: d["routes"].__setitem__(1, {"name": "raw", "connection": "Raw", "dataset": "Members"}),
        ("routes", 1),
        "flow: missing: Raw takes raw data",
    ),
    (lambda d: entry(d, "routes").update(payload="raw"), ("routes", 0, "payload"), "Stream takes xdm"),
    (lambda d: entry(d, "field_groups").update(delete=True), ("schemas", 0, "field_groups", 0), "is to be deleted"),
]


BOUNDS: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "string", "enum": []}, "enum", "must have values"),
    ({"type": "string", "enum": ["a", "a"]}, "enum", "without duplicates"),
    ({"type": "string", "minLength": -1}, "minLength", "-1 is less than the 0"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength", "3 is more than the maxLength, 2"),
    ({"type": "number", "minimum": 2, "maximum": 1.5}, "minimum", "2 is more than the maximum, 1.5"),
    ({"type": "byte", "minimum": -129}, "minimum", "-129 is less than the -128 that a byte can have"),
    ({"type": "short", "maximum": 40_000}, "maximum", "40000 is more than the 32767 that a short can have"),
]


@pytest.mark.parametrize(("field", "key", "words"), BOUNDS)
def test_bounds_that_cannot_be(field: dict[str, Any], key: str, words: str) -> None:
    document = sample()
    own(document).update(a=field)
    (problem,) = check(Provision.model_validate(document))
    assert problem.path == ("field_groups", 0, "fields", OWN, "fields", "a", key)
    assert words in problem.text


@pytest.mark.parametrize(
    "destination",
    [
        f"{OWN}.loyalty.tags[0]",
        f"{OWN}.lines[*].sku",
        f"{OWN}.options.any",
        "_other.loyalty.x",
        "person.name.firstName",
        "_id",
    ],
)
def test_destinations_that_may_be(destination: str) -> None:
    document = sample()
    line = {"type": "object", "fields": {"sku": "string"}}
    own(document).update(lines={"type": "array", "items": line}, options={"type": "map", "values": "string"})
    entry(document, "flows", 1)["mappings"].append({"source": "b", "destination": destination})
    parsed(document)


@pytest.mark.parametrize(("break_", "path", "words"), BROKEN)
def test_a_broken_rule(break_: Break, path: tuple[str | int, ...], words: str) -> None:
    document = sample()
    break_(document)
    problems = list(check(Provision.model_validate(document)))
    assert any(problem.path == path and words in problem.text for problem in problems), problems


def test_an_identity_map_serves_for_profile() -> None:
    document = sample()
    document["schemas"][0].update(identities=[], field_groups=["Member details", IDENTITY_MAP])
    parsed(document)


def test_another_organisation_s_field() -> None:
    wanted = Provision.model_validate(orjson.loads(orjson.dumps(sample()).replace(b"{TENANT_ID}", b"other")))
    assert list(check(wanted)) == []
    assert list(check_tenant(wanted, "other")) == []
    (problem,) = check_tenant(wanted, "acme")
    assert problem.path == ("field_groups", 0, "fields", "_other")
    assert "which is _acme: use _{TENANT_ID}" in problem.text
