"""The Catalog and Data Access: datasets, batches, files.

Sources: [REC] "Ingest streaming record data", [SWC] OpenAPI document of the Catalog, [UPSERT-DS] "Enable a dataset for
updates", [DIAG] "Error diagnostics", [FAIL] "Retrieving failed batches", [SWDA] "Data Access API guide", [UPS] "Send
partial row updates"; [BB] observations of a third party in failed batches.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest

from testing.services.emulator import Emulator
from tests.emulator.conftest import SCHEMA, Client, make_message
from tests.emulator.management import CATALOG, CONTENT_TYPE, EVENT, EXPORT, PROFILE, Platform

TEXT = {"type": "string"}
NOW = "2026-01-02T03:04:05Z"


class Lake:
    """A dataset of events that is not enabled for Profile, with a connection to it."""

    def __init__(self, platform: Platform, client: Client) -> None:
        self.platform, self.client = platform, client
        code = {**TEXT, "pattern": "^[A-Z]{3}$"}
        level = {**TEXT, "enum": ["gold", "silver"]}
        group = platform.field_group(EVENT, code=code, level=level, points={"type": "integer"})
        self.schema_id = platform.schema(EVENT, group, union=False)
        self.dataset_id = platform.dataset(self.schema_id, profile=False)
        self.url = platform.inlet_url(platform.connection())

    def entity(self, number: int, **own: Any) -> dict[str, Any]:
        return {"_id": f"e{number}", "timestamp": NOW, **({self.platform.tenant: own} if own else {})}

    def send(self, *entities: dict[str, Any]) -> None:
        messages = [self.platform.message(self.schema_id, self.dataset_id, entity) for entity in entities]
        answer = self.client.post(self.url.replace("/collection/", "/collection/batch/"), {"messages": messages})
        assert [list(each) for each in answer.json()["responses"]] == [["xactionId"]] * len(entities)


@pytest.fixture
def lake(platform: Platform, client: Client) -> Lake:
    return Lake(platform, client)


class TestDataSets:
    @pytest.mark.parametrize("spelling", ["dataSets", "datasets", "dataSets/"])
    def test_created(self, platform: Platform, spelling: str) -> None:
        """[REC] [SWC] [PM] 201 with a reference in a list and a Location, in either spelling."""
        schema_id = platform.schema(PROFILE)
        body = {"name": "Members", "schemaRef": {"id": schema_id, "contentType": CONTENT_TYPE}}
        answer = platform.call("POST", f"{CATALOG}/{spelling}", body)
        assert answer.status_code == 201
        (reference,) = answer.json()
        match = re.fullmatch("@/dataSets/([0-9a-f]{24})", reference)
        assert match
        assert answer.headers["location"].endswith(f"/dataSets/{match[1]}")
        assert list(platform.get(f"{CATALOG}/{spelling.rstrip('/')}/{match[1]}")) == [match[1]]

    def test_looked_up(self, platform: Platform) -> None:
        """[UPSERT-DS] the object under its id."""
        schema_id = platform.schema(PROFILE)
        dataset_id = platform.dataset(schema_id, profile=False)
        found = platform.get(f"{CATALOG}/dataSets/{dataset_id}")[dataset_id]
        assert (found["name"], found["imsOrg"], found["version"]) == ("loyalty", platform.org_id, "1.0.0")
        assert found["schemaRef"] == {"id": schema_id, "contentType": CONTENT_TYPE}
        assert found["tags"] == {"adobe/pqs/table": ["loyalty"]}
        assert found["classification"] == {"dataBehavior": "record"}  # [AEPP] reads it
        assert found["files"] == f"@/dataSets/{dataset_id}/views/{found['viewId']}/files"
        assert found["created"] == found["updated"] > 1_700_000_000_000

    def test_listed(self, platform: Platform) -> None:
        """[SWC] limit, start, filters, properties."""
        schema_id = platform.schema(PROFILE)
        ids = [platform.dataset(schema_id, profile=False) for _ in range(3)]
        assert list(platform.get(f"{CATALOG}/dataSets")) == ids
        assert list(platform.get(f"{CATALOG}/dataSets?limit=2")) == ids[:2]
        assert list(platform.get(f"{CATALOG}/dataSets?limit=2&start=2")) == ids[2:]
        assert platform.get(f"{CATALOG}/dataSets?name=none") == {}
        assert platform.get(f"{CATALOG}/dataSets?properties=name&limit=1") == {ids[0]: {"name": "loyalty"}}

    def test_patched(self, platform: Platform) -> None:
        """[UPSERT-DS] JSON Patch; [SWC] merge with /v2."""
        dataset_id = platform.dataset(platform.schema(PROFILE), profile=False)
        patch = [{"op": "add", "path": "/tags/color", "value": ["red"]}]
        answer = platform.call(
            "PATCH", f"{CATALOG}/dataSets/{dataset_id}", patch, Content_Type="application/json-patch+json"
        )
        assert (answer.status_code, answer.json()) == (200, [f"@/dataSets/{dataset_id}"])
        change = {"tags": {"size": ["L"]}, "created": 1}
        assert platform.call("PATCH", f"{CATALOG}/v2/dataSets/{dataset_id}", change).status_code == 200
        found = platform.get(f"{CATALOG}/dataSets/{dataset_id}")[dataset_id]
        assert (found["tags"]["color"], found["tags"]["size"], found["version"]) == (["red"], ["L"], "1.0.2")
        assert found["created"] > 1

    def test_enabled_for_profile_later(self, platform: Platform) -> None:
        """[UPSERT-DS] the patch; [XDM-TRB] needs a schema with the union tag and a primary identity."""
        schema_id = platform.schema(PROFILE, platform.field_group(memberId=TEXT))
        dataset_id = platform.dataset(schema_id, profile=False)
        path = f"{CATALOG}/dataSets/{dataset_id}"
        patch = [{"op": "add", "path": "/tags/unifiedProfile", "value": ["enabled: true"]}]
        answer = platform.call("PATCH", path, patch)
        assert answer.status_code == 400
        assert answer.json()["detail"] == "To enable profile datasets the schema should be valid"
        platform.identity(schema_id, f"/{platform.tenant}/memberId")
        assert platform.call("PATCH", path, patch).status_code == 200

    def test_schema_without_union_tag(self, platform: Platform) -> None:
        """[XDM-TRB] the same refusal at creation."""
        schema_id = platform.schema(EVENT, union=False)
        body = {"schemaRef": {"id": schema_id}, "tags": {"unifiedProfile": ["enabled:true"]}}
        assert platform.call("POST", f"{CATALOG}/dataSets", body).status_code == 400

    @pytest.mark.parametrize("reference", [None, {}, {"id": "https://ns.adobe.com/x/schemas/none"}, {"id": PROFILE}])
    def test_needs_a_schema(self, platform: Platform, reference: object) -> None:
        body = {"name": "x", "schemaRef": reference}
        assert platform.call("POST", f"{CATALOG}/dataSets", body).status_code == 400

    def test_deleted(self, platform: Platform) -> None:
        """[SWC] DELETE; then 404."""
        dataset_id = platform.dataset(platform.schema(PROFILE), profile=False)
        assert platform.call("DELETE", f"{CATALOG}/dataSets/{dataset_id}").status_code == 200
        assert platform.call("GET", f"{CATALOG}/dataSets/{dataset_id}").status_code == 404


class TestDoor:
    def test_data_set_and_schema_must_match(self, lake: Lake) -> None:
        """[SWS] the header names an existing dataset and its schema."""
        platform = lake.platform
        other = platform.schema(PROFILE, title="Other", union=False)
        for schema_id, dataset_id in ((other, lake.dataset_id), (lake.schema_id, "f" * 24)):
            message = platform.message(schema_id, dataset_id, lake.entity(1))
            assert lake.client.post(lake.url, message).status_code == 400

    def test_synchronous_validation(self, lake: Lake) -> None:
        """[VAL] against the schema of the registry; a valid message is kept, an invalid one is not."""
        platform = lake.platform
        good, bad = lake.entity(1, points=1), lake.entity(2, points="1")
        for entity, status in ((good, 200), (bad, 400)):
            message = platform.message(lake.schema_id, lake.dataset_id, entity)
            assert lake.client.post(f"{lake.url}?syncValidation=true", message).status_code == status
        assert platform.records(lake.dataset_id) == [good]
        assert platform.failures(lake.dataset_id) == []


class TestBatches:
    def test_good_and_failed_apart(self, lake: Lake) -> None:
        """[MULTI] [VAL] accepted first; then the failed ones are in an error batch of the dataset."""
        platform = lake.platform
        lake.send(lake.entity(1, points=1), lake.entity(2, points="1"), lake.entity(3))
        batches = platform.batches()
        assert sorted(each["status"] for each in batches.values()) == ["failed", "success"]
        for batch_id, batch in batches.items():
            assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{26}", batch_id)
            assert batch["relatedObjects"] == [{"type": "dataSet", "id": lake.dataset_id}]
            assert platform.get(f"{CATALOG}/batches/{batch_id}") == {batch_id: batch}
            assert platform.get(f"{CATALOG}/batch/{batch_id}") == {batch_id: batch}
        metrics = {each["status"]: each["metrics"] for each in batches.values()}
        assert metrics["success"]["outputRecordCount"] == metrics["success"]["inputRecordCount"] == 2
        assert (metrics["failed"]["outputRecordCount"], metrics["failed"]["failedRecordCount"]) == (0, 1)
        (failed,) = platform.batches("status=failed").values()
        (error,) = failed["errors"]
        assert (error["code"], error["recordCount"]) == ("DCVS-1104-400", 1)

    def test_filters(self, lake: Lake) -> None:
        """[BB] status, createdAfter, createdBefore, limit, offset, orderBy."""
        platform = lake.platform
        ids: list[str] = []
        for number in range(3):
            lake.send(lake.entity(number))
            (new,) = set(platform.batches()) - set(ids)  # listing closes the batch
            ids.append(new)
            created = platform.batches()[new]["created"]
            while int(time.time() * 1000) <= created:
                pass
        assert list(platform.batches()) == ids[::-1]
        assert list(platform.batches("orderBy=asc:created")) == ids
        assert list(platform.batches("orderBy=asc:created&limit=1&offset=1")) == ids[1:2]
        second = platform.batches()[ids[1]]["created"]
        assert list(platform.batches(f"createdAfter={second}")) == ids[2:]
        assert list(platform.batches(f"createdBefore={second}")) == ids[:1]
        assert list(platform.batches("dataSet=none")) == list(platform.batches("status=active")) == []
        assert platform.call("GET", f"{CATALOG}/batches?orderBy=size").status_code == 400
        assert platform.call("GET", f"{CATALOG}/batches?limit=x").status_code == 400

    def test_records_close_together_share_a_batch(self, lake: Lake) -> None:
        lake.send(lake.entity(1), lake.entity(2))
        (batch,) = lake.platform.batches().values()
        assert batch["metrics"]["inputRecordCount"] == 2

    def test_unknown(self, platform: Platform) -> None:
        assert platform.call("GET", f"{CATALOG}/batches/none").status_code == 404
        assert platform.call("GET", f"{EXPORT}/batches/none/failed").status_code == 404
        assert platform.call("GET", f"{EXPORT}/files/none-1").status_code == 404

    def test_of_a_local_inlet(self, emulator: Emulator, client: Client) -> None:
        """The failed messages of an inlet of /__local can be fetched in the same way; good ones are not kept."""
        platform = Platform(emulator)
        inlet = emulator.create_inlet(schema=SCHEMA, org_id=platform.org_id)
        client.batch(inlet, [make_message(inlet, "good"), make_message(inlet, {"_id": "bad"})])
        (failed,) = platform.failures(inlet["datasetId"])
        assert failed["body"]["xdmEntity"] == {"_id": "bad"}
        assert platform.batches("status=success") == {}


class TestFiles:
    def test_failed_files(self, lake: Lake) -> None:
        """[FAIL] the list of a failed batch, its empty _SUCCESS and its file of JSON lines."""
        platform = lake.platform
        lake.send(lake.entity(1, points="1"))
        (batch_id,) = platform.batches("status=failed")
        path = f"{EXPORT}/batches/{batch_id}/failed"
        body = platform.get(path)
        first, second = body["data"]
        here = f"{platform.emulator.url}{path}"
        assert first == {"name": "_SUCCESS", "length": "0", "_links": {"self": {"href": f"{here}?path=_SUCCESS"}}}
        assert re.fullmatch(r"part-00000-[0-9a-f-]{36}-c000\.json", second["name"])
        assert body["_page"] == {"limit": 100, "count": 2}
        content = platform.call("GET", second["_links"]["self"]["href"]).content
        assert second["length"] == str(len(content))
        assert platform.call("GET", first["_links"]["self"]["href"]).content == b""
        assert platform.call("GET", f"{path}?path=none").status_code == 404
        assert platform.get(f"{EXPORT}/batches/{batch_id}/files")["data"] == []

    def test_failed_record(self, lake: Lake) -> None:
        """[BB] the message with its errors; it can be sent again once repaired."""
        platform = lake.platform
        lake.send(lake.entity(1, points="1"))
        (failed,) = platform.failures(lake.dataset_id)
        errors = failed.pop("_errors")
        pointer = f"#/{platform.tenant}/points"
        text = "The message cannot be validated due to the data type error"
        assert errors == {
            "_streamingValidation": [
                {"code": "DCVS-1104-400", "message": f"{text}: {pointer}: expected type: Integer, found: String."}
            ]
        }
        assert failed["body"]["xdmEntity"] == lake.entity(1, points="1")
        failed["body"]["xdmEntity"][platform.tenant]["points"] = 1
        assert lake.client.post(lake.url, failed).status_code == 200
        assert platform.records(lake.dataset_id) == [lake.entity(1, points=1)]

    @pytest.mark.parametrize(
        ("entity", "code", "text"),
        [
            (
                {"_id": "e"},
                "DCVS-1106-400",
                "The message cannot be validated because a required property is missing: "
                "#: required key [timestamp] not found.",
            ),
            (
                {"own": {"code": "R$"}},
                "DCVS-1103-400",
                "The message cannot be validated due to the pattern mismatch error: "
                "#/T/code: string [R$] does not match pattern ^[A-Z]{3}$.",
            ),
            ({"timestamp": "2018-00-23T22:07:01Z"}, "DCVS-1105-400", "is not a valid date-time"),
            ({"own": {"level": "tin"}}, "DCVS-1101-400", "#/T/level"),
            ({"extra": 1}, "DCVS-1101-400", "#: extraneous key [extra] is not permitted."),
        ],
        ids=["missing", "pattern", "format", "enum", "unknown"],
    )
    def test_codes(self, lake: Lake, entity: dict[str, Any], code: str, text: str) -> None:
        """[BB] codes and texts as others have seen them; [FAIL] the format error."""
        own = entity.pop("own", {})
        base = {} if entity.get("_id") else lake.entity(1, **own)
        lake.send({**base, **entity})
        (failed,) = lake.platform.failures(lake.dataset_id)
        (error,) = failed["_errors"]["_streamingValidation"]
        assert error["code"] == code
        assert text.replace("/T/", f"/{lake.platform.tenant}/") in error["message"]

    def test_good_files(self, lake: Lake) -> None:
        """[SWDA] files of a batch, a file's parts, a part."""
        platform = lake.platform
        lake.send(lake.entity(1), lake.entity(2, level="gold"))
        (batch_id,) = platform.batches("status=success")
        (entry,) = platform.get(f"{EXPORT}/batches/{batch_id}/files")["data"]
        file_id = entry["dataSetFileId"]
        assert entry["_links"]["self"]["href"] == f"{platform.emulator.url}{EXPORT}/files/{file_id}"
        (part,) = platform.get(f"{EXPORT}/files/{file_id}")["data"]
        lines = platform.lines(f"{EXPORT}/files/{file_id}?path={part['name']}")
        assert lines == [lake.entity(1), lake.entity(2, level="gold")]
        assert platform.call("GET", f"{EXPORT}/files/{file_id}?path=none").status_code == 404
        assert platform.get(f"{EXPORT}/batches/{batch_id}/failed")["data"] == []


