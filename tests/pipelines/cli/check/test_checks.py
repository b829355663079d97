"""Everything a run needs is looked at; whatever is corrupted is found; nothing is posted or committed."""

from __future__ import annotations

import gzip
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import yaml
from confluent_kafka import Consumer, TopicPartition

from aep.platform.client import TRIES
from aep.platform.flow_service import inlet_of, streaming_connection
from aep.platform.inlets import InletApi
from aep.platform.schema_source import described_document
from pipelines.cli.check.checks import check_run
from pipelines.cli.check.report import Findings, exit_code
from pipelines.cli.main import main
from pipelines.destinations.aep.kind import AEP
from pipelines.options.readiness import Check
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, free_port, wait_for
from tests.pipelines.platform_bench import PlatformBench
from tests.pipelines.to_aep import parse
from transforms.kafka.sample import spread
from transforms.worker import process

LOYALTY = Path(__file__).parents[4] / "configs" / "schemas" / "loyalty-event.schema.json"


def check(bench: PlatformBench, more: Mapping[str, object] | None = None, sample: int = 200) -> Findings:
    return check_run(parse(bench.arguments(**(more or {}))), AEP, sample)


def found(findings: Findings, subject: str) -> Check:
    (one,) = [check for check in findings.checks if check.subject.startswith(subject)]
    return one


def test_all_is_well(bench: PlatformBench) -> None:
    bench.write(*[bench.event(at) for at in range(5)])
    findings = check(bench)
    assert {one.subject.partition(" /")[0]: one.state for one in findings.checks} == {
        "default: options": "ok",
        "dead letters": "ok",
        f"connection to inlet {bench.streaming.inlet.id[:12]}": "ok",
        "Platform's APIs": "ok",
        "default: inlet": "ok",
        "default: dataset": "ok",
        "default: schema": "ok",
        "default: dataflow": "ok",
        "file": "ok",
    }
    assert exit_code(findings.checks) == 0
    assert bench.emulator.inlet_stats(bench.streaming.inlet.id)["requests"] == 0
    assert bench.letters() == []


def test_events_that_share_an_id_are_warned_of_and_the_run_is_ready(bench: PlatformBench) -> None:
    bench.write(*[bench.event(at) | {"_id": "same"} for at in range(5)])
    findings = check(bench)
    one = found(findings, "default: _id")
    assert one.state == "warning"
    assert one.detail.startswith("4 of the 5 different events looked at have an _id that another one has")
    assert exit_code(findings.checks) == 0


# --- What is corrupted is found ---


def options_of(**more: object) -> Callable[[PlatformBench], dict[str, object]]:
    return lambda _: more


def connection(
    data_type: str = "xdm", authentication_required: bool = False, **more: object
) -> Callable[[PlatformBench], dict[str, object]]:
    """Another connection for the route."""

    def corrupt(bench: PlatformBench) -> dict[str, object]:
        connections = bench.organisation.flow_service.connections
        body = streaming_connection("Other", data_type, authentication_required=authentication_required)
        inlet = inlet_of(connections.look_up(connections.create(body).id))
        assert inlet is not None
        return {"aep_inlet_url": inlet.url, **more}

    return corrupt


def older_inlet(bench: PlatformBench) -> dict[str, object]:
    """Return an inlet that the API before Flow Service made."""
    inlet = InletApi(bench.organisation.client).create("Older", "s", authentication_required=True)
    return {"aep_inlet_url": inlet.url}


def other_dataset(bench: PlatformBench) -> dict[str, object]:
    return {"aep_dataset_id": bench.organisation.create_streaming("profile").dataset_id}


def other_flow(bench: PlatformBench) -> dict[str, object]:
    return {"aep_flow_id": bench.organisation.create_streaming("profile").flow_id}


def schema_file(bench: PlatformBench) -> Path:
    path = bench.folder / "event.schema.json"
    path.write_bytes(described_document(bench.organisation.registry, bench.streaming.schema_id))
    return path


def old_schema_file(bench: PlatformBench) -> dict[str, object]:
    path = schema_file(bench)
    document = orjson.loads(path.read_bytes())
    path.write_bytes(orjson.dumps({**document, "version": "1.0"}))
    return {"xdm_schema_id": None, "xdm_schema_file": path}


def schema_file_without_descriptors(bench: PlatformBench) -> dict[str, object]:
    path = schema_file(bench)
    document = orjson.loads(path.read_bytes())
    del document["meta:descriptors"]
    path.write_bytes(orjson.dumps(document))
    return {"xdm_schema_id": None, "xdm_schema_file": path}


