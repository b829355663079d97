"""The command: what it says, writes and sends, and how it refuses what is wrong."""

from __future__ import annotations

import gzip
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer

from pipelines import cli
from pipelines.cli.generate.records import write_lines
from pipelines.cli.main import app, main
from pipelines.options.merge import known_options
from samples.broken import BROKEN_KINDS
from samples.loyalty import Kind, Sample, generate
from testing.services.emulator import Emulator
from testing.services.kafka import KafkaBroker
from testing.services.process import PATIENCE_SECONDS, free_port

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "pipelines.cli"]


def _main(arguments: list[str]) -> int | str | None:
    try:
        return main(arguments)
    except SystemExit as end:  # of the emulator's own command line
        return end.code


def lines_of(samples: Iterator[Sample]) -> bytes:
    return b"".join(sample.value + b"\n" for sample in samples)


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_names_the_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert all(command in out for command in ("run", "replay", "dead-letters", "generate", "emulate"))
    listed = re.findall(r"^  ([a-z-]+)  ", out.split("Commands:")[1], re.MULTILINE)
    assert listed == sorted(listed)
    assert "..." not in out.split("Commands:")[1]  # what each command does is said in a line of 80 columns


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["run", "--help"],
            ["beam-aep run --options_file", "--kafka_bootstrap_servers", "--aep_inlet_url", "dead_letter_path"],
        ),
        (
            ["run", "--help", "--pipeline=kinesis_to_kafka"],
            ["beam-aep run --pipeline kinesis_to_kafka", "--kinesis_stream"],
        ),
        (["replay", "--help"], ["--replay_source", "--replay_codes", "beam-aep replay --options_file"]),
        (["dead-letters", "--help"], ["show", "stats"]),
        (["dead-letters", "show", "--help"], ["--from", "--values", "--limit"]),
        (["generate", "--help"], ["--broken-share", *BROKEN_KINDS, "--topic-prefix"]),
        (["emulate", "--help"], ["--state", "--inlets", "/__local"]),
    ],
)
def test_each_command_explains_itself(arguments: list[str], words: list[str]) -> None:
    helped = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_SECONDS, check=True
    )
    assert [word for word in words if word not in helped.stdout] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--sampel", "5"], "no such option: --sampel, did you mean --sample?"),
        (["run", "--hlep"], "no such option: --hlep, did you mean --help?"),
        (["replay", "--pipline=x"], "no such option: --pipline, did you mean --pipeline?"),
        (["lookup", "--namespase", "Email"], "no such option: --namespase, did you mean --namespace?"),
        (
            ["run", "--kafka-topic=x", "--kafka_bootstrap_servers=k:1"],
            "kafka-topic: unknown option, did you mean kafka",
        ),
        (["schema", "check", "--evnts=x"], "no such option: --evnts, did you mean --events?"),
        (["dead-letters", "stats", "--jsn"], "no such option: --jsn, did you mean --json?"),
        (["--verson"], "no such option: --verson, did you mean --version?"),
        (["kafka", "--xyzzy"], "no such option: --xyzzy; see beam-aep kafka --help"),
        (["emulate", "--prot=1"], "no such option: --prot, did you mean --port?"),
        (["emulate", "--kinesis_prot", "1"], "no such option: --kinesis-prot, did you mean --kinesis-port?"),
        (["chekc"], "No such command 'chekc'. Did you mean 'check'?"),
    ],
)
def test_what_is_misspelt_gets_the_right_neighbour(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(arguments) == 2
    err = capsys.readouterr().err
    assert says in err
    assert "kafka_topics: missing" not in err
    assert "kafka-topic" in says or len(err.splitlines()) == 1


def test_options_and_commands_are_found_with_either_kind_of_dash(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--broken_share=1", "--event_bytes", "950", "--output", str(tmp_path / "a")]
    assert main(["generate", "5", *arguments]) == 0
    assert main(["dead_letters", "stats", "--from", str(tmp_path)]) == 0
    assert main(["run", "--pipeline=kafka_to_aep", "--kafka-topics=a-b", "--kafka_group_id=g"]) == 2
    assert "kafka_topics: missing" not in capsys.readouterr().err


@pytest.mark.parametrize("group", ["schema", "dead-letters"])
def test_a_group_without_a_command_lists_its_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([group]) == 2
    assert capsys.readouterr().err.startswith(f"Usage: beam-aep {group} ")


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("beam-aep sch", ["schema"]), ("beam-aep dead-letters sh", ["show"]), ("beam-aep lookup --na", ["--namespace"])],
)
def test_the_shell_completes_commands_and_options(typed: str, completed: list[str]) -> None:
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    asked = subprocess.run(
        [*COMMAND],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "_BEAM_AEP_COMPLETE": "complete_bash", **words},
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    assert asked.stdout.split() == completed


