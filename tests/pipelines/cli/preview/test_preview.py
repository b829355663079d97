"""`preview` shows what a run would make of records, to the byte, and sends nothing."""

from __future__ import annotations

import base64
import uuid
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from pipelines.cli.main import main
from pipelines.cli.preview.show import difference
from testing.services.kafka import KafkaBroker
from tests.pipelines.platform_bench import PlatformBench

MAP = {"/_id": {"from": "/order"}, "/total": {"from": "/sum", "type": "number"}}


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    """Two routes of orders, by country, and one of Avro; raw, so that no schema is needed."""
    raw: dict[str, Any] = {"payload": "raw", "flow_id": "F", "inlet_url": "https://dcs.adobedc.net/collection/i"}
    orders = {**raw, "topics": ["orders"]}
    file = tmp_path / "routes.yaml"
    (tmp_path / "order.avsc").write_text('{"type":"record","name":"o","fields":[{"name":"order","type":"string"}]}')
    avro = {**raw, "name": "avro", "topics": ["avro"], "format": "avro"}
    written = [
        {**orders, "name": "french", "when": {"/country": ["FR"]}, "map": MAP, "drop": {"/test": [True]}},
        {**orders, "name": "other", "map": {"/id": {"from": "/order"}}},
        {**avro, "avro_schema_file": str(tmp_path / "order.avsc")},
    ]
    file.write_text(yaml.safe_dump({"routes": written}))
    return file


def preview(
    capsys: pytest.CaptureFixture[str], file: Path, records: bytes, *options: object, code: int = 0
) -> dict[str, Any]:
    file.write_bytes(records)
    assert main(["preview", "--json", "--file", str(file), *map(str, options)]) == code
    return dict(orjson.loads(capsys.readouterr().out))


