"""One inlet: its address, how to send to it, what arrived, and what became of that."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import orjson

from emulator.page.event_views import EventViews, Wanted
from emulator.page.facts import Facts, Services
from emulator.page.layout import View
from emulator.page.links import dataset_link
from emulator.page.markup import (
    Content,
    Html,
    address,
    badge,
    block,
    copyable,
    element,
    facts,
    heading,
    link,
    markup,
    note,
    number,
    tiles,
)
from emulator.state.inlets import Inlet, describe

NEWEST = 10
MAX_DATASETS = 20


class InletViews:
    """The views, over the services."""

    def __init__(self, services: Services, reader: Facts, events: EventViews) -> None:
        self._services = services
        self._facts = reader
        self._events = events

    def inlet(self, inlet_id: str, base_url: str) -> View | None:
        """Return one inlet; None if there is none of this id."""
        inlet = self._services.inlets.get(inlet_id)
        if inlet is None:
            return None
        url = describe(inlet, base_url)["inletUrl"]
        datasets = list(inlet.datasets)
        shown = [element("div", dataset_link(self._facts, inlet.org_id, each)) for each in datasets[:MAX_DATASETS]]
        rest = len(datasets) - len(shown)
        about: dict[str, Content] = {
            "Id": copyable(inlet.id),
            "Single messages": copyable(url),
            "Batches": copyable(url.replace("/collection/", "/collection/batch/")),
            "Organisation": inlet.org_id,
            "Data": inlet.data_type,
            "Token": "required" if inlet.authentication_required else "not required",
            "Validation": {"off": "none", "door": "on arrival", "async": "after acceptance"}[inlet.validation],
            "Made by": "/__local/inlets" if inlet.flows is None else "AEP's API",
            "Datasets": markup(*shown, note(f"{number(rest)} more") if rest > 0 else None) if datasets else "none",
        }
        traffic = self._facts.traffic()
        counts = traffic.counts[inlet_id]
        body = markup(
            tiles(_figures(counts, traffic.rates.get(inlet_id)), alarming={"rejected", "invalid"}),
            heading("Address"),
            facts(about),
            element("p", "Answers: ", answers(counts["statuses"])) if counts["statuses"] else None,
            heading("Send a message"),
            block(_example(inlet, url)),
            heading("Newest messages"),
            self._events.some(Wanted(inlet=inlet.id), NEWEST, "None among the newest messages."),
            element(
                "p",
                link(address("events", inlet=inlet.id), "All messages"),
                " · ",
                link(address("faults", inlet=inlet.id), "Faults of this inlet"),
            ),
        )
        return View("/connections", inlet.name, body, live=True)


def _figures(counts: Mapping[str, Any], rate: float | None) -> dict[str, str]:
    names = ("requests", "accepted", "rejected", "deferred", "invalid", "duplicates")
    return {"requests/s": "–" if rate is None else f"{rate:.1f}", **{name: number(counts[name]) for name in names}}


def answers(statuses: dict[str, int]) -> Html:
    """Return how often requests were answered with which status."""
    return markup(
        *(
            markup(badge(f"{status} × {number(times)}", "good" if status in ("200", "207") else "bad"), " ")
            for status, times in sorted(statuses.items())
        )
    )


def _example(inlet: Inlet, url: str) -> str:
    """Return a command that sends one message."""
    entity = {"_id": "example-1", "timestamp": "2026-01-01T00:00:00Z"}
    message: dict[str, object] = dict(entity)
    if inlet.data_type == "xdm":
        dataset = next(iter(inlet.datasets.values()), None)
        schema = dataset.schema.id if dataset and dataset.schema else "SCHEMA_ID"
        reference = {"id": schema, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
        header = {
            "schemaRef": reference,
            "imsOrgId": inlet.org_id,
            "datasetId": dataset.id if dataset else "DATASET_ID",
        }
        message = {"header": header, "body": {"xdmMeta": {"schemaRef": reference}, "xdmEntity": entity}}
    headers = ["Content-Type: application/json"]
    if inlet.authentication_required:
        headers.append("Authorization: Bearer TOKEN")
    parts = [f"curl {shlex.quote(url)}", *(f"-H {shlex.quote(each)}" for each in headers)]
    return " \\\n  ".join([*parts, f"-d {shlex.quote(orjson.dumps(message, option=orjson.OPT_INDENT_2).decode())}"])