def test_a_secret_that_is_not_there_names_its_option_and_where_that_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "options.yaml"
    file.write_text(
        "kafka_source: file\nkafka_file_pattern: none.jsonl\naep_inlet_url: https://127.0.0.1:9/collection/x\n"
        f"xdm_payload: raw\ndead_letter_path: {tmp_path}\naep_auth: oauth\naep_org_id: A@AdobeOrg\naep_client_id: c\n"
        "aep_client_secret: env:NO_SUCH_VARIABLE\n"
    )
    for command in (["run"], ["lookup", "--namespace=Email", "--id=x"]):
        assert main([*command, "-f", str(file)]) == 2
        assert f"error: aep_client_secret ({file}:9): the environment variable NO_SUCH_VARIABLE is not set" in (
            capsys.readouterr().err
        )


def _commands(group: Any, *path: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield from _commands(command, *path, name) if hasattr(command, "commands") else [(*path, name)]


@pytest.mark.parametrize("command", list(_commands(typer.main.get_command(app))), ids=" ".join)
def test_the_help_of_each_command_is_its_own_and_has_an_example(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for wanted in ("-h", "--help"):
        with suppress(SystemExit):  # of the emulator's own command line
            assert main([*command, wanted]) == 0
        shown.append(capsys.readouterr().out)
    called = f"beam-aep {' '.join(command)}"
    assert shown[0] == shown[1]
    assert re.match(f"usage: {called} ", shown[0], re.IGNORECASE)
    assert "python -m" not in shown[0]
    joined = " ".join(shown[0].replace("\\\n", " ").split())
    examples = re.findall(rf"(?<!sage: ){called} [^\[ ].*?(?=$| beam-aep | #| Options: |\. )", joined)
    assert examples
    options = {name.replace("-", "_") for one in examples for name in re.findall(r"--([a-z][\w-]*)", one)}
    for one in examples:
        joined = joined.replace(one, "")
    own = {name.replace("-", "_") for name in re.findall(r"--([a-z][\w-]*)", joined)}
    assert options <= own | set(known_options())
    if command[0] not in ("replay", "dead-letters"):
        assert "--replay_" not in shown[0]


NEW_COMMAND = """
from pipelines.cli.common import app

@app.command("say-hello")
def say_hello() -> int:
    '''Say hello.'''
    print("hello")
    return 3
"""
WITH_A_FOLDER = """
import sys
from pipelines import cli
cli.__path__.append(sys.argv[1])
from pipelines.cli.main import app, main
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("file", ["say_hello.py", "say_hello/command.py"])
def test_a_new_command_is_a_file_and_nothing_else(file: str, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(NEW_COMMAND)
    for package in {(tmp_path / file).parent} - {tmp_path}:
        (package / "__init__.py").touch()
    done = subprocess.run(
        [sys.executable, "-c", WITH_A_FOLDER, str(tmp_path), "say-hello"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "hello\n", "")


def test_each_command_is_in_a_file_or_folder_of_its_name() -> None:
    group: Any = typer.main.get_command(app)
    folder = Path(cli.__path__[0])
    for name in group.commands:
        place = folder / name.replace("-", "_")
        assert place.with_suffix(".py").exists() or (place / "command.py").exists(), name


def test_help_loads_neither_beam_nor_a_client() -> None:
    code = (
        "import sys; from pipelines.cli.main import main; main(['--help']); "
        "print(sorted({'apache_beam', 'confluent_kafka', 'pydantic', 'requests', 'emulator'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


INTERRUPTED_IMPORT = """
import os, runpy, signal, sys
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)
module = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupting())
runpy.run_module("pipelines.cli", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["typer", "pipelines.cli.schema.command", "apache_beam"])
def test_ctrl_c_while_a_command_loads_ends_it_quietly(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_IMPORT, module, "run", "--help"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_broken_kinds_are_listed_without_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--broken-kind", "list"]) == 0
    heading, *listed = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["name", "records", "stage", "code"]
    assert {(words[0], words[-1]) for words in listed} == {(kind.name, kind.code) for kind in BROKEN_KINDS.values()}


def test_records_to_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["generate", "200", "--seed", "3", "--broken-share", "0.1", "--event-bytes", "1900"]) == 0
    samples = list(generate(200, seed=3, broken_share=0.1, event_bytes=1900))
    out, err = capfdbinary.readouterr()
    assert out == lines_of(iter(samples))
    broken = sum(sample.broken is not None for sample in samples)
    assert f"200 records to standard output: {200 - broken} good, {broken} broken (".encode() in err


