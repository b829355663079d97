"""Audiences with their members, and the destinations that profiles are exported to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from emulator.export.queue import Run
from emulator.page.facts import Services
from emulator.page.layout import View
from emulator.page.markup import (
    Column,
    Content,
    Html,
    badge,
    code,
    element,
    heading,
    markup,
    moment,
    note,
    number,
    table,
)
from emulator.state.destinations import Destination
from emulator.state.identities import Named


class Belonging(NamedTuple):
    """A profile's membership of an audience, with the time of its status in milliseconds since the epoch."""

    segment_id: str
    name: str
    status: str
    since_ms: float


class AudienceViews:
    """The views, over the services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def audiences(self) -> View:
        """Return all audiences and all enabled destinations."""
        body = markup(
            self._segments(),
            heading("Destinations"),
            self._destinations(),
            note(
                "Queued: records that changes of profiles caused. Failed: refused by the stream three times. Disabled "
                "destinations are not shown."
            ),
        )
        return View("/audiences", "Audiences", body, live=True)

    def of_profile(self, org_id: str, linked: Sequence[Named]) -> list[Belonging]:
        """Return the audiences that a profile belongs to or has left."""
        services = self._services
        profile_id = services.profiles.profile_id(org_id, linked[0]) if linked else None
        found = services.memberships.of(profile_id) if profile_id is not None else {}
        names = {each.id: each.name for each in services.segments.ready(org_id)}
        return [
            Belonging(segment_id, names.get(segment_id, "deleted"), each.status, each.since_ms)
            for segment_id, each in found.items()
            if each.status is not None
        ]

    def memberships(self, org_id: str, linked: Sequence[Named]) -> Html:
        """Return the audiences that a profile belongs to or has left."""
        rows = [
            (
                markup(each.name, Html("<br>"), code(each.segment_id)),
                badge(each.status, "good" if each.status == "realized" else ""),
                moment(each.since_ms),
            )
            for each in self.of_profile(org_id, linked)
        ]
        return table(["Audience", "Status", "Since (UTC)"], rows, "None.")

    def _segments(self) -> Html:
        services = self._services
        members = services.memberships.counts()
        rows = [
            (
                markup(each["name"], Html("<br>"), code(each["id"])),
                org_id,
                code(each["expression"]["value"]),
                ", ".join(way for way, state in each["evaluationInfo"].items() if state["enabled"]),
                number(members.get(each["id"], 0)),
            )
            for org_id in sorted(services.segments.organisations())
            for each in services.segments.definitions(org_id)
        ]
        columns: list[Column | str] = [
            "Audience",
            "Organisation",
            "Rule",
            "Evaluation",
            Column("Members", numeric=True),
        ]
        return table(columns, rows, "No audience yet. They come from the Segmentation Service API.")

    def _destinations(self) -> Html:
        services = self._services
        rows = []
        for each in services.flows.destinations.everywhere():
            runs = [run for run in services.exports.runs(each.org_id) if run.flow_id == each.flow_id]
            rows.append(
                (
                    markup(each.name, Html("<br>"), code(each.flow_id)),
                    each.org_id,
                    markup(code(each.stream), " ", each.region),
                    self._mapped(each),
                    number(sum(run.records_in for run in runs)),
                    number(sum(run.records_out for run in runs)),
                    _failed(runs),
                )
            )
        numbers = [Column(each, numeric=True) for each in ("Queued", "Sent", "Failed")]
        columns: list[Column | str] = ["Destination", "Organisation", "Stream", "Mapped", *numbers]
        return table(columns, rows, "No destination yet. They come from Flow Service.")

    def _mapped(self, destination: Destination) -> Html:
        names = {each.id: each.name for each in self._services.segments.ready(destination.org_id)}
        audiences: list[Content] = [element("div", names.get(each, each)) for each in destination.audiences]
        return markup(*audiences, *(element("div", code(each)) for each in destination.attributes))


def _failed(runs: Sequence[Run]) -> Html:
    total = sum(run.failed for run in runs)
    if not total:
        return markup("0")
    reasons = {code_: message for run in runs for code_, (_, message) in run.errors.items()}
    return markup(badge(number(total), "bad"), *(element("div", code(key), " ", text) for key, text in reasons.items()))
