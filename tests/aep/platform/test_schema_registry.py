from __future__ import annotations

import orjson
import pytest

from aep.errors import ConfigurationError, ConflictError, InvalidRequestError, NotFoundError, PlatformError
from aep.platform.schema_registry import (
    Accept,
    Container,
    DescriptorAccept,
    SchemaRegistry,
)
from aep.xdm.identities import Identity, identities, identity_descriptor
from testing.fakes.http_server import HttpServer
from tests.aep.management import Organisation, Script, answer, scripted

PROFILE_CLASS = "https://ns.adobe.com/xdm/context/profile"


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        (Accept.RAW, "xed"),
        (Accept.RAW_WITHOUT_TEXTS, "xed-notext"),
        (Accept.FULL, "xed-full"),
        (Accept.FULL_WITHOUT_TEXTS, "xed-full-notext"),
        (Accept.FULL_WITH_DESCRIPTORS, "xed-full-desc"),
        (Accept.WITH_DEPRECATED, "xed-deprecatefield"),
    ],
)
def test_media_types(accept: Accept, name: str) -> None:
    with HttpServer(Script(answer({"$id": "s"}))) as server:
        SchemaRegistry(scripted(server)).schemas.look_up("https://ns.adobe.com/a/b", accept=accept, version=2)
    (request,) = server.requests
    assert request.headers["accept"] == f"application/vnd.adobe.{name}+json; version=2"
    assert request.path == "/data/foundation/schemaregistry/tenant/schemas/https%3A%2F%2Fns.adobe.com%2Fa%2Fb"


class TestPages:
    def test_by_link_and_by_place(self) -> None:
        pages = [
            {"results": [{"$id": "a"}], "_page": {"next": "b"}, "_links": {"next": {"href": "/x?start=b"}}},
            {"results": [{"$id": "b"}], "_page": {"next": "c"}, "_links": {}},
            {"results": [{"$id": "c"}], "_page": {"next": None}, "_links": {}},
        ]
        with HttpServer(Script(*map(answer, pages))) as server:
            registry = SchemaRegistry(scripted(server))
            found = list(registry.classes.list(Container.GLOBAL, Accept.RAW, where="title==x"))
        assert [each["$id"] for each in found] == ["a", "b", "c"]
        start = "/data/foundation/schemaregistry/global/classes?"
        query = "limit=300&property=title%3D%3Dx"
        expected = [start + query, f"{start}start=b&{query}", f"{start}start=c&{query}"]
        assert [each.path for each in server.requests] == expected
        assert server.requests[0].headers["accept"] == "application/vnd.adobe.xed+json"

    def test_an_empty_list(self) -> None:
        with HttpServer(Script(answer({"results": [], "_page": {"count": 0, "next": None}}))) as server:
            assert list(SchemaRegistry(scripted(server)).schemas.list()) == []


@pytest.mark.parametrize("results", [5, "x", {"a": 1}, [5], [None], [{"title": "x"}]])
def test_a_list_of_something_else(results: object) -> None:
    """Not skipped: what is not seen in a list would be taken for missing, and created."""
    with (
        HttpServer(Script(answer({"results": results}))) as server,
        pytest.raises(PlatformError, match=r"/tenant/schemas answers 200: the reply's 'results' is not a list of obj"),
    ):
        list(SchemaRegistry(scripted(server)).schemas.list())


def test_a_lookup_that_is_no_resource() -> None:
    with HttpServer(Script(answer({"title": "x"}))) as server, pytest.raises(PlatformError, match=r"'\$id'"):
        SchemaRegistry(scripted(server)).schemas.look_up("s")