def test_a_file_and_what_was_broken_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain, packed = tmp_path / "events.jsonl", tmp_path / "events.jsonl.gz"
    arguments = ["generate", "300", "--kind", "events", "--broken-share", "0.5"]
    arguments += ["--broken-kind", "nan", "--broken-kind", "empty"]
    for path in (plain, packed):
        assert main([*arguments, "--output", str(path)]) == 0
    samples = list(generate(300, kind="events", broken_share=0.5, broken_kinds=["nan", "empty"]))
    assert plain.read_bytes() == gzip.decompress(packed.read_bytes()) == lines_of(iter(samples))
    kinds = Counter(sample.broken for sample in samples)
    said = f"{kinds[None]} good, {300 - kinds[None]} broken (empty {kinds['empty']}, nan {kinds['nan']})"
    assert capsys.readouterr().err.count(said) == 2


@pytest.mark.parametrize("name", BROKEN_KINDS)
def test_no_broken_record_holds_a_line_break(name: str, tmp_path: Path) -> None:
    kinds: list[Kind] = [kind for kind in ("events", "profiles") if getattr(BROKEN_KINDS[name], kind)]
    for kind in kinds:
        path = tmp_path / kind
        with path.open("wb") as file:
            write_lines(generate(100, kind=kind, broken_share=1, broken_kinds=[name]), file)
        assert path.read_bytes().count(b"\n") == 100


def test_a_line_break_would_be_refused(tmp_path: Path) -> None:
    (sample,) = generate(1)
    with (tmp_path / "file").open("wb") as file, pytest.raises(ValueError, match="contains a line break"):
        write_lines([sample._replace(value=b"{\n}")], file)


