from __future__ import annotations

import io
import json
import logging
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import header_schema_id_serializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import MessageField, SerializationContext

from aep.errors import ConfigurationError, SecretError, StoppedError
from aep.formats.avro import AvroReader
from aep.formats.json import ParsedObject, ParseFailure
from testing.fakes.proxy_server import ProxyServer
from testing.services.process import PATIENCE_SECONDS, wait_for
from testing.services.schema_registry import SchemaRegistryServer, guid_of
from transforms.aep.inlet import AepInlet
from transforms.kafka.confluent_registry import SchemaReaders, SchemaRegistry
from transforms.parse import ParseRecordsFn
from transforms.parse_avro import ParseAvro, ParseConfluentAvro
from transforms.records.chunk import Chunk, Record
from transforms.records.route import Route, Routes
from transforms.worker import metrics, process

BYTES = {"type": "fixed", "name": "F"}
ORDER = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}


@pytest.fixture
def server() -> Iterator[SchemaRegistryServer]:
    process.start_run()
    with SchemaRegistryServer() as running:
        yield running
    process.start_run()


def value(schema_id: int, schema: Any, content: Any) -> bytes:
    """Return a value in Confluent's wire format, by fastavro's writer."""
    data = io.BytesIO()
    fastavro.schemaless_writer(data, fastavro.parse_schema(schema), content)
    return b"\x00" + schema_id.to_bytes(4, "big") + data.getvalue()


def parse(server: SchemaRegistryServer, data: bytes, **config: str) -> ParsedObject | ParseFailure:
    return ParseConfluentAvro(SchemaRegistry(server.url, config))(data)


def test_a_schema_is_fetched_once_for_all_its_records(server: SchemaRegistryServer) -> None:
    number = server.register(ORDER)
    for order in ("a", "b", "c"):
        data = value(number, ORDER, {"id": order})
        assert parse(server, data) == ParsedObject({"id": order}, b'{"id":"%s"}' % order.encode())
    assert server.requests == [f"/schemas/ids/{number}"]


def test_the_schemas_that_a_schema_refers_to_are_fetched_too(server: SchemaRegistryServer) -> None:
    money = {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}
    line = {"type": "record", "name": "shop.Line", "fields": [{"name": "price", "type": "shop.Money"}]}
    cart = {"type": "record", "name": "shop.Cart", "fields": [{"name": "line", "type": "shop.Line"}]}
    server.register(money, "money/value")
    to_money = [{"name": "shop.Money", "subject": "money/value", "version": 1}]
    server.register(line, "line", to_money)
    number = server.register(cart, references=[{"name": "shop.Line", "subject": "line", "version": 1}, *to_money])
    result = parse(server, b"\x00" + number.to_bytes(4, "big") + b"\x06")
    assert isinstance(result, ParsedObject)
    assert result.entity == {"line": {"price": {"cents": 3}}}
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the value is empty"),
        (b'{"a":1}', "looks like JSON"),
        (b"\x00\x00\x00\x00\x63a", "has no schema with the id 99"),
        (b"\x00\x00\x00\x00\x01\x06a", "does not match its Avro schema"),
        (b"\x00\x00\x00\x00\x01\x02aa", "1 byte left over"),
        (b"\x00\x00\x00\x00\x02\x02a", "the schema with the id 2 is JSON, not Avro"),
        (b"\x00\x00\x00\x00\x03\x02a", "the schema with the id 3 cannot be used: not a valid Avro schema"),
        (b"\x00\x00\x00\x00\x04\x02a", "has no schema with the id 4, or not all that it refers to"),
    ],
)
def test_what_is_wrong_with_a_record_is_told(server: SchemaRegistryServer, data: bytes, words: str) -> None:
    server.register(ORDER)
    server.register("{}", schema_type="JSON")
    server.register({"type": "record", "name": "R", "fields": [{"name": "a", "type": "Missing"}]})
    server.register(ORDER, references=[{"name": "Missing", "subject": "missing", "version": 1}])
    result = parse(server, data)
    assert isinstance(result, ParseFailure)
    assert result.code in ("avro", "empty")
    assert words in result.message


