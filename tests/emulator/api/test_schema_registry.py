"""The Schema Registry.

Sources: [XDM-GS] "Schema Registry API: getting started", [XDM-SCH] "Schemas endpoint", [XDM-DESC] "Descriptors
endpoint", [XDM-UNION] "Unions endpoint", [XDM-TRB] "Schema Registry troubleshooting guide", [SWX] OpenAPI document of
the Schema Registry, [REC] "Ingest streaming record data", [TS] "Ingest streaming time-series data", [PM] Postman
collection for ISVs, [SFA] "Add specific fields to a schema using the Schema Registry API" and its published samples.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from testing.services.emulator import Emulator
from tests.emulator.management import EVENT, FULL, PROFILE, REGISTRY, XED, Platform

TEXT = {"type": "string"}
PERSON_DETAILS = "https://ns.adobe.com/xdm/context/profile-person-details"
XED_ID = "application/vnd.adobe.xed-id+json"
XDM = "application/vnd.adobe.xdm+json"


def look_up(platform: Platform, resource_id: str, accept: str = FULL, container: str = "tenant/schemas") -> Any:
    return platform.get(f"{REGISTRY}/{container}/{quote(resource_id, safe='')}", Accept=accept)


class TestStats:
    def test_tenant_id(self, platform: Platform) -> None:
        """[XDM-GS] /stats: tenant id, counts, recent resources. The collection's Accept is of no matter."""
        group = platform.field_group(memberId=TEXT)
        schema_id = platform.schema(PROFILE, group)
        stats = platform.get(f"{REGISTRY}/stats", Accept=XED)
        assert (stats["imsOrg"], "_" + stats["tenantId"]) == (platform.org_id, platform.tenant)
        assert stats["counts"] == {"schemas": 1, "mixins": 1, "datatypes": 0, "classes": 0, "unions": 1}
        assert {each["$id"] for each in stats["recentlyCreatedResources"]} == {group, schema_id}