def test_each_record_is_shown_before_and_after_with_the_request_that_carries_it(
    tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = (
        b'{"order":"1","sum":"2.5","country":"FR"}\n{"order":"2","country":"DE"}\n'
        b'{"order":"3","country":"FR","test":true}\n{"order":"4","country":"FR","sum":"x"}\nno json\n'
    )
    shown = preview(capsys, tmp_path / "orders.jsonl", records, f"--routes_file={routes}", "--topic=orders", code=1)
    rows = shown["records"]
    assert [(row["route"], row["outcome"], row["request"]) for row in rows] == [
        ("french", "sent", 0),
        ("other", "sent", 1),
        ("french", "dropped", None),
        ("french", "refused", None),
        (None, "refused", None),
    ]
    assert rows[0]["before"] == {"order": "1", "sum": "2.5", "country": "FR"}
    assert rows[0]["after"] == {"_id": "1", "total": 2.5}
    assert rows[2]["dropped"] == "drop"
    assert (rows[3]["refusal"]["stage"], rows[3]["refusal"]["code"]) == ("map", "map")
    assert (rows[4]["value"], rows[4]["refusal"]["code"], rows[4]["before"]) == ("no json", "json", None)
    assert [(row["offset"], row["topic"]) for row in rows] == [(number, "orders") for number in range(1, 6)]
    (first, second) = shown["requests"]
    assert (first["to"], first["records"]) == ("POST https://dcs.adobedc.net/collection/batch/i", 1)
    assert first["body"]["messages"][0] == rows[0]["after"]
    assert second["body"]["messages"][0] == {"id": "2"}


def test_a_damaged_line_does_not_make_a_file_of_json_one_of_avro(
    tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = preview(
        capsys, tmp_path / "a.jsonl", b'{"order":"1"}\nno json\n', f"--routes_file={routes}", "--topic=avro", code=1
    )
    assert [(row["outcome"], (row["refusal"] or {}).get("code")) for row in shown["records"]] == [
        ("sent", None),
        ("refused", "json"),
    ]


def test_it_can_be_read_in_a_terminal(tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_bytes(b'{"order":"1","sum":"2.5","country":"FR"}\n{"order":"4","country":"FR"}\n')
    assert main(["preview", "--file", str(file), f"--routes_file={routes}", "--route=french"]) == 1
    shown = capsys.readouterr()
    assert shown.out.split("\n\n")[:2] == [
        'orders-0@1  route french  would be sent\n  {\n-   "country": "FR",\n-   "order": "1",\n-   "sum": "2.5"\n'
        '+   "_id": "1",\n+   "total": 2.5\n  }',
        "orders-0@2  route french  refused by map: map\n"
        "  /sum: /total cannot be made from /sum: the field is absent or null (map)\n"
        '  {\n    "country": "FR",\n    "order": "4"\n  }',
    ]
    assert "request 1  POST https://dcs.adobedc.net/collection/batch/i  1 record, " in shown.out
    assert shown.err == "of 2 records 1 would be sent, 1 refused, 0 dropped\n"


def test_a_value_of_another_format_is_read_as_the_route_reads_it(
    tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = (f"--routes_file={routes}", "--topic=avro")
    shown = preview(capsys, tmp_path / "order.bin", b"\x04ab", *options)
    assert shown["records"][0]["after"] == {"order": "ab"}
    shown = preview(capsys, tmp_path / "orders.json", b'[{"order": "a"}, {"order": "b"}]', *options)
    assert [row["after"] for row in shown["records"]] == [{"order": "a"}, {"order": "b"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "there are several topics: give one of orders, avro, or a route"),
        (["--topic=x"], "no route takes the topic x, only orders, avro"),
        (["--route=x"], "no route is called x, only french, other, avro"),
        (["--topic=avro", "--route=other"], "a run sends no record of the topic avro through the route other"),
        (["--topic=orders", "--aep_dataset_id=x"], "aep_dataset_id (command line): contradicts routes_file"),
        (["--topic=orders", "--sample=3"], "give either --file FILE or --sample N"),
    ],
)
def test_what_is_not_clear_is_asked_for(
    options: list[str], words: str, tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_bytes(b"{}\n")
    assert main(["preview", "--file", str(file), f"--routes_file={routes}", *options]) == 2
    assert words in capsys.readouterr().err


def test_files_without_records_or_without_a_file_are_said(
    tmp_path: Path, routes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.jsonl").touch()
    for name, words in (("empty.jsonl", "has no records"), ("none.jsonl", "No such file")):
        options = [f"--routes_file={routes}", "--route=french"]
        assert main(["preview", "--file", str(tmp_path / name), *options]) == 2
        assert words in capsys.readouterr().err


def test_a_run_sends_what_was_previewed(bench: PlatformBench, capsys: pytest.CaptureFixture[str]) -> None:
    """With a schema from the registry, and an `_id` of the place; AEP has the same bytes in its dataset."""
    events = [bench.event(1), {name: value for name, value in bench.event(2).items() if name != "_id"}]
    bench.write(*events)
    options = bench.arguments(xdm_id_from="offset")
    assert main(["preview", "--json", "--file", str(bench.events), *options]) == 0
    shown = orjson.loads(capsys.readouterr().out)
    assert bench.emulator.inlet_stats(bench.streaming.inlet.id)["requests"] == 0
    bench.run("run", xdm_id_from="offset")
    after = [row["after"] for row in shown["records"]]
    assert sorted(after, key=lambda each: str(each["_id"])) == bench.ingested()
    assert shown["requests"][0]["body"]["messages"][0]["header"]["datasetId"] == bench.streaming.dataset_id


def test_a_sample_is_the_newest_of_a_topic(
    broker: KafkaBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = f"preview-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, partitions=1)
    broker.produce(topic, [(b"k", f'{{"n":{number}}}'.encode(), None, None) for number in range(5)])
    options = [
        f"--kafka_bootstrap_servers={broker.bootstrap_servers}",
        f"--kafka_topics={topic}",
        "--aep_inlet_url=https://dcs.adobedc.net/collection/i",
        "--xdm_payload=raw",
        f"--dead_letter_path={tmp_path}",
    ]
    assert main(["preview", "--json", "--sample", "2", *options]) == 0
    rows = orjson.loads(capsys.readouterr().out)["records"]
    assert [(row["offset"], row["key"], row["after"]) for row in rows] == [(3, "k", {"n": 3}), (4, "k", {"n": 4})]
    assert main(["preview", "--sample", "2", *options, "--topic", "other"]) == 2
    assert "no route takes the topic other" in capsys.readouterr().err


def test_records_for_kinesis_are_shown_with_their_partition_keys(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = b'{"identityMap":{"Email":[{"id":"a@b.c"}]}}\n{"identityMap":{}}\n'
    options = ["--pipeline=profiles_to_kinesis", "--kinesis_stream=s", f"--dead_letter_path={tmp_path}"]
    shown = preview(capsys, tmp_path / "profiles.jsonl", records, *options, code=1)
    (request,) = shown["requests"]
    data = base64.b64encode(b'{"identityMap":{"Email":[{"id":"a@b.c"}]}}').decode()
    assert (request["to"], request["records"]) == ("PutRecords to s", 1)
    assert request["body"] == {"StreamName": "s", "Records": [{"Data": data, "PartitionKey": "a@b.c"}]}
    refused = shown["records"][1]
    assert (refused["outcome"], refused["refusal"]["stage"], refused["request"]) == ("refused", "post", None)


def test_lines_that_are_the_same_are_left_out_but_for_a_few() -> None:
    before = [str(number) for number in range(20)]
    after = [*before[:10], "new", *before[10:]]
    assert list(difference(before, after)) == [
        ("?", "..."),
        *[(" ", str(number)) for number in (7, 8, 9)],
        ("+", "new"),
        *[(" ", str(number)) for number in (10, 11, 12)],
        ("?", "..."),
    ]
