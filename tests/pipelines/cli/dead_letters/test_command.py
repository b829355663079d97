"""Dead letters as a person reads them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from pipelines.cli.common import without_indices
from pipelines.cli.main import main
from testing.services.kafka import KafkaBroker
from tests.transforms.examples import record
from tests.transforms.test_dead_letters import AT, letter
from transforms.kafka.client import KafkaCluster
from transforms.kafka.send import send_all
from transforms.records.dead_letter_codes import CODES
from transforms.sinks.files import write_file

ROOT = Path(__file__).parents[4]
HIDDEN = "messages, keys, headers and values are hidden, since they may be personal data: --values shows them\n"
SCHEMA = {"id": "https://ns.adobe.com/acme/schemas/x", "version": "1.2", "sha256": "abc"}
LETTERS = [
    letter(1, b'{"secret":1}', pointer="/items/0/price", route="events", schema=SCHEMA, message="[secret] is bad"),
    letter(2, b'{"secret":2}', pointer="/items/17/price", route="events", schema=SCHEMA, at=AT + 60),
    letter(3, b"secret", stage="parse", code="json", route="events", at=AT - 60),
    letter(
        4,
        stage="post",
        code="rejected",
        topic="profiles",
        route="profiles",
        attempts=3,
        replays=2,
        errors=[
            {"code": "a", "pointer": "/a", "schema_pointer": "", "message": "secret a"},
            {"code": "b", "pointer": "/b", "schema_pointer": "", "message": "secret b"},
        ],
        error_count=5,
        record=record(4, b"\x1b[2J\xffsecret", key=b"secret-key", headers=(("trace", b"secret-trace"),)),
    ),
]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write_file(str(tmp_path), LETTERS)
    return str(tmp_path)


def rows(out: str) -> list[list[str]]:
    """Return the cells of all tables' rows."""
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]


def fields(out: str) -> list[list[str]]:
    """Return the names and values of all dead letters."""
    return [re.split(" {2,}", line, maxsplit=1) for line in out.splitlines()]