class TestCreation:
    def test_schema(self, platform: Platform) -> None:
        """[REC] what the creation of a record schema answers."""
        group = platform.field_group(memberId=TEXT)
        body = {
            "type": "object",
            "title": "Sample schema",
            "description": "for tests",
            "allOf": [{"$ref": PROFILE}, {"$ref": PERSON_DETAILS}, {"$ref": group}],
            "meta:immutableTags": ["union"],
        }
        created = platform.make(f"{REGISTRY}/tenant/schemas", body)
        tenant = platform.tenant.removeprefix("_")
        assert re.fullmatch(rf"https://ns\.adobe\.com/{tenant}/schemas/[0-9a-f]{{48}}", created["$id"])
        assert created["meta:altId"] == f"_{tenant}.schemas.{created['$id'].rpartition('/')[2]}"
        assert created["meta:extends"][:2] == [PROFILE, "https://ns.adobe.com/xdm/common/auditable"]
        assert {"https://ns.adobe.com/xdm/data/record", PERSON_DETAILS, group} <= set(created["meta:extends"])
        metadata = created["meta:registryMetadata"]
        assert metadata["repo:createDate"] == metadata["repo:lastModifiedDate"] > 1_700_000_000_000
        assert {key: created[key] for key in body} == body
        assert {
            key: value for key, value in created.items() if key.startswith(("meta:c", "meta:a", "meta:r", "v"))
        } == {
            "meta:altId": created["meta:altId"],
            "meta:class": PROFILE,
            "meta:abstract": False,
            "meta:containerId": "tenant",
            "meta:registryMetadata": metadata,
            "meta:resourceType": "schemas",
            "version": "1.0",
        }

    def test_event_schema(self, platform: Platform) -> None:
        """[TS] an event schema requires @id and xdm:timestamp, and extends time-series."""
        body = {"type": "object", "title": "Events", "allOf": [{"$ref": EVENT}]}
        created = platform.make(f"{REGISTRY}/tenant/schemas", body)
        assert created["required"] == ["@id", "xdm:timestamp"]
        assert "https://ns.adobe.com/xdm/data/time-series" in created["meta:extends"]
        assert set(look_up(platform, created["$id"])["required"]) == {"_id", "timestamp"}

    @pytest.mark.parametrize("kind", ["fieldgroups", "mixins"])
    def test_field_group(self, platform: Platform, kind: str) -> None:
        """[SWX] fieldgroups and mixins are one, and called mixins in the answer."""
        body = {
            "title": "Group",
            "type": "object",
            "meta:intendedToExtend": [PROFILE],
            "definitions": {"own": {"properties": {platform.tenant: {"type": "object", "properties": {"a": TEXT}}}}},
            "allOf": [{"$ref": "#/definitions/own"}],
        }
        created = platform.make(f"{REGISTRY}/tenant/{kind}", body)
        assert created["meta:resourceType"] == "mixins"
        assert "/mixins/" in created["$id"]
        for name in ("fieldgroups", "mixins"):
            found = look_up(platform, created["$id"], FULL, f"tenant/{name}")
            assert found["properties"][platform.tenant]["properties"]["a"]["meta:xdmType"] == "string"

    def test_own_fields_in_a_standard_object(self, platform: Platform) -> None:
        """[SFA] the tutorial takes /person/name/_TENANT/nickName."""
        nick = {"type": "object", "properties": {platform.tenant: {"type": "object", "properties": {"nickName": TEXT}}}}
        person = {"type": "object", "properties": {"name": nick}}
        body = {"title": "Nick names", "type": "object", "meta:intendedToExtend": [PROFILE]}
        group = platform.make(f"{REGISTRY}/tenant/fieldgroups", {**body, "properties": {"person": person}})["$id"]
        schema_id = platform.schema(PROFILE, PERSON_DETAILS, group, union=False)
        name = look_up(platform, schema_id)["properties"]["person"]["properties"]["name"]
        assert {"firstName", platform.tenant} <= set(name["properties"])
        person["properties"] = {"nickName": TEXT}
        answer = platform.call(
            "POST", f"{REGISTRY}/tenant/fieldgroups", {**body, "title": "x", "properties": {"person": person}}
        )
        assert answer.status_code == 400

    def test_only_the_fields_of_a_ref_property(self, platform: Platform) -> None:
        """[SFA] meta:refProperty, a pointer or a list of them, beside the $ref of a field group."""
        names = [f"/person/name/{name}" for name in ("firstName", "lastName")]
        for wanted, expected in (("/person/name/firstName", {"firstName"}), (names, {"firstName", "lastName"})):
            reference = {"$ref": PERSON_DETAILS, "meta:refProperty": wanted}
            body = {"type": "object", "title": f"Of {len(expected)}", "allOf": [{"$ref": PROFILE}, reference]}
            made = platform.make(f"{REGISTRY}/tenant/schemas", body)
            found = look_up(platform, made["$id"])["properties"]
            assert set(found["person"]["properties"]) == {"name"}
            assert set(found["person"]["properties"]["name"]["properties"]) == expected
        reference["meta:refProperty"] = "/person/none"
        answer = platform.call("POST", f"{REGISTRY}/tenant/schemas", {**body, "title": "None"})
        assert answer.status_code == 400
        assert "has no field /person/none" in answer.text

    def test_class_and_data_type(self, platform: Platform) -> None:
        """[XDM-SCH] a custom class and a data type, together in a schema."""
        data_type = platform.make(
            f"{REGISTRY}/tenant/datatypes",
            {"title": "Seat", "type": "object", "properties": {"row": {"type": "integer"}}},
        )
        own = {platform.tenant: {"type": "object", "properties": {"seat": {"$ref": data_type["$id"]}}}}
        created = platform.make(
            f"{REGISTRY}/tenant/classes",
            {
                "title": "Booking",
                "type": "object",
                "meta:extends": ["https://ns.adobe.com/xdm/data/record"],
                "definitions": {"booking": {"properties": own}},
                "allOf": [{"$ref": "https://ns.adobe.com/xdm/data/record"}, {"$ref": "#/definitions/booking"}],
            },
        )
        found = look_up(platform, platform.schema(created["$id"], title="Bookings", union=False))
        assert found["meta:class"] == created["$id"]
        seat = found["properties"][platform.tenant]["properties"]["seat"]
        assert seat["properties"]["row"]["meta:xdmType"] == "int"
        assert seat["meta:referencedFrom"] == data_type["$id"]
        assert found["properties"]["_id"]["meta:xdmField"] == "@id"

    @pytest.mark.parametrize("references", [[], [PERSON_DETAILS], [PROFILE, EVENT]])
    def test_exactly_one_class(self, platform: Platform, references: list[str]) -> None:
        """[XDM-SCH] allOf needs one class."""
        body = {"type": "object", "title": "x", "allOf": [{"$ref": each} for each in references]}
        assert platform.call("POST", f"{REGISTRY}/tenant/schemas", body).status_code == 400

    @pytest.mark.parametrize("reference", ["https://ns.adobe.com/xdm/context/none", "#/definitions/none"])
    def test_reference_to_nothing(self, platform: Platform, reference: str) -> None:
        body = {"type": "object", "title": "x", "allOf": [{"$ref": PROFILE}, {"$ref": reference}]}
        answer = platform.call("POST", f"{REGISTRY}/tenant/schemas", body)
        assert answer.status_code == 400
        assert reference in answer.json()["detail"]

    def test_title_is_unique_across_types(self, platform: Platform) -> None:
        """[XDM-TRB] the text of the refusal."""
        group = platform.field_group(title="Same", a=TEXT)
        body = {"type": "object", "title": "Same", "allOf": [{"$ref": PROFILE}]}
        answer = platform.call("POST", f"{REGISTRY}/tenant/schemas", body)
        assert answer.status_code == 400
        assert answer.json() == {
            "type": "/placeholder/type/uri",
            "status": 400,
            "title": "BadRequestError",
            "detail": f"Title must be unique. An object {group} already exists with the same title.",
        }
        assert platform.call("POST", f"{REGISTRY}/tenant/schemas", {**body, "title": None}).status_code == 400

    def test_custom_fields_are_under_the_tenant(self, platform: Platform) -> None:
        """[XDM-TRB] the text of the refusal; [XDM-GS] the tenant id is their namespace."""
        for properties in ({"points": TEXT}, {"_exchangeinternal": {"type": "object", "properties": {"a": TEXT}}}):
            body = {"title": "x", "type": "object", "properties": properties}
            answer = platform.call("POST", f"{REGISTRY}/tenant/fieldgroups", body)
            assert answer.status_code == 400
            text = f"For custom fields, you must use a top level field named {platform.tenant}"
            assert answer.json()["detail"].startswith(text)

    def test_client_decides_neither_id_nor_version(self, platform: Platform) -> None:
        body = {"title": "x", "type": "object", "$id": "mine", "version": "7", "allOf": [{"$ref": PROFILE}]}
        created = platform.make(f"{REGISTRY}/tenant/schemas", body)
        assert (created["$id"] != "mine", created["version"]) == (True, "1.0")