def other_schema_file(bench: PlatformBench) -> dict[str, object]:
    return {"xdm_schema_file": LOYALTY}


def unwritable(bench: PlatformBench) -> dict[str, object]:
    return {"dead_letter_path": bench.events / "dead-letters"}


def other_organisation(bench: PlatformBench) -> dict[str, object]:
    """Return a route that says it is another organisation's."""
    streaming = bench.streaming
    file = bench.folder / "routes.yaml"
    made = {"name": "default", "topics": ["t"], "inlet_url": streaming.inlet.url, "dataset_id": streaming.dataset_id}
    file.write_text(yaml.safe_dump({"routes": [{**made, "schema_id": streaming.schema_id, "org_id": "X@AdobeOrg"}]}))
    single = ("aep_inlet_url", "aep_dataset_id", "aep_flow_id", "xdm_schema_id")
    return {**dict.fromkeys(single), "routes_file": file}


def no_events(bench: PlatformBench) -> dict[str, object]:
    bench.write({"_id": "e1"}, {"_id": "e2"})
    return {}


def some_events(bench: PlatformBench) -> dict[str, object]:
    bench.write(bench.event(1), bench.event(2, more="x"))
    return {}


def cut_off(bench: PlatformBench) -> dict[str, object]:
    path = bench.folder / "events.jsonl.gz"
    path.write_bytes(gzip.compress(bench.events.read_bytes())[:-1])
    return {"kafka_file_pattern": path}


@pytest.mark.parametrize(
    ("corrupt", "subject", "state", "words"),
    [
        (options_of(xdm_schema_id="https://ns.adobe.com/x"), "default: options", "wrong", "does not exist"),
        (options_of(xdm_schema_file="no-such-file"), "default: options", "wrong", "no-such-file"),
        (options_of(map_file="no-such-file"), "default: options", "wrong", "no-such-file"),
        (options_of(map_transform="acme_not_there:f"), "default: transform", "wrong", "cannot be imported"),
        (options_of(map_transform="tests.own_steps:as_it_is"), "default: transform", "ok", "can be imported"),
        (
            options_of(map_transform="tests.own_steps:a_list"),
            "file ",
            "wrong",
            "of 2 records 0 would go to AEP",
        ),
        (options_of(map_transform="tests.own_steps:nothing_left"), "file ", "ok", "2 dropped by their route"),
        (other_schema_file, "default: schema_id", "wrong", "schema_id is https://ns.adobe.com/org"),
        (options_of(xdm_schema_id=None, xdm_schema_file=LOYALTY), "default: schema", "wrong", "has no schema"),
        (
            schema_file_without_descriptors,
            "default: schema",
            "warning",
            "differ from the registry's (/_org",
        ),
        (old_schema_file, "default: schema", "warning", "is version 1.0, and the registry's is 1.1"),
        (unwritable, "dead letters", "wrong", "cannot be written"),
        (options_of(aep_inlet_url=f"http://127.0.0.1:{free_port()}/collection/x"), "connection", "wrong", "refused"),
        (options_of(aep_inlet_url="http://127.0.0.1:1/collection/x"), "default: inlet", "wrong", "has the inlet x"),
        (connection(authentication_required=True), "default: inlet", "wrong", "requires authentication"),
        (connection(aep_auth="oauth", aep_flow_id=None), "default: inlet", "warning", "the token is not needed"),
        (older_inlet, "default: inlet", "wrong", "requires authentication"),
        (connection("raw"), "default: inlet", "wrong", "takes data of type raw"),
        (connection(xdm_payload="raw"), "default: inlet", "wrong", "takes data of type xdm"),
        (other_organisation, "default: inlet", "wrong", "org_id is X@AdobeOrg"),
        (other_dataset, "default: dataset", "wrong", "and the route's is"),
        (options_of(aep_dataset_id="f" * 24), "default: dataset", "wrong", "has no dataset ffff"),
        (options_of(aep_flow_id="no-such-flow"), "default: dataflow", "wrong", "has no dataflow no-such-flow"),
        (connection(), "default: dataflow", "wrong", "it starts from another connection, "),
        (other_flow, "default: dataflow", "wrong", "; it leads into another dataset, "),
        (options_of(aep_flow_id=None), "default: dataflow", "warning", "flow_id: missing: Adobe requires it where a"),
        (connection("raw", xdm_payload="raw", aep_flow_id=None), "default: dataflow", "wrong", "create a dataflow"),
        (options_of(xdm_payload="raw", aep_flow_id=None), "default: dataflow", "wrong", "raw records need it; "),
        (
            options_of(kafka_file_pattern="nothing-*.jsonl"),
            "files",
            "wrong",
            "no file matches nothing-*.jsonl; check kafka_file_pattern",
        ),
        (options_of(kafka_file_pattern="."), "file .", "wrong", ". cannot be read: Is a directory"),
        (
            options_of(kafka_file_pattern="nowhere://a/b"),
            "files",
            "wrong",
            "nowhere://a/b cannot be looked for: Unable",
        ),
        (no_events, "file ", "wrong", "of 2 records 0 would go to AEP, 2 dead-lettered"),
        (cut_off, "file ", "wrong", "is cut off"),
        (some_events, "file ", "warning", "of 2 records 1 would go to AEP, 1 dead-lettered"),
    ],
)
def test_what_is_corrupted_is_found(
    bench: PlatformBench,
    corrupt: Callable[[PlatformBench], dict[str, object]],
    subject: str,
    state: str,
    words: str,
) -> None:
    bench.write(bench.event(1), bench.event(2))
    findings = check(bench, corrupt(bench))
    one = found(findings, subject)
    assert (one.state, words in one.detail) == (state, True), one.detail
    assert exit_code(findings.checks) == (1 if state == "wrong" else 0)
    assert [check.subject for check in findings.checks if check.failed] == []
    # What is wrong with one thing does not hide the others.
    assert {"dead letters", "Platform's APIs"} <= {check.subject for check in findings.checks}


