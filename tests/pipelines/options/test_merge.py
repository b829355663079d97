"""Options files and the command line: what wins, what is refused and where, and that nothing is lost on the way."""

import json
import logging
import pickle
import string
from pathlib import Path
from typing import Any

import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pipelines.options.merge import OptionsError
from pipelines.options.table import OPTIONS
from pipelines.options.yaml_files import dump, load, read_entries
from tests.pipelines.to_aep import parse

CONFIGS = Path(__file__).parents[3] / "configs"
COMPLETE = {
    "kafka_bootstrap_servers": "k:9092",
    "kafka_topics": ["t"],
    "aep_inlet_url": "https://h/collection/i",
    "aep_dataset_id": "d",
    "xdm_schema_file": "s.json",
    "dead_letter_path": "dl",
}
MINIMAL = [f"--{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in COMPLETE.items()]


def without(*names: str) -> list[str]:
    """Return the minimal command line less some options."""
    return [argument for argument in MINIMAL if argument.split("=")[0].removeprefix("--") not in names]


def problems(argv: list[str]) -> list[str]:
    """Return what is refused of a command line."""
    with pytest.raises(OptionsError) as caught:
        parse(argv)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- The command line ---


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--batch_allow_unsafe"], "batch_allow_unsafe", True),
        (["--batch_allow_unsafe=true"], "batch_allow_unsafe", True),
        (["--batch_allow_unsafe=false"], "batch_allow_unsafe", False),
        (["--no_xdm_integer_ranges"], "xdm_integer_ranges", False),
        (["--xdm_integer_ranges=false", "--xdm_integer_ranges"], "xdm_integer_ranges", True),
        (["--batch_max_messages=5"], "batch_max_messages", 5),
        (["--batch_max_messages", "5"], "batch_max_messages", 5),
        (["--batch_max_messages=5", "--batch_max_messages=6"], "batch_max_messages", 6),
        (["--batch_max_bytes=950_000"], "batch_max_bytes", 950_000),
        (["--batch_max_seconds=2"], "batch_max_seconds", 2.0),
        (["--kafka_group_id=5"], "kafka_group_id", "5"),
        (["--kafka-group-id=a-b_c"], "kafka_group_id", "a-b_c"),
        (["--no-xdm-integer-ranges"], "xdm_integer_ranges", False),
        (["--no-xdm_integer-ranges"], "xdm_integer_ranges", False),
        (["--kafka_group_id=a=b"], "kafka_group_id", "a=b"),
        (["--kafka_group_id", "-x"], "kafka_group_id", "-x"),
        (["--aep_retry_budget_seconds=null"], "aep_retry_budget_seconds", None),
        (["--xdm_identity=off"], "xdm_identity", "off"),
        (["--xdm_namespaces=a, b", "--xdm_namespaces=c"], "xdm_namespaces", ("a", "b", "c")),
        (["--xdm_namespaces="], "xdm_namespaces", ()),
        (['--xdm_namespaces=["a,b"]'], "xdm_namespaces", ("a,b",)),
        (["--aep_retry_statuses=429,503"], "aep_retry_statuses", (429, 503)),
        (
            ["--kafka_config=client.id=b=c", '--kafka_config={"linger.ms": 1}'],
            "kafka_config",
            {"client.id": "b=c", "linger.ms": "1"},
        ),
        (['--aep_headers={"x-a": 1.10, "x-b": true}'], "aep_headers", {"x-a": "1.10", "x-b": "true"}),
    ],
)
def test_command_line(arguments: list[str], name: str, value: Any) -> None:
    settings = parse([*MINIMAL, *arguments])
    assert settings.value(OPTIONS[name]) == value
    assert settings.origin(name) == "command line"


