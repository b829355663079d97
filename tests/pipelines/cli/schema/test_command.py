"""Schemas as files: composed, shown, and events checked against them."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from aep.formats.json import ParsedObject, parse_object
from aep.xdm.rejection import XdmError, rejection
from aep.xdm.rules import XdmRules
from pipelines.cli import event_lines
from pipelines.cli.event_lines import EventCheck, Line
from pipelines.cli.main import main
from pipelines.cli.schema.report import Tally, as_text
from samples.loyalty import generate
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT
from transforms.records.outcome import Refusal

ROOT = Path(__file__).parents[4]
COMMAND = [sys.executable, "-m", "pipelines.cli"]
COMPONENTS = ROOT / "tests" / "aep" / "xdm" / "components"
LOYALTY = str(ROOT / "configs" / "schemas" / "loyalty-event.schema.json")
OWN = {"loyalty": {"type": "object", "properties": {"memberId": {"type": "string"}}}}
GOOD = {"_id": "a", "timestamp": "2026-01-02T03:04:05Z", "eventType": "web.visit"}


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "220")


Build = Callable[..., int]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    (tmp_path / "own.json").write_bytes(orjson.dumps(OWN))

    def run(*more: str, class_: str = "experienceevent", tenant: str = "acme") -> int:
        arguments = ["--components", str(COMPONENTS), "--class", class_, "--output", str(tmp_path / "v.schema.json")]
        own = ["--tenant", tenant, "--tenant-fields", str(tmp_path / "own.json")]
        return main(["schema", "build", *arguments, *own, *more])

    return run


def lines_file(folder: Path, *lines: Any, name: str = "events.jsonl") -> str:
    body = b"".join((line if isinstance(line, bytes) else orjson.dumps(line)) + b"\n" for line in lines)
    path = folder / name
    path.write_bytes(gzip.compress(body) if name.endswith(".gz") else body)
    return str(path)


def rows(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in out.splitlines() if line.startswith("│")]


def test_build_show_and_check(build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema_id = "https://ns.adobe.com/acme/schemas/1234"
    assert build("--field-group", "shopping", "--id", schema_id, "--title", "Visit") == 0
    out, err = capsys.readouterr()
    path = tmp_path / "v.schema.json"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    told = [line.split(maxsplit=1) for line in out.splitlines()]
    assert err == ""
    assert ["SHA-256", digest] in [[name, value.strip()] for name, value in told]
    assert all(word in out for word in (schema_id, "Visit", "_acme", "own.json", "classes/experienceevent.schema.json"))
    assert "fieldgroups/shopping.schema.json" in out

    assert main(["schema", "show", str(path)]) == 0
    shown = {line[:9].strip(): line[9:].strip() for line in capsys.readouterr().out.splitlines()}
    assert shown["SHA-256"] == digest
    assert shown["required"] == "/_id, /timestamp"
    assert int(shown["fields"]) > 20

    good = {**GOOD, "_acme": {"loyalty": {"memberId": "m"}}, "basket": [{"SKU": "s", "price": {"amount": 1}}]}
    bad = {**good, "basket": [{"SKU": "s", "quantity": "two"}]}
    for lines, code in (((good, good), 0), ((good, bad), 1)):
        arguments = ["--events", lines_file(tmp_path, *lines), "--sha256", digest.upper()]
        assert main(["schema", "check", str(path), *arguments]) == code
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("2 valid, 0 invalid\n1 valid, 1 invalid")
    assert rows(out) == [["type", "/basket/*/quantity", "1", "2", "expected type: Integer, found: String"]]


def test_the_same_components_make_the_same_file(build: Build, tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        assert build("--field-group", "shopping") == 0
        made.append((tmp_path / "v.schema.json").read_bytes())
    assert made[0] == made[1]


def test_what_was_left_out_and_made_up_is_said(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    assert build("--field-group", "old-shopping") == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("warning: ") for line in said)
    assert "is deprecated" in said[0]
    assert "xdm:voucher/oneOf" in said[1]
    assert "the $id https://ns.adobe.com/acme/schemas/v is made up: give --id" in said[2]


IDENTITIES = ["--primary-identity", "/_acme/loyalty/memberId=LoyaltyId", "--identity", "/eventMergeId=CRMID"]


def test_identities_are_built_into_the_schema_and_asked_for(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(*IDENTITIES, "--id", "https://ns.adobe.com/acme/schemas/1") == 0
    path = tmp_path / "v.schema.json"
    first = path.read_bytes()
    described = orjson.loads(first)["meta:descriptors"]
    assert [(each["xdm:sourceProperty"], each["xdm:namespace"], each["xdm:isPrimary"]) for each in described] == [
        ("/_acme/loyalty/memberId", "LoyaltyId", True),
        ("/eventMergeId", "CRMID", False),
    ]
    assert {each["xdm:sourceSchema"] for each in described} == {"https://ns.adobe.com/acme/schemas/1"}
    assert main(["schema", "show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "primary identity  /_acme/loyalty/memberId" in shown
    good = {**GOOD, "_acme": {"loyalty": {"memberId": "m"}}}
    for event, code in (
        (good, None),
        (GOOD, "primary_identity_missing"),
        ({**good, "_acme": {"loyalty": {"memberId": ""}}}, "primary_identity_missing"),
        ({**good, "_acme": {"loyalty": {"memberId": "null"}}}, "blocked_identity"),
        ({**good, "eventMergeId": "anonymous"}, "blocked_identity"),
    ):
        assert main(["schema", "check", str(path), "--json", "--all", "--events", lines_file(tmp_path, event)]) == bool(
            code
        )
        found = orjson.loads(capsys.readouterr().out.splitlines()[0])
        assert found.get("code") == code
    assert build(*IDENTITIES, "--id", "https://ns.adobe.com/acme/schemas/1") == 0
    assert path.read_bytes() == first


def test_own_fields_in_standard_objects_and_part_of_a_field_group(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    item = {"type": "object", "properties": {"_acme": {"type": "object", "properties": {"core": {"type": "string"}}}}}
    (tmp_path / "own.json").write_bytes(orjson.dumps({"basket": {"type": "array", "items": item}}))
    event = "https://ns.adobe.com/xdm/context/experienceevent"
    part = {
        "$id": "https://ns.adobe.com/acme/mixins/part",
        "meta:intendedToExtend": [event],
        "allOf": [{"$ref": f"{event}-shopping", "meta:refProperty": ["/basket/SKU"]}],
    }
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "part.schema.json").write_bytes(orjson.dumps(part))
    assert build("--components", str(tmp_path / "mine"), "--field-group", "part") == 0
    good = {**GOOD, "basket": [{"SKU": "s", "_acme": {"core": "c"}}]}
    bad = ({**GOOD, "basket": [{"SKU": "s", "quantity": 2}]}, {**GOOD, "basket": [{"SKU": "s", "_acme": {"rind": 1}}]})
    capsys.readouterr()
    events = lines_file(tmp_path, good, *bad)
    assert main(["schema", "check", str(tmp_path / "v.schema.json"), "--events", events]) == 1
    assert [row[:2] for row in rows(capsys.readouterr().out)] == [
        ["additionalProperties", "/basket/*"],
        ["additionalProperties", "/basket/*/_acme"],
    ]


def test_a_schema_that_was_built_without_identities_has_no_descriptors(build: Build, tmp_path: Path) -> None:
    assert build() == 0
    assert "meta:descriptors" not in orjson.loads((tmp_path / "v.schema.json").read_bytes())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--field-group", "contact"], "is not meant for https://ns.adobe.com/xdm/context/experienceevent"),
        (["--field-group", "shoping"], "is it shopping"),
        (["--components", "/nowhere"], "/nowhere: no such folder"),
        (["--tenant-fields", "/nowhere/own.json"], "/nowhere/own.json: No such file or directory"),
        (["--id", "visit"], "--id is a URI"),
        (["--identity", "/eventMergeId"], "--identity '/eventMergeId': expected a JSON pointer and a namespace"),
        (["--identity", "eventMergeId=CRMID"], "expected a JSON pointer and a namespace"),
        (["--primary-identity", "/_acme/loyalty/none=X"], "identity /_acme/loyalty/none: the schema has no such field"),
        (
            ["--primary-identity", "/_acme/loyalty=X"],
            "identity /_acme/loyalty: expected a string field, got type object",
        ),
        (["--tenant", "a-b"], "'a-b' is not a tenant id"),
        (["--output", "/nowhere/v.json"], "/nowhere/v.json: No such file or directory"),
    ],
)
def test_build_refuses_in_one_line(
    arguments: list[str], words: str, build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(*arguments) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("error: ")
    assert words in err
    assert not (tmp_path / "v.schema.json").exists()


def test_a_made_up_id_is_a_uri(build: Build, tmp_path: Path) -> None:
    output = tmp_path / "my schéma.json"
    assert build("--output", str(output)) == 0
    assert orjson.loads(output.read_bytes())["$id"] == "https://ns.adobe.com/acme/schemas/my%20sch%C3%A9ma"


def test_own_fields_need_a_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--components", str(COMPONENTS), "--class", "profile", "--output", "x", "--tenant-fields", "own.json"]
    assert main(["schema", "build", *arguments]) == 2
    assert "--tenant-fields needs --tenant" in capsys.readouterr().err


def test_samples_are_told_apart_as_the_pipeline_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    samples = list(generate(500, kind="events", broken_share=0.4))
    path = lines_file(tmp_path, *(sample.value for sample in samples), name="events.jsonl.gz")
    assert main(["schema", "check", LOYALTY, "--events", path, "--json"]) == 1
    found = orjson.loads(capsys.readouterr().out)
    broken = [sample for sample in samples if sample.broken is not None]
    assert (found["lines"], found["valid"], found["invalid"]) == (500, 500 - len(broken), len(broken))
    counts: dict[str, int] = {}
    for kind in found["violations"]:
        counts[kind["code"]] = counts.get(kind["code"], 0) + kind["count"]
        assert samples[kind["line"] - 1].expected_code == kind["code"]
    expected = [sample.expected_code for sample in broken]
    assert counts == {code: expected.count(code) for code in counts}
    assert found["schema"] == {"id": EVENT.id, "version": EVENT.version, "sha256": EVENT.sha256}


TWICE = {**GOOD, "_id": 1, "eventType": 2}


def test_reports_in_our_form_and_in_adobes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines_file(tmp_path, GOOD, {**GOOD, "timestamp": "now"}, b"{", TWICE)
    arguments = ["schema", "check", LOYALTY, "--events", path]
    assert main([*arguments, "--adobe"]) == 1
    out, err = capsys.readouterr()
    assert "1 valid, 3 invalid" in err
    first, second, third = map(orjson.loads, out.splitlines())
    assert first == {
        "line": 2,
        "schemaLocation": "#/properties/timestamp",
        "pointerToViolation": "#/timestamp",
        "causingExceptions": [],
        "keyword": "format",
        "message": "[now] is not a valid date-time",
    }
    assert (second["line"], second["pointerToViolation"], second["keyword"]) == (3, "#", "json")
    assert [each["pointerToViolation"] for each in third["causingExceptions"]] == ["#/_id", "#/eventType"]

    assert main([*arguments, "--all", "--json"]) == 1
    *reports, counts = map(orjson.loads, capsys.readouterr().out.splitlines())
    assert [(each["line"], each["code"], each["pointer"]) for each in reports] == [
        (2, "format", "/timestamp"),
        (3, "json", ""),
        (4, "type", "/_id"),
    ]
    assert (len(reports[2]["errors"]), reports[2]["error_count"]) == (2, 2)
    assert counts["invalid"] == 3

    assert main([*arguments, "--all", "--limit", "1"]) == 1
    out = capsys.readouterr().out
    assert [line for line in out.splitlines() if line.startswith("line ")] == [
        "line 2: format at /timestamp: [now] is not a valid date-time"
    ]
    assert len(rows(out)) == 3


def test_control_characters_move_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = lines_file(tmp_path, {**GOOD, "\x1b[2J": 1}, {**GOOD, "timestamp": "\x1b[2J"})
    assert main(["schema", "check", LOYALTY, "--events", path, "--all"]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert out.count(r"\x1b[2J") == 4


@pytest.mark.parametrize(
    ("event", "options", "code"),
    [
        ({**GOOD, "colour": "red"}, [], "additionalProperties"),
        ({**GOOD, "colour": "red"}, ["--unknown-fields", "allow"], None),
        ({**GOOD, "eventType": None}, [], "type"),
        ({**GOOD, "eventType": None}, ["--nulls", "prune"], None),
        (GOOD, ["--identity", "required"], "no_identity"),
        (GOOD, ["--primary-identity", "/_acme/loyalty/memberId"], "primary_identity_missing"),
        ({**GOOD, "_acme": {"loyalty": {"memberId": "m"}}}, ["--primary-identity", "/_acme/loyalty/memberId"], None),
    ],
)
def test_rules(
    event: dict[str, Any], options: list[str], code: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["schema", "check", LOYALTY, "--events", lines_file(tmp_path, event), "--json", *options]
    assert main(arguments) == (1 if code else 0)
    violations = orjson.loads(capsys.readouterr().out)["violations"]
    assert [each["code"] for each in violations] == ([code] if code else [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "/nowhere/x.json"], "/nowhere/x.json: cannot read the XDM schema"),
        (["check", "/nowhere/x.json"], "/nowhere/x.json: cannot read the XDM schema"),
        (["check", LOYALTY, "--events", "/nowhere/e"], "/nowhere/e: No such file or directory"),
        (["check", LOYALTY, "--events", "{plain}.gz"], "{plain}.gz is damaged: "),
        (["check", LOYALTY, "--events", "{cut}"], "{cut} is cut off: "),
        (["check", LOYALTY, "--events", "{folder}"], "{folder}: Is a directory"),
        (["check", LOYALTY, "--sha256", "abc"], f"its SHA-256 is {EVENT.sha256}, not abc"),
        (["check", LOYALTY, "--limit", "3"], "--limit does nothing without"),
        (["check", LOYALTY, "--primary-identity", "memberId"], "not a JSON pointer"),
        (["check", LOYALTY, "--nulls", "keep"], "--nulls"),
        (["check"], "SCHEMA_FILE"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_one_line(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"folder": tmp_path, "plain": tmp_path / "plain", "cut": tmp_path / "cut.gz"}
    (tmp_path / "plain.gz").write_bytes(b"{}\n")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b'{"a": 1}\n')[:-9])
    assert main(["schema", *(each.format(**places) for each in arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert err.startswith("error: ")
    assert words.format(**places).lower() in err.lower()


def test_standard_input_is_read_as_it_comes() -> None:
    with subprocess.Popen(
        [*COMMAND, "schema", "check", LOYALTY, "--all"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(orjson.dumps(GOOD) + b"\n{\n")
        process.stdin.flush()
        # It comes although the input has not ended.
        assert process.stdout.readline().startswith(b"line 2: json at (the whole record): ")
        process.stdin.write(orjson.dumps(GOOD))
        process.stdin.close()
        assert b"2 valid, 1 invalid" in process.stdout.read()
    assert process.returncode == 1


def test_events_that_share_an_id_are_valid_and_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "events.jsonl"
    entities = [orjson.loads(sample.value) | {"_id": "same"} for sample in generate(20, kind="events")]
    path.write_bytes(b"".join(orjson.dumps(entity) + b"\n" for entity in [*entities, *entities]))
    assert main(["schema", "check", LOYALTY, "--events", str(path)]) == 0
    headline, warning = capsys.readouterr().out.splitlines()
    assert headline == "40 valid, 0 invalid"
    assert warning.startswith("warning: 19 of the 20 different events looked at have an _id that another one has: ")
    assert main(["schema", "check", LOYALTY, "--events", str(path), "--json"]) == 0
    assert orjson.loads(capsys.readouterr().out)["repeated_ids"] == {"repeated": 19, "looked_at": 20}


def test_nothing_to_check_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO()))
    assert main(["schema", "check", LOYALTY]) == 0
    assert capsys.readouterr().out == "no lines to check\n"


def test_a_line_without_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_lines, "MAX_LINE_BYTES", 500)
    good = orjson.dumps(GOOD)
    longest = good + b" " * (499 - len(good)) + b"\n"
    file = io.BytesIO(longest + b"x" * 1_800 + b"\n" + good + b"\r\n" + b"y" * 500)
    found = [
        (line.number, line.refusal and line.refusal.code)
        for line in EventCheck(EVENT, by_default(XdmRules)).lines(file)
    ]
    assert found == [(1, None), (2, "too_large"), (3, None), (4, "too_large")]


def test_kinds_of_violations_are_counted_apart_up_to_a_number() -> None:
    tally = Tally()
    for number in range(3_000):
        tally.add(Line(number, Refusal("validate", "", "type", "m", f"/map/key{number}/3")))
    kinds = tally.kinds
    assert len(kinds) == 1_001
    assert (kinds[0].field, kinds[0].count) == ("(other fields)", 2_000)
    assert (kinds[1].field, kinds[1].pointer) == ("/map/key0/*", "/map/key0/3")
    assert len(tally.table().rows) == 30


def test_that_there_are_more_violations_is_said() -> None:
    found = Refusal("validate", "", *rejection([XdmError("type", f"/{number}", "", "m") for number in range(25)]))
    assert len(as_text(7, found).splitlines()) == 21
    assert as_text(7, found).endswith("line 7: and 5 more")


def test_good_samples_parse_to_what_is_checked() -> None:
    # The size that the rules limit is that of the record as it is sent, whatever the white space in the file.
    spaced = orjson.dumps(GOOD, option=orjson.OPT_INDENT_2).replace(b"\n", b" " * 3_000)
    assert isinstance(parse_object(spaced), ParsedObject)
    assert EventCheck(EVENT, by_default(XdmRules)).value(spaced, 1).refusal is None


BAD = {**GOOD, "eventType": 1}
MESSAGE = {"header": {"schemaRef": {}}, "body": {"xdmMeta": {}, "xdmEntity": GOOD}}


@pytest.mark.parametrize(
    ("content", "shape"),
    [
        (b"\n".join(orjson.dumps(one, option=orjson.OPT_INDENT_2) for one in (GOOD, BAD)), "pretty-printed JSON, not"),
        (orjson.dumps([GOOD, BAD]), "an array, not"),
        (orjson.dumps([GOOD, BAD], option=orjson.OPT_INDENT_2), "an array, not"),
    ],
)
def test_pretty_printed_events_and_arrays_of_them_are_checked_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, shape: str
) -> None:
    path = tmp_path / "events.json"
    path.write_bytes(content)
    assert main(["schema", "check", LOYALTY, "--events", str(path)]) == 1
    out, err = capsys.readouterr()
    assert "1 valid, 1 invalid" in out
    assert [row[:4] for row in rows(out)] == [["type", "/eventType", "1", "2"]]
    assert err.startswith(f"note: {path} is {shape} a line for each record: ")


def test_the_entity_of_a_whole_message_is_checked_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {**MESSAGE, "body": {"xdmEntity": BAD}}
    path = lines_file(tmp_path, MESSAGE, GOOD, bad)
    assert main(["schema", "check", LOYALTY, "--events", path]) == 1
    out, err = capsys.readouterr()
    assert [row[:4] for row in rows(out)] == [["type", "/eventType", "1", "3"]]
    assert err.startswith(
        "hint: line 1 and 1 more: this is a whole message, and its body.xdmEntity was checked: the ro"
    )
    no_entity = lines_file(tmp_path, {**MESSAGE, "body": {"xdmEntity": 1}})
    assert main(["schema", "check", LOYALTY, "--events", no_entity]) == 1


def test_names_in_another_spelling_are_recognised_where_an_event_is_invalid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = {"@id": "a", "xdm:timestamp": GOOD["timestamp"], "acme": {}}
    assert main(["schema", "check", LOYALTY, "--json", "--events", lines_file(tmp_path, odd, GOOD, odd)]) == 1
    out, err = capsys.readouterr()
    assert orjson.loads(out)["invalid"] == 2
    assert [line.split(":")[1] for line in err.splitlines()] == [" line 1 and 1 more"] * 3
    for words in ("write _acme, not acme", "Platform takes _id", "Platform takes timestamp"):
        assert words in err