def test_stats_count_by_code_by_field_and_by_route_and_schema(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letters", "stats", "--from", folder]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "4 dead letters by code" in out
    times = {"2023-11-14 22:13:20", "2023-11-14 22:14:20", "2023-11-14 22:12:20"}
    found = rows(out)
    assert found[0] == ["validate", "type", "2", "2023-11-14 22:13:20", "2023-11-14 22:14:20", "events-2@1"]
    assert {tuple(row[:3]) for row in found[:3]} == {
        ("validate", "type", "2"),
        ("parse", "json", "1"),
        ("post", "rejected", "1"),
    }
    assert {tuple(row[:3]) for row in found[3:6]} == {
        ("/items/*/price", "type", "2"),
        ("(the whole record)", "json", "1"),
        ("(the whole record)", "rejected", "1"),
    }
    assert {tuple(row[:4]) for row in found[6:]} == {
        ("events", SCHEMA["id"], "1.2", "2"),
        ("events", "", "", "1"),
        ("profiles", "", "", "1"),
    }
    assert {cell for row in found for cell in row if cell.startswith("2023-")} == times
    assert "secret" not in out


def test_show_has_the_reason_and_nothing_of_the_record(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letters", "show", "--from", folder]) == 0
    out, err = capsys.readouterr()
    assert err == HIDDEN
    assert [line.strip() for line in out.splitlines() if "@" in line] == [
        "events-2@1",
        "events-2@2",
        "events-2@3",
        "profiles-2@4",
    ]
    found = fields(out)
    assert ["refused by", "validate, type"] in found
    assert ["field", "/items/17/price"] in found
    assert ["schema", f"{SCHEMA['id']} 1.2"] in found
    assert ["violation 2 of 5", "b /b"] in found
    assert ["attempts", "3"] in found
    assert ["replays", "2"] in found
    assert "secret" not in out


def test_values_are_shown_on_request_and_move_no_cursor(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letters", "show", "--from", folder, "--values", "--code", "rejected"]) == 0
    out = capsys.readouterr().out
    found = fields(out)
    assert ["key", "secret-key"] in found
    assert ["header trace", "secret-trace"] in found
    assert ["value", r"\x1b[2J\xffsecret"] in found
    assert ["violation 1 of 5", "a /a: secret a"] in found
    assert "\x1b" not in out
    assert main(["dead-letters", "stats", "--from", folder, "--values"]) == 0
    assert "events-2@1: [secret] is bad" in capsys.readouterr().out


def test_a_long_value_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_file(str(tmp_path), [letter(1, b"x" * 1_000_000)])
    assert main(["dead-letters", "show", "--from", str(tmp_path), "--values"]) == 0
    out = capsys.readouterr().out
    assert "... (1,000,000 bytes)" in out.replace("\n", "")
    assert out.count("x") < 2_100


def test_a_limit_and_that_there_are_more(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dead-letters", "show", "--from", folder, "--limit", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.count("refused by") == 3
    assert "there are more" in err
    assert main(["dead-letters", "show", "--from", folder, "--limit", "4"]) == 0
    assert capsys.readouterr().err == HIDDEN


def test_show_explains_the_code_and_names_a_missing_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema_says = letter(1, code="required", message="required key [memberId] not found", pointer="/_acme/loyalty")
    second = {"code": "required", "pointer": "/a", "schema_pointer": "", "message": "required key [b] not found"}
    schema_says.errors, schema_says.error_count = [second], 2
    own_words = letter(2, stage="transform", code="transform", message="required key [secret] not found")
    connect = letter(3, stage="TASK_PUT", code="java.lang.Secretless")
    write_file(str(tmp_path), [schema_says, own_words, connect])
    assert main(["dead-letters", "show", "--from", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    found = fields(out)
    assert ["missing", "memberId"] in found
    assert ["violation 1 of 2", "required /a: b"] in found
    assert ["means", CODES["required"].meaning] in found
    assert ["to do", CODES["required"].remedy] in found
    assert [row[1] for row in found if row[0] == "see"] == [
        f"{ROOT}/docs/dead-letter-codes.md#required",
        f"{ROOT}/docs/dead-letter-codes.md#transform",
        f"{ROOT}/docs/dead-letter-codes.md#codes-of-kafka-connect",
    ]
    assert "secret" not in out


@pytest.mark.parametrize(
    ("filters", "offsets"),
    [
        (["--code", "type", "--code", "json"], "123"),
        (["--stage", "parse"], "3"),
        (["--route", "profiles"], "4"),
        (["--since", "2023-11-14T22:13:20.125Z"], "124"),
        (["--until", "2023-11-14T22:13:20.125Z"], "3"),
        (["--code", "avro"], ""),
        (["--code", "DCVS-1104-400"], ""),
    ],
)
def test_filters_are_those_of_a_replay(
    filters: list[str], offsets: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead-letters", "show", "--from", folder, *filters]) == 0
    out, err = capsys.readouterr()
    assert "".join(line.strip().partition("@")[2] for line in out.splitlines() if "@" in line) == offsets
    assert ("no matching dead letters" in err) == (offsets == "")


@pytest.mark.parametrize("command", ["show", "stats"])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "nowhere"], "no folder nowhere; check --from"),
        (["--from", "nowhere/a.jsonl"], "no file matches nowhere/a.jsonl; check --from"),
        (["--from", "topic:dead"], "need each other"),
        (["--bootstrap-servers", "h:1"], "need each other"),
        (["--from", "topic:^dead", "--bootstrap-servers", "h:1"], "must be the name of a topic"),
        (["--since", "noon"], "--since: must be an ISO 8601 time"),
        (["--code", "requird"], "--code: requird is not a code of dead letters, did you mean required?"),
        (["--code", "nosuch"], "nosuch is not a code of dead letters: see docs/dead-letter-codes.md"),
        (["--from", ""], "--from: expected a path, got an empty text"),
        (["--stage", "validation"], "--stage: expected one of parse, map, transform, validate"),
        (["--from", "topic:dead", "--bootstrap-servers", "h:port"], "HOST:PORT"),
        (["--from", "topic:d", "--bootstrap-servers", "h:1", "--kafka-config", "sasl.password=hush"], "reference"),
    ],
)
def test_wrong_input_is_refused_in_one_line(
    command: str, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dead-letters", command, *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert words in err
    assert "hush" not in err


def test_a_damaged_file_is_named(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(folder, "99990101T000000-a.jsonl")
    path.write_bytes(b"{}\n")
    assert main(["dead-letters", "stats", "--from", folder]) == 2
    assert f"error: {path}, line 1, is not a dead letter" in capsys.readouterr().err


def test_a_file_of_another_kind_is_not_taken_for_an_empty_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"")
    assert main(["dead-letters", "show", "--from", str(path)]) == 2
    assert f"error: {path} is a file that does not end in .jsonl" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pointer", "field"),
    [("", ""), ("/a/0/b/12", "/a/*/b/*"), ("/a1/b2c", "/a1/b2c"), ("/0", "/*")],
)
def test_fields(pointer: str, field: str) -> None:
    assert without_indices(pointer) == field


@pytest.mark.kafka
def test_a_topic(broker: KafkaBroker, capsys: pytest.CaptureFixture[str]) -> None:
    broker.create_topic("dead", 2)
    cluster = KafkaCluster(broker.bootstrap_servers, {})
    send_all(cluster, "dead", ((one.record.key, one.record.value, one.kafka_headers()) for one in LETTERS))
    place = ["--from", "topic:dead", "--bootstrap-servers", broker.bootstrap_servers]
    assert main(["dead-letters", "stats", *place]) == 0
    assert "4 dead letters by code" in capsys.readouterr().out
    assert main(["dead-letters", "show", *place, "--limit", "1", "--code", "json"]) == 0
    assert "events-2@3" in capsys.readouterr().out
    send_all(cluster, "dead", [(None, b"not a dead letter", ())])
    command = [sys.executable, "-m", "pipelines.cli", "dead-letters", "stats", *place]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    warning = r"^[-0-9T:]+Z WARNING transforms\.read_dead_letter_topic: topic dead partition \d offset \d is not a "
    assert re.match(warning, done.stderr)
    place[1] = "topic:nowhere"
    assert main(["dead-letters", "stats", *place]) == 2
    assert "no topic nowhere" in capsys.readouterr().err


def test_a_line_that_a_copy_has_cut_off_hides_no_other(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    (path,) = Path(folder).glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    assert main(["dead-letters", "stats", "--json", "--from", folder]) == 0
    out, err = capsys.readouterr()
    assert orjson.loads(out)["total"] == len(LETTERS)
    assert err.startswith(f"warning: left out: {path}, line {len(LETTERS) + 1}, is not a dead letter: ")
    path.write_bytes(b"{}\n" + whole + b"{}\n")
    assert main(["dead-letters", "show", "--from", folder]) == 0
    assert "line 1, is not a dead letter: it has no 'headers' and 1 more line of the file" in capsys.readouterr().err


def test_on_a_terminal_only_the_names_are_bold(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert main(["dead-letters", "show", "--code", "json", "--from", folder]) == 0
    assert "\x1b[1mrefused by  \x1b[0mparse, json\n" in capsys.readouterr().out
