"""The Profile store and Profile access.

Sources: [REC] "Ingest streaming record data", [TS] "Ingest streaming time-series data", [ENT] "Entities endpoint",
[SWP] OpenAPI document of Profile, [DUP] "Event duplication", [PGRD] "Guardrails for Real-Time Customer Profile",
[UPS] "Send partial row updates", [PM] Postman collection for ISVs, [IDG] "Guardrails for Identity Service data".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testing.services.emulator import Emulator
from tests.emulator.api.test_flow_service import make_mapping
from tests.emulator.conftest import Client
from tests.emulator.management import ENTITIES, EVENT, FLOW_SERVICE, PROFILE, Platform

TEXT = {"type": "string"}
IDENTITY_MAP = "https://ns.adobe.com/xdm/context/identitymap"
NOW = "2026-01-02T03:04:05Z"


class Members:
    """Profile records with a member's email address as primary identity, and events for them by identityMap."""

    def __init__(self, platform: Platform, client: Client) -> None:
        self.platform, self.client = platform, client
        fields: dict[str, Any] = {
            "email": TEXT,
            "phone": TEXT,
            "tier": TEXT,
            "city": TEXT,
            "tags": {"type": "array", "items": TEXT},
        }
        group = platform.field_group(**fields)
        self.schema_id = platform.schema(PROFILE, group, IDENTITY_MAP)
        platform.identity(self.schema_id, f"/{platform.tenant}/email")
        platform.identity(self.schema_id, f"/{platform.tenant}/phone", "Phone", primary=False)
        self.dataset_id = platform.dataset(self.schema_id)
        self.event_schema_id = platform.schema(EVENT, title="Events")
        self.event_dataset_id = platform.dataset(self.event_schema_id)
        self.url = platform.inlet_url(platform.connection())

    def record(self, email: str, identity_map: dict[str, Any] | None = None, **own: Any) -> dict[str, Any]:
        extra = {"identityMap": identity_map} if identity_map else {}
        return {self.platform.tenant: {"email": email, **own}, **extra}

    def send(self, entity: dict[str, Any], dataset_id: str | None = None) -> str:
        message = self.platform.message(self.schema_id, dataset_id or self.dataset_id, entity)
        answer = self.client.post(self.url, message)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["xactionId"])

    def event(self, event_id: str, email: str, timestamp: str = NOW, **fields: Any) -> None:
        identity_map = {"Email": [{"id": email, "primary": True}]}
        entity = {"_id": event_id, "timestamp": timestamp, "identityMap": identity_map, **fields}
        message = self.platform.message(self.event_schema_id, self.event_dataset_id, entity)
        assert self.client.post(self.url, message).status_code == 200

    def profile(self, entity_id: str, namespace: str = "email", query: str = "") -> dict[str, Any] | None:
        path = f"{ENTITIES}?schema.name=_xdm.context.profile&entityId={entity_id}&entityIdNS={namespace}{query}"
        answer = self.platform.call("GET", path)
        if answer.status_code == 404:
            return None
        assert answer.status_code == 200, answer.text
        (found,) = answer.json().values()
        return dict(found)

    def own(self, entity_id: str, namespace: str = "email") -> Any:
        found = self.profile(entity_id, namespace)
        return found and found["entity"].get(self.platform.tenant)

    def events(self, entity_id: str, query: str = "", namespace: str = "email") -> dict[str, Any]:
        return dict(
            self.platform.get(
                f"{ENTITIES}?schema.name=_xdm.context.experienceevent&relatedSchema.name=_xdm.context.profile"
                f"&relatedEntityId={entity_id}&relatedEntityIdNS={namespace}{query}"
            )
        )

    def event_ids(self, entity_id: str, query: str = "", namespace: str = "email") -> list[str]:
        return [each["entityId"] for each in self.events(entity_id, query, namespace)["children"]]


@pytest.fixture
def members(platform: Platform, client: Client) -> Members:
    return Members(platform, client)


