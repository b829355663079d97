"""Schemas of the registry on a worker: never waited for but once, and named in dead letters as they were."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from aep.http.transport import Reply
from aep.platform.schema_registry import SchemaRegistry
from aep.platform.schema_source import RegistrySchemaSource
from aep.xdm.identities import with_descriptors
from aep.xdm.rules import XdmRules
from aep.xdm.schema import ResolvedSchema, parse_schema
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS, wait_for
from tests.aep.management import FakeClock, answer, scripted
from tests.transforms.eager import apply_refusing
from tests.transforms.examples import record
from transforms.aep.inlet import AepInlet
from transforms.records.chunk import Chunk
from transforms.records.live_schema import LiveSchema, RegistrySchema
from transforms.records.route import Route, Routes, parse_json
from transforms.validate import ValidateXdm

SCHEMA_ID = "https://ns.adobe.com/acme/schemas/1"
IDENTITY = {"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": "/a", "xdm:isPrimary": True}


class FakeRegistry:
    """A server with one schema. A look-up waits for `open`."""

    def __init__(self) -> None:
        self.version = "1.0"
        self.fields = ["a"]
        self.failure: Reply | None = None
        self.look_ups = 0
        self.open = threading.Event()
        self.open.set()

    def __call__(self, exchange: Exchange) -> None:
        described = "full-desc" in exchange.request.headers["accept"]
        self.look_ups += not described
        self.open.wait(PATIENCE_SECONDS)
        document = self.document()
        if described:
            document["meta:descriptors"] = [IDENTITY]
        reply = self.failure or answer(document)
        exchange.reply(reply.status, reply.body)

    def document(self) -> dict[str, Any]:
        properties = {name: {"type": "string"} for name in self.fields}
        return {"$id": SCHEMA_ID, "version": self.version, "type": "object", "properties": properties}

    def registered(self) -> ResolvedSchema:
        return parse_schema(with_descriptors(self.document(), [IDENTITY]), "test")


class Bench:
    def __init__(self, fake: FakeRegistry, server: HttpServer):
        self.clock = FakeClock()
        self.first = fake.registered()
        registry = SchemaRegistry(scripted(server))
        source = RegistrySchemaSource(registry, SCHEMA_ID, held=self.first, clock=self.clock, random_unit=lambda: 0.0)
        self.live = LiveSchema(source, self.clock)

    def version(self) -> str:
        return self.live.current().version


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def server(fake: FakeRegistry) -> Iterator[HttpServer]:
    with HttpServer(fake) as running:
        yield running


@pytest.fixture
def bench(fake: FakeRegistry, server: HttpServer) -> Bench:
    return Bench(fake, server)


def test_a_job_that_starts_again_long_after_its_plan_has_todays_schema(fake: FakeRegistry, bench: Bench) -> None:
    fake.version = "1.7"
    assert bench.version() == "1.7"
    assert bench.version() == "1.7"
    assert fake.look_ups == 1


def test_a_worker_that_starts_while_the_registry_is_down_has_the_plans(fake: FakeRegistry, bench: Bench) -> None:
    fake.failure = answer(None, 403)
    assert bench.live.current() is bench.first
    fake.failure, fake.version = None, "1.1"
    bench.clock.now += 61
    wait_for(lambda: bench.version() == "1.1", PATIENCE_SECONDS, "the next look-up")


def test_a_look_up_that_hangs_holds_nothing_up(fake: FakeRegistry, bench: Bench) -> None:
    assert bench.version() == "1.0"
    fake.open.clear()
    fake.version = "1.1"
    bench.clock.now += 900
    assert [bench.version() for _ in range(50)] == ["1.0"] * 50
    wait_for(lambda: fake.look_ups == 2, PATIENCE_SECONDS, "a look-up under way")
    fake.open.set()
    wait_for(lambda: bench.version() == "1.1", PATIENCE_SECONDS, "the look-up to end")
    assert fake.look_ups == 2


def test_a_burst_of_unknown_fields_makes_it_early_once(fake: FakeRegistry, bench: Bench) -> None:
    assert bench.version() == "1.0"
    fake.version = "1.1"
    bench.clock.now += 100
    for _ in range(19):
        bench.live.refused(1)
    assert (bench.version(), fake.look_ups) == ("1.0", 1)
    bench.live.refused(1)
    wait_for(lambda: bench.version() == "1.1", PATIENCE_SECONDS, "an early look-up")
    bench.clock.now += 59
    bench.live.refused(500)
    assert (bench.version(), fake.look_ups) == ("1.1", 2)


class Access:
    """Makes clients of the server on whatever process unpickles it."""

    def __init__(self, url: str):
        self.url = url

    def __repr__(self) -> str:
        return f"Access({self.url})"

    def __call__(self) -> SchemaRegistry:
        return SchemaRegistry(scripted(self.url))


def route_of(fake: FakeRegistry, server: HttpServer) -> Route:
    first = fake.registered()
    registered = RegistrySchema(SCHEMA_ID, Access(server.url), first)
    inlet = AepInlet("https://dcs.adobedc.net/collection/abc", "entity", SCHEMA_ID, dataset_id="d" * 24, auth="none")
    return Route("events", ("events",), inlet, parse_json, first, registered=registered)


def chunk_of(*entities: dict[str, Any]) -> Chunk:
    bodies = [orjson.dumps(entity) for entity in entities]
    return Chunk("events", 0, [record(at, body) for at, body in enumerate(bodies)], "events", list(entities), bodies)


def test_records_are_checked_by_the_schema_of_now_which_dead_letters_name(
    fake: FakeRegistry, server: HttpServer
) -> None:
    routes = pickle.loads(pickle.dumps(Routes([route_of(fake, server)])))
    fake.version, fake.fields = "1.1", ["a", "b"]
    (valid,), dead = apply_refusing(
        ValidateXdm(routes, by_default(XdmRules)), [chunk_of({"a": "x", "b": "y"}, {"a": "x", "c": "z"}, {})]
    )
    assert valid.bodies == [b'{"a":"x","b":"y"}']
    assert [(one.code, one.pointer) for one in dead] == [
        ("additionalProperties", ""),
        ("primary_identity_missing", "/a"),
    ]
    assert dead[0].schema["version"] == "1.1"
    assert {one.schema["id"] for one in dead} == {SCHEMA_ID}
    assert dead[0].schema["sha256"] == fake.registered().sha256 != routes["events"].schema.sha256


def test_a_primary_identity_of_the_options_goes_before_the_registrys(fake: FakeRegistry, server: HttpServer) -> None:
    fake.fields = ["a", "b"]
    routes = Routes([route_of(fake, server)])
    rules = by_default(XdmRules, primary_identity=("/b",))
    (valid,), (dead,) = apply_refusing(ValidateXdm(routes, rules), [chunk_of({"b": "x"}, {"a": "x"})])
    assert valid.bodies == [b'{"b":"x"}']
    assert dead.pointer == "/b"