class TestValidation:
    def test_primary_identity_is_mandatory(self, platform: Platform, client: Client) -> None:
        """[REC] [TS] messages without the field of the primary identity fail."""
        schema_id = platform.schema(PROFILE, platform.field_group(memberId=TEXT, tier=TEXT))
        platform.identity(schema_id, f"/{platform.tenant}/memberId")
        dataset_id = platform.dataset(schema_id, profile=False)
        url = platform.inlet_url(platform.connection())
        client.post(url, platform.message(schema_id, dataset_id, {platform.tenant: {"tier": "gold"}}))
        (failed,) = platform.failures(dataset_id)
        (error,) = failed["_errors"]["_streamingValidation"]
        assert error["code"] == "DCVS-1106-400"
        assert "required key [memberId] not found" in error["message"]
        client.post(url, platform.message(schema_id, dataset_id, {"personID": "x"}))
        assert f"required key [{platform.tenant}] not found" in str(platform.failures(dataset_id)[1]["_errors"])

    def test_described_field_that_is_gone(self, platform: Platform, client: Client) -> None:
        """A descriptor of a field that the schema has lost makes nothing mandatory."""
        group = platform.field_group(memberId=TEXT, tier=TEXT)
        schema_id = platform.schema(PROFILE, group)
        platform.identity(schema_id, f"/{platform.tenant}/memberId")
        own = f"/definitions/own/properties/{platform.tenant}/properties/memberId"
        name = group.replace("https://ns.adobe.com/", "_").replace("/", ".")
        path = f"/data/foundation/schemaregistry/tenant/fieldgroups/{name}"
        assert platform.call("PATCH", path, [{"op": "remove", "path": own}]).ok
        dataset_id = platform.dataset(schema_id, profile=False)
        entity = {platform.tenant: {"tier": "gold"}}
        client.post(platform.inlet_url(platform.connection()), platform.message(schema_id, dataset_id, entity))
        assert platform.records(dataset_id) == [entity]

    def test_change_of_the_schema_counts_at_once(self, lake: Lake) -> None:
        """AEP takes up to 15 minutes for this [VAL]; here the next message meets it."""
        platform = lake.platform
        lake.send(lake.entity(1) | {"web": {"webPageDetails": {"name": "home"}}})
        assert len(platform.failures(lake.dataset_id)) == 1
        patch = [{"op": "add", "path": "/allOf/-", "value": {"$ref": f"{EVENT}-web"}}]
        schema = lake.schema_id.replace("https://ns.adobe.com/", "_").replace("/", ".")
        assert platform.call("PATCH", f"/data/foundation/schemaregistry/tenant/schemas/{schema}", patch).ok
        lake.send(lake.entity(2) | {"web": {"webPageDetails": {"name": "home"}}})
        assert len(platform.records(lake.dataset_id)) == 1

    def test_validation_switched_off(self, lake: Lake) -> None:
        """[UPS] `acp_validationContext`: disabled."""
        platform = lake.platform
        patch = [{"op": "add", "path": "/tags/acp_validationContext", "value": ["disabled"]}]
        assert platform.call("PATCH", f"{CATALOG}/dataSets/{lake.dataset_id}", patch).ok
        lake.send({"anything": True})
        assert platform.records(lake.dataset_id) == [{"anything": True}]

    def test_adobes_tutorial_event(self, platform: Platform, client: Client) -> None:
        """[TS] the event of the tutorial fits a schema of standard components."""
        groups = [f"{EVENT}-environment-details", f"{EVENT}-commerce", f"{PROFILE}-work-details"]
        schema_id = platform.schema(EVENT, *groups, union=False)
        dataset_id = platform.dataset(schema_id, profile=False)
        event = {
            "_id": "9af5adcc-db9c-4692-b826-65d3abe68c22",
            "timestamp": "2019-02-23T22:07:01Z",
            "environment": {
                "browserDetails": {
                    "userAgent": "Mozilla/5.0",
                    "acceptLanguage": "en-US",
                    "cookiesEnabled": True,
                    "javaScriptVersion": "1.6",
                    "javaEnabled": True,
                },
                "colorDepth": 32,
                "viewportHeight": 799,
                "viewportWidth": 414,
            },
            "productListItems": [
                {
                    "SKU": "CC",
                    "name": "Fernie Snow",
                    "quantity": 30,
                    "priceTotal": 7.8,
                }
            ],
            "commerce": {"productViews": {"value": 1}},
            "workEmail": {"address": "janedoe@example.com"},
        }
        client.post(platform.inlet_url(platform.connection()), platform.message(schema_id, dataset_id, event))
        assert platform.failures(dataset_id) == []
        assert platform.records(dataset_id) == [event]