class TestRecords:
    def test_looked_up(self, members: Members) -> None:
        """[REC] the whole answer."""
        xaction_id = members.send(members.record("jane@example.com", tier="gold"))
        found = members.profile("jane@example.com")
        assert found is not None
        assert found == {
            "entityId": found["entityId"],
            "mergePolicy": found["mergePolicy"],
            "sources": [members.dataset_id],
            "tags": [xaction_id],
            "identityGraph": [found["entityId"]],
            "entity": {
                members.platform.tenant: {"email": "jane@example.com", "tier": "gold"},
                "identityMap": {"email": [{"id": "jane@example.com"}]},
            },
            "lastModifiedAt": found["lastModifiedAt"],
        }
        assert len(found["entityId"]) == 30

    @pytest.mark.parametrize("namespace", ["email", "Email", "EMAIL"])
    def test_namespaces_in_any_case(self, members: Members, namespace: str) -> None:
        """[PM] email for the namespace Email."""
        members.send(members.record("a@x.de"))
        assert members.own("a@x.de", namespace) == {"email": "a@x.de"}
        assert members.profile("a@x.de", "phone") is None

    def test_later_record_replaces_the_earlier_one(self, members: Members) -> None:
        """[UPS] partial rows need `merge`: a record is whole, and the last one counts."""
        members.send(members.record("a@x.de", tier="gold", city="Rome"))
        members.send(members.record("a@x.de", tier="silver"))
        assert members.own("a@x.de") == {"email": "a@x.de", "tier": "silver"}

    @pytest.mark.parametrize(
        ("email", "more", "why"),
        [
            ("anonymous", {}, 'Identity Service blocks identities with the value "anonymous"'),
            (" ", {}, "the primary identity is missing or empty"),
            ("a@x.de", {"phone": "null"}, 'Identity Service blocks identities with the value "null"'),
            ("a" * 1025, {}, "1,025 characters, at most 1,024 are allowed"),
        ],
    )
    def test_identities_that_identity_service_blocks(
        self, members: Members, email: str, more: dict[str, Any], why: str
    ) -> None:
        """[IDG] in a field that a descriptor names, as in an `identityMap`: else they would link all who have it."""
        members.send(members.record(email, **more))
        assert members.profile(email.strip() or "x") is None
        (failed,) = members.platform.failures(members.dataset_id)
        assert why in failed["_errors"]["_streamingValidation"][0]["message"]

    def test_data_sets_are_merged(self, members: Members) -> None:
        """[REC] a profile is made of the records of all datasets, the later change winning."""
        other = members.platform.dataset(members.schema_id)
        members.send(members.record("a@x.de", tier="gold", city="Rome"))
        members.send(members.record("a@x.de", tier="silver"), other)
        found = members.profile("a@x.de")
        assert found is not None
        assert found["sources"] == [members.dataset_id, other]
        assert members.own("a@x.de") == {"email": "a@x.de", "tier": "silver", "city": "Rome"}

    def test_a_graph_has_50_identities_and_the_newest_replace_the_oldest_cookies(self, members: Members) -> None:
        """[IDG] "Guardrails for Identity Service data"; Profile keeps what was sent for an identity that goes."""

        cookies = [f"{1:019}{number:019}" for number in range(1, 52)]

        def some(first: int, last: int) -> dict[str, Any]:
            return {"ECID": [{"id": cookie} for cookie in cookies[first:last]]}

        oldest = {"ECID": [{"id": cookies[0], "primary": True}, {"id": cookies[1]}]}
        members.event("e1", cookies[0], identityMap=oldest)
        for first in (1, 17, 33):
            members.send(members.record("a@x.de", some(first, first + 16), tier="gold"))
        assert members.event_ids("a@x.de") == ["e1"]
        members.send(members.record("a@x.de", {**some(49, 51), "CRM": [{"id": "c1"}]}, tier="silver"))
        found = members.profile("a@x.de")
        assert found is not None
        identity_map = found["entity"]["identityMap"]
        assert [each["id"] for each in identity_map["ecid"]] == cookies[3:]
        assert (identity_map["email"], identity_map["crm"]) == ([{"id": "a@x.de"}], [{"id": "c1"}])
        assert members.own(cookies[3], "ecid") == {"email": "a@x.de", "tier": "silver"}
        assert members.own(cookies[0], "ecid") is None
        assert members.event_ids("a@x.de") == []
        assert members.event_ids(cookies[0], namespace="ecid") == ["e1"]
        assert members.event_ids(cookies[1], namespace="ecid") == []

    def test_identities_are_linked(self, members: Members) -> None:
        """[REC] a look-up fetches all related identities: of an identityMap, of the other descriptors."""
        members.send(members.record("a@x.de", {"CRM": [{"id": "c1"}]}, tier="gold", phone="123"))
        members.send(members.record("b@x.de", {"crm": [{"id": "c1"}]}, city="Rome"))
        members.send(members.record("z@x.de", city="Oslo"))
        merged = members.profile("a@x.de")
        assert merged is not None
        assert merged["entity"]["identityMap"] == {
            "crm": [{"id": "c1"}],
            "email": [{"id": "a@x.de"}, {"id": "b@x.de"}],
            "phone": [{"id": "123"}],
        }
        for entity_id, namespace in (("b@x.de", "email"), ("c1", "CRM"), ("123", "Phone")):
            assert members.own(entity_id, namespace)["city"] == "Rome"
            assert members.own(entity_id, namespace)["tier"] == "gold"
        found = members.profile("b@x.de")
        assert found is not None
        assert set(found["identityGraph"]) == set(merged["identityGraph"])
        assert len(found["identityGraph"]) == 4

    def test_by_native_id(self, members: Members) -> None:
        """[ENT] the XID instead of an id with its namespace."""
        members.send(members.record("a@x.de"))
        found = members.profile("a@x.de")
        assert found is not None
        path = f"{ENTITIES}?schema.name=_xdm.context.profile&entityId={found['entityId']}"
        assert members.platform.get(path) == {found["entityId"]: found}

    def test_fields(self, members: Members) -> None:
        """[ENT] only some fields."""
        members.send(members.record("a@x.de", tier="gold", city="Rome"))
        tenant = members.platform.tenant
        found = members.profile("a@x.de", query=f"&fields={tenant}.tier,{tenant}.none")
        assert found is not None
        assert found["entity"] == {tenant: {"tier": "gold"}}

    def test_large_record_is_dropped(self, members: Members) -> None:
        """[PGRD] above 100 KB, without a word; it is in the data lake all the same."""
        members.send(members.record("a@x.de", city="x" * 102_300))
        members.send(members.record("b@x.de", city="x" * 102_400))
        assert members.own("a@x.de") is not None
        assert members.own("b@x.de") is None
        assert len(members.platform.records(members.dataset_id)) == 2

    def test_without_primary_identity(self, platform: Platform, client: Client) -> None:
        """[XDM-TRB] an identityMap whose primary identity is not told by itself."""
        schema_id = platform.schema(PROFILE, IDENTITY_MAP)
        dataset_id = platform.dataset(schema_id)
        url = platform.inlet_url(platform.connection())
        for items in ([{"id": "p", "primary": True}, {"id": "q"}], [{"id": "r"}, {"id": "s"}], [{"id": "t"}]):
            client.post(url, platform.message(schema_id, dataset_id, {"identityMap": {"CRM": items}}))
        statuses = {
            entity_id: platform.call(
                "GET", f"{ENTITIES}?schema.name=_xdm.context.profile&entityId={entity_id}&entityIdNS=CRM"
            ).status_code
            for entity_id in "pqrst"
        }
        assert statuses == {"p": 200, "q": 200, "r": 404, "s": 404, "t": 200}

    def test_only_data_sets_enabled_for_profile(self, members: Members) -> None:
        """[REC] the tags of the dataset."""
        members.send(members.record("a@x.de"), members.platform.dataset(members.schema_id, profile=False))
        assert members.profile("a@x.de") is None

    def test_invalid_records_are_not_kept(self, members: Members) -> None:
        members.send(members.record("a@x.de", tier=5))
        assert members.profile("a@x.de") is None

    def test_deleted(self, members: Members) -> None:
        """[SWP] DELETE: 202."""
        members.send(members.record("a@x.de", phone="1"))
        members.event("e1", "a@x.de")
        path = f"{ENTITIES}?schema.name=_xdm.context.profile&entityId=a@x.de&entityIdNS=email"
        assert members.platform.call("DELETE", path).status_code == 202
        assert members.profile("a@x.de") is members.profile("1", "phone") is None
        assert members.event_ids("a@x.de") == []