def test_commas_inside_braces_do_not_split_a_pattern() -> None:
    settings = parse([*without("kafka_topics"), "--kafka_topics=^a{1,2}$,b"])
    assert settings.kafka.topics == ("^a{1,2}$", "b")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--kafka_bootstrap_server=k"],
            "command line: kafka_bootstrap_server: unknown option, did you mean kafka_bootstrap_servers?",
        ),
        (["--aep-org-i=x"], "command line: aep-org-i: unknown option, did you mean aep_org_id?"),
        (
            ["--checkpoint_interval=1"],
            "command line: checkpoint_interval: unknown option, did you mean checkpointing_interval?",
        ),
        (["--xyzzy"], "command line: xyzzy: unknown option"),
        (["--no_kafka_topics"], "command line: no_kafka_topics: unknown option, did you mean kafka_topics?"),
        (["--aep_org_id"], "command line: aep_org_id: needs a value: --aep_org_id=VALUE"),
        (["--project"], "command line: project: needs a value: --project=VALUE"),
        (["hunter2"], "command line: unexpected argument after --dead_letter_path: options are written --name=value"),
        (["--options_file="], "command line: options_file: is empty (an unset variable?): give a file"),
        (["--options_file", ""], "command line: options_file: is empty (an unset variable?): give a file"),
        (["-f", ""], "command line: options_file: is empty (an unset variable?): give a file"),
        (
            ["hunter2.yaml"],
            "command line: unexpected argument hunter2.yaml: options files are given with -f hunter2.yaml",
        ),
        (["-xhunter2"], "command line: -x: unknown option; options are written --name=value"),
        (
            ["--batch_allow_unsafe", "true"],
            "command line: unexpected argument after --batch_allow_unsafe: options are written --name=value",
        ),
        (
            ["--no_xdm_integer_ranges=true"],
            "command line: no_xdm_integer_ranges: takes no value; write --xdm_integer_ranges=true",
        ),
        (["--batch_allow_unsafe=yes"], "command line: batch_allow_unsafe: expected bool, got str 'yes'"),
        (["--batch_max_messages=x"], "command line: batch_max_messages: expected int, got str x"),
        (["--batch_max_messages=1e3"], "command line: batch_max_messages: expected int, got float 1000.0"),
        (["--kafka_config=a"], "command line: kafka_config: expected mapping of str, got str"),
        (["--xdm_namespaces=[a"], "command line: xdm_namespaces: expected list of str, got str '[a'"),
        (
            ["--xdm_namespaces=[a", "--xdm_namespaces=b"],
            "command line: xdm_namespaces: expected list of str, got str '[a'",
        ),
        (["--kafka_config=a", "--kafka_config=b=c"], "command line: kafka_config: expected mapping of str, got str"),
        (["--options_file=[a"], "command line: options_file: expected list of str, got str '[a'"),
        (
            ["--batch_max_messages=" + "9" * 5000],
            f"command line: batch_max_messages: expected int, got str '{'9' * 56}...",
        ),
        (
            ["--sdk_harness_log_level_overrides=1"],
            "command line: sdk_harness_log_level_overrides: 'int' object is not iterable",
        ),
        (["--streaming=maybe"], "command line: streaming: expected true or false"),
        (["--num_workers=many"], "command line: num_workers: invalid int value: 'many'"),
        (["--checkpointing_interval=10s"], "command line: checkpointing_interval: expected int"),
        (
            ["--s3_secret_access_key=hunter2"],
            "command line: s3_secret_access_key: a credential must not be an option: "
            "set AWS_SECRET_ACCESS_KEY in the environment of the workers",
        ),
    ],
)
def test_refused_on_the_command_line(arguments: list[str], says: str) -> None:
    assert problems([*MINIMAL, *arguments]) == [says]


def test_the_text_after_an_unknown_option_is_not_shown() -> None:
    assert problems([*MINIMAL, "--aep_client_secrt", "hunter2"]) == [
        "command line: aep_client_secrt: unknown option, did you mean aep_client_secret?"
    ]


def test_an_unknown_runner_is_refused() -> None:
    assert problems([*MINIMAL, "--runner=Flnk"])[0].startswith(
        "command line: runner: no such runner; Beam has Dataflow"
    )


FULL_NAME = "apache_beam.runners.portability.spark_runner.SparkRunner"


@pytest.mark.parametrize(
    ("given_name", "runner"),
    [
        (None, "DirectRunner"),
        ("flink", "FlinkRunner"),
        ("PrismRunner", "PrismRunner"),
        (FULL_NAME, FULL_NAME),
    ],
)
def test_runner(given_name: str | None, runner: str) -> None:
    assert parse([*MINIMAL, *([f"--runner={given_name}"] if given_name else [])]).runner == runner


def test_help_has_every_option_of_a_run_and_none_of_a_replay(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--help", "--xyzzy"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert {name for name in OPTIONS if f"--{name} " not in text} == {
        name for name, option in OPTIONS.items() if option.group == "replay"
    }
    assert "Beam's own options" in text
    assert max(map(len, text.splitlines())) <= 120


# --- Options files ---


def test_later_files_win_and_the_command_line_wins_over_all(here: Path) -> None:
    Path("a.yaml").write_text("# first\nkafka_group_id: a\naep_org_id: a\nbatch_max_messages: 1\nproject: a\n")
    Path("b.yaml").write_text("aep_org_id: b\nbatch_max_messages: 2\nproject: b\n")
    settings = parse([*MINIMAL, "--batch_max_messages=3", "--options_file=a.yaml", "--options_file=b.yaml"])
    assert (settings.kafka.group_id, settings.aep.org_id, settings.batch.max_messages) == ("a", "b", 3)
    assert settings.beam == {"project": "b"}
    assert [settings.origin(name) for name in ("kafka_group_id", "aep_org_id", "batch_max_messages", "project")] == [
        "a.yaml:2",
        "b.yaml:1",
        "command line",
        "b.yaml:3",
    ]
    assert settings.origin("kafka_start") == "default"