class TestLookUp:
    def test_every_media_type(self, platform: Platform) -> None:
        """[XDM-GS] each Accept of a lookup."""
        group = platform.field_group(memberId={**TEXT, "title": "Member", "description": "Its number"})
        schema_id = platform.schema(PROFILE, group)
        descriptor = platform.identity(schema_id, f"/{platform.tenant}/memberId")

        raw = look_up(platform, schema_id, "application/vnd.adobe.xed+json; version=1")
        assert [each["$ref"] for each in raw["allOf"]] == [PROFILE, group]
        assert "properties" not in raw
        bare = look_up(platform, schema_id, "application/vnd.adobe.xed-notext+json; version=1")
        assert bare == {key: value for key, value in raw.items() if key != "title"}

        full = look_up(platform, schema_id, FULL)
        assert "allOf" not in full
        member = full["properties"][platform.tenant]["properties"]["memberId"]
        assert (member["title"], member["description"]) == ("Member", "Its number")
        short = look_up(platform, schema_id, "application/vnd.adobe.xed-full-notext+json; version=1")
        assert short["properties"][platform.tenant]["properties"]["memberId"] == {
            "type": "string",
            "meta:xdmType": "string",
        }
        assert set(short["properties"]) == set(full["properties"])
        described = look_up(platform, schema_id, "application/vnd.adobe.xed-full-desc+json; version=1")
        assert [each["@id"] for each in described["meta:descriptors"]] == [descriptor]
        assert described["properties"] == full["properties"]
        assert look_up(platform, schema_id, "application/vnd.adobe.xed-deprecatefield+json; version=1") == full

    def test_standard_notation(self, platform: Platform) -> None:
        """[AEPP] asks for xdm media types: the same with standard names."""
        schema_id = platform.schema(PROFILE, platform.field_group(memberId=TEXT))
        found = look_up(platform, schema_id, "application/vnd.adobe.xdm-full+json; version=1")
        assert {"@id", "xdm:personID", "repo:createDate", platform.tenant} <= set(found["properties"])
        assert "_repo" not in found["properties"]
        assert found["properties"][platform.tenant] == look_up(platform, schema_id)["properties"][platform.tenant]
        event = look_up(platform, EVENT, "application/vnd.adobe.xdm-full+json; version=1", "global/classes")
        assert set(event["required"]) == {"@id", "xdm:timestamp"}
        listed = platform.get(f"{REGISTRY}/tenant/schemas", Accept="application/vnd.adobe.xdm-id+json")
        assert listed == platform.get(f"{REGISTRY}/tenant/schemas", Accept=XED_ID)

    @pytest.mark.parametrize("accept", [FULL, FULL.replace("; ", ";"), f"{FULL}.0", f"text/html, {FULL}"])
    def test_spellings_of_accept(self, platform: Platform, accept: str) -> None:
        """[HTTP] [REC] with and without a blank, with a minor version."""
        schema_id = platform.schema(PROFILE)
        assert look_up(platform, schema_id, accept)["$id"] == schema_id

    def test_by_alternate_id(self, platform: Platform) -> None:
        """[XDM-SCH] meta:altId instead of the URL-encoded $id."""
        schema_id = platform.schema(PROFILE)
        full = look_up(platform, schema_id)
        assert look_up(platform, full["meta:altId"]) == full

    @pytest.mark.parametrize("accept", ["", "application/json", "*/*", XED_ID + "; version=1"])
    def test_wrong_accept(self, platform: Platform, accept: str) -> None:
        """[SWX] XDM-1007-400; the older guide has 406."""
        schema_id = platform.schema(PROFILE)
        answer = platform.call("GET", f"{REGISTRY}/tenant/schemas/{quote(schema_id, safe='')}", Accept=accept)
        assert answer.status_code == 400
        body = answer.json()
        assert (body["type"], body["status"]) == ("http://ns.adobe.com/aep/errors/XDM-1007-400", 400)
        assert (body["title"], set(body["report"])) == (
            "Accept header invalid",
            {"registryRequestId", "timestamp", "detailed-message", "sub-errors"},
        )

    def test_version(self, platform: Platform) -> None:
        """[XDM-TRB] the version is needed; [SWX] 406 for one that there is not."""
        path = f"{REGISTRY}/tenant/schemas/{quote(platform.schema(PROFILE), safe='')}"
        answer = platform.call("GET", path, Accept="application/vnd.adobe.xed-full+json")
        assert answer.status_code == 400
        assert answer.json()["detail"].startswith("version must be supplied in the accept header.")
        assert platform.call("GET", path, Accept="application/vnd.adobe.xed-full+json; version=2").status_code == 406

    @pytest.mark.parametrize("path", ["schemas/none", "schemas/" + quote(PROFILE, safe=""), "widgets/x"])
    def test_not_found(self, platform: Platform, path: str) -> None:
        """[SWX] XDM-1012-404."""
        answer = platform.call("GET", f"{REGISTRY}/tenant/{path}", Accept=FULL)
        body = answer.json()
        assert (answer.status_code, body["type"]) == (404, "http://ns.adobe.com/aep/errors/XDM-1012-404")
        assert body["title"] == "Resource Not Found"
        assert body["detail"] == body["report"]["detailed-message"]

    def test_what_was_just_created_can_be_unseen_for_some_look_ups(
        self, platform: Platform, emulator: Emulator
    ) -> None:
        emulator.faults(unseen_lookups=2)
        try:
            group = platform.field_group(memberId=TEXT)
            path = f"{REGISTRY}/tenant/fieldgroups/{quote(group, safe='')}"
            unseen = [platform.call("GET", path, Accept=FULL) for _ in range(2)]
            assert [each.status_code for each in unseen] == [404, 404]
            assert unseen[0].json()["type"] == "http://ns.adobe.com/aep/errors/XDM-1012-404"
            assert look_up(platform, group, container="tenant/fieldgroups")["$id"] == group
            assert group in {
                each["$id"] for each in platform.get(f"{REGISTRY}/tenant/fieldgroups", Accept=XED_ID)["results"]
            }
        finally:
            emulator.clear_faults()
        assert look_up(platform, platform.schema(PROFILE))["type"] == "object"


