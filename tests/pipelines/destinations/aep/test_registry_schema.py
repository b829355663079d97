"""Schemas for routes from the registry, and files that are pinned: from options to what is dead-lettered."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import orjson
import pytest

from aep.ingestion.envelope import Envelope
from aep.platform.schema_source import described_document
from aep.xdm.schema import SchemaError
from pipelines.cli.main import main
from pipelines.options.yaml_files import OptionsError
from testing.services.process import free_port
from tests.pipelines.platform_bench import PlatformBench
from tests.pipelines.to_aep import make_plan, parse
from transforms.aep.inlet import as_inlet

SCHEMA_FILE = Path(__file__).parents[4] / "configs" / "schemas" / "loyalty-event.schema.json"


def test_a_route_with_an_id_and_no_file_takes_its_schema_from_the_registry(bench: PlatformBench) -> None:
    (route,) = make_plan(parse(bench.arguments())).routes
    assert route.schema is not None
    assert (route.schema.id, route.schema.is_event) == (bench.streaming.schema_id, True)
    assert as_inlet(route.destination).content_type == "application/vnd.adobe.xed-full+json;version=1"
    assert route.registered is not None
    assert route.registered.first == route.schema
    assert [each.pointer for each in route.schema.identities if each.primary] == [f"/{bench.tenant}/member"]
    # A worker makes the source of what travels, and of the secrets there.
    on_worker = pickle.loads(pickle.dumps(route))
    assert on_worker.registered.live().current() == route.schema
    assert b"emulator-secret" not in pickle.dumps(route)


def test_a_route_of_a_routes_file_too(bench: PlatformBench) -> None:
    file = bench.folder / "routes.yaml"
    streaming = bench.streaming
    route = {"name": "events", "topics": ["t"], "inlet_url": streaming.inlet.url, "dataset_id": streaming.dataset_id}
    file.write_bytes(orjson.dumps({"routes": [{**route, "schema_id": streaming.schema_id}]}))
    single = ("aep_inlet_url", "aep_dataset_id", "aep_flow_id", "xdm_schema_id")
    more: dict[str, object] = {**dict.fromkeys(single), "routes_file": file}
    (made,) = make_plan(parse(bench.arguments(**more))).routes
    assert (made.name, made.registered is not None) == ("events", True)
    with pytest.raises(OptionsError, match=r"aep_client_id: missing: .*, for the schema of route events"):
        make_plan(parse(bench.arguments(**more, aep_client_id=None)))


def test_a_run_says_which_schema_refused(bench: PlatformBench) -> None:
    bench.extend_schema("extra")
    bench.write(bench.event(1, extra="x"), bench.event(2, more="x"))
    summary = bench.run("run")
    assert (summary["accepted"], summary["dead_lettered"]) == (1, {"additionalProperties": 1})
    (letter,) = bench.letters()
    document = described_document(bench.organisation.registry, bench.streaming.schema_id)
    assert letter.schema == {
        "id": bench.streaming.schema_id,
        "version": orjson.loads(document)["version"],
        "sha256": hashlib.sha256(document).hexdigest(),
    }


def test_the_primary_identity_is_that_of_the_registrys_descriptor(bench: PlatformBench) -> None:
    without = bench.event(1)
    del without[bench.tenant]["member"]
    bench.write(without, bench.event(2))
    assert bench.run("run")["dead_lettered"] == {"primary_identity_missing": 1}


def test_the_messages_of_an_imported_connector_are_asked_for_their_primary_identity(bench: PlatformBench) -> None:
    connector = bench.folder / "connector.properties"
    connector.write_text(
        "name=sink\nconnector.class=com.adobe.platform.streaming.sink.impl.AEPSinkConnector\ntopics=t\n"
        f"aep.endpoint={bench.streaming.inlet.url}\n"
        "value.converter=org.apache.kafka.connect.json.JsonConverter\nvalue.converter.schemas.enable=false\n"
    )
    folder, schema_id = bench.folder / "imported", bench.streaming.schema_id
    command = ["import-connector", str(connector), f"--output={folder}", "--bootstrap-servers=k:9092"]
    assert main([*command, f"--schema-id={schema_id}"]) == 0
    (route,) = make_plan(parse(bench.arguments())).routes
    wrap = Envelope(as_inlet(route.destination)).message
    without = bench.event(1)
    del without[bench.tenant]["member"]
    bench.events.write_bytes(b"\n".join(wrap(orjson.dumps(event)) for event in (without, bench.event(2))))
    given = [
        f"--options_file={folder / 'options.yaml'}",
        "--kafka_start=earliest",
        f"--summary_file={folder / 's.json'}",
    ]
    ours = ["aep_inlet_url", "aep_dataset_id", "aep_flow_id", "xdm_schema_id"]  # the imported options have these
    given += bench.arguments(**dict.fromkeys(ours))
    assert main(["run", *given]) == 0
    summary = orjson.loads((folder / "s.json").read_bytes())
    assert (summary["accepted"], summary["dead_lettered"]) == (1, {"primary_identity_missing": 1})


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"xdm_schema_id": "https://ns.adobe.com/acme/schemas/none"}, "does not exist in this organisation"),
        ({"aep_client_secret": "env:NO_SUCH_VARIABLE"}, "NO_SUCH_VARIABLE"),
        ({"aep_client_secret": None}, "aep_client_secret: missing"),
        ({"aep_platform_url": "ftp://x"}, "aep_platform_url"),
        ({"xdm_schema_sha256": "0" * 64}, "xdm_schema_sha256 (command line): is the digest of a schema_file"),
    ],
)
def test_what_cannot_be_had_refuses_the_run_in_one_line(
    bench: PlatformBench, more: dict[str, object], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.write(bench.event(1))
    assert main(["run", *bench.arguments(**more)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert words in line


def test_a_run_waits_for_a_schema_that_was_just_created(bench: PlatformBench, caplog: pytest.LogCaptureFixture) -> None:
    bench.emulator.faults(unseen_lookups=1)
    try:
        new = bench.organisation.create_schema("Just created", "experienceevent")
    finally:
        bench.emulator.clear_faults()
    (route,) = make_plan(parse(bench.arguments(xdm_schema_id=new))).routes
    assert route.schema is not None
    assert route.schema.id == new
    assert f"{new} is not in the Schema Registry; in case it has only just been created" in caplog.text


def test_a_registry_that_does_not_answer_is_named(bench: PlatformBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aep.platform.client.TRIES", 1)  # its pauses are tested elsewhere
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        SchemaError, match=r"the schema of route default cannot be taken .* refused.* give a schema_file"
    ):
        make_plan(parse(bench.arguments(aep_platform_url=url)))


def test_a_pinned_file_is_that_file(bench: PlatformBench) -> None:
    digest = hashlib.sha256(SCHEMA_FILE.read_bytes()).hexdigest()
    options: dict[str, object] = {"xdm_schema_id": None, "xdm_schema_file": SCHEMA_FILE}
    (route,) = make_plan(parse(bench.arguments(**options, xdm_schema_sha256=digest.upper()))).routes
    assert route.schema is not None
    assert (route.schema.sha256, route.registered) == (digest, None)
    other = digest.translate(str.maketrans("0123456789abcdef", "123456789abcdef0"))
    with pytest.raises(SchemaError, match="was pinned"):
        make_plan(parse(bench.arguments(**options, xdm_schema_sha256=other)))
    with pytest.raises(OptionsError, match="is not a SHA-256"):
        parse(bench.arguments(**options, xdm_schema_sha256="abc"))