def test_lists_replace_and_mappings_merge(here: Path) -> None:
    Path("a.yaml").write_text(
        "xdm_namespaces: [a, b]\nkafka_config:\n  linger.ms: 1\n  retries: 1\nexperiments: [x, y]\n"
    )
    Path("b.yaml").write_text("xdm_namespaces: [c]\nkafka_config:\n  retries: 2\n")
    settings = parse([*MINIMAL, "--options_file=a.yaml,b.yaml", "--kafka_config=client.id=3", "--experiments=z"])
    assert settings.xdm.namespaces == ("c",)
    assert settings.kafka.config == {"linger.ms": "1", "retries": "2", "client.id": "3"}
    assert settings.beam == {"experiments": ["z"]}
    origins = [settings.origin(f"kafka_config[{key}]") for key in ("linger.ms", "retries", "client.id")]
    assert origins == ["a.yaml:3", "b.yaml:3", "command line"]


def test_beams_switches_replace_each_other(here: Path) -> None:
    Path("a.yaml").write_text("streaming: true\nno_use_public_ips: true\n")
    settings = parse([*MINIMAL, "--options_file=a.yaml", "--streaming=false", "--use_public_ips"])
    assert settings.beam == {"streaming": False, "use_public_ips": True}
    assert "--use_public_ips" in settings.beam_flags
    assert {"--streaming", "--no_use_public_ips"}.isdisjoint(settings.beam_flags)


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("xdm_identity: off", "xdm_identity", "off"),
        ("progress: on", "progress", "on"),
        ("kafka_start: 2026-01-31T08:00:00Z", "kafka_start", "2026-01-31T08:00:00Z"),
        ("batch_max_bytes: 950_000", "batch_max_bytes", 950_000),
        ("batch_max_seconds: 2", "batch_max_seconds", 2.0),
        ("batch_max_seconds: 1e-1", "batch_max_seconds", 0.1),
        ("aep_retry_budget_seconds: null", "aep_retry_budget_seconds", None),
        ("aep_retry_budget_seconds:", "aep_retry_budget_seconds", None),
        ("xdm_namespaces: a,b", "xdm_namespaces", ("a", "b")),
        ("aep_retry_statuses:\n- 429\n- 503", "aep_retry_statuses", (429, 503)),
        (
            "kafka_config: {enable.idempotence: true, linger.ms: 1.5}",
            "kafka_config",
            {"enable.idempotence": "true", "linger.ms": "1.5"},
        ),
        (
            "kafka_config: {client.id: 1.10, client.rack: 1e3, fetch.min.bytes: 1_000}",
            "kafka_config",
            {"client.id": "1.10", "client.rack": "1e3", "fetch.min.bytes": "1000"},
        ),
        ('kafka_group_id: "1"', "kafka_group_id", "1"),
        ("\ufeffkafka_group_id: with-bom", "kafka_group_id", "with-bom"),
    ],
)
def test_values_in_files(here: Path, text: str, name: str, value: Any) -> None:
    Path("a.yaml").write_text(text, encoding="utf-8")
    settings = parse([*MINIMAL, "--options_file=a.yaml"])
    assert settings.value(OPTIONS[name]) == value
    assert settings.origin(name) == "a.yaml:1"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("flink_version: 1.20", "flink_version", "1.20"),
        ("job_name: 20260131", "job_name", "20260131"),
        ("job_name: 2026_01", "job_name", "202601"),
        (
            "environment_options: [docker_container_image=a, 1.10]",
            "environment_options",
            ["docker_container_image=a", "1.10"],
        ),
        ("sdk_worker_parallelism: 2", "sdk_worker_parallelism", "2"),
        ("parallelism: 2", "parallelism", 2),
    ],
)
def test_a_number_where_beam_takes_text_is_as_it_was_written(here: Path, text: str, name: str, value: Any) -> None:
    Path("a.yaml").write_text(text, encoding="utf-8")
    assert parse([*MINIMAL, "--options_file=a.yaml"]).beam == {name: value}


