"""Schemas, datasets and connections: what the organisations have defined, and what became of their records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from emulator.page import schema_tree
from emulator.page.event_views import EventViews, Wanted
from emulator.page.facts import DatasetEntry, Facts, Services
from emulator.page.layout import View
from emulator.page.links import dataset_address, dataset_link, inlet_link, schema_address
from emulator.page.markup import (
    Column,
    Content,
    Html,
    address,
    badge,
    code,
    copyable,
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
from emulator.state.batches import Batch
from emulator.state.destinations import DESTINATION_FLOW
from emulator.state.errors import ApiError
from emulator.state.inlets import describe

MAX_BATCHES = 50
MAX_RECORDS = 10  # of one failed batch
NEWEST = 20


class CatalogViews:
    """The views, over the services."""

    def __init__(self, services: Services, reader: Facts, events: EventViews) -> None:
        self._services = services
        self._facts = reader
        self._events = events

    def schemas(self) -> View:
        users: dict[tuple[str, str | None, str | None], list[DatasetEntry]] = {}
        for dataset in self._facts.datasets():
            users.setdefault((dataset.org_id, dataset.schema_id, dataset.inlet_id), []).append(dataset)
        rows = [
            (
                markup(link(schema_address(each), each.title or each.id), _below(each.id)),
                each.org_id,
                _class_name(each.class_id),
                each.version,
                badge("Profile", "good") if each.for_profile else "–",
                markup(*(link(dataset_address(user), user.name) for user in users.get((*each[:2], each.inlet_id), ()))),
            )
            for each in self._facts.schemas()
        ]
        columns: list[Column | str] = ["Schema", "Organisation", "Class", "Version", "For Profile", "Datasets"]
        empty = "No schema yet. Create one with the Schema Registry API, or with an inlet of /__local/inlets."
        return View("/schemas", "Schemas", table(columns, rows, empty))

    def schema(self, schema_id: str, inlet_id: str | None) -> View | None:
        """Return one schema with its fields; None if there is none of this id."""
        entry = self._facts.schema(schema_id, inlet_id)
        if entry is None:
            return None
        registry = self._services.registry
        document: dict[str, Any] = entry.definition
        problem: Content = None
        identities: dict[tuple[str, ...], str] = {}
        if entry.inlet_id is None:
            try:
                document = registry.resolved(entry.org_id, entry.definition)
            except ApiError as error:  # something that it refers to was deleted since
                problem = json_block(error.body)
            for each in registry.identities(entry.org_id, entry.id):
                kind = "primary identity" if each.get("xdm:isPrimary") else "identity"
                path = tuple(str(each["xdm:sourceProperty"])[1:].split("/"))
                identities[path] = f"{kind}: {each['xdm:namespace']}"
        about = facts(
            {
                "Id": copyable(entry.id),
                "Organisation": entry.org_id,
                "Class": _class_name(entry.class_id),
                "Version": entry.version,
                "Profile": "enabled" if entry.for_profile else "not enabled",
                "From": "the Schema Registry" if entry.inlet_id is None else f"inlet {entry.inlet_id}",
                "Fields": number(schema_tree.count(document)),
            }
        )
        body = markup(about, heading("Fields"), problem, schema_tree.fields(document, identities))
        return View("/schemas", entry.title or entry.id, body)

    def datasets(self) -> View:
        """Return all datasets with the numbers of their records."""
        totals = self._services.batches.totals()
        rows = []
        for each in self._facts.datasets():
            _, good = totals.get((each.org_id, each.id, False), (0, 0))
            failed_batches, failed = totals.get((each.org_id, each.id, True), (0, 0))
            rows.append(
                (
                    markup(link(dataset_address(each), each.name), _below(each.id)),
                    each.org_id,
                    self._schema_link(each),
                    badge("Profile", "good") if each.for_profile else "–",
                    number(good) if each.inlet_id is None else "–",
                    number(failed),
                    badge(number(failed_batches), "bad") if failed_batches else "0",
                )
            )
        columns: list[Column | str] = [
            "Dataset",
            "Organisation",
            "Schema",
            "For Profile",
            Column("Good records", numeric=True),
            Column("Failed records", numeric=True),
            Column("Failed batches", numeric=True),
        ]
        empty = "No dataset yet. Create one with the Catalog API, or with an inlet of /__local/inlets."
        return View("/datasets", "Datasets", table(columns, rows, empty), live=True)

    def dataset(self, org_id: str, dataset_id: str) -> View | None:
        """Return one dataset: its failed batches with the reasons, the others, its newest records; None if there is
        none.
        """
        entry = self._facts.dataset(org_id, dataset_id)
        if entry is None:
            return None
        about = facts(
            {
                "Id": copyable(entry.id),
                "Organisation": entry.org_id,
                "Schema": self._schema_link(entry),
                "Profile": "enabled" if entry.for_profile else "not enabled",
            }
        )
        batches = self._services.batches.newest(org_id, dataset_id, MAX_BATCHES)
        body = markup(
            about,
            heading("Failed batches"),
            *(
                [self._failed_batch(each) for each in batches if each.failed]
                or [note("None among the newest batches.")]
            ),
            heading("Batches"),
            _batches(batches, booked=entry.inlet_id is None),
            heading("Newest records"),
            self._events.some(Wanted(dataset=dataset_id), NEWEST, "None among the newest messages."),
            note(link(address("events", dataset=dataset_id), "All messages for this dataset")),
        )
        return View("/datasets", entry.name, body, live=True)

    def connections(self, base_url: str) -> View:
        """Return all inlets and all dataflows."""
        services = self._services
        inlets = []
        for inlet in services.inlets:
            described = describe(inlet, base_url)
            local = inlet.flows is None
            inlets.append(
                (
                    markup(inlet_link(services, inlet.id), Html("<br>"), copyable(described["inletUrl"])),
                    inlet.org_id,
                    "here (/__local)" if local else "AEP's API",
                    inlet.data_type,
                    "required" if inlet.authentication_required else "no",
                    inlet.validation,
                    number(len(described["datasetIds"])),
                )
            )
        exports = {each.flow_id: each for each in services.flows.destinations.everywhere()}
        flows = []
        for org_id, flow_id, flow in services.flows.flows:
            begins = services.flows.inlet_ids(org_id, flow)
            targets = [services.flows.target(org_id, inlet_id, flow_id) for inlet_id in begins]
            leads_to = {target.dataset_id: target.mappings for target in targets if target}
            begin: Content = markup(*(inlet_link(services, each) for each in begins)) or "–"
            end: Content = markup(*(dataset_link(self._facts, org_id, each) for each in leads_to)) or "–"
            if flow["flowSpec"]["id"] == DESTINATION_FLOW:
                begin = link("/audiences", "audiences")
                end = link("/streams", f"stream {exports[flow_id].stream}") if flow_id in exports else "disabled"
            flows.append(
                (
                    markup(str(flow.get("name", "")), _below(flow_id)),
                    org_id,
                    begin,
                    end,
                    ", ".join(number(len(each)) for each in leads_to.values() if each) or "–",
                )
            )
        columns: list[Column | str] = [
            "Inlet",
            "Organisation",
            "Made by",
            "Data",
            "Token",
            "Validation",
            Column("Datasets", numeric=True),
        ]
        body = markup(
            table(
                columns,
                inlets,
                "No connection yet. Create one with Adobe's Flow Service API, or an inlet with /__local/inlets.",
            ),
            heading("Dataflows"),
            table(
                ["Dataflow", "Organisation", "From", "To", Column("Mappings", numeric=True)],
                flows,
                "None. Messages to an inlet of XDM data name their dataset themselves.",
            ),
        )
        return View("/connections", "Connections", body)

    def _schema_link(self, dataset: DatasetEntry) -> Content:
        if dataset.schema_id is None:
            return "none: nothing is checked"
        entry = self._facts.schema(dataset.schema_id, dataset.inlet_id)
        return link(schema_address(entry), entry.title or entry.id) if entry else code(dataset.schema_id)

    def _failed_batch(self, batch: Batch) -> Html:
        reasons = table(
            ["Code", Column("Records", numeric=True), "For example"],
            [(code(key), number(times), text) for key, (text, times) in batch.errors.items()],
            "No reason known.",
        )
        records = []
        for index, content in zip(range(MAX_RECORDS), self._services.batches.records(batch.id), strict=False):
            record = orjson.loads(content)
            errors = [f"{each['code']} {each['message']}" for each in record["_errors"]["_streamingValidation"]]
            summary = markup(code(_id_of(record)), " ", "; ".join(errors))
            records.append(folded(f"record-{batch.id}-{index}", summary, json_block(content)))
        rest = batch.records - len(records)
        title = markup(
            badge(f"{number(batch.records)} failed", "bad"), " ", moment(batch.updated_ms), " ", code(batch.id)
        )
        return folded(
            f"batch-{batch.id}",
            title,
            reasons,
            *records,
            note(f"{number(rest)} more; the Data Access API has them all.") if rest > 0 else None,
            opened=True,
        )


def _batches(batches: Sequence[Batch], *, booked: bool) -> Html:
    rows = [
        (
            code(each.id),
            badge("failed", "bad") if each.failed else badge("success", "good"),
            moment(each.updated_ms),
            number(each.records),
            number(each.bytes),
        )
        for each in batches
    ]
    columns: list[Column | str] = [
        "Batch",
        "Status",
        "Updated (UTC)",
        Column("Records", numeric=True),
        Column("Bytes", numeric=True),
    ]
    empty = (
        "None yet." if booked else "None: of the records for an inlet of /__local only failed ones get into batches."
    )
    return table(columns, rows, empty)


def _id_of(record: dict[str, Any]) -> str:
    """Return the `_id` of a record in a failed batch: in the envelope that XDM messages come in, or without one."""
    body = record.get("body")
    entity = body.get("xdmEntity", body) if isinstance(body, dict) else record
    return str(entity.get("_id", "no _id")) if isinstance(entity, dict) else "no _id"


def _below(text: str) -> Html:
    """Return an id or an address under a name."""
    return markup(Html("<br>"), code(text))


def _class_name(class_id: str) -> str:
    """Return the last step of a class's id, as in `experienceevent`."""
    return class_id.rsplit("/", 1)[-1] or "–"
