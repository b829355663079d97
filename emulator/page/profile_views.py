"""Profiles: the form for a lookup, and a profile with what happened to it in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from emulator.page.audience_views import AudienceViews
from emulator.page.charts import bars
from emulator.page.facts import Facts, Services
from emulator.page.layout import View
from emulator.page.links import dataset_link, identity_link, profile_address
from emulator.page.markup import (
    Content,
    Html,
    code,
    copyable,
    element,
    facts,
    folded,
    heading,
    json_block,
    link,
    markup,
    moment,
    note,
    number,
    shortened,
    table,
    utc,
)
from emulator.state.identities import Named, named
from emulator.state.profile_store import Event

MAX_EVENTS = 100  # of a profile
MAX_IDENTITIES = 20
_BARS = 60
_MAX_JSON_CHARS = 20_000  # of an event or record: the page is fetched once, not every other second


class Entry(NamedTuple):
    """Something that happened to a profile.

    Attributes:
        at_ms: When, in milliseconds since the epoch.
        kind: In a word, which also decides on the colour.
        summary: In a line.
        details: What a click unfolds; None for nothing.
        key: Tells it apart on the page.
        about: What is below it, with links; None for nothing.
    """

    at_ms: int
    kind: str
    summary: Html
    details: Html | None
    key: str
    about: Html | None = None


class ProfileViews:
    """The views, over the services."""

    def __init__(self, services: Services, reader: Facts, audiences: AudienceViews) -> None:
        self._services = services
        self._facts = reader
        self._audiences = audiences

    def profiles(self, namespace: str, identity: str) -> View:
        """Return the form for a lookup, and what was found of the identity in any organisation."""
        form = element(
            "form",
            _entry("namespace", "Namespace", namespace, "Email"),
            _entry("id", "Identity", identity, "jane@example.com"),
            element("button", "Look up"),
            method="get",
            action="/profiles",
            class_="lookup",
        )
        if not (namespace and identity):
            return View("/profiles", "Profiles", markup(form, self._some_identities()))
        found = [self._profile(org_id, named(namespace, identity)) for org_id in self._facts.organisations()]
        shown = [each for each in found if each is not None]
        nothing = note(
            f"No organisation's Profile store knows {identity!r} in the namespace {namespace!r}. Only valid "
            "messages for datasets that are enabled for Profile get there."
        )
        return View("/profiles", "Profiles", markup(form, *(shown or [nothing])))

    def _profile(self, org_id: str, identity: Named) -> Html | None:
        profiles = self._services.profiles
        linked = profiles.linked(org_id, identity)
        if not linked:
            return None
        profile = profiles.profile(org_id, linked)
        about: dict[str, Content] = {
            "Organisation": org_id,
            "Looked up": copyable(identity.value),
            "Identities": markup(*(element("div", identity_link(each)) for each in linked)),
        }
        if profile:
            sources = (element("div", dataset_link(self._facts, org_id, each)) for each in profile.sources)
            about["Made of datasets"] = markup(*sources)
            about["Changed (UTC)"] = moment(profile.modified_ms)
        entity = json_block(profile.entity, most=_MAX_JSON_CHARS) if profile else note("Events only, no record.")
        return markup(
            facts(about),
            element(
                "div",
                element("section", self._timeline(org_id, linked)),
                element(
                    "section",
                    heading("Audiences"),
                    self._audiences.memberships(org_id, linked),
                    heading("Profile"),
                    entity,
                ),
                class_="columns",
            ),
        )

    def _timeline(self, org_id: str, linked: Sequence[Named]) -> Html:
        """Return the events of a profile, its records and its audiences, the newest first."""
        events = self._services.profiles.events(org_id, linked)
        cut = events[-MAX_EVENTS:]
        entries = [
            *(_event(org_id, each) for each in cut),
            *self._records(org_id, linked),
            *self._changes(org_id, linked),
        ]
        older = len(events) - len(cut)
        return markup(
            heading(f"Timeline: {number(len(events))} event{'' if len(events) == 1 else 's'}"),
            _frequency(cut),
            _timeline(sorted(entries, key=lambda each: (-each.at_ms, each.key))),
            note(f"{number(older)} older events are not shown.") if older else None,
        )

    def _records(self, org_id: str, linked: Sequence[Named]) -> Iterator[Entry]:
        for each in self._services.profiles.fragments(org_id, linked):
            dataset = dataset_link(self._facts, org_id, each.dataset_id)
            about = markup("of ", dataset, " for ", identity_link(each.owner))
            details = json_block(each.entity, most=_MAX_JSON_CHARS)
            key = f"record-{org_id}-{each.seq}"
            yield Entry(each.modified_ms, "record", element("strong", "record"), details, key, about)

    def _changes(self, org_id: str, linked: Sequence[Named]) -> Iterator[Entry]:
        for each in self._audiences.of_profile(org_id, linked):
            kind = "entered" if each.status == "realized" else "left"
            summary = markup(element("strong", kind), " the audience ", each.name)
            yield Entry(int(each.since_ms), kind, summary, None, f"audience-{org_id}-{each.segment_id}")

    def _some_identities(self) -> Html:
        rows = [
            (link(profile_address(identity), shortened(identity.value)), identity.namespace, org_id)
            for org_id, identity in self._services.profiles.some_identities(MAX_IDENTITIES)
        ]
        empty = "The Profile store is empty: no message for a dataset that is enabled for Profile has arrived yet."
        return markup(heading("Some known identities"), table(["Identity", "Namespace", "Organisation"], rows, empty))


def _event(org_id: str, event: Event) -> Entry:
    kind = event.entity.get("eventType")
    summary = markup(
        element("strong", shortened(kind) if isinstance(kind, str) else "event"), " ", code(shortened(event.id))
    )
    return Entry(
        event.timestamp_ms,
        "event",
        summary,
        json_block(event.entity, most=_MAX_JSON_CHARS),
        f"event-{org_id}-{event.id}",
    )


def _timeline(entries: Sequence[Entry]) -> Html:
    items: list[Html] = []
    day = ""
    for each in entries:
        when = utc(each.at_ms)
        if (today := f"{when:%A, %d %B %Y}") != day:
            day = today
            items.append(element("li", day, class_="day"))
        line = markup(element("time", f"{when:%H:%M:%S}", datetime=f"{when:%Y-%m-%dT%H:%M:%SZ}"), " ", each.summary)
        content = (
            folded(each.key, line, each.details, about=each.about) if each.details is not None else element("div", line)
        )
        items.append(element("li", content, class_=each.kind))
    return element("ol", *items, class_="timeline") if items else note("Nothing yet.")


def _frequency(events: Sequence[Event]) -> Html | None:
    """Return how many events a profile had over time; None if they are too few to say anything."""
    if len(events) < 3 or events[0].timestamp_ms == events[-1].timestamp_ms:
        return None
    first, last = events[0].timestamp_ms, events[-1].timestamp_ms
    width = (last - first) / _BARS
    counts = [0] * _BARS
    for each in events:
        counts[min(_BARS - 1, int((each.timestamp_ms - first) / width))] += 1
    titles = [f"{utc(first + at * width):%Y-%m-%d %H:%M}: {number(count)}" for at, count in enumerate(counts)]
    chart = bars(counts, titles, f"{len(events)} events over time")
    return element("figure", chart, element("figcaption", moment(first), element("span", "events"), moment(last)))


def _entry(name: str, label: str, value: str, example: str) -> Html:
    return element(
        "div",
        element("label", label, for_=name),
        element("input", id=name, name=name, value=value, placeholder=example, autocomplete="off", required=True),
        class_="field",
    )
