from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from aep.errors import InvalidRequestError, UnavailableError
from aep.platform.profile import ProfileAccess, ProfileEvent
from testing.fakes.http_server import HttpServer
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.aep.management import TOKEN, Organisation, Script, answer, scripted

EMPTY = {
    "XID": {
        "entityId": "XID",
        "sources": [""],
        "tags": [""],
        "identityGraph": ["XID"],
        "entity": {},
        "lastModifiedAt": "1970-01-01T00:00:00Z",
    }
}


def query_of(path: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(path).query).items()}


class TestProfile:
    def test_a_profile(self) -> None:
        found = {
            "XID": {
                "entityId": "XID",
                "mergePolicy": {"id": "p"},
                "sources": ["d"],
                "tags": ["1580346827274:2478:215"],
                "identityGraph": ["XID"],
                "entity": {"person": {}},
                "lastModifiedAt": "2020-01-30T01:13:59Z",
            }
        }
        with HttpServer(Script(answer(found))) as server:
            profile = ProfileAccess(scripted(server)).profile(
                "j+d@example.com", "Email", "p", ["person", "identityMap"]
            )
        assert profile is not None
        assert profile == (
            "XID",
            {"person": {}},
            ["d"],
            ["1580346827274:2478:215"],
            ["XID"],
            "2020-01-30T01:13:59Z",
        )
        (request,) = server.requests
        assert request.path.startswith("/data/core/ups/access/entities?")
        assert query_of(request.path) == {
            "schema.name": "_xdm.context.profile",
            "entityId": "j+d@example.com",
            "entityIdNS": "Email",
            "mergePolicyId": "p",
            "fields": "person,identityMap",
        }

    @pytest.mark.parametrize(
        "reply", [answer({"statusCode": "404"}, 404), answer(None, 404), answer(EMPTY), answer({})]
    )
    def test_none(self, reply: Any) -> None:
        with HttpServer(Script(reply)) as server:
            assert ProfileAccess(scripted(server)).profile("x", "Email") is None

    def test_errors_do_not_tell_of_whom(self) -> None:
        refusal = {"message": "UPS-MRG-1000001:Too many related identities", "statusCode": "422"}
        with HttpServer(Script(answer(refusal, 422))) as server, pytest.raises(InvalidRequestError) as caught:
            ProfileAccess(scripted(server)).profile("jane@example.com", "Email")
        assert caught.value.code == "UPS-MRG-1000001"
        assert "jane" not in str(caught.value)
        assert TOKEN not in str(caught.value)

    def test_throttled(self) -> None:
        busy = [{"message": "Too many requests", "retryAfterMs": "500", "statusCode": "429"}]
        with (
            HttpServer(Script(answer(busy, 429))) as server,
            pytest.raises(UnavailableError, match="Too many requests"),
        ):
            ProfileAccess(scripted(server)).profile("x", "Email")


class TestEvents:
    def test_pages(self) -> None:
        def page(name: str, href: str) -> Any:
            child = {"relatedEntityId": "XID", "entityId": name, "timestamp": 1, "entity": {"_id": name}}
            return answer({"children": [child], "_links": {"next": {"href": href}}})

        script = Script(page("a", "/entities?start=b&orderby=+timestamp&schema.name=other"), page("b", ""))
        with HttpServer(script) as server:
            events = list(ProfileAccess(scripted(server)).events("x", "Email", 5, 6, per_page=1))
        assert events == [ProfileEvent(name, 1, {"_id": name}, "XID", "") for name in "ab"]
        first, second = (query_of(each.path) for each in server.requests)
        assert first == {
            "schema.name": "_xdm.context.experienceevent",
            "relatedSchema.name": "_xdm.context.profile",
            "relatedEntityId": "x",
            "relatedEntityIdNS": "Email",
            "startTime": "5",
            "endTime": "6",
            "limit": "1",
            "orderby": "+timestamp",
        }
        assert second == {**first, "start": "b"}

    @pytest.mark.parametrize("reply", [answer({"statusCode": "404"}, 404), answer({"children": []}), answer({})])
    def test_none(self, reply: Any) -> None:
        with HttpServer(Script(reply)) as server:
            assert list(ProfileAccess(scripted(server)).events("x", "Email")) == []


class TestEmulator:
    def test_a_profile(self, organisation: Organisation) -> None:
        streaming = organisation.create_streaming()
        access = ProfileAccess(organisation.client)
        assert access.profile("m1", "Loyalty") is None
        organisation.post(streaming, organisation.member("m1", points=7))
        found = wait_for(lambda: access.profile("m1", "Loyalty"), PATIENCE_SECONDS, "the profile")
        assert found is not None
        assert found.entity[f"_{organisation.name}"] == {"member": "m1", "points": 7}
        assert list(found.sources) == [streaming.dataset_id]
        assert found.identity_graph == [found.id]
        assert access.profile("m2", "Loyalty") is None

    def test_events(self, organisation: Organisation) -> None:
        streaming = organisation.create_streaming("experienceevent")
        access = ProfileAccess(organisation.client)
        assert list(access.events("m1", "Loyalty")) == []
        names = [f"e{second}" for second in range(5)]
        events = [organisation.event(name, "m1", second) for second, name in enumerate(names)]
        organisation.post(streaming, *events, events[0], organisation.event("other", "m2", 0))
        wait_for(lambda: len(list(access.events("m1", "Loyalty"))) >= 5, PATIENCE_SECONDS, "the events")
        found = list(access.events("m1", "Loyalty", per_page=2))
        assert [event.id for event in found] == names
        assert found[1].timestamp_ms - found[0].timestamp_ms == 1000
        assert found[0].entity["_id"] == "e0"
        assert [event.id for event in access.events("m1", "Loyalty", per_page=2, newest_first=True)] == names[::-1]
        start = found[2].timestamp_ms
        assert [event.id for event in access.events("m1", "Loyalty", start - 500, start + 1500)] == ["e2", "e3"]
