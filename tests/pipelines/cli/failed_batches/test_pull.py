"""What AEP refuses after it has received it comes back as dead letters, once, and a replay delivers it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pytest

from aep.mapping.conditions import compile_conditions
from aep.mapping.json_patch import compile_patch
from aep.mapping.transform import RecordTransform
from aep.platform.catalog import Batch
from aep.platform.data_access import FailedRecord, RecordError, read_failed_record
from aep.xdm.rules import XdmRules
from pipelines.cli.main import main
from testing.defaults import by_default
from testing.fakes.http_server import Exchange
from tests.pipelines.platform_bench import PlatformBench
from tests.pipelines.platform_front import PlatformFront
from tests.transforms.examples import route, routes, small_schema
from transforms.aep.failed_records import code_of, dead_letters_of, pointer_of, posted, takes_back, with_returned
from transforms.parse_avro import ParseAvro
from transforms.records.route import Route, Routes

GOOD, BAD = 5, 3
ALLOW = {"xdm_unknown_fields": "allow"}


def pull(bench: PlatformBench, *arguments: str, **more: object) -> int:
    own = [f"--dataset={bench.streaming.dataset_id}", "--to", str(bench.dead_letters), *arguments]
    return main(["failed-batches", *own, *bench.arguments(dead_letter_path=None, **(ALLOW | more))])


def send_some_that_are_refused(bench: PlatformBench) -> list[dict[str, Any]]:
    events = [bench.event(at, **({"extra": "x"} if at < BAD else {})) for at in range(GOOD + BAD)]
    bench.write(*events)
    summary = bench.run("run", **ALLOW)
    assert (summary["accepted"], summary["dead_lettered"]) == (GOOD + BAD, {})
    assert len(bench.ingested()) == GOOD
    return events


@pytest.mark.parametrize("mended", ["schema", "mapping"])
def test_refused_pulled_mended_and_replayed_every_record_is_ingested_once(
    bench: PlatformBench, mended: str, capsys: pytest.CaptureFixture[str]
) -> None:
    events = send_some_that_are_refused(bench)
    assert pull(bench) == 0
    shown = capsys.readouterr()
    assert f"failed batches: 1, with {BAD} records, now in" in shown.err
    letters = bench.letters()
    assert len(letters) == BAD
    for number, (one, event) in enumerate(zip(letters, events, strict=False)):
        assert orjson.loads(one.record.value or b"") == event
        assert (one.stage, one.code, one.route) == ("ingest", "DCVS-1101-400", "default")
        assert (one.pointer, one.topic, one.partition) == (f"/{bench.tenant}", "files", -1)
        assert one.record.offset % 1000 == number
        assert "extraneous key [extra] is not permitted" in one.message
        assert [error["by"] for error in one.errors] == ["AEP"]  # with these options our check lets it through

    assert pull(bench) == 0
    assert "no new failed batch" in capsys.readouterr().err
    assert len(bench.letters()) == BAD

    more: dict[str, object] = {}
    if mended == "schema":
        bench.extend_schema("extra")
    else:
        repair = bench.folder / "repair.yaml"
        repair.write_text(f"- {{op: remove, path: /{bench.tenant}/extra}}\n")
        more |= {"map_file": repair, "aep_order": "key"}
        for event in events[:BAD]:
            del event[bench.tenant]["extra"]
    replayed = bench.run("replay", "--replay_stages=ingest", **more)
    assert (replayed["read"], replayed["accepted"], replayed["unaccounted"]) == (BAD, BAD, 0)
    assert bench.ingested() == events
    # The file has moved away with its replay, and the batch is known all the same.
    assert bench.letters() == []
    assert pull(bench) == 0
    assert "no new failed batch" in capsys.readouterr().err
    assert bench.letters() == []


@pytest.mark.parametrize("by", ["options", "routes file", "topic of dead letters"])
def test_no_kafka_servers_are_needed(bench: PlatformBench, by: str, capsys: pytest.CaptureFixture[str]) -> None:
    send_some_that_are_refused(bench)
    native: dict[str, object] = {"kafka_source": None, "kafka_file_pattern": None}
    if by == "routes file":
        streaming = bench.streaming
        route = {"name": "events", "topics": ["orders"], "schema_id": streaming.schema_id}
        route |= {"inlet_url": streaming.inlet.url, "dataset_id": streaming.dataset_id}
        file = bench.folder / "routes.yaml"
        file.write_bytes(orjson.dumps({"routes": [route]}))
        single = ("aep_inlet_url", "aep_dataset_id", "aep_flow_id", "xdm_schema_id")
        native |= {**dict.fromkeys(single), "routes_file": file}
    else:
        native["kafka_topics"] = "orders"
    if by == "topic of dead letters":
        native |= {"kafka_source": "file", "kafka_topics": None, "dead_letter_topic": "dead"}
    assert pull(bench, **native) == 0, capsys.readouterr().err
    assert {one.topic for one in bench.letters()} == {"files" if by == "topic of dead letters" else "orders"}
    capsys.readouterr()
    assert pull(bench, **(native | {"aep_org_id": None})) == 2
    assert capsys.readouterr().err == "error: aep_org_id: missing: give the organisation, as ID@AdobeOrg\n"


def test_a_file_that_is_too_large_does_not_keep_the_other_batches(
    bench: PlatformBench, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in (1, 2):
        bench.write(bench.event(at, extra="x"))
        bench.run("run", **ALLOW)
        assert len(list(bench.organisation.catalog.batches("failed"))) == at  # a batch that was listed is closed
    capsys.readouterr()
    large: list[str] = []

    def claim(exchange: Exchange) -> bool:
        path = exchange.request.path
        if not path.endswith("/failed?limit=100") or (large and large[0] not in path):
            return False
        large.append(path.split("/")[-2])
        exchange.reply(200, b'{"data":[{"name":"a.json","length":"98765432"}]}', Content_Type="application/json")
        return True

    with PlatformFront(bench.emulator.url, claim) as front:
        assert pull(bench, aep_platform_url=front.url) == 2
    said = capsys.readouterr().err
    assert f"file a.json of batch {large[0]} has 98,765,432 bytes" in said
    assert "failed batches: 1, with 1 record, now in" in said
    assert [orjson.loads(one.record.value or b"")["_id"] for one in bench.letters()] == ["e2"]
    assert pull(bench) == 0
    assert len(bench.letters()) == 2


@pytest.mark.parametrize("reply", ["without files", "500"])
def test_a_batch_that_cannot_be_read_now_is_not_taken_for_pulled_and_does_not_keep_the_others(
    bench: PlatformBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, reply: str
) -> None:
    monkeypatch.setattr("aep.platform.client._MAX_SECONDS", 0.0)
    for at in (1, 2):
        bench.write(bench.event(at, extra="x"))
        bench.run("run", **ALLOW)
        assert len(list(bench.organisation.catalog.batches("failed"))) == at  # a batch that was listed is closed
    capsys.readouterr()
    first: list[str] = []

    def claim(exchange: Exchange) -> bool:
        path = exchange.request.path
        if "/failed?" not in path or (first and first[0] not in path):
            return False
        first.append(path.split("/")[-2])
        if reply == "500":
            exchange.reply(500, b'{"title": "Internal Server Error"}', Content_Type="application/json")
        else:
            exchange.reply(200, b'{"data":[],"_page":{"limit":100,"count":0}}', Content_Type="application/json")
        return True

    with PlatformFront(bench.emulator.url, claim) as front:
        assert pull(bench, aep_platform_url=front.url) == (2 if reply == "500" else 0)
    said = capsys.readouterr().err
    assert "failed batches: 1, with 1 record, now in" in said
    assert "warning: not pulled: " in said
    assert first[0] in said
    assert [orjson.loads(one.record.value or b"")["_id"] for one in bench.letters()] == ["e2"]
    assert pull(bench) == 0
    assert "failed batches: 1, with 1 record, now in" in capsys.readouterr().err
    assert len(bench.letters()) == 2


def test_a_route_without_a_data_set_is_told(bench: PlatformBench, capsys: pytest.CaptureFixture[str]) -> None:
    file = bench.folder / "routes.yaml"
    shared = {"inlet_url": bench.streaming.inlet.url, "flow_id": "f", "payload": "raw"}
    known = {**shared, "name": "known", "topics": ["t"], "dataset_id": bench.streaming.dataset_id}
    file.write_bytes(orjson.dumps({"routes": [{**shared, "name": "raw", "topics": ["u"]}, known]}))
    single = ("aep_inlet_url", "aep_dataset_id", "aep_flow_id", "xdm_schema_id")
    options = bench.arguments(**dict.fromkeys(single), dead_letter_path=None, routes_file=file)
    assert main(["failed-batches", "--to", str(bench.dead_letters), *options]) == 0
    said = capsys.readouterr().err
    assert "warning: route raw names no dataset" in said
    assert "route known" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since="], "error: --since: must be an ISO 8601 time"),
        (["--until=2026-01-02"], "error: --until: must be an ISO 8601 time"),
        (["--to", "nowhere://x/y"], "nowhere://x/y cannot be written to: "),
    ],
)
def test_what_cannot_be_meant(
    bench: PlatformBench, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert pull(bench, *arguments) == 2
    assert words in capsys.readouterr().err


def test_what_a_mapping_made_is_not_mapped_once_more(bench: PlatformBench) -> None:
    mapping = bench.folder / "map.yaml"
    fields = {"/_id": "/id", "/timestamp": "/at", f"/{bench.tenant}/member": "/who", f"/{bench.tenant}/extra": "/more"}
    mapping.write_bytes(orjson.dumps({target: {"from": source} for target, source in fields.items()}))
    bench.write({"id": "e1", "at": "2026-01-02T03:04:05Z", "who": "m1", "more": "x"})
    assert bench.run("run", map_file=mapping, **ALLOW)["accepted"] == 1
    assert bench.ingested() == []
    assert pull(bench, map_file=mapping) == 0
    (letter,) = bench.letters()
    assert (letter.topic, letter.route) == ("failed-batches.default", "default")
    bench.extend_schema("extra")
    assert bench.run("replay", map_file=mapping)["accepted"] == 1
    (record,) = bench.ingested()
    assert record[bench.tenant] == {"member": "m1", "extra": "x"}


def test_the_report_says_whether_our_check_agrees(
    bench: PlatformBench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    send_some_that_are_refused(bench)
    assert pull(bench, xdm_unknown_fields="reject") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "DCVS-1101-400" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:5] == ["DCVS-1101-400", f"/{bench.tenant}", str(BAD), str(BAD), f"additionalProperties {BAD}"]
    for one in bench.letters():
        assert [error["by"] for error in one.errors] == ["AEP", "beam-aep"]
        assert one.errors[1]["code"] == "additionalProperties"
        assert one.error_count == 2
    assert main(["dead-letters", "show", "--from", str(bench.dead_letters)]) == 0
    assert "beam-aep: additionalProperties" in capsys.readouterr().out


def test_batches_are_chosen_by_their_time(bench: PlatformBench, capsys: pytest.CaptureFixture[str]) -> None:
    send_some_that_are_refused(bench)
    (batch,) = bench.organisation.catalog.batches("failed", bench.streaming.dataset_id)
    at, after = (
        datetime.fromtimestamp((batch.created_ms + more) / 1000, timezone.utc).isoformat(timespec="milliseconds")
        for more in (0, 1)
    )
    assert pull(bench, f"--since={after}") == 0
    assert pull(bench, f"--until={at}") == 0
    assert bench.letters() == []
    assert pull(bench, f"--since={at}", f"--until={after}") == 0
    assert len(bench.letters()) == BAD
    capsys.readouterr()
    assert pull(bench) == 0
    assert "no new failed batch" in capsys.readouterr().err


def test_a_pull_that_was_cut_short_is_made_again_into_the_same_file(bench: PlatformBench) -> None:
    send_some_that_are_refused(bench)
    assert pull(bench) == 0
    before = bench.letters()
    (mark,) = (bench.dead_letters / "pulled").iterdir()
    mark.unlink()
    assert pull(bench) == 0
    assert bench.letters() == before


@pytest.mark.parametrize(
    ("arguments", "more", "words"),
    [
        (["--since=yesterday"], {}, "ISO 8601"),
        ([], {"aep_dataset_id": "f" * 24}, "no route leads to the dataset"),
        ([], {"aep_client_secret": None}, "aep_client_secret: missing"),
        ([], {"aep_client_secret": "env:NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"),
        ([], {"aep_plattform_url": "x"}, "aep_plattform_url: unknown option"),
    ],
)
def test_what_cannot_be_pulled_is_refused(
    bench: PlatformBench,
    arguments: list[str],
    more: dict[str, object],
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert pull(bench, *arguments, **more) == 2
    assert words in capsys.readouterr().err
    assert not bench.dead_letters.exists()


# --- Decisions ---

SCHEMA = small_schema(name={"type": "string"})
BATCH = Batch("01JD", "failed", "d" * 24, 1_760_000_000_123, 1_760_000_000_999, {}, [], {})


def failed(**document: object) -> FailedRecord:
    return read_failed_record(orjson.dumps(document))


def test_places_are_made_up_and_no_two_are_the_same() -> None:
    lines = [failed(body={"xdmEntity": {"name": number}}) for number in range(3)]
    only = route(schema=SCHEMA)
    letters = [one for one, _ in dead_letters_of(BATCH, iter(lines), only, Routes([only]), by_default(XdmRules))]
    assert [(one.topic, one.partition) for one in letters] == [("events", -1)] * 3
    assert [one.record.offset for one in letters] == [1_760_000_000_123_000_000 + number for number in range(3)]
    assert {one.at for one in letters} == {1_760_000_000.123}
    assert letters[0].record.headers[0] == ("aep_batch", b"01JD")


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [(1_759_999_999_000, 1_759_999_999_000), ("1759999999000", 1_759_999_999_000), ("", BATCH.created_ms)],
)
def test_a_record_has_the_time_at_which_aep_received_it(created_at: object, expected: int) -> None:
    only = route(schema=SCHEMA)
    lines = iter([failed(header={"createdAt": created_at}, body={"xdmEntity": {"name": 1}})])
    ((letter, _),) = dead_letters_of(BATCH, lines, only, Routes([only]), by_default(XdmRules))
    assert letter.record.timestamp == expected


def test_a_line_that_is_no_json_is_kept_as_it_is() -> None:
    only = route(schema=SCHEMA)
    ((letter, ours),) = dead_letters_of(
        BATCH, iter([read_failed_record(b"PAR1\xff")]), only, Routes([only]), by_default(XdmRules)
    )
    assert (letter.record.value, letter.code, letter.message) == (b"PAR1\xff", "failed", "AEP gives no reason")
    assert ours is not None
    assert Counter(error["by"] for error in letter.errors) == {"beam-aep": 1}


@pytest.mark.parametrize(
    ("payload", "document", "expected"),
    [
        ("entity", {"header": {}, "body": {"xdmEntity": {"a": 1}}, "_errors": {}}, {"a": 1}),
        ("entity", {"a": 1, "_validationErrors": []}, {"a": 1}),
        ("entity", {"header": {}, "body": {}, "_errors": {}}, {"header": {}, "body": {}}),
        ("message", {"body": {"xdmEntity": {"a": 1}}, "_errors": {}}, {"body": {"xdmEntity": {"a": 1}}}),
        ("raw", {"body": {"xdmEntity": 1}, "_errors": {}}, {"body": {"xdmEntity": 1}}),
    ],
)
def test_what_was_posted_is_what_comes_back(payload: str, document: dict[str, Any], expected: dict[str, Any]) -> None:
    assert posted(document, payload) == expected


@pytest.mark.parametrize(
    ("error", "code", "pointer"),
    [
        (RecordError("", "format", "#/timestamp", "no date-time"), "format", "/timestamp"),
        (RecordError("DCVS-1103-400", "", "", "... mismatch error: #/a/b: string [R$] ..."), "DCVS-1103-400", "/a/b"),
        (RecordError("DCVS-1106-400", "", "", "... is missing: #: required key [a] not found."), "DCVS-1106-400", ""),
        (RecordError("", "", "", "Payload header is missing Source Name"), "failed", ""),
    ],
)
def test_code_and_pointer(error: RecordError, code: str, pointer: str) -> None:
    assert (code_of(error), pointer_of(error)) == (code, pointer)


def changed(**fields: Any) -> Route:
    made = route("events", *fields.pop("topics", ("events",)), schema=SCHEMA)
    return Route(**{**{name: getattr(made, name) for name in Route.__dataclass_fields__}, **fields})


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (changed(), "events"),
        (changed(topics=("^all-.*", "b", "c")), "b"),
        (changed(topics=("^all-.*",)), None),
        (changed(mapping=compile_patch([{"op": "remove", "path": "/x"}], "rfc6902")), None),
        (changed(parse=ParseAvro('"string"')), None),
        (changed(drop=compile_conditions({"/x": 1})), None),
        (changed(transform=RecordTransform("tests.own_steps:enrich")), None),
    ],
)
def test_the_topic_by_which_a_replay_finds_the_route(one: Route, expected: str | None) -> None:
    all_routes = Routes([one, route("others", "^.*")])
    assert takes_back(one, all_routes) == expected
    replayed = with_returned(all_routes)
    topic = expected or "failed-batches.events"
    (found,) = replayed.of_topic(topic)
    assert (found.destination, found.schema, found.mapping) == (one.destination, SCHEMA, None)
    assert (found.drop, found.transform) == ((), None)
    assert found.name == ("events" if expected else "events.returned")


def test_a_topic_that_another_route_takes_first_does_not_lead_back() -> None:
    one = route("second", "events")
    assert takes_back(one, Routes([route("first", "^ev.*"), one])) is None


def test_a_route_of_ones_own_for_what_comes_back_is_the_one_that_is_taken() -> None:
    mapped = changed(mapping=compile_patch([{"op": "remove", "path": "/x"}], "rfc6902"))
    own = route("repair", "failed-batches.events")
    (found,) = with_returned(Routes([mapped, own])).of_topic("failed-batches.events")
    assert found is own


def test_ready_made_messages_come_back_whole(tmp_path: Path) -> None:
    only = route(payload="message", schema=SCHEMA, schema_id=SCHEMA.id)
    message = {"header": {"datasetId": "d" * 24}, "body": {"xdmEntity": {"name": 1}}}
    lines = [failed(**message, _errors={"_streamingValidation": [{"code": "DCVS-1104-400", "message": "#/name: x"}]})]
    ((letter, ours),) = dead_letters_of(BATCH, iter(lines), only, routes(only), by_default(XdmRules))
    assert orjson.loads(letter.record.value or b"") == message
    assert ours is not None
    assert ours.code == "schema_ref"  # the envelope is looked at first