REFUSED_FILES = [
    ("\nkafka_topic: x", ["a.yaml:2: kafka_topic: unknown option, did you mean kafka_topics?"]),
    ("kafka.group.id: x", ["a.yaml:1: kafka.group.id: unknown option, did you mean kafka_group_id?"]),
    ("kafka-group-id: x", ["a.yaml:1: kafka-group-id: unknown option, did you mean kafka_group_id?"]),
    (
        "no_xdm_integer_ranges: true",
        ["a.yaml:1: no_xdm_integer_ranges: unknown option, did you mean xdm_integer_ranges?"],
    ),
    ("kafka_group_id: a\n# no\nkafka_group_id: b", ["a.yaml:3: kafka_group_id: duplicate key, first on line 1"]),
    ("kafka_group_id: 5", ["a.yaml:1: kafka_group_id: expected str, got int 5"]),
    ("batch_max_messages: '5'", ["a.yaml:1: batch_max_messages: expected int, got str '5'"]),
    ("batch_max_messages: ten", ["a.yaml:1: batch_max_messages: expected int, got str ten"]),
    ("batch_max_messages: 010", ["a.yaml:1: batch_max_messages: expected int, got str '010'"]),
    ("batch_max_messages:", ["a.yaml:1: batch_max_messages: expected int, got null"]),
    ("batch_allow_unsafe: yes", ["a.yaml:1: batch_allow_unsafe: expected bool, got str 'yes'"]),
    ("batch_mode: [state]", ["a.yaml:1: batch_mode: expected one of bundle, state, got list [state]"]),
    ("xdm_namespaces: {a: b}", ["a.yaml:1: xdm_namespaces: expected list of str, got mapping"]),
    ("options_file: b.yaml", ["a.yaml:1: options_file: only the command line can name options files"]),
    ("- kafka_group_id: a", ["a.yaml:1: must be a mapping of names to values"]),
    ("5: a", ["a.yaml:1: not valid YAML: a key must be a name"]),
    ("<<: {a: b}", ["a.yaml:1: <<: unknown option"]),
    ("kafka_topics: !!python/name:os.system", ["a.yaml:1: not valid YAML: a tag (!) is not accepted here"]),
    (
        "kafka_group_id: a\nkafka_topics: [a",
        ["a.yaml:2: not valid YAML: an unclosed [, or a comma missing between what is in it"],
    ),
    ("a: " + "[" * 3000, ["a.yaml:1: not valid YAML: nested too deeply"]),
    ("kafka_group_id: a\x07", ["a.yaml:1: not valid YAML: special characters are not allowed"]),
    (
        "kafka_config:\n  retries: 1\n  sasl.password: hunter2\n  group.id: x\n  fetch.min.byte: 1",
        [
            "a.yaml:3: kafka_config: sasl.password is a secret: give a reference, env:NAME, file:PATH or "
            "gcp-secret:projects/P/secrets/S/versions/V (the value is not shown)",
            "a.yaml:4: kafka_config: group.id can't be set here: use kafka_group_id",
            'a.yaml:5: kafka_config: is not accepted by librdkafka: No such configuration property: "fetch.min.byte"',
        ],
    ),
    ("kafka_config:\n  a: 1\n  a: 2", ["a.yaml:3: not valid YAML: duplicate key a"]),
    (
        "kafka_config:\n  sasl.password: *hunter2",
        ["a.yaml:2: not valid YAML: found undefined alias (quote a value that starts with *, & or !)"],
    ),
    (
        "\naep_client_secret: hunter2",
        [
            "a.yaml:2: aep_client_secret: a secret must be given by reference: env:NAME, file:PATH or "
            "gcp-secret:projects/P/secrets/S/versions/V (the value is not shown)"
        ],
    ),
    (
        "\nreplay_stages: [post, posted]",
        ["a.yaml:2: replay_stages: expected one of parse, map, transform, validate, post, ingest, shape, TASK_PUT"],
    ),
    ("checkpointing_interval: 10s", ["a.yaml:1: checkpointing_interval: expected int"]),
    ("streaming: 1", ["a.yaml:1: streaming: expected true or false"]),
    ("flink_version: '1.0'", ["a.yaml:1: flink_version: invalid choice: '1.0'"]),
    ("project: [a, b]", ["a.yaml:1: project: expected one value, got a list"]),
    (
        "batch_max_bytes: 2000000\nbatch_max_seconds: 0\nkafka_tombstones: keep",
        [
            "a.yaml:3: kafka_tombstones: expected one of skip, dead_letter, delete, got str keep",
            "a.yaml:2: batch_max_seconds: must be greater than 0, got int 0",
            "batch_max_bytes (a.yaml:1): must be at most 1000000: AEP answers 413 to a body over 1 MB",
        ],
    ),
]


@pytest.mark.parametrize(("text", "says"), REFUSED_FILES)
def test_refused_in_files(here: Path, text: str, says: list[str]) -> None:
    Path("a.yaml").write_text(text)
    found = problems([*MINIMAL, "--options_file=a.yaml"])
    assert len(found) == len(says)
    for problem, expected in zip(found, says, strict=True):
        assert problem.startswith(expected)
        assert "hunter2" not in problem


def test_files_that_cannot_be_read(here: Path) -> None:
    Path("latin.yaml").write_bytes(b"kafka_group_id: caf\xe9\n")
    assert problems([*MINIMAL, "--options_file=none.yaml", "--options_file=.", "--options_file=latin.yaml"]) == [
        "none.yaml: can't read this options file: No such file or directory",
        ".: can't read this options file: Is a directory",
        "latin.yaml: this options file is not UTF-8 text (byte 19)",
    ]


def test_f_is_short_for_options_file(here: Path) -> None:
    Path("a.yaml").write_text("kafka_group_id: g\n")
    Path("b.yaml").write_text("kafka_group_id: h\nbatch_max_messages: 7\n")
    settings = parse([*MINIMAL, "-f", "a.yaml", "-f", "b.yaml"])
    assert (settings.kafka.group_id, settings.batch.max_messages) == ("h", 7)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--xyzzy"],
        ["options.yaml"],
        ["-x"],
        ["--options_fil=aep.yaml"],
        ["--optoins_file=aep.yaml"],
        ["--options_file"],
        ["--routes_fil=routes.yaml"],
    ],
)
def test_where_it_is_unclear_what_was_meant_nothing_is_called_missing(arguments: list[str]) -> None:
    (problem,) = problems(arguments)
    assert problem.startswith("command line: ")


