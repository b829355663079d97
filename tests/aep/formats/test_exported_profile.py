"""The record that AEP exports of a profile, in both dialects, and what is not one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from aep.formats.exported_profile import check_shape, identities_of, membership_of

# Adobe's own samples: ids that are not hexadecimal, an address that is none.
SAMPLE_2020 = orjson.loads("""
{"person":{"email":"yourstruly@adobe.con"},
 "segmentMembership":{"ups":{
    "7841ba61-23c1-4bb3-a495-00d3g5fe1e93":{"lastQualificationTime":"2020-05-25T21:24:39Z","status":"exited"},
    "59bd2fkd-3c48-4b18-bf56-4f5c5e6967ae":{"lastQualificationTime":"2020-05-25T23:37:33Z","status":"existing"}}},
 "identityMap":{"ecid":[{"id":"14575006536349286404619648085736425115"},
                        {"id":"66478888669296734530114754794777368480"}],
                "email_lc_sha256":[{"id":"655332b5fa2aea4498bf7a290cff017cb4"}]}}
""")
WITH_NAMES_AND_TIMES = orjson.loads("""
{"segmentMembership":{"ups":{"03fb9938-8537-4b4c-87f9-9c4d413a0ee5":{
    "createdAt":1648553325000,"updatedAt":1648553330000,"mappingCreatedAt":1649856570000,
    "mappingUpdatedAt":1649856570000,"name":"First name equals John",
    "lastQualificationTime":"2019-04-15T02:41:50+0000","status":"realized"}}},
 "identityMap":{"crmid":[{"id":"2f0c5ad0"}]}}
""")
IDENTITIES: dict[str, Any] = {"email": [{"id": "a@example.com"}]}


def with_statuses(*statuses: str) -> dict[str, Any]:
    audiences = {f"audience-{number}": {"status": status} for number, status in enumerate(statuses)}
    return {"identityMap": IDENTITIES, "segmentMembership": {"ups": audiences}}


@pytest.mark.parametrize(
    "profile",
    [
        SAMPLE_2020,
        WITH_NAMES_AND_TIMES,
        {"identityMap": IDENTITIES},
        {"identityMap": IDENTITIES, "segmentMembership": {}},
        {"identityMap": IDENTITIES, "segmentMembership": {"another-namespace": {"1": {"status": "existing"}}}},
        {"identityMap": {"ecid": [{"id": str(number)} for number in range(10_000)]}},
        {
            "identityMap": IDENTITIES,
            "segmentMembership": {"ups": {"a": {"status": "realized", "lastQualificationTime": 1648553325000}}},
        },
    ],
)
def test_what_adobe_exports_has_the_shape(profile: dict[str, Any]) -> None:
    assert check_shape(profile) is None


@pytest.mark.parametrize(
    ("profile", "code", "place"),
    [
        ({}, "required", ""),
        ({"person": {}, "segmentMembership": {}}, "required", ""),
        ({"identityMap": {}}, "minProperties", "/identityMap"),
        ({"identityMap": {"ecid": []}}, "minItems", "/identityMap/ecid"),
        ({"identityMap": {"ecid": [{"id": ""}]}}, "minLength", "/identityMap/ecid/0/id"),
        ({"identityMap": {"ecid": [{"id": 7}]}}, "type", "/identityMap/ecid/0/id"),
        ({"identityMap": {"ecid": [{}]}}, "required", "/identityMap/ecid/0"),
        (with_statuses("realised"), "enum", "/segmentMembership/ups/audience-0/status"),
        ({"identityMap": IDENTITIES, "segmentMembership": {"ups": {"a": {}}}}, "required", "/segmentMembership/ups/a"),
        (
            {
                "identityMap": IDENTITIES,
                "segmentMembership": {"ups": {"a": {"status": "exited", "lastQualificationTime": "yesterday"}}},
            },
            "format",
            "/segmentMembership/ups/a/lastQualificationTime",
        ),
    ],
)
def test_what_has_another_shape_is_refused_with_its_place(profile: dict[str, Any], code: str, place: str) -> None:
    refused = check_shape(profile)
    assert refused is not None
    assert (refused.code, refused.pointer) == (code, place)
    assert refused.message


def check_membership(**members: Any) -> tuple[str, str] | None:
    audience = {"status": "realized", **members}
    refused = check_shape({"identityMap": IDENTITIES, "segmentMembership": {"ups": {"a": audience}}})
    return None if refused is None else (refused.code, refused.pointer)


@pytest.mark.parametrize(
    "time",
    [
        "2024-02-29T23:59:59Z",
        "2024-02-29T23:59:59.123456789Z",
        "2019-04-15T02:41:50+0000",
        "2019-04-15T02:41:50.1-05:30",
        1648553325000,
    ],
)
def test_times_in_the_forms_of_adobes_documents_pass(time: str | int) -> None:
    assert check_membership(lastQualificationTime=time) is None


@pytest.mark.parametrize(
    ("time", "code"),
    [
        ("2026-13-45T99:99:99Z", "format"),
        ("2023-02-29T00:00:00Z", "format"),
        ("2026-04-31T00:00:00+0000", "format"),
        ("2026-04-30T24:00:01Z", "format"),
        ("2026-04-30T00:00:00+9900", "format"),
        ("2026-04-30T00:00:00", "format"),
        ("2026-04-30", "format"),
        ("20260430T000000Z", "format"),
        ("٢٠٢٦-04-30T00:00:00Z", "format"),
        ("1648553325000", "format"),
        (1234567890, "minimum"),
        (10**18, "maximum"),
        (1648553325000.5, "type"),
        (True, "type"),
        (None, "type"),
    ],
)
def test_times_that_do_not_exist_and_other_forms_are_refused(time: Any, code: str) -> None:
    assert check_membership(lastQualificationTime=time) == (code, "/segmentMembership/ups/a/lastQualificationTime")


@pytest.mark.parametrize("key", ["createdAt", "updatedAt", "mappingCreatedAt", "mappingUpdatedAt"])
def test_the_times_of_audiences_are_milliseconds(key: str) -> None:
    place = f"/segmentMembership/ups/a/{key}"
    assert check_membership(**{key: 1648553325000}) is None
    assert check_membership(**{key: "x"}) == ("type", place)
    assert check_membership(**{key: "2022-03-29T11:28:45Z"}) == ("type", place)
    assert check_membership(**{key: 1648553325}) == ("minimum", place)


@pytest.mark.parametrize(
    ("statuses", "membership"),
    [
        (("realized",), "entered"),
        (("existing",), "changed"),
        ((), "changed"),
        (("exited",), "left"),
        (("realized", "existing"), "entered"),
        (("exited", "existing"), "left"),
        (("exited", "realized"), "left"),
    ],
)
def test_an_exit_is_never_taken_for_a_member(statuses: tuple[str, ...], membership: str) -> None:
    assert membership_of(with_statuses(*statuses)) == membership


def test_a_profile_without_memberships_has_changed() -> None:
    assert membership_of({"identityMap": IDENTITIES}) == "changed"


def test_namespaces_are_compared_in_lower_case() -> None:
    assert list(identities_of({"identityMap": {"ECID": [{"id": "1"}, {"id": "A"}]}})) == [("ecid", "1"), ("ecid", "A")]