class TestEvents:
    def test_looked_up(self, members: Members) -> None:
        """[TS] [ENT] the whole answer."""
        members.send(members.record("a@x.de"))
        members.event("e1", "a@x.de", "2020-02-23T22:07:01.5Z", eventType="web.visit")
        profile = members.profile("a@x.de")
        assert profile is not None
        body = members.events("a@x.de")
        (child,) = body["children"]
        assert body == {
            "_page": {"orderby": "timestamp", "start": "e1", "count": 1, "next": ""},
            "children": [
                {
                    "relatedEntityId": profile["entityId"],
                    "entityId": "e1",
                    "timestamp": 1582495621500,
                    "entity": {
                        "_id": "e1",
                        "timestamp": "2020-02-23T22:07:01.5Z",
                        "identityMap": {"Email": [{"id": "a@x.de", "primary": True}]},
                        "eventType": "web.visit",
                    },
                    "lastModifiedAt": child["lastModifiedAt"],
                }
            ],
            "_links": {"next": {"href": ""}},
        }

    def test_either_spelling(self, members: Members) -> None:
        """[PM] entityId and entityIdNS instead of relatedEntityId and relatedEntityIdNS."""
        members.event("e1", "a@x.de")
        path = f"{ENTITIES}?schema.name=_xdm.context.experienceevent&entityId=a@x.de&entityIdNS=Email"
        assert members.platform.get(path) == members.events("a@x.de")

    def test_repeated_id_is_dropped(self, members: Members) -> None:
        """[DUP] the first event of an `_id` stays, for the whole organisation; the data lake has both."""
        members.event("e1", "a@x.de", eventType="first")
        members.event("e1", "a@x.de", eventType="second")
        members.event("e1", "b@x.de", eventType="third")
        (child,) = members.events("a@x.de")["children"]
        assert child["entity"]["eventType"] == "first"
        assert members.event_ids("b@x.de") == []
        assert len(members.platform.records(members.event_dataset_id)) == 3

    def test_large_event_is_dropped(self, members: Members) -> None:
        """[PGRD] above 10 KB, without a word."""
        members.event("e1", "a@x.de", eventType="x" * 10_100)
        members.event("e2", "a@x.de", eventType="x" * 10_240)
        assert members.event_ids("a@x.de") == ["e1"]

    def test_order_times_and_pages(self, members: Members) -> None:
        """[ENT] orderby, startTime, endTime, limit, the next page."""
        for second in (3, 1, 2):
            members.event(f"e{second}", "a@x.de", f"1970-01-01T00:00:0{second}Z")
        assert members.event_ids("a@x.de") == ["e1", "e2", "e3"]
        assert members.event_ids("a@x.de", "&orderby=%2Btimestamp") == ["e1", "e2", "e3"]
        assert members.event_ids("a@x.de", "&orderby=-timestamp") == ["e3", "e2", "e1"]
        assert members.event_ids("a@x.de", "&startTime=2000") == ["e2", "e3"]
        assert members.event_ids("a@x.de", "&endTime=3000&startTime=2000") == ["e2"]
        first = members.events("a@x.de", "&limit=2")
        assert (first["_page"]["next"], first["_page"]["count"]) == ("e3", 2)
        href = first["_links"]["next"]["href"]
        assert href.startswith("/entities?start=e3&")
        assert members.event_ids("a@x.de", "&limit=2&offsets=e3") == ["e3"]  # as aepp reads the link
        second_page = members.platform.get(ENTITIES.removesuffix("/entities") + href)
        assert [each["entityId"] for each in second_page["children"]] == ["e3"]
        assert second_page["_links"]["next"]["href"] == ""

    def test_of_linked_identities(self, members: Members) -> None:
        """[ENT] the events of all identities of the profile."""
        members.send(members.record("a@x.de", {"Email": [{"id": "b@x.de"}]}))
        members.event("e1", "a@x.de", "1970-01-01T00:00:01Z")
        members.event("e2", "b@x.de", "1970-01-01T00:00:02Z")
        assert members.event_ids("a@x.de") == members.event_ids("b@x.de") == ["e1", "e2"]

    def test_of_nobody(self, members: Members) -> None:
        assert members.events("nobody@x.de")["children"] == []


