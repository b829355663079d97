from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.errors import ForbiddenError, NetworkError, PlatformError
from aep.http.transport import Reply, Request
from aep.platform.client import PlatformClient
from aep.platform.schema_registry import SchemaRegistry
from aep.platform.schema_source import PinnedSchemaSource, RegistrySchemaSource
from aep.xdm.identities import Identity, with_descriptors
from aep.xdm.rules import XdmRules
from aep.xdm.schema import SchemaError
from aep.xdm.validate import validator_for
from testing.defaults import by_default
from testing.fakes.http_server import Exchange, HttpServer
from testing.services.process import PATIENCE_SECONDS
from tests.aep.management import FakeClock, Organisation, Waits, answer, scripted

SCHEMA_ID = "https://ns.adobe.com/acme/schemas/1"


class FakeRegistry:
    """A server with one schema, which can be changed, and made to fail."""

    def __init__(self) -> None:
        self.version = "1.0"
        self.schema_id = SCHEMA_ID
        self.properties: dict[str, Any] = {"a": {"type": "string"}}
        self.descriptors: list[dict[str, Any]] = []
        self.failure: Reply | None = None
        self.accepted: list[str] = []

    def __call__(self, exchange: Exchange) -> None:
        accept = exchange.request.headers["accept"]
        self.accepted.append(accept)
        document: dict[str, Any] = {
            "$id": self.schema_id,
            "meta:altId": "_acme.schemas.1",
            "version": self.version,
            "type": "object",
            "properties": self.properties,
        }
        if "full-desc" in accept:
            document["meta:descriptors"] = self.descriptors
        reply = self.failure or answer(document)
        exchange.reply(reply.status, reply.body)

    def look_ups(self) -> int:
        return sum("notext" in accept for accept in self.accepted)


class Bench:
    def __init__(self, server: HttpServer, fake: FakeRegistry, random_unit: Callable[[], float] = lambda: 0.0):
        self.fake = fake
        self.clock = FakeClock()
        registry = SchemaRegistry(scripted(server))
        self.source = RegistrySchemaSource(registry, SCHEMA_ID, clock=self.clock, random_unit=random_unit)


@pytest.fixture
def fake() -> FakeRegistry:
    return FakeRegistry()