def test_state_survives_a_restart(tmp_path: Path, client: Client) -> None:
    """Also what was accepted, but not validated, when the process was killed."""
    with Emulator(state=tmp_path / "state.db") as emulator:
        platform = Platform(emulator)
        lake = Lake(platform, client)
        lake.send(lake.entity(1), lake.entity(2, points="1"))
        before = platform.batches()
        lake.send(*[lake.entity(number) for number in range(3, 1000)])
        emulator.kill()
        emulator.start()
        assert before.items() <= platform.batches().items()
        assert [each["_id"] for each in platform.records(lake.dataset_id)] == ["e1"] + [f"e{n}" for n in range(3, 1000)]
        assert len(platform.failures(lake.dataset_id)) == 1


def test_reset_forgets_batches_and_keeps_definitions(emulator: Emulator, client: Client) -> None:
    platform = Platform(emulator)
    lake = Lake(platform, client)
    lake.send(lake.entity(1))
    emulator.reset()
    assert platform.batches() == {}
    lake.send(lake.entity(2))
    assert platform.records(lake.dataset_id) == [lake.entity(2)]


@pytest.mark.parametrize("tags", ["x", [], 5, {"unifiedProfile": "enabled:true"}])
def test_tags_are_checked_when_they_change(platform: Platform, tags: Any) -> None:
    dataset_id = platform.dataset(platform.schema(PROFILE), profile=False)
    answer = platform.call("PATCH", f"{CATALOG}/v2/dataSets/{dataset_id}", {"tags": tags})
    assert answer.status_code == (200 if tags == [] else 400)  # an empty list is what some clients send for none


def test_a_dataset_without_tags_still_takes_messages(platform: Platform, client: Client) -> None:
    schema_id = platform.schema(PROFILE)
    dataset_id = platform.dataset(schema_id, profile=False)
    taken_away = [{"op": "remove", "path": "/tags"}]
    assert platform.call("PATCH", f"{CATALOG}/dataSets/{dataset_id}", taken_away).status_code == 200
    url = platform.inlet_url(platform.connection())
    assert client.post(url, platform.message(schema_id, dataset_id, {"_id": "a"})).status_code == 200