def test_the_dataflow_that_a_route_should_name_is_told(bench: PlatformBench) -> None:
    bench.write(bench.event(1))
    one = found(check(bench, {"aep_flow_id": None}), "default: dataflow")
    assert one.detail.endswith(f"; {bench.streaming.flow_id} leads from its connection")


@pytest.mark.parametrize(
    "corrupt",
    [
        connection(aep_flow_id=None),  # it has no dataflow
        older_inlet,
        options_of(aep_flow_id=None, xdm_payload="message"),
        connection("raw", xdm_payload="raw", aep_flow_id=None, aep_headers="X-Adobe-Flow-Id=f"),
    ],
)
def test_no_flow_id_is_missed_where_none_is_needed(
    bench: PlatformBench, corrupt: Callable[[PlatformBench], dict[str, object]]
) -> None:
    bench.write(bench.event(1))
    findings = check(bench, {**corrupt(bench), "aep_flow_id": None})
    assert "default: dataflow" not in [one.subject for one in findings.checks]


def test_a_platform_that_is_away_is_not_waited_for_again(
    bench: PlatformBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.write(bench.event(1))
    file = schema_file(bench)
    away = {"aep_platform_url": f"http://127.0.0.1:{free_port()}", "xdm_schema_id": None, "xdm_schema_file": file}
    findings = check(bench, away)
    failed = [one.subject for one in findings.checks if one.failed]
    assert failed == ["default: inlet", "default: dataset", "default: schema", "default: dataflow"]
    assert {found(findings, subject).detail for subject in failed} == {found(findings, failed[0]).detail}
    assert len([record for record in caplog.records if record.name == "aep.platform.client"]) == TRIES - 1


FILE = {"xdm_schema_id": None, "xdm_schema_file": LOYALTY}


@pytest.mark.parametrize(
    ("more", "subject", "state", "words"),
    [
        ({"aep_client_secret": None}, "Platform's APIs", "not checked", "aep_client_secret: missing"),
        ({"aep_client_secret": "env:NO_SUCH_VARIABLE"}, "Platform's APIs", "wrong", "NO_SUCH_VARIABLE"),
        ({"aep_client_secret": "env:WRONG_SECRET"}, "Platform's APIs", "wrong", "invalid_client"),
        ({"aep_client_secret": "env:WRONG_SECRET", "aep_auth": "oauth"}, "token", "wrong", "invalid_client"),
        ({"aep_ca_file": "no-such-file"}, "connections", "wrong", "no-such-file"),
    ],
)
def test_credentials(
    bench: PlatformBench,
    more: dict[str, object],
    subject: str,
    state: str,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WRONG_SECRET", "hush-hush")
    bench.write(bench.event(1))
    findings = check(bench, {**FILE, **more})
    one = found(findings, subject)
    assert (one.state, words in one.detail) == (state, True), one.detail
    assert all("hush" not in check.detail for check in findings.checks)
    assert not [check for check in findings.checks if check.subject == "default: inlet"]


def test_what_cannot_be_told_is_not_called_ready(bench: PlatformBench) -> None:
    bench.write(bench.event(1))
    file = schema_file(bench)
    more = {"xdm_schema_id": None, "xdm_schema_file": file, "aep_ims_url": f"http://127.0.0.1:{free_port()}"}
    findings = check(bench, more)
    assert found(findings, "Platform's APIs").state == "not checked"
    assert exit_code(findings.checks) == 2


def test_the_command_shows_tables_and_its_exit_code_tells(
    bench: PlatformBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    bench.write(bench.event(1), bench.event(2, secret_of_a_person="hush"))
    assert main(["check", "--sample", "1", *bench.arguments()]) == 0
    assert "of 1 record 1 would go to AEP" in capsys.readouterr().out
    assert main(["check", *bench.arguments()]) == 0
    shown = capsys.readouterr()
    assert "1 of 2 records of the samples would be dead-lettered" in shown.out
    (row,) = [line for line in shown.out.splitlines() if "additionalProperties" in line]
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["default", "validate", "additionalProperties", "1", "files-0@2", f"/{bench.tenant}"]
    assert "secret_of_a_person" not in shown.out + shown.err
    assert shown.err.startswith("ready: 8 ok, 1 warning")
    assert main(["check", *bench.arguments(aep_dataset_id="f" * 24)]) == 1
    assert main(["check", *bench.arguments(aep_datasetid="x")]) == 2
    assert "unknown option" in capsys.readouterr().err


# --- Topics ---


def kafka(broker: KafkaBroker, topic: str, group: str) -> dict[str, object]:
    return {
        "kafka_source": None,
        "kafka_file_pattern": None,
        "kafka_bootstrap_servers": broker.bootstrap_servers,
        "kafka_topics": topic,
        "kafka_group_id": group,
    }


@contextmanager
def member_of(broker: KafkaBroker, group: str, topic: str) -> Iterator[Callable[[], list[TopicPartition]]]:
    """A member of the group that has all its partitions; tells which were taken from it, as when another joins."""
    dealt: list[TopicPartition] = []
    taken: list[TopicPartition] = []
    consumer = Consumer(
        {"bootstrap.servers": broker.bootstrap_servers, "group.id": group, "enable.auto.commit": False, "log_level": 2}
    )
    consumer.subscribe(
        [topic],
        on_assign=lambda _, partitions: dealt.extend(partitions),
        on_revoke=lambda _, partitions: taken.extend(partitions),
    )

    def disturbed() -> list[TopicPartition]:
        deadline = time.monotonic() + 1.5  # several heartbeats, by which members learn of another
        while not taken and time.monotonic() < deadline:
            consumer.poll(0.1)
        return taken

    def has_all() -> bool:
        consumer.poll(0.1)
        return bool(dealt)

    try:
        wait_for(has_all, PATIENCE_SECONDS, "the member to have its partitions")
        yield disturbed
    finally:
        consumer.close()


@pytest.mark.kafka
def test_the_newest_records_of_each_topic_are_judged_and_no_group_is_joined(
    bench: PlatformBench, broker: KafkaBroker
) -> None:
    topic, empty, group = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("events", "empty", "group"))
    broker.create_topic(topic, 2)
    broker.create_topic(empty, 1)
    old = orjson.dumps({"_id": "old"})
    good = [orjson.dumps(bench.event(at)) for at in range(60)]
    bad = orjson.dumps(bench.event(1, extra="x"))
    for partition in (0, 1):
        broker.produce(topic, [(None, old, None, partition)] * 30)
    broker.produce(topic, [(None, value, None, 0) for value in good[:28]])
    broker.produce(topic, [(None, b"{nonsense", None, 0), (None, bad, None, 0)])
    broker.produce(topic, [(None, value, None, 1) for value in good[30:59]])
    broker.produce(topic, [(None, None, None, 1)])

    options = kafka(broker, f"{topic},{empty}", group)
    with member_of(broker, group, topic) as disturbed:
        findings = check(bench, options, sample=60)
        assert disturbed() == []
    assert found(findings, "Kafka").state == "ok"
    assert found(findings, f"topic {empty}") == Check(
        f"topic {empty} (1 partition)", "not checked", "it has no records"
    )
    one = found(findings, f"topic {topic}")
    assert one.state == "warning"
    assert one.detail == "of 60 records 57 would go to AEP, 2 dead-lettered, 1 skipped as tombstones"
    assert [(letter.code, letter.topic, letter.partition, letter.record.offset) for letter in findings.letters] == [
        ("json", topic, 0, 58),
        ("additionalProperties", topic, 0, 59),
    ]
    assert found(check(bench, options), f"topic {topic}").detail.startswith("of 120 records 57 would")

    assert broker.committed(group, topic) == {}
    assert bench.emulator.inlet_stats(bench.streaming.inlet.id)["requests"] == 0


def test_an_array_of_events_is_sampled_as_a_run_reads_it_and_other_forms_are_recognised(bench: PlatformBench) -> None:
    message = {"header": {}, "body": {"xdmEntity": bench.event(2)}}
    odd = {**bench.event(3), "xdm:name": "x", "nested": {"@id": "x"}}
    bench.events.write_bytes(orjson.dumps([bench.event(1), message, odd, message], option=orjson.OPT_INDENT_2))
    findings = check(bench, {})
    one = found(findings, "file ")
    assert (one.state, one.detail) == ("warning", "of 4 records 1 would go to AEP, 3 dead-lettered")
    assert [hint.removeprefix(f"file {bench.events}: ") for hint in findings.hints] == [
        "an array, not a line for each record: its items are counted, not lines",
        "offset 2 and 1 more: this is a whole message (header and body.xdmEntity): give its route `payload: message` "
        "(xdm_payload)",
        "offset 3: xdm:name is the spelling of Adobe's published examples: Platform takes name",
        "offset 3: @id is the spelling of Adobe's published examples: Platform takes _id",
    ]
    summary = bench.run("run")
    assert (summary["accepted"], sum(summary["dead_lettered"].values())) == (1, 3)


def test_entities_for_a_route_of_messages_are_recognised(bench: PlatformBench) -> None:
    bench.write(bench.event(1))
    findings = check(bench, {"xdm_payload": "message"})
    assert any("this is not a whole message (header and body.xdmEntity): give its" in hint for hint in findings.hints)


@pytest.mark.kafka
def test_topics_that_are_not_there(bench: PlatformBench, broker: KafkaBroker) -> None:
    findings = check(bench, kafka(broker, "no-such-topic", "g"))
    assert found(findings, "topic no-such-topic").state == "wrong"
    assert found(check(bench, kafka(broker, "^no-such.*", "g")), "topics").state == "wrong"
    topic = {"dead_letter_path": None, "dead_letter_topic": "no-such-letters"}
    findings = check(bench, {**kafka(broker, "t", "g"), **topic})
    assert "no topic no-such-letters" in found(findings, "dead letters").detail


@pytest.mark.kafka
def test_a_registry_of_avro_schemas_that_does_not_answer_is_not_waited_for(
    bench: PlatformBench, broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.cli.check.samples._PATIENCE_SECONDS", 1.0)
    topic = f"avro-{uuid.uuid4().hex[:8]}"
    broker.create_topic(topic, 1)
    broker.produce(topic, [(None, b"\0\0\0\0\1\2", None, 0)])
    registry = {"kafka_format": "avro", "kafka_schema_registry_url": f"http://127.0.0.1:{free_port()}"}
    findings = check(bench, {**kafka(broker, topic, "g"), **registry})
    one = found(findings, f"topic {topic}")
    assert (one.state, one.failed, exit_code(findings.checks)) == ("not checked", True, 2)
    assert not process.stop_requested.is_set()


def test_brokers_that_do_not_answer(bench: PlatformBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transforms.kafka.client.REQUEST_SECONDS", 1.0)
    options = {"kafka_source": None, "kafka_file_pattern": None, "kafka_topics": "t"}
    findings = check(bench, {**options, "kafka_bootstrap_servers": f"127.0.0.1:{free_port()}"})
    assert found(findings, "Kafka").state == "wrong"
    assert "no Kafka broker answers" in found(findings, "Kafka").detail


# --- Decisions ---


@pytest.mark.parametrize(
    ("there", "number", "expected"),
    [
        ([100, 100, 100, 100], 200, [50, 50, 50, 50]),
        ([0, 10, 500, 500], 200, [0, 10, 95, 95]),
        ([5, 5], 200, [5, 5]),
        ([100, 100, 100], 1, [1, 0, 0]),
        ([100], 200, [100]),
        ([], 200, []),
    ],
)
def test_a_sample_is_spread_over_partitions(there: list[int], number: int, expected: list[int]) -> None:
    share = spread({("t", partition): length for partition, length in enumerate(there)}, number)
    assert sorted(share.values()) == sorted(expected)
    assert all(share["t", partition] <= length for partition, length in enumerate(there))


@pytest.mark.parametrize(
    ("checks", "code"),
    [
        ([], 0),
        ([Check("a", "ok", ""), Check("b", "warning", ""), Check("c", "not checked", "")], 0),
        ([Check("a", "ok", ""), Check("c", "not checked", "", failed=True)], 2),
        ([Check("a", "wrong", ""), Check("c", "not checked", "", failed=True)], 1),
    ],
)
def test_the_exit_code(checks: list[Check], code: int) -> None:
    assert exit_code(checks) == code
