"""Segment definitions, which Adobe's pages call audiences too: `/data/core/ups/segment/definitions`.

Source: "Segment definitions endpoint".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aep.platform.client import PlatformClient, Query, segment

PATH = "/data/core/ups/segment/definitions"
PROFILE = "_xdm.context.profile"
MAX_PAGE = 100


class SegmentDefinitions:
    """The segment definitions of one organisation and sandbox."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def list(self) -> Iterator[dict[str, Any]]:
        """Yield all segment definitions: `GET /segment/definitions`, in pages of 100, each once.

        The newest come first, so that one that is created meanwhile moves another to the next page.
        """
        seen, ids = 0, set[str]()

        def following(page: dict[str, Any]) -> Query | None:
            nonlocal seen
            found = len(page.get("segments") or ())
            seen += found
            return {"start": seen} if found >= MAX_PAGE else None

        for page in self._client.pages(PATH, {"limit": MAX_PAGE}, following=following):
            for each in self._client.listed(PATH, page, "segments", ("id", "name")):
                if each["id"] not in ids:
                    ids.add(each["id"])
                    yield each

    def create(self, definition: Mapping[str, Any]) -> str:
        """Create a segment definition such as `segment_definition` makes: `POST /segment/definitions`; return its id.

        Raises:
            InvalidRequestError: The rule is not valid PQL, or the name is taken.
        """
        return str(self._client.json("POST", PATH, definition, needs=("id",))["id"])

    def patch(self, definition_id: str, definition: Mapping[str, Any]) -> None:
        """Replace members of a segment definition: `PATCH /segment/definitions/{id}`, with an object."""
        self._client.json("PATCH", f"{PATH}/{segment(definition_id)}", {"id": definition_id, **definition})

    def delete(self, definition_id: str) -> None:
        """Delete a segment definition: `DELETE /segment/definitions/{id}`.

        Raises:
            InvalidRequestError: A destination activates it.
        """
        self._client.send("DELETE", f"{PATH}/{segment(definition_id)}")


def segment_definition(name: str, rule: str, description: str = "", *, streaming: bool = True) -> dict[str, Any]:
    """Return a segment definition over profiles.

    Args:
        name: Unique in the sandbox.
        rule: In PQL, such as `workAddress.country = "US"`.
        description: Free text.
        streaming: Whether it is evaluated as data arrive, or once a day.
    """
    return {
        "name": name,
        "description": description,
        "expression": {"type": "PQL", "format": "pql/text", "value": rule},
        "schema": {"name": PROFILE},
        "evaluationInfo": {
            "batch": {"enabled": not streaming},
            "continuous": {"enabled": streaming},
            "synchronous": {"enabled": False},
        },
    }


def rule_of(definition: Mapping[str, Any]) -> str | None:
    """Return the rule of a segment definition; None if it is not written in PQL's text form."""
    expression = definition.get("expression")
    if not isinstance(expression, Mapping) or expression.get("format") != "pql/text":
        return None
    return str(expression.get("value", ""))


def is_streaming(definition: Mapping[str, Any]) -> bool:
    """Return whether a segment definition is evaluated as data arrive."""
    info = definition.get("evaluationInfo")
    continuous = info.get("continuous") if isinstance(info, Mapping) else None
    return isinstance(continuous, Mapping) and continuous.get("enabled") is True
