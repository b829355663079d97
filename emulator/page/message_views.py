"""What arrives: the overview of the inlets, the newest messages, and profiles with their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from emulator.page.audience_views import AudienceViews
from emulator.page.facts import Facts, Services
from emulator.page.layout import View
from emulator.page.markup import (
    Column,
    Content,
    Html,
    address,
    badge,
    code,
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
    table,
)
from emulator.state.failures import dcvs_errors
from emulator.state.identities import named
from emulator.state.store import NewMessage

BACK = 10_000  # messages that are looked through for the newest of one dataset
NEWEST = 50
MAX_EVENTS = 100  # of a profile
MAX_IDENTITIES = 20
_COUNTING = "Counting mode: messages are counted, but not kept."


class MessageViews:
    """The views, over the services."""

    def __init__(self, services: Services, reader: Facts, audiences: AudienceViews) -> None:
        self._services = services
        self._facts = reader
        self._audiences = audiences

    def overview(self) -> View:
        """Return what happened at each inlet, and what each organisation has."""
        services = self._services
        traffic = self._facts.traffic()
        known = [rate for rate in traffic.rates.values() if rate is not None]
        repeated = [each["duplicates"] for each in traffic.counts.values()]

        def total(name: str) -> int:
            return sum(each[name] for each in traffic.counts.values())

        tiles = {
            "requests/s": f"{sum(known):.1f}" if known else "–",
            "accepted": number(total("accepted")),
            "rejected": number(total("rejected")),
            "invalid": number(total("invalid")),
            "duplicates": number(None if None in repeated else sum(repeated)),
            "to be validated": number(services.store.pending_count()),
        }
        bad = {"rejected", "invalid"}
        figures = element(
            "dl",
            *(
                element(
                    "div",
                    element("dt", name),
                    element("dd", value, class_="alert" if name in bad and value != "0" else None),
                )
                for name, value in tiles.items()
            ),
            class_="tiles",
        )
        body = markup(
            note(_COUNTING) if services.count_only else None,
            figures,
            heading("Inlets"),
            self._inlets(traffic.counts, traffic.rates),
            note(
                "Rejected: refused on arrival; the reply told the sender why. Invalid: accepted, then failed the "
                "validation against the schema. Deferred: answered with 429 or 5xx by a fault, to be sent again. "
                "Duplicates: accepted more than once by their _id."
            ),
            heading("Organisations"),
            self._organisations(),
        )
        return View("/", "Overview", body, live=True)

    def events(self) -> View:
        if self._services.count_only:
            return View("/events", "Events", note(_COUNTING))
        newest = self._services.store.newest(NEWEST, among=BACK)
        empty = "Nothing has arrived yet. Messages refused on arrival are counted, but not kept."
        return View("/events", "Events", messages(newest, self._services, empty=empty), live=True)

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
        found = [self._profile(org_id, namespace, identity) for org_id in self._facts.organisations()]
        shown = [each for each in found if each is not None]
        nothing = note(
            f"No organisation's Profile store knows {identity!r} in the namespace {namespace!r}. Only valid "
            "messages for datasets that are enabled for Profile get there."
        )
        return View("/profiles", "Profiles", markup(form, *(shown or [nothing])))

    def _profile(self, org_id: str, namespace: str, identity: str) -> Html | None:
        profiles = self._services.profiles
        linked = profiles.linked(org_id, named(namespace, identity))
        if not linked:
            return None
        profile = profiles.profile(org_id, linked)
        events = profiles.events(org_id, linked)[::-1]
        about: dict[str, Content] = {
            "Organisation": org_id,
            "Identities": markup(
                *(element("div", link(profile_address(*each), f"{each.namespace}: {each.value}")) for each in linked)
            ),
        }
        if profile:
            sources = (element("div", dataset_link(self._facts, org_id, each)) for each in profile.sources)
            about["Made of datasets"] = markup(*sources)
            about["Changed (UTC)"] = moment(profile.modified_ms)
        cut = events[:MAX_EVENTS]
        rows = [
            folded(
                f"event-{org_id}-{each.id}",
                markup(moment(each.timestamp_ms), " ", code(each.id), " ", str(each.entity.get("eventType", ""))),
                json_block(each.entity),
            )
            for each in cut
        ]
        return markup(
            facts(about),
            heading("Profile"),
            json_block(profile.entity) if profile else note("Events only, no record."),
            heading("Audiences"),
            self._audiences.memberships(org_id, linked),
            heading(f"Events ({number(len(events))})"),
            *(rows or [note("None.")]),
            note(f"{number(len(events) - len(cut))} older ones are not shown.") if len(events) > len(cut) else None,
        )

    def _some_identities(self) -> Html:
        rows = [
            (link(profile_address(*identity), identity.value), identity.namespace, org_id)
            for org_id, identity in self._services.profiles.some_identities(MAX_IDENTITIES)
        ]
        empty = "The Profile store is empty: no message for a dataset that is enabled for Profile has arrived yet."
        return markup(heading("Some known identities"), table(["Identity", "Namespace", "Organisation"], rows, empty))

    def _inlets(self, counts: Any, rates: Any) -> Html:
        rows = []
        for inlet_id, each in counts.items():
            inlet = self._services.inlets.get(inlet_id)
            rate = rates.get(inlet_id)
            rows.append(
                (
                    markup(inlet.name if inlet else "deleted", Html("<br>"), code(f"{inlet_id[:12]}…")),
                    inlet.org_id if inlet else "–",
                    number(each["requests"]),
                    "–" if rate is None else f"{rate:.1f}",
                    *(number(each[name]) for name in ("messages", "accepted", "rejected", "deferred", "invalid")),
                    number(each["duplicates"]),
                    markup(*(_answer(status, times) for status, times in sorted(each["statuses"].items()))) or "–",
                )
            )
        numbers = ("Requests", "Req/s", "Messages", "Accepted", "Rejected", "Deferred", "Invalid", "Duplicates")
        columns: list[Column | str] = ["Inlet", "Organisation", *(Column(each, numeric=True) for each in numbers)]
        empty = markup(
            "No inlet yet. Create one: ",
            code('curl -d \'{"name": "demo"}\' …/__local/inlets'),
            ", or with Adobe's APIs as in AEP.",
        )
        return table([*columns, "Answers"], rows, empty)

    def _organisations(self) -> Html:
        totals = self._services.batches.totals()
        schemas, datasets = self._facts.schemas(), self._facts.datasets()
        rows = [
            (
                org_id,
                link("/schemas", number(sum(each.org_id == org_id for each in schemas))),
                link("/datasets", number(sum(each.org_id == org_id for each in datasets))),
                link("/connections", number(sum(each.org_id == org_id for each in self._services.inlets))),
                number(
                    sum(batches for (owner, _, failed), (batches, _) in totals.items() if failed and owner == org_id)
                ),
            )
            for org_id in self._facts.organisations()
        ]
        numbers = [Column(each, numeric=True) for each in ("Schemas", "Datasets", "Inlets", "Failed batches")]
        return table(
            ["Organisation", *numbers], rows, "None yet: an organisation appears once something belongs to it."
        )


def messages(newest: Sequence[NewMessage], services: Services, *, empty: str) -> Html:
    """Messages, each with its JSON to unfold."""
    if not newest:
        return note(empty)
    names = {each.id: each.name for each in services.inlets}
    return element(
        "div", *(_message(each, names.get(each.inlet_id, "deleted inlet")) for each in newest), class_="list"
    )


def dataset_link(reader: Facts, org_id: str, dataset_id: str) -> Html:
    """Return a dataset by its name, with the way to it; by its id if it was deleted."""
    found = reader.dataset(org_id, dataset_id)
    return link(address("datasets", dataset_id, org=org_id), found.name) if found else code(dataset_id)


def profile_address(namespace: str, identity: str) -> str:
    return address("profiles", namespace=namespace, id=identity)


def _message(message: NewMessage, inlet: str) -> Html:
    reasons: list[Content] = []
    if message.errors is not None:
        state = badge("invalid", "bad")
        for report in orjson.loads(message.errors):
            reasons += [element("li", code(key), " ", text) for key, text in dcvs_errors(report)]
    else:
        state = badge("to be validated", "note") if message.pending else badge("accepted", "good")
    summary = markup(
        moment(message.received_ms),
        " ",
        state,
        " ",
        code("no _id" if message.entity_id is None else message.entity_id),
        " ",
        element("span", inlet, class_="type"),
        element("ul", *reasons, class_="reasons") if reasons else None,
    )
    return folded(f"message-{message.seq}", summary, json_block(message.entity))


def _answer(status: str, times: int) -> Html:
    kind = "good" if status in ("200", "207") else "bad"
    return markup(badge(f"{status} × {number(times)}", kind), " ")


def _entry(name: str, label: str, value: str, example: str) -> Html:
    return element(
        "div",
        element("label", label, for_=name),
        element("input", id=name, name=name, value=value, placeholder=example, autocomplete="off", required=True),
        class_="field",
    )
