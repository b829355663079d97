"""The content of the page, read from the services behind Adobe's APIs. Reading changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from emulator.api.faults import FaultState
from emulator.api.flows import Flows
from emulator.export.queue import ExportQueue
from emulator.kinesis.service import Kinesis
from emulator.state.batches import Batches
from emulator.state.datasets import Datasets, enabled
from emulator.state.inlets import Inlet, Inlets
from emulator.state.memberships import MembershipStore
from emulator.state.profile_store import ProfileStore
from emulator.state.recent import RecentTraffic
from emulator.state.registry import Registry
from emulator.state.segments import Segments
from emulator.state.store import Store

RATE_S = 10  # requests per second are an average over so long
MIN_SAMPLE_S = 0.5
COUNTING_SHARE = 0.05  # of the time at most is spent on counting `_id`s


@dataclass(frozen=True)
class Services:
    """What the page looks at.

    Attributes:
        clock: Seconds since the epoch.
        timer: Seconds of a clock that never goes back.
        count_only: The collection runs in counting mode and keeps nothing.
    """

    store: Store
    inlets: Inlets
    registry: Registry
    datasets: Datasets
    flows: Flows
    batches: Batches
    profiles: ProfileStore
    segments: Segments
    memberships: MembershipStore
    exports: ExportQueue
    kinesis: Kinesis
    faults: FaultState
    recent: RecentTraffic
    clock: Callable[[], float]
    timer: Callable[[], float]
    count_only: bool


class SchemaEntry(NamedTuple):
    """A schema: one of the Schema Registry, or one that an inlet of `/__local` was given (`inlet_id`)."""

    org_id: str
    id: str
    title: str
    version: str
    class_id: str
    for_profile: bool
    inlet_id: str | None
    definition: dict[str, Any]


class DatasetEntry(NamedTuple):
    """A dataset: one of the Catalog, or one of an inlet of `/__local` (`inlet_id`), which has no name."""

    org_id: str
    id: str
    name: str
    schema_id: str | None
    for_profile: bool
    inlet_id: str | None


class Traffic(NamedTuple):
    """Counts and requests per second (None: not known yet), by inlet."""

    counts: Mapping[str, Mapping[str, Any]]
    rates: Mapping[str, float | None]


class Facts:
    """Reads the services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._samples: deque[tuple[float, dict[str, int]]] = deque()
        self._counted: dict[str, dict[str, Any]] = {}
        self._count_again = float("-inf")

    def organisations(self) -> list[str]:
        """Return every organisation that something belongs to."""
        services = self._services
        flows = services.flows
        found = {inlet.org_id for inlet in services.inlets}
        found |= services.registry.organisations() | services.datasets.organisations()
        found |= {org_id for repository in (flows.connections, flows.older_inlets) for org_id, _, _ in repository}
        return sorted(found)

    def schemas(self) -> list[SchemaEntry]:
        """Return all schemas, those of the Schema Registry first."""
        registry = self._services.registry
        found = [
            SchemaEntry(
                org_id,
                schema["$id"],
                str(schema["title"]),
                schema["version"],
                schema.get("meta:class", ""),
                "union" in schema.get("meta:immutableTags", ()),
                None,
                schema,
            )
            for org_id in sorted(registry.organisations())
            for schema in registry.resources(org_id, "tenant", "schemas")
        ]
        for inlet in self._local_inlets():
            for dataset in inlet.datasets.values():
                if dataset.schema:
                    document = dataset.schema.document
                    title, class_id = str(document.get("title", "")), str(document.get("meta:class", ""))
                    version = str(document.get("version", "1"))
                    found.append(
                        SchemaEntry(
                            inlet.org_id, dataset.schema.id, title, version, class_id, False, inlet.id, document
                        )
                    )
        return found

    def schema(self, schema_id: str, inlet_id: str | None) -> SchemaEntry | None:
        """Return the schema of this id, from the Schema Registry or of an inlet."""
        return next((each for each in self.schemas() if (each.id, each.inlet_id) == (schema_id, inlet_id)), None)

    def datasets(self) -> list[DatasetEntry]:
        """Return all datasets, those of the Catalog first."""
        found = [
            DatasetEntry(
                org_id,
                dataset_id,
                str(definition["name"]),
                definition["schemaRef"]["id"],
                enabled(definition, "unifiedProfile"),
                None,
            )
            for org_id in sorted(self._services.datasets.organisations())
            for dataset_id, definition in self._services.datasets.of(org_id)
        ]
        for inlet in self._local_inlets():
            found += [
                DatasetEntry(
                    inlet.org_id,
                    each.id,
                    f"dataset of {inlet.name}",
                    each.schema.id if each.schema else None,
                    False,
                    inlet.id,
                )
                for each in inlet.datasets.values()
            ]
        return found

    def dataset(self, org_id: str, dataset_id: str) -> DatasetEntry | None:
        """Return the dataset of this id."""
        return next((each for each in self.datasets() if (each.org_id, each.id) == (org_id, dataset_id)), None)

    def traffic(self) -> Traffic:
        """Count and rates of all inlets that exist or ever had a request."""
        services = self._services
        for inlet in services.inlets:
            services.store.counts(inlet.id)  # an inlet without requests counts zero
        repeated = self._repeated_ids()
        counts = {
            inlet_id: {**living, "duplicates": repeated.get(inlet_id, 0 if not services.count_only else None)}
            for inlet_id, living in services.store.living_counts().items()
        }
        return Traffic(counts, self._rates({key: each["requests"] for key, each in counts.items()}))

    def _local_inlets(self) -> Sequence[Inlet]:
        return [inlet for inlet in self._services.inlets if inlet.flows is None]

    def _repeated_ids(self) -> Mapping[str, int | None]:
        """Return duplicates by inlet. Counting them walks through all `_id`s, so with many it is not done at every
        look.
        """
        if self._services.count_only:
            return {}
        began = self._services.timer()
        if began >= self._count_again:
            self._counted = self._services.store.stats()
            ended = self._services.timer()
            self._count_again = ended + (ended - began) / COUNTING_SHARE
        return {inlet_id: each["duplicates"] for inlet_id, each in self._counted.items()}

    def _rates(self, requests: dict[str, int]) -> dict[str, float | None]:
        """Return requests per second since a look some seconds ago; None at the first look and after a reset."""
        now = self._services.timer()
        if self._samples and any(requests.get(key, 0) < count for key, count in self._samples[-1][1].items()):
            self._samples.clear()
        while self._samples and self._samples[0][0] < now - RATE_S:
            self._samples.popleft()
        if not self._samples or now - self._samples[-1][0] >= MIN_SAMPLE_S:
            self._samples.append((now, requests))
        then, before = self._samples[0]
        if now - then < MIN_SAMPLE_S:
            return dict.fromkeys(requests)
        return {key: (count - before.get(key, 0)) / (now - then) for key, count in requests.items()}