class TestPost:
    def test_profiles(self, members: Members) -> None:
        """[ENT] several at once; an unknown one is empty."""
        members.send(members.record("a@x.de", tier="gold", city="Rome"))
        body = {
            "schema": {"name": "_xdm.context.profile"},
            "fields": [f"{members.platform.tenant}.tier"],
            "identities": [
                {"entityId": "a@x.de", "entityIdNS": {"code": "Email"}},
                {"entityId": "nobody@x.de", "entityIdNS": {"code": "Email"}},
            ],
        }
        answer = members.platform.call("POST", ENTITIES, body)
        assert answer.status_code == 200
        known, unknown = answer.json().values()
        assert known["entity"] == {members.platform.tenant: {"tier": "gold"}}
        assert unknown["entity"] == {}
        assert (unknown["sources"], unknown["lastModifiedAt"]) == ([""], "1970-01-01T00:00:00Z")

    def test_events(self, members: Members) -> None:
        """[ENT] events of several profiles, each with its page."""
        for number in range(3):
            members.event(f"e{number}", "a@x.de", f"1970-01-01T00:00:0{number}Z")
        body = {
            "schema": {"name": "_xdm.context.experienceevent"},
            "relatedSchema": {"name": "_xdm.context.profile"},
            "identities": [{"relatedEntityId": "a@x.de", "relatedEntityIdNS": {"code": "Email"}}],
            "orderby": "-timestamp",
            "limit": 2,
        }
        (page,) = members.platform.call("POST", ENTITIES, body).json().values()
        assert [each["entityId"] for each in page["children"]] == ["e2", "e1"]
        (rest,) = members.platform.call("POST", ENTITIES, page["_links"]["next"]["payload"]).json().values()
        assert [each["entityId"] for each in rest["children"]] == ["e0"]