class TestGlobal:
    @pytest.mark.parametrize(
        ("kind", "resource_id", "field"),
        [
            ("classes", PROFILE, "personID"),
            ("classes", EVENT, "timestamp"),
            ("fieldgroups", PERSON_DETAILS, "person"),
            ("mixins", "https://ns.adobe.com/xdm/context/profile-personal-details", "personalEmail"),
            ("fieldgroups", "https://ns.adobe.com/xdm/context/profile-work-details", "workEmail"),
            ("fieldgroups", "https://ns.adobe.com/xdm/context/experienceevent-environment-details", "environment"),
            ("fieldgroups", "https://ns.adobe.com/xdm/context/experienceevent-commerce", "commerce"),
            ("fieldgroups", "https://ns.adobe.com/xdm/context/experienceevent-web", "web"),
            ("fieldgroups", "https://ns.adobe.com/xdm/context/identitymap", "identityMap"),
            ("datatypes", "https://ns.adobe.com/xdm/common/address", "postalCode"),
            ("behaviors", "https://ns.adobe.com/xdm/data/time-series", "eventType"),
        ],
    )
    def test_standard_components(self, platform: Platform, kind: str, resource_id: str, field: str) -> None:
        """[XDM-GS] the global container."""
        found = look_up(platform, resource_id, FULL, f"global/{kind}")
        assert field in found["properties"]
        listed = {each["$id"] for each in platform.get(f"{REGISTRY}/global/{kind}", Accept=XED_ID)["results"]}
        assert resource_id in listed

    def test_looked_up_from_the_tenant(self, platform: Platform) -> None:
        """[AEPP] looks up standard components there; what a tenant has is not in global."""
        assert look_up(platform, PERSON_DETAILS, FULL, "tenant/fieldgroups")["$id"] == PERSON_DETAILS
        schema_id = quote(platform.schema(PROFILE), safe="")
        assert platform.call("GET", f"{REGISTRY}/global/schemas/{schema_id}", Accept=FULL).status_code == 404

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
    def test_read_only(self, platform: Platform, method: str) -> None:
        """[XDM-GS] global is read only."""
        name = quote(PROFILE, safe="")
        body: Any = [] if method == "PATCH" else {}
        assert platform.call(method, f"{REGISTRY}/tenant/classes/{name}", body).status_code == 404
        assert platform.call(method, f"{REGISTRY}/global/classes/{name}", body).status_code == 405