class TestEmulator:
    def test_stats(self, organisation: Organisation) -> None:
        organisation.create_schema()
        stats = organisation.registry.stats()
        assert (stats.org_id, stats.tenant_id) == (organisation.id, organisation.name)
        assert (stats.counts["schemas"], stats.counts["mixins"]) == (1, 1)
        assert organisation.registry.tenant_id() == organisation.name

    def test_standard_resources(self, organisation: Organisation) -> None:
        registry = organisation.registry
        for kind in (registry.classes, registry.field_groups, registry.data_types):
            listed = list(kind.list(Container.GLOBAL))
            assert listed
            found = kind.look_up(listed[0]["meta:altId"], Container.GLOBAL)
            assert found["$id"] == listed[0]["$id"]
        profile = registry.classes.look_up(PROFILE_CLASS, Container.GLOBAL, Accept.RAW)
        assert profile["meta:altId"] == "_xdm.context.profile"
        with pytest.raises(NotFoundError):
            registry.schemas.look_up(organisation.create_schema(), Container.GLOBAL)

    def test_a_schema_through_its_life(self, organisation: Organisation) -> None:
        registry, schemas = organisation.registry, organisation.registry.schemas
        group = registry.field_groups.create(organisation.field_group())
        created = schemas.create(organisation.schema(group["$id"]))
        schema_id = created["$id"]
        assert [each["$id"] for each in schemas.list()] == [schema_id]
        assert list(schemas.list(where="title==Other")) == []
        assert schemas.look_up(created["meta:altId"])["$id"] == schema_id

        replaced = schemas.replace(schema_id, organisation.schema(group["$id"], "Renamed"))
        assert (replaced["title"], replaced["version"]) == ("Renamed", "1.1")
        patched = schemas.patch(schema_id, [{"op": "replace", "path": "/title", "value": "Once more"}])
        assert (patched["title"], patched["version"]) == ("Once more", "1.2")

        schemas.delete(schema_id)
        with pytest.raises(NotFoundError) as caught:
            schemas.look_up(schema_id)
        assert caught.value.code == "XDM-1012-404"
        assert caught.value.title == "Resource Not Found"
        assert schema_id in caught.value.detail
        assert caught.value.request_id
        assert list(schemas.list()) == []

    def test_own_classes_and_data_types(self, organisation: Organisation) -> None:
        registry = organisation.registry
        data_type = registry.data_types.create(
            {"type": "object", "title": "Seat", "properties": {"row": {"type": "string"}}}
        )
        assert registry.data_types.look_up(data_type["$id"])["title"] == "Seat"
        record = {"$ref": "https://ns.adobe.com/xdm/data/record"}
        own = registry.classes.create({"type": "object", "title": "Venue", "allOf": [record]})
        assert [each["$id"] for each in registry.classes.list()] == [own["$id"]]

    def test_what_each_media_type_shows(self, organisation: Organisation) -> None:
        schema_id = organisation.create_schema()
        shown = {
            accept: organisation.registry.schemas.look_up(schema_id, accept=accept)
            for accept in Accept
            if accept is not Accept.ID
        }
        tenant = f"_{organisation.name}"
        for accept in (Accept.FULL, Accept.FULL_WITHOUT_TEXTS, Accept.FULL_WITH_DESCRIPTORS):
            assert tenant in shown[accept]["properties"]
        assert "properties" not in shown[Accept.RAW]
        assert "title" in shown[Accept.RAW]
        assert "title" not in shown[Accept.RAW_WITHOUT_TEXTS]
        assert "title" not in shown[Accept.FULL_WITHOUT_TEXTS]
        expected = [Identity(f"/{tenant}/member", "Loyalty", primary=True)]
        assert identities(shown[Accept.FULL_WITH_DESCRIPTORS]) == expected
        document = organisation.registry.schemas.document(schema_id, accept=Accept.FULL)
        assert orjson.loads(document) == shown[Accept.FULL]

    def test_pages_of_the_organisations_own(self, organisation: Organisation) -> None:
        groups = organisation.registry.field_groups
        made = [groups.create(organisation.field_group(f"Group {number}"))["$id"] for number in range(301)]
        assert [each["$id"] for each in groups.list()] == made

    def test_refusals(self, organisation: Organisation) -> None:
        registry = organisation.registry
        registry.field_groups.create(organisation.field_group("Loyalty"))
        with pytest.raises(ConflictError, match="Title must be unique"):
            registry.field_groups.create(organisation.field_group("Loyalty"))
        with pytest.raises(InvalidRequestError, match="allOf"):
            registry.schemas.create({"type": "object", "title": "No class"})
        with pytest.raises(PlatformError, match=r"406.*Version 7"):
            registry.schemas.look_up(organisation.create_schema(), version=7)
        with pytest.raises(ConfigurationError):
            registry.schemas.delete("")


class TestDescriptors:
    def test_a_descriptor_through_its_life(self, organisation: Organisation) -> None:
        descriptors = organisation.registry.descriptors
        schema_id = organisation.create_schema()
        (first,) = descriptors.of_schema(schema_id)
        pointer = f"/_{organisation.name}/points"
        made = descriptors.create(identity_descriptor(schema_id, pointer, "Points", primary=False))
        assert descriptors.look_up(made)["xdm:sourceProperty"] == pointer
        assert [each["@id"] for each in descriptors.list()] == [first["@id"], made]
        assert list(descriptors.of_schema("another")) == []

        descriptors.replace(made, identity_descriptor(schema_id, pointer, "Score", primary=False))
        assert descriptors.look_up(made)["xdm:namespace"] == "Score"
        descriptors.delete(made)
        with pytest.raises(NotFoundError):
            descriptors.look_up(made)

    def test_by_type(self, organisation: Organisation) -> None:
        descriptors = organisation.registry.descriptors
        organisation.create_schema()
        (whole,) = descriptors.by_type()["xdm:descriptorIdentity"]
        assert descriptors.by_type(DescriptorAccept.ID)["xdm:descriptorIdentity"] == [whole["@id"]]
        (link,) = descriptors.by_type(DescriptorAccept.LINK)["xdm:descriptorIdentity"]
        assert whole["@id"] in link

    def test_a_second_primary_identity(self, organisation: Organisation) -> None:
        schema_id = organisation.create_schema()
        second = identity_descriptor(schema_id, f"/_{organisation.name}/points", "Points", primary=True)
        with pytest.raises(InvalidRequestError, match="primary identity"):
            organisation.registry.descriptors.create(second)
