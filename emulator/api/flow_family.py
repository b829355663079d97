"""What Flow Service leaves to the kinds of connections and flows: streaming sources, and destinations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from emulator.api.gateway import Call

Body = dict[str, Any]


class Family(Protocol):
    """The connections and flows of one kind: streaming sources, or destinations.

    Attributes:
        connection_specs: The specifications of their connections, by id.
        flow_specs: Those of their flows.
        deleted_status: The status that a deletion is answered with.
        has_actions: Whether their flows can be enabled and disabled, and are activated by a PATCH.
    """

    connection_specs: Mapping[str, Body]
    flow_specs: Mapping[str, Body]
    deleted_status: int
    has_actions: bool

    def check_connection(self, call: Call, body: Body, old: Body | None, /) -> Body:
        """Check a base connection; return it as it is to be kept."""
        ...

    def check_source(self, call: Call, body: Body, old: Body | None, /) -> Body: ...

    def check_target(self, call: Call, body: Body, old: Body | None, /) -> Body: ...

    def check_flow(self, call: Call, body: Body, old: Body | None, /) -> Body: ...

    def shown(self, call: Call, kept: Body, /) -> Body: ...

    def explored(self, connection: Body, /) -> list[Body]:
        """Return what a base connection sees; an ApiError if it does not work."""
        ...