class TestLists:
    def test_ids(self, platform: Platform) -> None:
        """[XDM-SCH] xed-id: $id, meta:altId, version, title."""
        schema_id = platform.schema(PROFILE)
        body = platform.get(f"{REGISTRY}/tenant/schemas", Accept=XED_ID)
        (only,) = body["results"]
        assert list(only) == ["$id", "meta:altId", "version", "title"]
        assert only["$id"] == schema_id
        assert body["_page"] == {"orderby": "updated", "next": None, "count": 1}
        assert body["_links"] == {}

    def test_whole(self, platform: Platform) -> None:
        """[XDM-SCH] xed: the resources themselves."""
        platform.schema(PROFILE)
        (only,) = platform.get(f"{REGISTRY}/tenant/schemas", Accept=XED)["results"]
        assert only["meta:class"] == PROFILE

    @pytest.mark.parametrize("accept", ["", "*/*", FULL])
    def test_wrong_accept(self, platform: Platform, accept: str) -> None:
        """[SWX] XDM-1006-400."""
        answer = platform.call("GET", f"{REGISTRY}/tenant/schemas", Accept=accept)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, "XDM-1006-400")

    def test_pages(self, platform: Platform) -> None:
        """[XDM-SCH] limit, orderby, start, and the link to the next page."""
        for title in ("B", "C", "A"):
            platform.schema(PROFILE, title=title)
        path = f"{REGISTRY}/tenant/schemas?orderby=title&limit=2"
        first = platform.get(path, Accept=XED_ID)
        assert [each["title"] for each in first["results"]] == ["A", "B"]
        assert (first["_page"]["count"], first["_page"]["orderby"]) == (2, "title")
        for query in (f"{path}&start={quote(first['_page']['next'])}", first["_links"]["next"]["href"]):
            second = platform.get(query, Accept=XED_ID)
            assert [each["title"] for each in second["results"]] == ["C"]
            assert second["_page"]["next"] is None
        last = platform.get(f"{REGISTRY}/tenant/schemas?orderby=-title&limit=1", Accept=XED_ID)
        assert [each["title"] for each in last["results"]] == ["C"]

    @pytest.mark.parametrize(
        ("query", "titles"),
        [
            ("property=title==B", ["B"]),
            ("property=title!=B", ["A", "C"]),
            ("property=title~^[BC]", ["B", "C"]),
            ("property=title>A", ["B", "C"]),
            ("property=meta:immutableTags", ["A", "B"]),
            (f"property=meta:extends=={EVENT}", ["C"]),
            (f"property=meta:immutableTags==union&property=meta:class=={PROFILE}&property=title!=A", ["B"]),
        ],
    )
    def test_filters(self, platform: Platform, query: str, titles: list[str]) -> None:
        """[XDM-APPENDIX] the operators of `property`; a list has what one of its members is."""
        platform.schema(PROFILE, title="A")
        platform.schema(PROFILE, title="B")
        platform.schema(EVENT, title="C", union=False)
        found = platform.get(f"{REGISTRY}/tenant/schemas?orderby=title&{query}", Accept=XED_ID)
        assert [each["title"] for each in found["results"]] == titles

    def test_field_groups_for_a_class(self, platform: Platform) -> None:
        """[XDM-APPENDIX] `property=meta:intendedToExtend==` tells which field groups fit a class."""
        where = f"property=meta:intendedToExtend=={PROFILE}"
        found = platform.get(f"{REGISTRY}/global/fieldgroups?{where}", Accept=XED_ID)["results"]
        ids = {each["$id"] for each in found}
        assert f"{PROFILE}-person-details" in ids
        assert f"{EVENT}-commerce" not in ids

    def test_wrong_filter(self, platform: Platform) -> None:
        answer = platform.call("GET", f"{REGISTRY}/tenant/schemas?property=title~(", Accept=XED_ID)
        assert (answer.status_code, "not a valid regular expression" in answer.json()["detail"]) == (400, True)