def test_nothing_is_called_missing_where_a_file_names_another(here: Path) -> None:
    Path("a.yaml").write_text("options_file: b.yaml\n")
    assert problems(["--options_file=a.yaml"]) == [
        "a.yaml:1: options_file: only the command line can name options files"
    ]


def test_an_empty_file_has_no_options(here: Path) -> None:
    Path("a.yaml").write_text("# nothing yet\n")
    assert parse([*MINIMAL, "--options_file=a.yaml"]).kafka == parse(MINIMAL).kafka
    assert problems([*without("dead_letter_path"), "--options_file=a.yaml"])[0] == "a.yaml: this options file is empty"


def test_problems_of_files_and_command_line_come_together(here: Path) -> None:
    Path("a.yaml").write_text("kafka_topic: x\nbatch_max_messages: 0\n")
    assert problems(["--options_file=a.yaml", "--aep_orgid=x", *without("dead_letter_path", "kafka_topics")]) == [
        "command line: aep_orgid: unknown option, did you mean aep_org_id?",
        "a.yaml:1: kafka_topic: unknown option, did you mean kafka_topics?",  # so kafka_topics is not also missing
        "a.yaml:2: batch_max_messages: must be greater than 0, got int 0",
        "dead_letter_path: missing: give it or dead_letter_topic, for records that AEP can't take",
    ]


# --- What options mean together ---

FILE_RUN = [*without("kafka_bootstrap_servers", "kafka_topics"), "--kafka_source=file"]
ROUTES_RUN = ["--kafka_bootstrap_servers=k:9092", "--dead_letter_path=dl", "--routes_file=r.yaml"]
OR_SCHEMA_ID = ", or a schema_id to take the schema from the Schema Registry"
TOGETHER = [
    (
        without("kafka_bootstrap_servers"),
        ["kafka_bootstrap_servers: missing: give the brokers as HOST:PORT, or kafka_source=file"],
    ),
    (without("kafka_topics"), ["kafka_topics: missing: give the topics to read"]),
    (FILE_RUN, ["kafka_file_pattern: missing: kafka_source=file needs it"]),
    (without("aep_inlet_url"), ["aep_inlet_url: missing: give the inlet to post to, or a routes_file"]),
    (without("aep_dataset_id"), ["aep_dataset_id: missing: xdm_payload=entity needs it"]),
    (without("xdm_schema_file"), [f"xdm_schema_file: missing: xdm_payload=entity needs it{OR_SCHEMA_ID}"]),
    (
        [*without("xdm_schema_file", "aep_dataset_id"), "--xdm_payload=message"],
        [f"xdm_schema_file: missing: xdm_payload=message needs it{OR_SCHEMA_ID}"],
    ),
    (
        [*MINIMAL, "--aep_auth=oauth"],
        ["aep_client_id: missing: aep_auth=oauth needs it", "aep_client_secret: missing: aep_auth=oauth needs it"],
    ),
    ([*MINIMAL, "--aep_auth=token"], ["aep_token: missing: aep_auth=token needs it"]),
    (
        [*MINIMAL, "--aep_proxy_user=me"],
        [
            "aep_proxy: missing: aep_proxy_user (command line) needs it",
            "aep_proxy_password: missing: aep_proxy_user (command line) needs it",
        ],
    ),
    (
        [*MINIMAL, "--aep_proxy=http://p:1", "--aep_proxy_password=env:P"],
        ["aep_proxy_user: missing: aep_proxy_password (command line) needs it"],
    ),
    (
        [*MINIMAL, "--aep_client_key=k.pem", "--aep_client_key_password=env:P"],
        [
            "aep_client_certificate: missing: aep_client_key (command line) needs it",
            "aep_client_certificate: missing: aep_client_key_password (command line) needs it",
        ],
    ),
    (
        [*ROUTES_RUN, "--aep_inlet_url=https://h/collection/i", "--xdm_schema_file=s"],
        [
            f"{name} (command line): contradicts routes_file (command line): each route has its own; "
            "remove one of the two"
            for name in ("aep_inlet_url", "xdm_schema_file")
        ],
    ),
    (
        [*MINIMAL, "--batch_mode=state"],
        [
            "batch_mode (command line): state is not safe on DirectRunner, which can lose the last batch: "
            "use batch_mode=bundle, or batch_allow_unsafe to try it anyway"
        ],
    ),
    (
        [*MINIMAL, "--runner=FlinkRunner", "--savepoint_path=s3://b/a", "--flink_submit_uber_jar"],
        [
            "savepoint_path (command line): Beam ignores it with flink_submit_uber_jar (command line), and the job "
            "would start without it: remove one of the two"
        ],
    ),
    (
        without("dead_letter_path"),
        ["dead_letter_path: missing: give it or dead_letter_topic, for records that AEP can't take"],
    ),
    (
        [*FILE_RUN, "--kafka_file_pattern=*.json", "--dead_letter_topic=d"],
        ["kafka_bootstrap_servers: missing: dead_letter_topic (command line) needs it"],
    ),
    (
        [*MINIMAL, "--kafka_topics=^dead.*", "--dead_letter_topic=dead-letters"],
        [
            "dead_letter_topic (command line): is read again by ^dead.* in kafka_topics (command line), "
            "an endless loop: use another topic"
        ],
    ),
]


