"""The Schema Registry: `/data/foundation/schemaregistry`.

Sources: "Schema Registry API: getting started" (containers, media types, stats), "Schemas endpoint", "Descriptors
endpoint", Schema Registry API (OpenAPI). Resources are as open-ended as JSON Schema, so they are plain parsed JSON.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeVar

from aep.errors import NotFoundError
from aep.platform.client import PlatformClient, Query, next_link, segment

BASE = "/data/foundation/schemaregistry"
MAX_PAGE = 300


class Container(Enum):
    """The owner of resources: Adobe, whose standard ones cannot be changed, or the organisation."""

    GLOBAL = "global"
    TENANT = "tenant"


class Accept(Enum):
    """How much of a resource a lookup shows. `RAW` and `ID` serve for lists too, `ID` only for them."""

    RAW = "xed"  # `$ref` and `allOf` as they are
    RAW_WITHOUT_TEXTS = "xed-notext"
    FULL = "xed-full"  # `$ref` and `allOf` resolved
    FULL_WITHOUT_TEXTS = "xed-full-notext"
    FULL_WITH_DESCRIPTORS = "xed-full-desc"  # resolved, descriptors in `meta:descriptors`
    WITH_DEPRECATED = "xed-deprecatefield"  # resolved, deprecated fields marked
    ID = "xed-id"  # title, `$id`, `meta:altId`, version

    def in_list(self) -> str:
        """Return the media type of a list, which takes no version."""
        return f"application/vnd.adobe.{self.value}+json"

    def at(self, version: int) -> str:
        """Return the media type of a lookup: the latest minor version of this major version."""
        return f"{self.in_list()}; version={version}"


class DescriptorAccept(Enum):
    """How a list shows descriptors."""

    ID = "xdm-id"
    LINK = "xdm-link"
    FULL = "xdm"
    PAGED = "xdm-v2"  # whole descriptors, in pages

    @property
    def media_type(self) -> str:
        """For the `Accept` header."""
        return f"application/vnd.adobe.{self.value}+json"


class Stats(NamedTuple):
    """Of an organisation: its id, its tenant id (custom fields are under `_TENANT`), resources by kind."""

    org_id: str
    tenant_id: str
    counts: Mapping[str, int]


class Resources:
    """The resources of one kind. An id is a `$id` or a `meta:altId`.

    Args:
        client: Calls the gateway.
        kind: As in paths, such as `schemas`.
    """

    def __init__(self, client: PlatformClient, kind: str):
        self._client = client
        self._kind = kind

    def list(
        self, container: Container = Container.TENANT, accept: Accept = Accept.ID, where: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield all resources: `GET /{container}/{kind}` (Schemas endpoint), in pages of 300.

        Args:
            container: Whose.
            accept: `ID` or `RAW`.
            where: The parameter `property`, such as `title==Loyalty`.
        """
        query: Query = {"limit": MAX_PAGE, "property": where}
        headers = {"Accept": accept.in_list()}
        path = f"{BASE}/{container.value}/{self._kind}"
        for page in self._client.pages(path, query, headers, _next_page):
            yield from self._client.listed(path, page, "results", ("$id",))

    def look_up(
        self,
        resource_id: str,
        container: Container = Container.TENANT,
        accept: Accept = Accept.FULL,
        version: int = 1,
    ) -> dict[str, Any]:
        """Return one resource: `GET /{container}/{kind}/{id}` (Schemas endpoint).

        Raises:
            NotFoundError: There is none, in this container and version.
        """
        headers = {"Accept": accept.at(version)}
        return self._client.json("GET", self._path(container, resource_id), headers=headers, needs=("$id",))

    def document(
        self,
        resource_id: str,
        container: Container = Container.TENANT,
        accept: Accept = Accept.FULL,
        version: int = 1,
    ) -> bytes:
        """Return the same as it came, to be kept or pinned by its digest."""
        headers = {"Accept": accept.at(version)}
        return self._client.send("GET", self._path(container, resource_id), headers=headers).body

    def create(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Create a resource of the organisation: `POST /tenant/{kind}`; return it with its `$id`.

        Raises:
            ConflictError: Its title is taken; titles are unique across all kinds (Schema Registry troubleshooting
                guide).
        """
        return self._client.json("POST", f"{BASE}/tenant/{self._kind}", resource, needs=("$id",))

    def replace(self, resource_id: str, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Put another in the place of a resource: `PUT /tenant/{kind}/{id}`; return it."""
        return self._client.json("PUT", self._path(Container.TENANT, resource_id), resource)

    def patch(self, resource_id: str, operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Change a resource by a JSON Patch (RFC 6902): `PATCH /tenant/{kind}/{id}`; return it."""
        return self._client.json("PATCH", self._path(Container.TENANT, resource_id), list(operations))

    def delete(self, resource_id: str) -> None:
        """`DELETE /tenant/{kind}/{id}`."""
        self._client.send("DELETE", self._path(Container.TENANT, resource_id))

    def _path(self, container: Container, resource_id: str) -> str:
        return f"{BASE}/{container.value}/{self._kind}/{segment(resource_id)}"


class Descriptors:
    """Statements about schemas kept beside them: identities, relationships, labels (Descriptors endpoint)."""

    _PATH = f"{BASE}/tenant/descriptors"

    def __init__(self, client: PlatformClient):
        self._client = client

    def list(self) -> Iterator[dict[str, Any]]:
        """Yield all descriptors: `GET /tenant/descriptors`, in pages."""
        headers = {"Accept": DescriptorAccept.PAGED.media_type}
        for page in self._client.pages(self._PATH, {"limit": MAX_PAGE}, headers, _next_page):
            yield from self._client.listed(self._PATH, page, "results")

    def by_type(self, accept: DescriptorAccept = DescriptorAccept.FULL) -> dict[str, Any]:
        """Return all descriptors in lists by their `@type`, as ids, links or whole."""
        return self._client.json("GET", self._PATH, headers={"Accept": accept.media_type})

    def of_schema(self, schema_id: str) -> Iterator[dict[str, Any]]:
        """Return the descriptors of one schema, found among all: the API has no call for that."""
        return (each for each in self.list() if each.get("xdm:sourceSchema") == schema_id)

    def look_up(self, descriptor_id: str) -> dict[str, Any]:
        """Return one descriptor by its `@id`: `GET /tenant/descriptors/{id}`."""
        headers = {"Accept": DescriptorAccept.FULL.media_type}
        return self._client.json("GET", f"{self._PATH}/{segment(descriptor_id)}", headers=headers)

    def create(self, descriptor: Mapping[str, Any]) -> str:
        """Create a descriptor: `POST /tenant/descriptors`; return its `@id`."""
        return str(self._client.json("POST", self._PATH, descriptor, needs=("@id",))["@id"])

    def replace(self, descriptor_id: str, descriptor: Mapping[str, Any]) -> None:
        """Put another in its place: `PUT /tenant/descriptors/{id}`."""
        self._client.send("PUT", f"{self._PATH}/{segment(descriptor_id)}", descriptor)

    def delete(self, descriptor_id: str) -> None:
        """`DELETE /tenant/descriptors/{id}`."""
        self._client.send("DELETE", f"{self._PATH}/{segment(descriptor_id)}")


_LOG = logging.getLogger(__name__)
_SHOWN_WITHIN_SECONDS = 30
T = TypeVar("T")


class SchemaRegistry:
    """The registry of one organisation and sandbox.

    Attributes:
        schemas, classes, field_groups, data_types: The resources by kind.
        descriptors: Statements about schemas.
    """

    def __init__(self, client: PlatformClient):
        self._client = client
        self.schemas = Resources(client, "schemas")
        self.classes = Resources(client, "classes")
        self.field_groups = Resources(client, "fieldgroups")
        self.data_types = Resources(client, "datatypes")
        self.unions = Resources(client, "unions")
        self.descriptors = Descriptors(client)

    def when_shown(self, look_up: Callable[[], T], resource_id: str) -> T:
        """Return the result of a look-up, repeated for 30 s while it finds nothing.

        For resources that may be new: the registry has been seen to answer 404 for 20 s after a creation.

        Raises:
            NotFoundError: The registry does not show the resource after that time either.
            StoppedError: The process is ending.
        """
        for second in range(_SHOWN_WITHIN_SECONDS):
            try:
                return look_up()
            except NotFoundError as error:
                if second == 0:
                    _LOG.warning(
                        "%s is not in the Schema Registry; in case it has only just been created, asking for "
                        "another %d s",
                        resource_id,
                        _SHOWN_WITHIN_SECONDS,
                    )
                self._client.wait(1.0, str(error))
        return look_up()

    def stats(self) -> Stats:
        """`GET /stats` (Schema Registry API: getting started)."""
        found = self._client.json("GET", f"{BASE}/stats", needs=("tenantId",))
        return Stats(str(found.get("imsOrg", "")), str(found["tenantId"]), dict(found.get("counts") or {}))

    def tenant_id(self) -> str:
        """Return the name, without `_`, of the field under which the organisation's own fields are."""
        return self.stats().tenant_id


def _next_page(page: dict[str, Any]) -> Query | None:
    """Return the link to the next page, or the place where it starts (Schema Registry API: getting started)."""
    link = next_link(page)
    if link is not None:
        return link
    about = page.get("_page")
    start = about.get("next") if isinstance(about, dict) else None
    return {"start": str(start)} if start else None
