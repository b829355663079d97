"""`--json` of every command that prints a table: one document, in the form that docs/commands.md has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from pipelines import cli
from pipelines.cli.main import app, main
from testing.services.emulator import CLIENT_SECRET, Emulator
from tests.pipelines.cli.dead_letters.test_command import LETTERS
from tests.pipelines.cli.failed_batches.test_pull import ALLOW, send_some_that_are_refused
from tests.pipelines.cli.import_connector.test_importing import BASIC, OAUTH
from tests.pipelines.cli.job.recorded_flink import FAILED, RUNNING, SAVEPOINT, STOPPED, RecordedFlink
from tests.pipelines.cli.provision.test_command import Sandbox
from tests.pipelines.cli.schema.test_command import COMPONENTS, OWN
from tests.pipelines.platform_bench import PlatformBench
from transforms.sinks.files import write_file

ROOT = Path(__file__).parents[3]
SCHEMA_FILE = str(ROOT / "configs" / "schemas" / "loyalty-event.schema.json")
INLET = "https://dcs.adobedc.net/collection/i"
PAGE = (ROOT / "docs" / "commands.md").read_text()


def _forms() -> Iterator[tuple[str, Any]]:
    """Yield the document of each command, which comes after a paragraph that begins with the command."""
    texts = PAGE.split("```")
    for before, block in pairwise(texts):
        if block.startswith("json\n") and (named := re.match("`(.+?) --json`", before.strip().split("\n\n")[-1])):
            yield named[1], orjson.loads(block.removeprefix("json\n"))


FORMS = dict(_forms())
DATA = ("tasks", "refused_here_as", "variables", "entity", "before", "after", "body")
"""Objects whose keys are data."""


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield all commands with their names, such as `schema check`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(commands(typer.main.get_command(app)))
WITH_JSON = {name for name, command in COMMANDS.items() if any("--json" in one.opts for one in command.params)}


def form(value: Any, name: str = "") -> Any:
    """Return the form of a document: its keys, and the kinds of values; of a list that of its first item."""
    if isinstance(value, dict):
        return {} if name in DATA else {key: form(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [form(item) for item in value[:1]]
    return type(value).__name__


def differences(found: Any, documented: Any, place: str = "") -> Iterator[str]:
    """Yield the places where two forms differ; an empty list says nothing of its items."""
    if isinstance(found, dict) and isinstance(documented, dict):
        yield from (f"{place}/{key}" for key in found.keys() ^ documented.keys())
        for key in found.keys() & documented.keys():
            yield from differences(found[key], documented[key], f"{place}/{key}")
    elif isinstance(found, list) and isinstance(documented, list):
        for one, other in zip(found, documented, strict=False):
            yield from differences(one, other, f"{place}[]")
    elif found not in (documented, "NoneType"):
        yield f"{place}: {found}, documented {documented}"


def test_every_command_that_prints_a_table_has_json_and_its_form_is_documented() -> None:
    folder = Path(cli.__path__[0])
    tables = {
        path.relative_to(folder).parts[0].removesuffix(".py").replace("_", "-")
        for path in folder.rglob("*.py")
        if "pipelines.output.table" in path.read_text()
    }
    assert tables <= {name.split()[0] for name in WITH_JSON}
    assert {name.partition(" --")[0] for name in FORMS} == WITH_JSON - {"run"}


@pytest.fixture
def document(capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command, and return its document after comparing it with the page."""

    def run(name: str, *arguments: str, code: int = 0) -> Any:
        capfd.readouterr()
        assert main([*name.split(), "--json", *arguments]) == code, capfd.readouterr().err
        out = capfd.readouterr().out
        assert out.count("\n") == 1
        found = orjson.loads(out)
        assert list(differences(form(found), form(FORMS[name]))) == []
        return found

    return run


