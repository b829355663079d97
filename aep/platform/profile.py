"""Profile access: look up profiles and events in Real-Time Customer Profile, `/data/core/ups/access/entities`.

Sources: "Ingest streaming record data", "Ingest streaming time-series data", "Entities endpoint", Real-Time Customer
Profile API (OpenAPI), which calls the retrieval of events deprecated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from aep.errors import NotFoundError
from aep.platform.client import PlatformClient, Query

PATH = "/data/core/ups/access/entities"
PROFILE = "_xdm.context.profile"
EVENT = "_xdm.context.experienceevent"
MAX_EVENTS_PER_PAGE = 1000


class Profile(NamedTuple):
    """A merged profile.

    Attributes:
        id: Adobe's own id of the identity that it was looked up by (XID).
        entity: The merged XDM record.
        sources: Ids of the datasets that it is made of.
        tags: `xactionId` of the messages that it is made of.
        identity_graph: XIDs of all its identities.
        last_modified: ISO 8601.
    """

    id: str
    entity: dict[str, Any]
    sources: Sequence[str]
    tags: Sequence[str]
    identity_graph: Sequence[str]
    last_modified: str


class ProfileEvent(NamedTuple):
    """An event of a profile.

    Attributes:
        id: Its `_id`.
        timestamp_ms: Epoch milliseconds.
        entity: The XDM record.
        profile_id: XID of the profile it belongs to.
        last_modified: ISO 8601.
    """

    id: str
    timestamp_ms: int
    entity: dict[str, Any]
    profile_id: str
    last_modified: str


class ProfileAccess:
    """Profile access of one organisation and sandbox. New data can take up to 15 minutes to appear."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def profile(
        self, entity_id: str, namespace: str, merge_policy_id: str | None = None, fields: Sequence[str] = ()
    ) -> Profile | None:
        """Return a profile by one of its identities: `GET /access/entities` (Ingest streaming record data).

        Args:
            entity_id: Value of the identity, such as an e-mail address.
            namespace: Its code, such as `Email`.
            merge_policy_id: How fragments are merged; None leaves that to the organisation's default.
            fields: Paths to show; all if empty.

        Returns:
            The profile; None when there is none, which is answered by a 404 or by an empty entity.
        """
        query: Query = {
            "schema.name": PROFILE,
            "entityId": entity_id,
            "entityIdNS": namespace,
            "mergePolicyId": merge_policy_id,
            "fields": ",".join(fields) or None,
        }
        try:
            found = self._client.json("GET", PATH, query=query)
        except NotFoundError:
            return None
        return next((profile for profile in map(_profile, found.values()) if profile is not None), None)

    def events(
        self,
        entity_id: str,
        namespace: str,
        start_ms: int | None = None,
        end_ms: int | None = None,
        per_page: int = MAX_EVENTS_PER_PAGE,
        *,
        newest_first: bool = False,
    ) -> Iterator[ProfileEvent]:
        """Yield the events of a profile: `GET /access/entities` (Ingest streaming time-series data), page by page.

        Args:
            entity_id: Value of an identity of the profile.
            namespace: Its code.
            start_ms, end_ms: Bounds of their timestamps, epoch milliseconds.
            per_page: How many are fetched at once.
            newest_first: Their order; by default the oldest come first.
        """
        query: Query = {
            "schema.name": EVENT,
            "relatedSchema.name": PROFILE,
            "relatedEntityId": entity_id,
            "relatedEntityIdNS": namespace,
            "startTime": start_ms,
            "endTime": end_ms,
            "limit": per_page,
            "orderby": "-timestamp" if newest_first else "+timestamp",
        }
        try:
            for page in self._client.pages(PATH, query):
                for child in page.get("children") or ():
                    yield _event(child)
        except NotFoundError:
            return


def _profile(fields: object) -> Profile | None:
    if not isinstance(fields, dict) or not fields.get("entity"):
        return None
    return Profile(
        str(fields.get("entityId", "")),
        fields["entity"],
        fields.get("sources") or (),
        fields.get("tags") or (),
        fields.get("identityGraph") or (),
        str(fields.get("lastModifiedAt", "")),
    )


def _event(fields: Mapping[str, Any]) -> ProfileEvent:
    return ProfileEvent(
        str(fields.get("entityId", "")),
        int(fields.get("timestamp") or 0),
        fields.get("entity") or {},
        str(fields.get("relatedEntityId", "")),
        str(fields.get("lastModifiedAt", "")),
    )