@pytest.mark.parametrize(("argv", "says"), TOGETHER)
def test_missing_and_contradictory(argv: list[str], says: list[str]) -> None:
    assert problems(argv) == says


@pytest.mark.parametrize(
    "argv",
    [
        MINIMAL,
        ROUTES_RUN,
        [*FILE_RUN, "--kafka_file_pattern=*.json", "--kafka_stop_at=end"],
        [*without("aep_dataset_id", "xdm_schema_file"), "--xdm_payload=raw"],
        [*without("aep_dataset_id"), "--xdm_payload=message"],
        [*MINIMAL, "--aep_auth=oauth", "--aep_client_id=a", "--aep_client_secret=env:A"],
        [*MINIMAL, "--aep_auth=token", "--aep_token=file:/run/token"],
        [*MINIMAL, "--aep_proxy=http://p:1", "--aep_proxy_user=me", "--aep_proxy_password=env:P"],
        [*MINIMAL, "--aep_client_certificate=both.pem", "--aep_client_key_password=env:P"],
        [*MINIMAL, "--batch_mode=state", "--runner=FlinkRunner"],
        [*MINIMAL, "--batch_mode=state", "--runner=PrismRunner", "--batch_allow_unsafe"],
        [*without("dead_letter_path"), "--dead_letter_topic=dead-letters"],
    ],
)
def test_complete(argv: list[str]) -> None:
    assert parse(argv).origins


@pytest.mark.parametrize(
    "runner",
    [
        [],
        ["--runner=direct"],
        ["--runner=DirectRunner"],
        ["--runner=FnApiRunner"],
        ["--runner=fnapi"],
        ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"],
        ["--runner=apache_beam.runners.direct.direct_runner.DirectRunner"],
        ["--runner=PrismRunner"],
    ],
)
@pytest.mark.parametrize(
    ("option", "only"),
    [
        ("direct_num_workers=2", 1),
        ("direct_num_workers=0", 1),  # as many as there are cores
        ("direct_running_mode=multi_processing", "in_memory"),
        ("direct_running_mode=multi_threading", "in_memory"),
        ("direct_runner_bundle_repeat=1", 0),
    ],
)
def test_several_workers_on_a_local_runner_are_refused_and_a_second_process_is_named(
    runner: list[str], option: str, only: object
) -> None:
    (said,) = problems([*MINIMAL, *runner, f"--{option}", "--kafka_group_id=loyalty"])
    assert said.startswith(f"{option.partition('=')[0]} (command line): must be {only} on ")
    assert "start a second process with the same kafka_group_id (loyalty)" in said


def test_several_workers_that_read_files_are_refused_and_no_group_is_named(here: Path) -> None:
    (here / "o.yaml").write_text("direct_num_workers: 2\n")
    (said,) = problems([*FILE_RUN, "--kafka_file_pattern=*.json", "--options_file=o.yaml"])
    assert said.startswith("direct_num_workers (o.yaml:1): must be 1 on DirectRunner")
    assert said.endswith("start a second process with files of its own (kafka_file_pattern)")


@pytest.mark.parametrize(
    "argv",
    [
        ["--direct_num_workers=1", "--direct_running_mode=in_memory", "--direct_runner_bundle_repeat=0"],
        ["--direct_num_workers=2", "--runner=FlinkRunner"],
    ],
)
def test_one_worker_is_taken_and_a_cluster_does_not_ask(argv: list[str]) -> None:
    assert parse([*MINIMAL, *argv]).beam["direct_num_workers"]


@given(st.text(alphabet=string.ascii_letters + string.digits + "*&!@%-:{}[]'\"# ", min_size=8))
@example("*aliasaliasalias")
@example("env: NOT-A-NAME-AT-ALL")
def test_a_secret_never_shows(secret: str) -> None:
    secret = f"hunter2{secret}"
    text = yaml.safe_dump({"aep_client_secret": secret, "kafka_config": {"sasl.password": secret}, "aep_tokn": secret})
    for arguments in (
        [f"--aep_client_secret={secret}", f"--kafka_config=sasl.password={secret}"],
        [f"--aep_tken={secret}", f"--kafka_config={json.dumps({'ssl.key.pem': secret})}"],
        ["--aep_tokn", secret, secret],
    ):
        assert "hunter2" not in "\n".join(problems([*MINIMAL, *arguments]))
    found: list[str] = []
    read_entries(text.replace("'", ""), "a.yaml", found)  # unquoted, it may look like YAML's own syntax
    assert "hunter2" not in "\n".join(found)


ARGUMENT = st.text(max_size=30) | st.builds(
    "--{}{}{}".format,
    st.sampled_from([*OPTIONS, "no_batch_allow_unsafe", "streaming", "experiments", "labels", "beam_services"]),
    st.sampled_from(["", "="]),
    st.text(max_size=20) | st.sampled_from(["[1", "{", "[null]", '{"a": [1]}', "{}", "[]", "null", "1e999", "true"]),
)