def test_of_files(document: Callable[..., Any], tmp_path: Path) -> None:
    write_file(str(tmp_path / "dead"), LETTERS)
    events, components = tmp_path / "events.jsonl", str(COMPONENTS)
    assert main(["generate", "100", "--kind=events", "--broken-share=0.3", f"--output={events}"]) == 0
    (tmp_path / "own.json").write_bytes(orjson.dumps(OWN))
    (tmp_path / "connector.json").write_bytes(orjson.dumps({"name": "aep-sink", "config": {**BASIC, **OAUTH}}))

    shown = document("dead-letters show", "--from", str(tmp_path / "dead"), "--limit=3")
    assert (len(shown["dead_letters"]), shown["more"], "secret" in str(shown)) == (3, True, False)
    shown = document("dead-letters show", "--from", str(tmp_path / "dead"), "--code=kpl_aggregated")
    assert shown == {"dead_letters": [], "more": False}
    counted = document("dead-letters stats", "--from", str(tmp_path / "dead"))
    assert {row["field"]: row["count"] for row in counted["by_field"]} == {"/items/*/price": 2, "": 1}
    assert document("generate --broken-kind list")["broken_kinds"]
    checked = document("schema check", SCHEMA_FILE, f"--events={events}", code=1)
    assert checked["lines"] == checked["valid"] + sum(one["count"] for one in checked["violations"]) == 100
    options = (f"--aep_inlet_url={INLET}", "--aep_dataset_id=d", f"--xdm_schema_file={SCHEMA_FILE}")
    seen = document("preview", f"--file={events}", "--limit=100", *options, code=1)
    assert (len(seen["records"]), sum(one["records"] for one in seen["requests"])) == (100, checked["valid"])
    (tmp_path / "tests.yaml").write_text("tests: [{name: a, input: {}, output_equals: {}}]")
    assert document("test", f"{tmp_path / 'tests.yaml'}", *options, code=1)["failed"] == 1
    again = (f"--replay_source={tmp_path / 'dead'}", f"--dead_letter_path={tmp_path}", "--kafka_bootstrap_servers=b:1")
    looked = document("replay --preview", *again, "--kafka_topics=events", *options, code=1)
    assert (looked["dead_letters"], looked["passed_over"]) == (3, 1)
    assert document("schema show", SCHEMA_FILE)["required"] == ["/_id", "/timestamp"]
    own = ("--tenant=acme", f"--tenant-fields={tmp_path / 'own.json'}", f"--output={tmp_path / 'v.json'}")
    assert document("schema build", f"--components={components}", "--class=experienceevent", *own)["bytes"] > 1_000
    imported = document("import-connector", str(tmp_path / "connector.json"), f"--output={tmp_path / 'run'}")
    assert imported["files"] == ["options.yaml"]


def test_of_a_platform(document: Callable[..., Any], bench: PlatformBench) -> None:
    send_some_that_are_refused(bench)
    options = bench.arguments(dead_letter_path=None, **ALLOW)
    pulled = document("failed-batches", f"--to={bench.dead_letters}", *options)
    assert [one["records"] for one in pulled["reasons"]] == [pulled["records"]]
    checked = document("check", *bench.arguments(xdm_unknown_fields="reject"))
    assert sum(one["records"] for one in checked["dead_letters"]) == 3
    nobody = ("--namespace=Email", "--id=nobody", *options)
    assert document("lookup", *nobody, code=1) == {"profile": None, "events": None}
    assert document("lookup", *nobody, "--events", code=1) == {"profile": None, "events": []}


def test_of_a_run(bench: PlatformBench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.write(bench.event(1), bench.event(2, extra="x"))
    accounts = []
    for command, log_format in (("run", "text"), ("replay", "json")):
        summary = bench.folder / f"{command}.json"
        assert main([command, "--json", *bench.arguments(summary_file=summary, log_format=log_format)]) == 0
        accounts.append(orjson.loads(capfd.readouterr().out))
        assert accounts[-1] == orjson.loads(summary.read_bytes())
    assert [(one["read"], one["accepted"]) for one in accounts] == [(2, 1), (1, 0)]


def test_of_a_cluster(document: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.flink.status._MEASURE_SECONDS", 0.0)
    flink = RecordedFlink()
    with flink.server:
        options = (f"--flink_master={flink.server.url}", "--job_name=loyalty")
        assert document("job status", *options)["job"]["id"] == RUNNING
        flink.jobs = [STOPPED, FAILED]
        assert document("job status", *options, code=1)["job"]["failure"]["cause"].startswith("Flink found too few")
        assert document("job status", *options, f"--job={STOPPED}", code=1)["job"]["savepoint"]["path"] == SAVEPOINT


def test_of_a_provision_file(
    document: Callable[..., Any], emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMULATOR_SECRET", CLIENT_SECRET)
    sandbox = Sandbox(emulator, tmp_path)
    options = (f"--file={sandbox.file}", *sandbox.options())
    planned = document("provision", *options, "--dry-run", code=3)
    assert (planned["to_do"], planned["done"]) == (15, [])
    assert main(["provision", "--json", *options]) == 2  # it cannot ask
    done = document("provision", *options, "--yes")
    assert str(sandbox.routes_file) in done["written"]
    assert {one["action"] for one in document("provision", *options, "--yes")["steps"]} == {"right"}