class TestErrors:
    def test_unknown_profile(self, members: Members) -> None:
        """[SWP] 404."""
        path = f"{ENTITIES}?schema.name=_xdm.context.profile&entityId=nobody&entityIdNS=email"
        answer = members.platform.call("GET", path)
        assert (answer.status_code, answer.json()) == (404, {"statusCode": "404"})

    @pytest.mark.parametrize(
        "query",
        [
            "entityId=a&entityIdNS=email",
            "schema.name=_xdm.context.none&entityId=a&entityIdNS=email",
            "schema.name=_xdm.context.profile",
            "schema.name=_xdm.context.experienceevent&entityId=a&entityIdNS=email&limit=x",
            "schema.name=_xdm.context.experienceevent&entityId=a&entityIdNS=email&orderby=_id",
        ],
    )
    def test_wrong_parameters(self, platform: Platform, query: str) -> None:
        """[SWP] message and statusCode, as text."""
        answer = platform.call("GET", f"{ENTITIES}?{query}")
        assert (answer.status_code, answer.json()["statusCode"]) == (400, "400")
        assert answer.json()["message"]

    @pytest.mark.parametrize("identities", [None, ["a"], [{"entityIdNS": {"code": "Email"}}]])
    def test_wrong_body(self, platform: Platform, identities: object) -> None:
        body = {"schema": {"name": "_xdm.context.profile"}, "identities": identities}
        assert platform.call("POST", ENTITIES, body).status_code == 400