def header(number: int) -> tuple[str, bytes]:
    """Return the header that Confluent's serializer writes for a schema."""
    headers: list[tuple[str, bytes]] = []
    context = SerializationContext("t", MessageField.VALUE, headers)
    header_schema_id_serializer(b"", context, SchemaId("AVRO", guid=str(guid_of(number))))
    return headers[0]


def test_the_schemas_guid_in_a_header_is_read(server: SchemaRegistryServer) -> None:
    number = server.register(ORDER)
    parser = ParseConfluentAvro(SchemaRegistry(server.url, {}))
    for _ in range(2):
        assert parser(b"\x02a", (("other", None), header(number))) == ParsedObject({"id": "a"}, b'{"id":"a"}')
    assert server.requests == [f"/schemas/guids/{guid_of(number)}"]


def test_the_header_counts_where_the_value_has_a_prefix_too(server: SchemaRegistryServer) -> None:
    prefixed = {"type": "record", "name": "R", "fields": [{"name": "id", "type": {**BYTES, "size": 7}}]}
    server.register(ORDER)
    number = server.register(prefixed)
    parser = ParseConfluentAvro(SchemaRegistry(server.url, {}))
    result = parser(b"\x00\x00\x00\x00\x01\x02a", (header(number), header(1)))
    assert isinstance(result, ParsedObject)
    assert result.entity == {"id": "AAAAAAECYQ=="}


def test_a_guid_that_the_registry_does_not_know(server: SchemaRegistryServer) -> None:
    result = ParseConfluentAvro(SchemaRegistry(server.url, {}))(b"\x02a", (header(9),))
    assert isinstance(result, ParseFailure)
    assert f"the schema registry has no schema with the GUID {guid_of(9)}" in result.message


def test_a_registry_that_knows_no_guids_is_told_of_and_ends_the_run(server: SchemaRegistryServer) -> None:
    server.answer = (404, b'{"error_code":404,"message":"HTTP 404 Not Found"}')
    with pytest.raises(
        ConfigurationError, match=r"answers 404 to GET /schemas/guids/a0.*, which Confluent Platform has"
    ):
        ParseConfluentAvro(SchemaRegistry(server.url, {}))(b"\x02a", (header(1),))


def test_records_in_a_chunk_bring_their_headers_to_the_parser(server: SchemaRegistryServer) -> None:
    number = server.register(ORDER)
    parse = ParseConfluentAvro(SchemaRegistry(server.url, {}))
    route = Route("r", ("t",), AepInlet("http://127.0.0.1:9", "entity", auth="none"), parse)
    chunk = Chunk("t", 0, [Record(0, 0, None, (header(number),), b"\x02a")])
    (parsed,) = ParseRecordsFn(Routes([route]), "skip").process(chunk)
    assert isinstance(parsed, Chunk)
    assert parsed.entities == [{"id": "a"}]


@pytest.mark.parametrize("key", [9, guid_of(9).bytes])
def test_what_the_registry_does_not_know_is_asked_for_once_a_minute(
    server: SchemaRegistryServer, key: int | bytes
) -> None:
    now = 100.0
    readers = SchemaReaders(SchemaRegistry(server.url, {}), clock=lambda: now)
    for _ in range(3):
        assert isinstance(readers.find(key), ParseFailure)
    now += 59
    assert isinstance(readers.find(key), ParseFailure)
    assert len(server.requests) == 1
    for _ in range(9):
        server.register(ORDER)
    now += 2
    assert isinstance(readers.find(key), AvroReader)
    assert len(server.requests) == 2


def test_a_schema_that_refers_to_one_that_is_missing_is_asked_for_once_a_minute(server: SchemaRegistryServer) -> None:
    number = server.register(ORDER, references=[{"name": "Missing", "subject": "missing", "version": 1}])
    readers = SchemaReaders(SchemaRegistry(server.url, {}))
    for _ in range(3):
        assert isinstance(readers.find(number), ParseFailure)
    assert len(server.requests) == 2