class TestChanges:
    def test_patch(self, platform: Platform) -> None:
        """[SWX] PATCH (RFC 6902): 200, the next minor version."""
        schema_id = platform.schema(PROFILE)
        path = f"{REGISTRY}/tenant/schemas/{quote(schema_id, safe='')}"
        patch = [{"op": "add", "path": "/allOf/-", "value": {"$ref": PERSON_DETAILS}}]
        answer = platform.call("PATCH", path, patch)
        assert (answer.status_code, answer.json()["version"]) == (200, "1.1")
        assert PERSON_DETAILS in answer.json()["meta:extends"]
        assert "person" in look_up(platform, schema_id)["properties"]
        assert platform.call("PATCH", path, [{"op": "replace", "path": "/none/x", "value": 1}]).status_code == 400
        assert platform.call("PATCH", path, [{"op": "remove", "path": "/allOf/0"}]).status_code == 400

    def test_change_that_breaks_a_schema(self, platform: Platform) -> None:
        """What would leave a schema unusable is refused, and nothing is changed."""
        first = platform.field_group(title="One", a=TEXT)
        second = platform.field_group(title="Two", b=TEXT)
        schema_id = platform.schema(PROFILE, first, second)
        before = look_up(platform, schema_id)
        path = f"{REGISTRY}/tenant/fieldgroups/{quote(second, safe='')}"
        own = f"/definitions/own/properties/{platform.tenant}/properties"
        for field in ({"type": "integer"}, {"type": "string", "pattern": "(?=x)"}):
            answer = platform.call("PATCH", path, [{"op": "add", "path": f"{own}/a", "value": field}])
            assert answer.status_code == 400
        assert look_up(platform, schema_id) == before
        assert platform.call("PATCH", path, [{"op": "add", "path": f"{own}/c", "value": TEXT}]).status_code == 200
        assert "c" in look_up(platform, schema_id)["properties"][platform.tenant]["properties"]

    def test_put(self, platform: Platform) -> None:
        """[SWX] PUT replaces the whole."""
        schema_id = platform.schema(PROFILE, PERSON_DETAILS, union=False)
        path = f"{REGISTRY}/tenant/schemas/{quote(schema_id, safe='')}"
        answer = platform.call("PUT", path, {"type": "object", "title": "New", "allOf": [{"$ref": PROFILE}]})
        assert (answer.status_code, answer.json()["$id"]) == (200, schema_id)
        assert (answer.json()["title"], "person" in look_up(platform, schema_id)["properties"]) == ("New", False)

    def test_delete(self, platform: Platform) -> None:
        """[SWX] DELETE: 204, then 404. What is in use cannot be deleted (our choice)."""
        group = platform.field_group(a=TEXT)
        schema_id = platform.schema(PROFILE, group)
        descriptor = platform.identity(schema_id, f"/{platform.tenant}/a")
        group_path = f"{REGISTRY}/tenant/fieldgroups/{quote(group, safe='')}"
        schema_path = f"{REGISTRY}/tenant/schemas/{quote(schema_id, safe='')}"
        assert platform.call("DELETE", group_path).status_code == 400
        assert platform.call("DELETE", schema_path).status_code == 204
        assert platform.call("GET", schema_path, Accept=FULL).status_code == 404
        assert platform.call("GET", f"{REGISTRY}/tenant/descriptors/{descriptor}", Accept=XDM).status_code == 404
        assert platform.call("DELETE", group_path).status_code == 204

    def test_union_by_patch_needs_an_identity(self, platform: Platform) -> None:
        """[XDM-UNION] PATCH that adds the tag; [XDM-TRB] Profile needs a primary identity."""
        schema_id = platform.schema(PROFILE, platform.field_group(a=TEXT), union=False)
        path = f"{REGISTRY}/tenant/schemas/{quote(schema_id, safe='')}"
        patch = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        answer = platform.call("PATCH", path, patch)
        assert answer.status_code == 400
        assert answer.json()["detail"] == "To enable profile datasets the schema should be valid"
        platform.identity(schema_id, f"/{platform.tenant}/a")
        assert platform.call("PATCH", path, patch).json()["meta:immutableTags"] == ["union"]
        remove = [{"op": "remove", "path": "/meta:immutableTags"}]
        assert platform.call("PATCH", path, remove).status_code == 400

    def test_union_with_an_identity_map(self, platform: Platform) -> None:
        """[XDM-UNION] an identityMap serves as well."""
        schema_id = platform.schema(PROFILE, "https://ns.adobe.com/xdm/context/identitymap", union=False)
        path = f"{REGISTRY}/tenant/schemas/{quote(schema_id, safe='')}"
        patch = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
        assert platform.call("PATCH", path, patch).status_code == 200


