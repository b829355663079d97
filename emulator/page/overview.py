"""The overview: what happens now, at each inlet and in each organisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.page.charts import sparkline
from emulator.page.event_views import COUNTING
from emulator.page.facts import Facts, Services
from emulator.page.inlet_views import answers
from emulator.page.layout import View
from emulator.page.links import inlet_link
from emulator.page.markup import Column, Html, code, element, heading, link, markup, note, number, table, tiles
from emulator.state.recent import Second


class Overview:
    """The view, over the services."""

    def __init__(self, services: Services, reader: Facts) -> None:
        self._services = services
        self._facts = reader

    def overview(self) -> View:
        """Return what happened at each inlet, and what each organisation has."""
        services = self._services
        traffic = self._facts.traffic()
        known = [rate for rate in traffic.rates.values() if rate is not None]
        repeated = [each["duplicates"] for each in traffic.counts.values()]

        def total(name: str) -> str:
            return number(sum(each[name] for each in traffic.counts.values()))

        figures = {
            "requests/s": f"{sum(known):.1f}" if known else "–",
            "accepted": total("accepted"),
            "rejected": total("rejected"),
            "invalid": total("invalid"),
            "duplicates": number(None if None in repeated else sum(repeated)),
            "to be validated": number(services.store.pending_count()),
        }
        body = markup(
            note(COUNTING) if services.count_only else None,
            tiles(figures, alarming={"rejected", "invalid"}),
            _charts(services.recent.last()),
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

    def _inlets(self, counts: Any, rates: Any) -> Html:
        rows = []
        for inlet_id, each in counts.items():
            inlet = self._services.inlets.get(inlet_id)
            rate = rates.get(inlet_id)
            rows.append(
                (
                    markup(inlet_link(self._services, inlet_id), Html("<br>"), code(f"{inlet_id[:12]}…")),
                    inlet.org_id if inlet else "–",
                    number(each["requests"]),
                    "–" if rate is None else f"{rate:.1f}",
                    *(number(each[name]) for name in ("messages", "accepted", "rejected", "deferred", "invalid")),
                    number(each["duplicates"]),
                    answers(each["statuses"]) or "–",
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


def _charts(seconds: Sequence[Second]) -> Html:
    """Return how many messages came in the last seconds, and how long their answers took."""
    messages = [each.messages for each in seconds]
    answers_ms = [each.answer_s / each.requests * 1000 if each.requests else 0.0 for each in seconds]
    slowest_ms = max(each.slowest_s for each in seconds) * 1000
    return element(
        "div",
        _chart("Messages a second", messages, f"most: {number(max(messages))}", len(seconds)),
        _chart("Answer time, mean of a second", answers_ms, f"slowest: {slowest_ms:,.1f} ms", len(seconds)),
        class_="charts",
    )


def _chart(title: str, values: Sequence[float], most: str, seconds: int) -> Html:
    return element(
        "figure",
        element("strong", title),
        sparkline(values, f"{title}, {most} in the last {seconds} seconds"),
        element("figcaption", element("span", f"{seconds} s ago"), element("span", most), element("span", "now")),
    )