def test_a_registry_that_is_down_is_waited_for(
    server: SchemaRegistryServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.kafka.confluent_registry._LONGEST_PAUSE_SECONDS", 0.02)
    metrics.reset()
    number = server.register(ORDER)
    server.answer = (503, b'{"error_code":50302,"message":"starting"}')
    found: list[ParsedObject | ParseFailure] = []
    waiting = threading.Thread(target=lambda: found.append(parse(server, value(number, ORDER, {"id": "a"}))))
    with caplog.at_level(logging.WARNING):
        waiting.start()
        wait_for(lambda: len(server.requests) >= 4, PATIENCE_SECONDS, "a fourth try")
        assert not found
        server.answer = None
        waiting.join(PATIENCE_SECONDS)
    assert isinstance(found[0], ParsedObject)
    assert metrics.process_counts()["retries/schema_registry"] >= 4
    # One line in a minute, and the reason in it.
    (line,) = [record.getMessage() for record in caplog.records if record.name == "transforms.kafka.confluent_registry"]
    assert f"{server.url} answers 503; reading waits" in line


def test_who_waits_for_a_registry_can_be_stopped(server: SchemaRegistryServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    process.request_stop(grace_seconds=0)
    with pytest.raises(StoppedError, match=r"stopped while records were waiting for their schema .*cannot be reached"):
        ParseConfluentAvro(SchemaRegistry(url, {}))(b"\x00\x00\x00\x00\x01a")
    assert isinstance(process.failure, StoppedError)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((403, b'{"error_code":40301,"message":"no"}'), "answers 403; check kafka_schema_registry_url"),
        ((404, b"<html>not here</html>"), "answers 404"),
        ((404, b'{"error_code":404,"message":"HTTP 404 Not Found"}'), "answers 404"),
        ((200, b"<html>a portal</html>"), "does not answer as a schema registry does"),
        ((200, b"[]"), "does not answer as a schema registry does"),
    ],
)
def test_what_a_person_has_to_mend_ends_the_run(
    server: SchemaRegistryServer, answer: tuple[int, bytes], words: str
) -> None:
    server.answer = answer
    with pytest.raises(ConfigurationError, match=words):
        parse(server, b"\x00\x00\x00\x00\x01a")
    assert server.requests == ["/schemas/ids/1"]


def test_credentials_by_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    process.start_run()
    with SchemaRegistryServer(user="me:hunter2") as server:
        data = value(server.register(ORDER), ORDER, {"id": "a"})
        with pytest.raises(ConfigurationError, match="answers 401"):
            parse(server, data)
        monkeypatch.setenv("REGISTRY_USER", "me:hunter2")
        registry = SchemaRegistry(server.url, {"basic.auth.user.info": "env:REGISTRY_USER"})
        parser = pickle.loads(pickle.dumps(ParseConfluentAvro(registry)))
        assert isinstance(parser(data), ParsedObject)
        assert "hunter2" not in repr(parser)
    process.start_run()


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"basic.auth.user.info": "env:NOT_SET"}, "environment variable NOT_SET is not set"),
        ({"basic.auth.user.info": "env:NO_COLON"}, "must be in the form"),
        ({"ssl.ca.location": "/nowhere/ca.pem"}, "kafka_schema_registry_config: .*No such file"),
        ({"nonsense": "1"}, "Unrecognized properties: nonsense"),
    ],
)
def test_a_configuration_is_checked_without_a_request(
    config: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLON", "hunter2")
    with pytest.raises((ConfigurationError, SecretError), match=words) as caught:
        SchemaRegistry("http://127.0.0.1:9", config).check()
    assert "hunter2" not in str(caught.value)


def test_plain_avro_has_the_schema_that_was_given() -> None:
    parser = pickle.loads(pickle.dumps(ParseAvro(json.dumps(ORDER))))
    assert parser(b"\x02a") == ParsedObject({"id": "a"}, b'{"id":"a"}')
    assert isinstance(parser(b""), ParseFailure)


def test_a_proxy_of_the_environment(server: SchemaRegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    number = server.register(ORDER)
    with ProxyServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        assert isinstance(parse(server, value(number, ORDER, {"id": "a"})), ParsedObject)
    assert len(proxy.asked) == 1
    assert proxy.asked[0].startswith(f"GET {server.url}/schemas/ids/{number}")