class TestUpserts:
    """[UPS] raw messages with header.operations."""

    @pytest.fixture
    def upsert(self, members: Members) -> Any:
        platform, tenant = members.platform, members.platform.tenant
        pairs = [("mail", f"{tenant}.email"), ("tier", f"{tenant}.tier"), ("city", f"{tenant}.city")]
        connection_id = platform.connection(dataType="raw")
        flow_id = platform.flow(connection_id, members.dataset_id, make_mapping(platform, *pairs))
        url = platform.inlet_url(connection_id)

        def send(operation: str | None, **attributes: Any) -> None:
            operations = {"operations": {"data": operation}} if operation else {}
            header = {"flowId": flow_id, "imsOrgId": platform.org_id, "datasetId": members.dataset_id, **operations}
            message = {"header": header, "body": attributes}
            assert members.client.post(url, message, x_adobe_flow_id=flow_id).status_code == 200

        return send

    def test_create_merge_delete(self, members: Members, upsert: Any) -> None:
        """create replaces, merge updates a part, delete removes."""
        upsert("create", mail="a@x.de", tier="gold", city="Rome")
        upsert("merge", mail="a@x.de", tier="silver")
        assert members.own("a@x.de") == {"email": "a@x.de", "tier": "silver", "city": "Rome"}
        upsert("create", mail="a@x.de", tier="bronze")
        assert members.own("a@x.de") == {"email": "a@x.de", "tier": "bronze"}
        upsert("delete", mail="a@x.de")
        assert members.profile("a@x.de") is None

    def test_create_is_the_default(self, members: Members, upsert: Any) -> None:
        upsert(None, mail="a@x.de", tier="gold")
        assert members.own("a@x.de") == {"email": "a@x.de", "tier": "gold"}

    def test_partial_rows_are_not_in_the_data_lake(self, members: Members, upsert: Any) -> None:
        """Only created rows are consumed by the data lake."""
        upsert("create", mail="a@x.de", tier="gold")
        upsert("merge", mail="a@x.de", tier="silver")
        upsert("delete", mail="a@x.de")
        assert members.platform.records(members.dataset_id) == [members.record("a@x.de", tier="gold")]

    def test_merge_makes_a_profile_that_there_was_not(self, members: Members, upsert: Any) -> None:
        upsert("merge", mail="new@x.de", tier="gold")
        assert members.own("new@x.de") == {"email": "new@x.de", "tier": "gold"}

    def test_partial_row_is_validated(self, members: Members, upsert: Any) -> None:
        """Values must be valid; fields may be missing."""
        upsert("merge", mail="a@x.de", tier=5)
        assert members.profile("a@x.de") is None
        (failed,) = members.platform.failures(members.dataset_id)
        assert failed["body"] == {"mail": "a@x.de", "tier": 5}


def test_state_survives_a_restart(tmp_path: Path, client: Client) -> None:
    with Emulator(state=tmp_path / "state.db") as emulator:
        platform = Platform(emulator)
        members = Members(platform, client)
        members.send(members.record("a@x.de", {"CRM": [{"id": "c1"}]}, tier="gold"))
        members.event("e1", "a@x.de")
        before = (members.profile("c1", "crm"), members.events("a@x.de"))
        emulator.kill()
        emulator.start()
        assert (members.profile("c1", "crm"), members.events("a@x.de")) == before
        members.event("e1", "a@x.de")
        assert members.events("a@x.de") == before[1]
        assert platform.get(f"{FLOW_SERVICE}/connections")["items"][0]["state"] == "enabled"


def test_reset_forgets_profiles(emulator: Emulator, client: Client) -> None:
    members = Members(Platform(emulator), client)
    members.send(members.record("a@x.de"))
    members.event("e1", "a@x.de")
    assert members.profile("a@x.de") is not None
    emulator.reset()
    assert members.profile("a@x.de") is None
    members.event("e1", "a@x.de")
    assert members.event_ids("a@x.de") == ["e1"]