def test_a_reader_that_has_enough() -> None:
    with subprocess.Popen(
        [*COMMAND, "generate", "20000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.kafka
def test_records_to_kafka(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for topic in ("shop-events", "shop-profiles"):
        broker.create_topic(topic, 2)
    monkeypatch.setenv("A_CLIENT", "told-by-reference")
    arguments = ["generate", "500", "--broken-share", "0.1", "--bootstrap-servers", broker.bootstrap_servers]
    arguments += ["--topic-prefix", "shop-", "--kafka-config", "client.id=env:A_CLIENT"]
    assert main(arguments) == 0
    assert f"500 records to Kafka at {broker.bootstrap_servers}: " in capsys.readouterr().err
    sent = {
        (message.topic(), int(dict(message.headers() or [])["sequence"]), message.key(), message.value())
        for topic in ("shop-events", "shop-profiles")
        for message in broker.consume_all(topic)
    }
    made = generate(500, broken_share=0.1)
    assert sent == {(s.topic.replace("loyalty-", "shop-"), s.sequence, s.key, s.value) for s in made}


@pytest.mark.kafka
def test_a_topic_that_is_not_there(broker: KafkaBroker, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", "5", "--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", "nowhere-"]
    assert main(arguments) == 2
    assert "topic nowhere-profiles on " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nope"], "nope"),
        (["lookup"], "missing: --namespace, --id; see beam-aep lookup --help"),
        (["import-connector"], "missing: FILE; see beam-aep import-connector --help"),
        (["kafka", "x"], "unexpected argument: x; see beam-aep kafka --help"),
        (["kafka", ""], "unexpected argument: ''; see"),
        (["init", ""], "DIR: expected a path, got an empty text"),
        (["configs", ""], "DIR: expected a path, got an empty text"),
        (["schema", "show", ""], "SCHEMA_FILE: expected a path, got an empty text"),
        (["send", "--route=a", ""], "expected a path, got an empty text"),
        (["preview", "--file="], "--file: expected a path, got an empty text"),
        (["preview"], "error: give either --file FILE or --sample N"),
        (
            ["provision", "-f", "a", "-f", "b"],
            "--file (-f) takes one file; options files are given with --options_file",
        ),
        (["dead-letters", "show", "--limit=0"], "--limit: must be greater than or equal to 1"),
        (["generate", "5", "--kind=x"], "--kind: 'x' is not one of 'mixed', 'profiles', 'events'\n"),
        (["emulate", "x"], "unexpected argument: x; see beam-aep emulate --help"),
        (["emulate", "--port=x"], "--port: invalid int value: 'x'"),
        (["emulate", "--inlets=/nowhere/f"], "--inlets /nowhere/f: No such file or directory"),
        (["emulate", "--state="], "--state: expected a path, got an empty text"),
        (["generate"], "COUNT"),
        (["generate", "x"], "COUNT: must be a valid integer"),
        (["generate", "5", "--kind", "both"], "--kind"),
        (["generate", "5", "--seed", "-1"], "seed"),
        (["generate", "5", "--broken-share", "2"], "0 to 1"),
        (["generate", "5", "--broken-share", "1", "--broken-kind", "rotten"], "rotten"),
        (["generate", "5", "--broken-kind", "nan"], "--broken-share"),
        (["generate", "5", "--event-bytes", "3"], "900"),
        (["generate", "5", "--event-bytes", "100000000000"], "at most 100000000"),
        (["lookup", "--namespace=", "--id=x"], "--namespace: is empty (an unset variable?)"),
        (["send", "--route", ""], "--route: is empty (an unset variable?)"),
        (["emulate", "--host="], "--host: expected an address, got an empty text"),
        (["dead-letters", "stats", "--from", "nosuch://x/y"], "nosuch://x/y cannot be looked into: Unable to get"),
        (["generate", "5", "--output", "/nowhere/file"], "/nowhere/file: No such file or directory"),
        (["generate", "5", "--topic-prefix", "a-"], "--bootstrap-servers"),
        (["generate", "5", "--bootstrap-servers", "host:port"], "HOST:PORT"),
        (["generate", "5", "--bootstrap-servers", "h:1", "--output", "f"], "only one"),
        (["generate", "5", "--bootstrap-servers", "h:1", "--kafka-config", "hush"], "KEY=VALUE"),
        (["generate", "5", "--bootstrap-servers", "h:1", "--kafka-config", "sasl.password=hush"], "reference"),
        (["generate", "5", "--bootstrap-servers", "h:1", "--kafka-config", "sasl.password=env:NO_SUCH"], "NO_SUCH"),
        (["generate", "5", "--bootstrap-servers", "h:1", "--kafka-config", "no.such=1"], "no.such"),
        (["generate", "5", "--bootstrap-servers", f"127.0.0.1:{free_port()}"], "no Kafka broker answers at 127.0.0.1"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert words in err
    assert "hush" not in err


@pytest.mark.parametrize("command", ["run", "check", "test", "preview", "job restart", "failed-batches", "lookup"])
def test_each_problem_of_the_options_is_a_line_that_begins_as_an_error(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--batch_max_messages=0", "--nothing_of_the_kind=1"]
    own = {"failed-batches": ["--to=x"], "lookup": ["--namespace=a", "--id=b"], "preview": ["--file=x"]}
    files = {**own, "test": ["none.yaml"]}.get(command, [])
    assert main([*command.split(), *files, *options]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("error: ") for line in lines)


def test_run_refuses_what_the_pipeline_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--kafka_topic=loyalty-events"]) == 2
    assert "kafka_topics" in capsys.readouterr().err


def test_run_takes_the_name_of_another_pipeline(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--options_file", str(ROOT / "configs" / "kinesis-to-kafka.yaml"), "--print_options"]
    assert main(["run", "--pipeline", "kinesis_to_kafka", *options]) == 0
    assert "kinesis_stream: " in capsys.readouterr().out
    assert main(["run", "--pipeline", "kinesis-to-kafka", *options]) == 0
    assert "kinesis_stream: " in capsys.readouterr().out
    assert main(["run", "--pipeline=profiles_to_kinesis"]) == 2
    assert "kinesis_stream" in capsys.readouterr().err
    assert main(["run", "--pipeline", "replay_dead_letters", *options]) == 2
    known = "kafka_to_aep, kinesis_to_kafka, profiles_to_kinesis"
    assert f"--pipeline: expected one of {known}" in capsys.readouterr().err


def test_a_file_of_samples_runs_through_the_pipeline(tmp_path: Path) -> None:
    events, summary = tmp_path / "events.jsonl.gz", tmp_path / "summary.json"
    schema = ROOT / "configs" / "schemas" / "loyalty-event.schema.json"
    assert main(["generate", "400", "--kind", "events", "--broken-share", "0.3", "--output", str(events)]) == 0
    with Emulator() as emulator:
        inlet = emulator.create_inlet(name="events", org_id="ACME@AdobeOrg", schema=orjson.loads(schema.read_bytes()))
        options = {
            "kafka_source": "file",
            "kafka_file_pattern": events,
            "aep_inlet_url": inlet["inletUrl"],
            "aep_dataset_id": inlet["datasetId"],
            "aep_org_id": inlet["orgId"],
            "xdm_schema_file": schema,
            "dead_letter_path": tmp_path / "dead-letters",
            "summary_file": summary,
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        done = subprocess.run(
            [*COMMAND, "run", *arguments],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        arrived = set(emulator.ids(inlet["inletId"]))
    samples = list(generate(400, kind="events", broken_share=0.3))
    assert arrived == {orjson.loads(sample.value)["_id"] for sample in samples if sample.broken is None}
    codes = Counter(sample.expected_code for sample in samples if sample.broken is not None)
    assert orjson.loads(summary.read_bytes())["dead_lettered"] == codes


def test_emulate_serves_until_it_is_told_to_end() -> None:
    with subprocess.Popen(
        [*COMMAND, "emulate", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("listening on http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, errors) == (0, "")


@pytest.mark.parametrize("missing", ["starlette", "uvicorn", "httptools"])
@pytest.mark.parametrize(
    "command", [[*COMMAND, "emulate"], [sys.executable, "-m", "emulator"]], ids=["beam-aep", "module"]
)
def test_emulate_says_which_extra_to_install(command: list[str], missing: str, tmp_path: Path) -> None:
    # A module of that name that is not there, as in an installation without the extra.
    (tmp_path / f"{missing}.py").write_text(f"raise ModuleNotFoundError('no {missing}', name='{missing}')")
    failed = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert failed.returncode == 2
    assert failed.stderr.splitlines() == [
        f"error: the emulator needs {missing}, which is not installed: pip install 'beam-aep[emulator]'"
    ]


def test_an_aep_that_is_away_is_said_as_a_run_would_with_what_to_check(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    away = f"http://127.0.0.1:{free_port()}"
    options = {
        "aep_org_id": "A@AdobeOrg",
        "aep_client_id": "c",
        "aep_client_secret": "env:A_SECRET",
        "aep_ims_url": away,
        "aep_platform_url": away,
    }
    arguments = ["lookup", "--namespace=Email", "--id=x", *(f"--{name}={value}" for name, value in options.items())]
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, check=False)
    *tries, error = done.stderr.splitlines()
    assert done.returncode == 2
    address = away.removeprefix("http://")
    assert error == f"error: IMS: connection to {address}: Connection refused; check aep_ims_url and the network"
    assert tries
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:]{8}Z WARNING aep.platform.client: GET ", line) for line in tries)