class TestUnions:
    def test_union_of_a_class(self, platform: Platform) -> None:
        """[XDM-UNION] the union has the fields of all schemas with the tag."""
        platform.schema(PROFILE, platform.field_group(title="One", a=TEXT), title="First")
        platform.schema(PROFILE, platform.field_group(title="Two", b=TEXT), title="Second")
        platform.schema(PROFILE, platform.field_group(title="Three", c=TEXT), title="Third", union=False)
        (listed,) = platform.get(f"{REGISTRY}/tenant/unions", Accept=XED_ID)["results"]
        assert listed["$id"] == f"{PROFILE}__union"
        for name in (listed["$id"], "_xdm.context.profile__union"):
            union = look_up(platform, name, FULL, "tenant/unions")
            assert set(union["properties"][platform.tenant]["properties"]) == {"a", "b"}
        answer = platform.call("GET", f"{REGISTRY}/tenant/unions/{quote(EVENT + '__union', safe='')}", Accept=FULL)
        assert answer.status_code == 404


class TestDescriptors:
    @pytest.fixture
    def schema_id(self, platform: Platform) -> str:
        return platform.schema(PROFILE, platform.field_group(memberId=TEXT, email=TEXT))

    def body(self, platform: Platform, schema_id: str, **changes: Any) -> dict[str, Any]:
        return {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema_id,
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": f"/{platform.tenant}/memberId",
            "xdm:namespace": "Email",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
            **changes,
        }

    def test_created(self, platform: Platform, schema_id: str) -> None:
        """[REC] the answer of the creation."""
        body = self.body(platform, schema_id)
        created = platform.make(f"{REGISTRY}/tenant/descriptors", body)
        assert re.fullmatch("[0-9a-f]{48}", created["@id"])
        assert created == {
            **body,
            "@id": created["@id"],
            "meta:containerId": "tenant",
            "version": "1",
            "imsOrg": platform.org_id,
        }
        assert platform.get(f"{REGISTRY}/tenant/descriptors/{created['@id']}", Accept=XDM) == created

    @pytest.mark.parametrize(
        "changes",
        [
            {"xdm:sourceProperty": "{t}/memberId"},
            {"xdm:sourceProperty": "/{t}/memberId/"},
            {"xdm:sourceProperty": "/properties/{t}/properties/memberId"},
            {"xdm:sourceProperty": "/{t}/none"},
            {"xdm:property": "xdm:name"},
            {"xdm:namespace": None},
            {"xdm:sourceSchema": "https://ns.adobe.com/x/schemas/none"},
            {"@type": "identity"},
        ],
    )
    def test_refused(self, platform: Platform, schema_id: str, changes: dict[str, Any]) -> None:
        """[XDM-DESC] rules of identity descriptors."""
        filled = {
            key: value.replace("{t}", platform.tenant) if isinstance(value, str) else value
            for key, value in changes.items()
        }
        body = self.body(platform, schema_id, **filled)
        assert platform.call("POST", f"{REGISTRY}/tenant/descriptors", body).status_code == 400

    def test_one_primary_identity(self, platform: Platform, schema_id: str) -> None:
        """[XDM-DESC] at most one primary identity a schema."""
        platform.identity(schema_id, f"/{platform.tenant}/memberId")
        second = self.body(platform, schema_id, **{"xdm:sourceProperty": f"/{platform.tenant}/email"})
        assert platform.call("POST", f"{REGISTRY}/tenant/descriptors", second).status_code == 400
        platform.make(f"{REGISTRY}/tenant/descriptors", {**second, "xdm:isPrimary": False})

    def test_lists(self, platform: Platform, schema_id: str) -> None:
        """[XDM-DESC] each media type of the list."""
        descriptor_id = platform.identity(schema_id, f"/{platform.tenant}/memberId")

        def listed(name: str) -> Any:
            return platform.get(f"{REGISTRY}/tenant/descriptors", Accept=f"application/vnd.adobe.{name}+json")

        kind = "xdm:descriptorIdentity"
        assert listed("xdm-id") == {kind: [descriptor_id]}
        assert listed("xdm-link") == {kind: [f"/tenant/descriptors/{descriptor_id}"]}
        assert [each["@id"] for each in listed("xdm")[kind]] == [descriptor_id]
        assert [each["@id"] for each in listed("xdm-v2")["results"]] == [descriptor_id]

    @pytest.mark.parametrize("accept", ["", XED, XED_ID])
    def test_wrong_accept(self, platform: Platform, schema_id: str, accept: str) -> None:
        """[SWX] XDM-1008-400 and XDM-1009-400."""
        descriptor_id = platform.identity(schema_id, f"/{platform.tenant}/memberId")
        for path, code in (("", "XDM-1008-400"), (f"/{descriptor_id}", "XDM-1009-400")):
            answer = platform.call("GET", f"{REGISTRY}/tenant/descriptors{path}", Accept=accept)
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (400, code)

    def test_replaced_and_deleted(self, platform: Platform, schema_id: str) -> None:
        """[XDM-DESC] PUT 201 with the @id, DELETE 204, then GET 404."""
        path = f"{REGISTRY}/tenant/descriptors/{platform.identity(schema_id, f'/{platform.tenant}/memberId')}"
        answer = platform.call("PUT", path, self.body(platform, schema_id, **{"xdm:namespace": "Phone"}))
        assert (answer.status_code, answer.json()) == (201, {"@id": path.rpartition("/")[2]})
        assert platform.get(path, Accept=XDM)["xdm:namespace"] == "Phone"
        assert platform.call("DELETE", path).status_code == 204
        assert platform.call("GET", path, Accept=XDM).status_code == 404


def test_state_survives_a_restart(tmp_path: Path) -> None:
    with Emulator(state=tmp_path / "state.db") as emulator:
        platform = Platform(emulator)
        schema_id = platform.schema(PROFILE, platform.field_group(memberId=TEXT))
        platform.identity(schema_id, f"/{platform.tenant}/memberId")
        accept = "application/vnd.adobe.xed-full-desc+json; version=1"
        before = look_up(platform, schema_id, accept)
        emulator.stop()
        emulator.start()
        assert look_up(platform, schema_id, accept) == before
