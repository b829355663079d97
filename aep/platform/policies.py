"""Policy Service, as far as destinations need it: marketing actions, `/data/foundation/dulepolicy/marketingActions`.

Source: "Marketing actions endpoint". A dataflow names its marketing actions in `policy.enforcementRefs`.
"""

from __future__ import annotations

from collections.abc import Iterator

from aep.platform.client import PlatformClient

PATH = "/data/foundation/dulepolicy/marketingActions"
_REFERENCE = "/dulepolicy/marketingActions/"


class MarketingActions:
    """The marketing actions of one organisation and sandbox."""

    def __init__(self, client: PlatformClient):
        self._client = client

    def names(self) -> Iterator[str]:
        """Yield all as `core/NAME` and `custom/NAME`: `GET /marketingActions/core` and `.../custom`."""
        for kind in ("core", "custom"):
            path = f"{PATH}/{kind}"
            for page in self._client.pages(path):
                for each in self._client.listed(path, page, "children", ("name",)):
                    yield f"{kind}/{each['name']}"


def enforcement_reference(action: str) -> str:
    """Return what a dataflow names a marketing action by, given as `core/NAME` or `custom/NAME`."""
    return f"{_REFERENCE}{action}"


def action_of(reference: str) -> str:
    """Return the marketing action that a dataflow names: `core/NAME`, `custom/NAME`, or what else it has.

    Adobe's documents write the reference with `/constraints` at its end and without.
    """
    return reference.partition(_REFERENCE)[2].removesuffix("/constraints") or reference