@given(st.lists(ARGUMENT.filter(lambda text: text not in ("--help", "-h")), max_size=5))
@settings(deadline=None)
def test_any_command_line_is_taken_or_refused(arguments: list[str]) -> None:
    try:
        parse([*MINIMAL, *arguments])
    except OptionsError as error:
        assert error.problems  # noqa: PT017 - most are refused, some are not


@given(
    lines=st.dictionaries(st.sampled_from([*OPTIONS, "streaming", "labels"]), st.text(max_size=20), max_size=4),
    between=st.sampled_from(["\n", "\r\n", "\n  ", "\n- "]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_file_is_taken_or_refused(lines: dict[str, str], between: str, tmp_path: Path) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(between.join(f"{key}: {text}" for key, text in lines.items()), encoding="utf-8", newline="")
    try:
        parse([*MINIMAL, f"--options_file={json.dumps([str(path)])}"])
    except OptionsError as error:
        assert all(error.problems)  # noqa: PT017 - most are refused, some are not


# --- What comes out ---


def test_settings_pickle() -> None:
    settings = parse([*MINIMAL, "--kafka_config=client.id=b", "--streaming"])
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_an_options_error_pickles() -> None:
    error = pickle.loads(pickle.dumps(OptionsError(["a", "b"])))
    assert (error.problems, str(error)) == (["a", "b"], "a\nb")


def test_the_table_has_every_option_with_its_origin(here: Path) -> None:
    Path("a.yaml").write_text("aep_client_secret: env:SECRET\nrunner: flink\n")
    table = {name: (value, origin) for name, value, origin in parse([*MINIMAL, "--options_file=a.yaml"]).as_table()}
    assert set(table) == set(OPTIONS) - {"options_file", "print_options"} | {"runner"}
    assert table["aep_client_secret"] == ("env:SECRET", "a.yaml:1")
    assert table["runner"] == ("flink", "a.yaml:2")
    assert table["kafka_topics"] == ("[t]", "command line")
    assert table["kafka_start"] == ("committed", "default")


def test_print_options_names_the_origin_of_each_line(here: Path) -> None:
    Path("a.yaml").write_text(
        "kafka_config:\n  retries: 1\n\n  sasl.password: env:P\nbatch_max_messages: 7\nstreaming: true\n"
    )
    lines = parse([*MINIMAL, "--options_file=a.yaml", "--kafka_config=retries=2"]).as_yaml().splitlines()
    at = lines.index("kafka_config:")
    assert lines[at + 1 : at + 3] == ["  retries: '2'  # command line", "  sasl.password: env:P  # a.yaml:4"]
    assert "batch_max_messages: 7  # a.yaml:5" in lines
    assert "streaming: true  # a.yaml:6" in lines
    assert "kafka_start: committed  # default" in lines
    assert all("  # " in line for line in lines if line != "kafka_config:")


def test_the_table_leaves_out_headers_that_may_be_secret() -> None:
    settings = parse([*MINIMAL, '--aep_headers={"x-Gateway-Key": "hunter2", "x-sandbox-name": "prod"}'])
    shown = {name: value for name, value, _ in settings.as_table()}
    assert shown["aep_headers"] == "{x-Gateway-Key: '***', x-sandbox-name: prod}"
    assert "x-Gateway-Key: hunter2" in settings.as_yaml()  # an options file that means the same


def test_a_password_in_an_address_of_beams_is_not_shown() -> None:
    jar = "--flink_job_server_jar=https://me:hunter2@nexus/job-server.jar?a=b@c"
    settings = parse(
        [*MINIMAL, "--flink_master=https://me:hunter2@flink:8081", jar, "--experiments=x=http://hunter2@h"]
    )
    shown = {name: value for name, value, _ in settings.as_table()}
    assert shown["flink_master"] == "https://***@flink:8081"
    assert shown["flink_job_server_jar"] == "https://***@nexus/job-server.jar?a=b@c"
    assert shown["experiments"] == "['x=http://***@h']"
    assert "hunter2" not in settings.as_yaml()
    assert settings.beam["flink_master"] == "https://me:hunter2@flink:8081"
    without_scheme = parse([*MINIMAL, "--flink_master=me:hunter2@flink:8081"])
    assert {name: value for name, value, _ in without_scheme.as_table()}["flink_master"] == "'***@flink:8081'"


def test_beam_takes_the_flags_and_knows_them_all(caplog: pytest.LogCaptureFixture) -> None:
    argv = [*MINIMAL, "--runner=FnApiRunner", "--streaming", "--experiments=a,b", "--aep_retry_statuses=503"]
    flags = parse([*argv, "--num_workers=2", "--no_xdm_integer_ranges", "--print_options"]).beam_flags
    with caplog.at_level(logging.WARNING):
        options = PipelineOptions(flags)
        seen = options.get_all_options(display_warnings=True)
    assert not caplog.records
    assert options.view_as(StandardOptions).runner == "FnApiRunner"
    assert seen["experiments"] == ["a", "b"]
    assert (seen["num_workers"], seen["xdm_integer_ranges"], seen["aep_retry_statuses"]) == (2, False, [503])
    assert {name: seen[name] for name in COMPLETE} == COMPLETE
    assert not seen["print_options"]


TEXT = st.text(min_size=1, max_size=40).filter(lambda text: text.strip() != "" and text != "null")
TOKEN = st.text(alphabet=string.ascii_letters + string.digits + "-_.", min_size=1, max_size=40)
HEADER = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20).filter(
    lambda text: not text[:1].isspace()
)
ANY_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "kafka_group_id": TEXT,
        "kafka_config": st.dictionaries(
            st.sampled_from(["client.id", "client.rack", "sasl.username", "ssl.ca.location"]), st.text(max_size=20)
        ),
        "kafka_stop_after_seconds": st.none() | st.floats(min_value=1e-9, max_value=1e9),
        "aep_org_id": st.none() | HEADER.filter(lambda text: text not in ("", "null")),
        "aep_headers": st.dictionaries(TOKEN.map(lambda key: "x-" + key), HEADER),
        "aep_client_secret": st.just("env:SECRET"),
        "aep_retry_statuses": st.lists(st.integers(500, 599)),
        "xdm_namespaces": st.lists(TEXT, max_size=5),
        "xdm_integer_ranges": st.booleans(),
        "xdm_identity": st.sampled_from(["off", "required"]),
        "batch_max_messages": st.integers(1, 2**70),
        "dead_letter_path": TEXT,
        "job_name": TEXT,
        "experiments": st.lists(TEXT, min_size=1, max_size=3),
        "environment_config": st.dictionaries(TOKEN, TEXT, min_size=1, max_size=2),
        "streaming": st.booleans(),
        "checkpointing_interval": st.integers(0, 2**40),
        "fail_on_checkpointing_errors": st.booleans(),
    },
)