class TestRegistry:
    def test_a_schema_and_its_primary_identity(self, fake: FakeRegistry) -> None:
        identity = {"@type": "xdm:descriptorIdentity", "xdm:namespace": "Email"}
        fake.properties["b"] = {"type": "string"}
        fake.descriptors = [
            {**identity, "xdm:sourceProperty": "/b"},
            {**identity, "xdm:sourceProperty": "/a", "xdm:isPrimary": True},
        ]
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            found = bench.source.current()
        assert (found.id, found.version) == (SCHEMA_ID, "1.0")
        assert found.identities == (Identity("/a", "Email", True), Identity("/b", "Email", False))
        assert fake.accepted == [
            "application/vnd.adobe.xed-full-notext+json; version=1",
            "application/vnd.adobe.xed-full-desc+json; version=1",
        ]

    def test_it_is_looked_up_again_when_its_time_has_come(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            first = bench.source.current()
            bench.clock.now += 899
            assert bench.source.current() is first
            assert fake.look_ups() == 1
            bench.clock.now += 1
            assert bench.source.current() is first  # unchanged
            assert fake.look_ups() == 2
            fake.version, fake.properties = "1.1", {"b": {"type": "string"}}
            bench.clock.now += 900
            assert bench.source.current().version == "1.1"
            fake.descriptors = [{"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": "/b", "xdm:isPrimary": True}]
            bench.clock.now += 900
            assert bench.source.current().identities == (Identity("/b", "", True),)

    def test_lives_differ(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake, random_unit=lambda: 1.0)
            bench.source.current()
            bench.clock.now += 719
            bench.source.current()
            assert fake.look_ups() == 1
            bench.clock.now += 1
            bench.source.current()
            assert fake.look_ups() == 2

    @pytest.mark.parametrize(
        "failure", [answer(None, 503), answer(None, 404), answer(None, 403), answer(b"{"), answer({"$id": SCHEMA_ID})]
    )
    def test_a_failed_look_up_keeps_the_old_one(
        self, fake: FakeRegistry, failure: Reply, caplog: pytest.LogCaptureFixture
    ) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            first = bench.source.current()
            fake.failure = failure
            bench.clock.now += 900
            with caplog.at_level(logging.WARNING, "aep.platform.schema_source"):
                assert bench.source.current() is first
            (record,) = [each for each in caplog.records if each.name == "aep.platform.schema_source"]
            assert "stays at version 1.0" in record.getMessage()

            asked = fake.look_ups()
            bench.clock.now += 59
            assert bench.source.current() is first
            assert fake.look_ups() == asked
            fake.failure, fake.version = None, "1.1"
            bench.clock.now += 1
            assert bench.source.current().version == "1.1"

    def test_the_registry_goes_away(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            first = bench.source.current()
        bench.clock.now += 900
        assert bench.source.current() is first

    @pytest.mark.parametrize(
        ("failure", "error", "words"),
        [
            (answer(None, 404), SchemaError, "does not exist in this organisation"),
            (answer(None, 403), ForbiddenError, "403"),
            (answer(b"{"), PlatformError, "not JSON"),
            (answer({"$id": SCHEMA_ID, "type": "object"}), SchemaError, "properties"),
        ],
    )
    def test_a_first_failure(self, fake: FakeRegistry, failure: Reply, error: type[Exception], words: str) -> None:
        fake.failure = failure
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            with pytest.raises(error, match=words):
                bench.source.current()
            fake.failure = None
            assert bench.source.current().version == "1.0"

    def test_another_schema_or_version_is_refused(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            fake.schema_id = SCHEMA_ID + "2"
            with pytest.raises(SchemaError, match="another schema"):
                Bench(server, fake).source.current()
            fake.schema_id, fake.version = SCHEMA_ID, "2.0"
            with pytest.raises(SchemaError, match=r"version 2\.0"):
                Bench(server, fake).source.current()

    def test_the_alternate_id(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            source = RegistrySchemaSource(SchemaRegistry(scripted(server)), "_acme.schemas.1")
            assert source.current().id == SCHEMA_ID


class TestEarlyRefresh:
    def test_not_more_than_once_a_minute(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            bench.source.early_refresh()
            bench.source.current()
            fake.version = "1.1"
            bench.clock.now += 10
            for _ in range(3):
                bench.source.early_refresh()
                assert bench.source.current().version == "1.0"
            bench.clock.now += 50  # the wish of then is not forgotten
            assert bench.source.current().version == "1.1"
            assert fake.look_ups() == 2
            bench.clock.now += 60
            bench.source.current()
            assert fake.look_ups() == 2

    def test_after_a_minute_it_is_due_at_once(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            bench.source.current()
            fake.version = "1.1"
            bench.clock.now += 100
            assert bench.source.current().version == "1.0"
            bench.source.early_refresh()
            assert bench.source.current().version == "1.1"

    def test_not_while_the_registry_is_down(self, fake: FakeRegistry) -> None:
        with HttpServer(fake) as server:
            bench = Bench(server, fake)
            bench.source.current()
            fake.failure = answer(None, 400)
            bench.clock.now += 900
            bench.source.current()
            asked = fake.look_ups()
            bench.source.early_refresh()
            bench.clock.now += 59
            bench.source.current()
            assert fake.look_ups() == asked


class TestThreads:
    def test_all_wait_for_the_first_and_none_for_a_later_one(self, fake: FakeRegistry) -> None:
        slow, arrived = threading.Event(), threading.Event()

        def slowly(exchange: Exchange) -> None:
            arrived.set()
            assert slow.wait(PATIENCE_SECONDS)
            fake(exchange)

        with HttpServer(slowly) as server:
            bench = Bench(server, fake)
            found: list[object] = []
            threads = [
                threading.Thread(target=lambda: found.append(bench.source.current()), daemon=True) for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            assert arrived.wait(PATIENCE_SECONDS)
            assert not found
            slow.set()
            for thread in threads:
                thread.join(PATIENCE_SECONDS)
            assert len(found) == 4
            assert len(set(map(id, found))) == 1
            assert fake.look_ups() == 1

            slow.clear()
            arrived.clear()
            fake.version = "1.1"
            bench.clock.now += 900
            refresher = threading.Thread(target=bench.source.current, daemon=True)
            refresher.start()
            assert arrived.wait(PATIENCE_SECONDS)
            assert bench.source.current().version == "1.0"
            slow.set()
            refresher.join(PATIENCE_SECONDS)
            assert bench.source.current().version == "1.1"
            assert fake.look_ups() == 2


class TestEmulator:
    def test_records_are_validated_with_it(self, organisation: Organisation) -> None:
        schema_id = organisation.create_schema("Purchase", "experienceevent")
        clock = FakeClock()
        source = RegistrySchemaSource(organisation.registry, schema_id, clock=clock)
        found = source.current()
        assert (found.id, found.is_event) == (schema_id, True)
        assert found.identities == (Identity(f"/_{organisation.name}/member", "Loyalty", True),)
        rules = by_default(XdmRules, identity="required")
        validator = validator_for(found, rules)
        assert validator.check(organisation.event("e1", "m1", 0)) is None
        refused = validator.check(organisation.event("e1", "", 0))
        assert refused is not None
        assert refused.code == "primary_identity_missing"
        extended = {**organisation.event("e1", "m1", 0), f"_{organisation.name}": {"member": "m1", "level": "gold"}}
        assert validator.check(extended) is not None

        (group,) = organisation.registry.field_groups.list()
        own = f"/definitions/own/properties/_{organisation.name}/properties/level"
        operation = {"op": "add", "path": own, "value": {"type": "string"}}
        organisation.registry.field_groups.patch(group["$id"], [operation])
        clock.now += 60
        assert source.current() is found
        source.early_refresh()
        assert validator_for(source.current(), rules).check(extended) is None

    def test_a_revoked_token_does_not_matter(self, organisation: Organisation) -> None:
        clock = FakeClock()
        source = RegistrySchemaSource(organisation.registry, organisation.create_schema(), clock=clock)
        first = source.current()
        organisation.emulator.revoke_tokens()
        clock.now += 900
        assert source.current() is first
        assert organisation.tokens.take_renewals() == 2

    def test_a_schema_that_was_just_created_is_waited_for(
        self, organisation: Organisation, caplog: pytest.LogCaptureFixture
    ) -> None:
        waits = Waits()
        registry = SchemaRegistry(organisation.client_by(organisation.transport, waits))
        organisation.emulator.faults(unseen_lookups=3)
        try:
            schema_id = organisation.create_schema()
        finally:
            organisation.emulator.clear_faults()
        assert RegistrySchemaSource(registry, schema_id).current().id == schema_id
        assert waits.seconds == [1.0, 1.0, 1.0]
        (line,) = [record.getMessage() for record in caplog.records]
        assert line.startswith(f"{schema_id} is not in the Schema Registry; in case it has only just been created")
        other = schema_id[:-4] + "0000"
        with pytest.raises(SchemaError, match="XDM-1012-404"):
            RegistrySchemaSource(registry, other).current()
        assert sum(waits.seconds) == 33.0

    def test_an_id_that_no_registry_gives_is_not_waited_for(self, organisation: Organisation) -> None:
        source = RegistrySchemaSource(organisation.registry, "https://ns.adobe.com/acme/schemas/none")
        with pytest.raises(SchemaError, match="XDM-1012-404"):
            source.current()

    def test_no_network(self, organisation: Organisation) -> None:
        class Cut:
            def send(self, request: Request) -> Reply:
                raise NetworkError("cut")

        client = PlatformClient(
            "http://unused.test", organisation.tokens, "key", organisation.id, "dev", Cut(), wait=lambda _: False
        )
        with pytest.raises(NetworkError, match="cut"):
            RegistrySchemaSource(SchemaRegistry(client), SCHEMA_ID).current()


class TestPinned:
    DOCUMENT = orjson.dumps({"$id": SCHEMA_ID, "version": "1.4", "type": "object", "properties": {"a": {}}})
    DIGEST = hashlib.sha256(DOCUMENT).hexdigest()

    @pytest.fixture
    def path(self, tmp_path: Path) -> str:
        (tmp_path / "s.json").write_bytes(self.DOCUMENT)
        return str(tmp_path / "s.json")

    @pytest.mark.parametrize("digest", [DIGEST, DIGEST.upper()])
    def test_the_pinned_document(self, path: str, digest: str) -> None:
        assert PinnedSchemaSource(path, digest, "1.4").load().sha256 == self.DIGEST

    def test_another_document(self, path: str) -> None:
        with pytest.raises(SchemaError, match=f"{self.DIGEST}, but {'0' * 64} was pinned"):
            PinnedSchemaSource(path, "0" * 64, "1.4").load()
        Path(path).write_bytes(self.DOCUMENT + b" ")
        with pytest.raises(SchemaError, match="was pinned"):
            PinnedSchemaSource(path, self.DIGEST, "1.4").load()

    def test_descriptors_are_pinned_with_the_document(self, path: str) -> None:
        descriptor = {"@type": "xdm:descriptorIdentity", "xdm:sourceProperty": "/a", "xdm:isPrimary": True}
        document = with_descriptors(orjson.loads(self.DOCUMENT), [descriptor])
        Path(path).write_bytes(document)
        digest = hashlib.sha256(document).hexdigest()
        assert PinnedSchemaSource(path, digest).load().identities == (Identity("/a", "", True),)
        Path(path).write_bytes(self.DOCUMENT)
        with pytest.raises(SchemaError, match="was pinned"):
            PinnedSchemaSource(path, digest).load()

    def test_another_version(self, path: str) -> None:
        with pytest.raises(SchemaError, match=r"version 1\.4, but 1\.3 was pinned"):
            PinnedSchemaSource(path, self.DIGEST, "1.3").load()

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(SchemaError, match="cannot read"):
            PinnedSchemaSource(str(tmp_path / "none.json"), self.DIGEST, "1.4").load()
