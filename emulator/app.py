"""The application: one module for each of Adobe's APIs and a page for browsers, on one server, over one store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from emulator.api.catalog import Catalog
from emulator.api.collection import Collection
from emulator.api.counting import CountingCollection
from emulator.api.data_access import DataAccess
from emulator.api.faults import FaultState
from emulator.api.flow_destinations import KinesisDestinations
from emulator.api.flow_runs import FlowRuns
from emulator.api.flow_service import FlowService
from emulator.api.flow_sources import StreamingSources
from emulator.api.flows import Flows
from emulator.api.gateway import Gateway
from emulator.api.ims import Ims
from emulator.api.inlet_api import InletApi
from emulator.api.kinesis_local import KinesisLocal
from emulator.api.local import Local
from emulator.api.local_export import LocalExport
from emulator.api.mapping_sets import MappingSets
from emulator.api.policy_service import PolicyService
from emulator.api.problems import json_response, problem
from emulator.api.profile_access import ProfileAccess
from emulator.api.schema_registry import SchemaRegistry
from emulator.api.segment_definitions import SegmentDefinitions
from emulator.export.kinesis_writer import KinesisWriter
from emulator.export.service import ExportSwitches, ProfileExport
from emulator.kinesis.app import kinesis_app
from emulator.kinesis.service import Kinesis
from emulator.kinesis.store import KinesisStore
from emulator.kinesis.switches import SwitchState
from emulator.page.facts import Services
from emulator.page.pages import Pages
from emulator.state.background import running
from emulator.state.batches import Batches
from emulator.state.datasets import Datasets
from emulator.state.ingestion import Ingestion
from emulator.state.inlets import Inlets
from emulator.state.policies import Policies
from emulator.state.profile_store import ProfileStore
from emulator.state.recent import RecentTraffic
from emulator.state.registry import Registry
from emulator.state.segments import Segments
from emulator.state.store import Store


class ManagementApi(Protocol):
    """An API behind the gateway."""

    def routes(self, gateway: Gateway) -> list[Route]: ...


class Emulator:
    """The services and what they share.

    Args:
        state: SQLite file that keeps everything over restarts; None keeps it for this process only.
        count_only: Serve the collection in counting mode, see `emulator.api.counting`.

    Raises:
        ValueError: The state file cannot be used.
    """

    def __init__(self, state: Path | None = None, *, count_only: bool = False) -> None:
        self.store = Store(state)
        self.inlets = Inlets(self.store)
        self.faults = FaultState(time.time)
        for _, shown in self.store.definitions("faults"):
            self.faults.restore(shown)
        self.ims = Ims(self.store, self.faults, time.time)
        registry = Registry(self.store)
        datasets = Datasets(self.store, registry)
        mapping_sets = MappingSets(self.store)
        flows = Flows(self.store, self.inlets, datasets, mapping_sets)
        batches = Batches(self.store)
        segments = Segments(self.store)
        profiles = ProfileStore(self.store)
        switches = SwitchState(time.time, dict(self.store.definitions("kinesis")).get("switches", {}))
        kinesis_store = KinesisStore(self.store, time.time, lambda: switches.now.retention_seconds)
        keys = dict(self.store.definitions("kinesis_key"))
        self.kinesis = Kinesis(kinesis_store, switches, keys, time.time)
        self.export = ProfileExport(
            self.store,
            profiles,
            segments,
            flows.destinations,
            KinesisWriter(self.kinesis),
            ExportSwitches(
                dialect=lambda: self.faults.effective().membership_statuses,
                backfill_seconds=lambda: self.faults.effective().backfill_s,
            ),
        )
        self.ingestion = Ingestion(self.inlets, self.store, datasets, batches, self.export.updates)
        service = CountingCollection if count_only else Collection
        recent = RecentTraffic(time.monotonic)
        self.collection = service(
            self.inlets, self.store, self.faults, self.ims, time.time, self.ingestion.notify, recent
        )
        self.local = Local(
            self.inlets, self.store, self.faults, self.ims, self.ingestion, profiles, batches, self.kinesis, count_only
        )
        self.kinesis_local = KinesisLocal(self.kinesis, self.store)
        self.local_export = LocalExport(self.export, self.ingestion)
        self.pages = Pages(
            Services(
                store=self.store,
                inlets=self.inlets,
                registry=registry,
                datasets=datasets,
                flows=flows,
                batches=batches,
                profiles=profiles,
                segments=segments,
                memberships=self.export.memberships,
                exports=self.export.queue,
                kinesis=self.kinesis,
                faults=self.faults,
                recent=recent,
                clock=time.time,
                timer=time.monotonic,
                count_only=count_only,
            )
        )
        self.gateway = Gateway(self.ims)
        policies = Policies(self.store)
        families = (
            StreamingSources(flows, datasets, mapping_sets),
            KinesisDestinations(flows, datasets, segments, policies, self.kinesis),
        )
        self.management: tuple[ManagementApi, ...] = (
            InletApi(flows),
            FlowService(flows, families, self.faults),
            mapping_sets,
            SchemaRegistry(registry, self.faults),
            Catalog(datasets, batches, self.ingestion),
            DataAccess(batches, self.ingestion),
            ProfileAccess(profiles, self.store, self.ingestion, self.export.updates.forget),
            SegmentDefinitions(segments, flows.destinations, self.export.memberships),
            FlowRuns(self.export.queue),
            PolicyService(policies, datasets),
        )

    def app(self) -> Starlette:
        """Return the ASGI application; it closes the store when the server ends."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with running(self.ingestion, self.export.exporter):
                yield
            self.store.close()

        return Starlette(
            routes=[
                *self.collection.routes(),
                *self.ims.routes(),
                *self.local.routes(),
                *self.kinesis_local.routes(),
                *self.local_export.routes(),
                *self.pages.routes(),
                *(route for api in self.management for route in api.routes(self.gateway)),
            ],
            exception_handlers={HTTPException: self._http_error, Exception: _server_error},
            lifespan=lifespan,
        )

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        browses = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        return self.pages.not_found(request) if browses and error.status_code == 404 else _api_error(request, error)

    def kinesis_app(self) -> Starlette:
        """Make the ASGI application of the local Kinesis; it needs the other one, which opens and closes the store."""
        return kinesis_app(self.kinesis)


def _api_error(request: Request, error: HTTPException) -> Response:
    """Return the error for an unknown address; each side of AEP has its own form for it."""
    headers: Mapping[str, str] | None = error.headers
    if request.url.path.startswith("/collection/"):
        return problem(error.status_code, error.detail, headers=headers)
    detail = f"The emulator has no {request.method} {request.url.path}"
    title = "NotFoundError" if error.status_code == 404 else error.detail
    body = {"type": "/placeholder/type/uri", "status": error.status_code, "title": title, "detail": detail}
    return json_response(body, error.status_code, headers)


async def _server_error(_: Request, _error: Exception) -> Response:
    return problem(500, "The emulator failed; see its standard error")