def argument(name: str, value: Any) -> list[str]:
    """Return an option as written on the command line."""
    if name in OPTIONS:
        return [f"--{name}={value if isinstance(value, str) else json.dumps(value)}"]
    values = value if isinstance(value, list) else [value]
    return [f"--{name}={item if isinstance(item, str) else json.dumps(item)}" for item in values]


@given(values=ANY_OPTIONS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_printed_options_are_an_options_file_that_means_the_same(values: dict[str, Any], tmp_path: Path) -> None:
    merged = COMPLETE | values
    settings = parse([text for name, value in merged.items() for text in argument(name, value)])
    printed = tmp_path / "printed.yaml"
    printed.write_text(settings.as_yaml(), encoding="utf-8", newline="")
    again = parse(["--options_file", str(printed)])
    assert again.beam == settings.beam
    assert again.beam_flags == settings.beam_flags
    for option in OPTIONS.values():
        if option.name not in ("options_file", "print_options"):
            assert again.value(option) == settings.value(option)
    for name in values:  # what went in came out
        if name in OPTIONS:
            value = settings.value(OPTIONS[name])
            assert (list(value) if isinstance(value, tuple) else value) == values[name]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        st.lists,
        max_leaves=5,
    )
)
@example("off")
@example("1e3")
@example("010")
@example("2026-01-31")
@example("a # b")
@example("x:")
@example("...")
@example("a\nb")
@example("\u2028\ufeff\x7f\U0001f600")
def test_yaml_values_read_back_the_same_from_one_line(value: Any) -> None:
    text = dump(value)
    assert "\n" not in text
    assert load(f"{text}  # comment") == value
    assert load(f"key: {text}  # comment") == {"key": value}


# --- The files that come with the project ---


@pytest.mark.parametrize(
    ("names", "runner"),
    [
        (["base"], "DirectRunner"),
        (["base", "local"], "FnApiRunner"),
        (["base", "prism"], "PrismRunner"),
        (["base", "flink"], "FlinkRunner"),
        (["base", "dataflow"], "DataflowRunner"),
    ],
)
def test_the_projects_own_files(names: list[str], runner: str) -> None:
    files = [f"--options_file={CONFIGS / name}.yaml" for name in names]
    own = {"project": "my-project", "temp_location": "gs://bucket/temp", "sdk_container_image": "image"}  # of Dataflow
    given = [f"--{name}={value}" for name, value in own.items()]
    settings = parse([*files, *without("dead_letter_path"), *given])
    assert settings.runner == runner
    assert settings.dead_letter.path or settings.dead_letter.topic
    if runner == "FlinkRunner":
        assert settings.beam["checkpoint_timeout_millis"] > 3_600_000
        assert {"--finish_bundle_before_checkpointing", "--fail_on_checkpointing_errors"} <= set(settings.beam_flags)


@pytest.mark.parametrize(("argument", "says"), [("bogus", "bogus"), ("", "''"), ("kafka_to_aep", "kafka_to_aep")])
def test_an_argument_before_all_options_is_named_since_it_is_no_value(argument: str, says: str) -> None:
    assert problems([argument, *MINIMAL]) == [
        f"command line: unexpected argument {says}: options are written --name=value"
    ]
