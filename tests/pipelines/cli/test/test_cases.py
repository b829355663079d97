"""`beam-aep test`: cases pass and fail as they should, say why, and use no network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import parse

import orjson
import pytest
import yaml

from pipelines.cli.main import main
from pipelines.cli.test.compare import part, same
from testing.services.process import PATIENCE_SECONDS

ROOT = Path(__file__).parents[4]
RAW: dict[str, Any] = {"payload": "raw", "flow_id": "F", "inlet_url": "https://dcs.adobedc.net/collection/i"}
ROUTES: list[dict[str, Any]] = [
    {
        "name": "french",
        "topics": ["orders"],
        "when": {"/country": ["FR"]},
        "drop": {"/test": [True]},
        "map": {
            "/_id": {"from": "/order"},
            "/total": {"from": "/sum", "type": "number"},
            "/at": {"kafka": "timestamp"},
            "/channel": {"kafka": "header:channel", "default": "shop"},
            "/key": {"kafka": "key", "default": "none"},
        },
    },
    {"name": "other", "topics": ["orders"]},
    {"name": "avro", "topics": ["avro"], "format": "avro"},
]
ORDER = {"order": "1", "sum": "2.5", "country": "FR"}
SENT = {"_id": "1", "total": 2.5, "at": 0, "channel": "shop", "key": "none"}


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("routes.yaml").write_text(yaml.safe_dump({"routes": [{**RAW, **route} for route in ROUTES]}))


OPTIONS = ["--routes_file=routes.yaml", "--kafka_schema_registry_url=https://registry:8081"]


def write(*cases: dict[str, Any]) -> str:
    Path("t.yaml").write_text(yaml.safe_dump({"tests": list(cases)}, sort_keys=False))
    return "t.yaml"


def run(capsys: pytest.CaptureFixture[str], *cases: dict[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    named = [{"name": f"case {number}", "topic": "orders", **case} for number, case in enumerate(cases)]
    code = main(["test", write(*named), "--json", *OPTIONS])
    return code, orjson.loads(capsys.readouterr().out)["tests"]


@pytest.mark.parametrize(
    "case",
    [
        {"input": ORDER, "output_equals": SENT},
        {"input": ORDER, "output_contains": {"total": 2.5}},
        {"input": {**ORDER, "sum": 2}, "output_contains": {"total": 2.0}},
        {"input": ORDER, "output_contains": {}},
        {"input": ORDER, "route": "french", "output_contains": {"total": 2.5}},
        {"input_text": '{"order": "1", "country": "DE"}', "output_equals": {"order": "1", "country": "DE"}},
        {
            "input": ORDER,
            "key": "k",
            "headers": {"channel": "web"},
            "timestamp": "2026-01-31T08:00:00Z",
            "output_contains": {"key": "k", "channel": "web", "at": 1769846400000},
        },
        {"input": {"order": "1", "country": "FR"}, "refused": "map"},
        {"input": {"order": "1", "country": "FR"}, "refused": {"code": "map", "pointer": "/sum", "stage": "map"}},
        {"input": {**ORDER, "test": True}, "dropped": True},
        {"input": None, "dropped": True},
        {"input_text": "", "refused": {"code": "empty", "stage": "parse"}},
        {"topic": "avro", "input": {"a": 1}, "output_equals": {"a": 1}},
    ],
)
def test_cases_that_pass(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, (result,) = run(capsys, case)
    assert (code, result["passed"], result["problem"]) == (0, True, None)


@pytest.mark.parametrize(
    ("case", "problem", "details"),
    [
        ({"input": ORDER, "output_equals": {"_id": "1"}}, "the output differs", ['+   "channel": "shop",']),
        ({"input": ORDER, "output_contains": {"total": 3}}, "the output lacks some", ['-   "total": 3']),
        ({"input": ORDER, "output_contains": {"total": True}}, "the output lacks some", ['+   "total": 2.5']),
        ({"input": ORDER, "output_contains": {"no": 1}}, "the output lacks some", ['-   "no": 1']),
        ({"input": ORDER, "refused": "map"}, "expected a refusal: map, and the record is sent", []),
        ({"input": ORDER, "dropped": True}, "expected it to be dropped, and the record is sent", []),
        (
            {"input": {"country": "FR", "order": "1"}, "output_equals": {}},
            "expected an output, and the record is refused by map: map",
            ["+ /sum: /total cannot be made from /sum: the field is absent or null (map)"],
        ),
        (
            {"input": {"country": "FR", "order": "1"}, "refused": {"code": "map", "pointer": "/order"}},
            "expected a refusal: map, /order, and the record is refused by map: map",
            [],
        ),
        ({"input": {"country": "FR"}, "refused": {"code": "map", "stage": "parse"}}, "expected a refusal: map, pa", []),
        ({"input": {**ORDER, "test": True}, "output_equals": {}}, "and the record is dropped (drop)", []),
        ({"input": ORDER, "route": "other", "output_equals": {}}, "the route other, and the record takes french", []),
    ],
)
def test_cases_that_fail_say_why(
    case: dict[str, Any], problem: str, details: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, (result,) = run(capsys, case)
    assert (code, result["passed"]) == (1, False)
    assert problem in result["problem"]
    assert set(details) <= set(result["details"])


def test_a_terminal_shows_what_failed_and_where(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"name": "good", "topic": "orders", "input": ORDER, "output_equals": SENT}
    bad = {"name": "bad", "topic": "orders", "input": ORDER, "output_contains": {"total": 3, "key": "none"}}
    assert main(["test", write(good, bad), *OPTIONS]) == 1
    shown = capsys.readouterr()
    assert shown.err == "1 of 2 tests passed, 1 failed\n"
    assert shown.out == (
        "ok    good\nFAIL  bad  (t.yaml:14)\n      the output lacks some of what is expected\n"
        '        {\n          "key": "none",\n      -   "total": 3\n      +   "total": 2.5\n        }\n'
    )


def test_junit_reads_the_results(capsys: pytest.CaptureFixture[str]) -> None:
    good = {"name": "good", "topic": "orders", "input": ORDER, "output_equals": SENT}
    bad = {"name": "bad & <\x07>", "topic": "orders", "input": {**ORDER, "order": "<\x08>"}, "output_equals": SENT}
    assert main(["test", write(good, bad), "--junit", "results.xml", *OPTIONS]) == 1
    root = parse("results.xml").getroot()
    assert (root.attrib["tests"], root.attrib["failures"]) == ("2", "1")
    (suite,) = root
    passed, failed = suite
    assert (suite.attrib["name"], passed.attrib["name"], len(passed)) == ("t.yaml", "good", 0)
    assert failed.attrib["name"] == "bad & <\\x07>"
    assert failed[0].attrib["message"] == "the output differs"
    assert '-   "_id": "1",' in str(failed[0].text)
    assert main(["test", "t.yaml", "--junit=no/such/folder.xml", *OPTIONS]) == 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "t.yaml: has no cases"),
        ("tests: []", "t.yaml:1: tests: expected a list of cases"),
        ("test: []", "t.yaml:1: test: unknown key, did you mean tests?"),
        ("tests: [a]", "t.yaml:1: a case must be a mapping"),
        (
            "tests:\n- name: a\n  input: {}\n  refusd: x\n",
            "t.yaml:4: refusd: unknown key of a case, did you mean",
        ),
        ("tests:\n- input: {}\n  refused: type\n", "t.yaml:2: name: missing"),
        ("tests:\n- name: a\n  refused: type\n", "t.yaml:2: a case needs one input: input, input_text, input_file"),
        ("tests:\n- name: a\n  input: {}\n", "t.yaml:2: a case needs one expectation: output_equals, output_contains"),
        (
            "tests:\n- name: a\n  input: {}\n  dropped: true\n  refused: type\n",
            "refused, dropped, got refused and dropped",
        ),
        ("tests:\n- name: a\n  input: {}\n  dropped: false\n", "t.yaml:4: dropped: can only be true"),
        ("tests:\n- name: a\n  input: {}\n  refused: {cod: type}\n", "t.yaml:4: refused: must be a code, or a mapping"),
        ("tests:\n- name: a\n  input: {}\n  refused: requird\n", "t.yaml:4: refused: requird is not a code of dead"),
        (
            "tests:\n- name: a\n  input: {}\n  refused: {code: nosuch}\n",
            "t.yaml:4: refused: nosuch is not a code of dead letters: see docs/dead-letter-codes.md",
        ),
        ("tests:\n- name: a\n  input: {}\n  output_equals: 3\n", "t.yaml:4: output_equals: expected"),
        ("tests:\n- name: a\n  input: {}\n  timestamp: x\n  dropped: true\n", "t.yaml:4: timestamp: must be an ISO"),
        ("tests:\n- name: a\n  input_file: none\n  dropped: true\n", "t.yaml:3: input_file: none cannot be read: No "),
        (
            "tests:\n- {name: a, input: {}, dropped: true}\n- {name: a, input: {}, dropped: true}\n",
            "t.yaml:3: name: a is the name of the case on line 2 too",
        ),
        ("tests:\n- {name: a, topic: x, input: {}, dropped: true}", "t.yaml:2: a: no route takes the topic x"),
        ("tests:\n- {name: a, input: {}, dropped: true}", "t.yaml:2: a: there are several topics: give one of orders"),
        ("tests:\n- {name: a, topic: avro, input_text: x, dropped: true}", "takes its Avro schemas from a registry"),
    ],
)
def test_a_file_that_is_not_valid_is_an_error_with_its_line(
    text: str, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("t.yaml").write_text(text)
    assert main(["test", "t.yaml", *OPTIONS]) == 2
    assert problem in capsys.readouterr().err


def test_of_what_cannot_be_read_only_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.yaml").write_text("tests:\n- name: a\n  dropped: true\n  input: {1: 2}\n")
    assert main(["test", "t.yaml", *OPTIONS]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: t.yaml:4: not valid YAML: a key must be a name")


def test_what_the_command_needs_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("cases.yaml").write_text("tests:\n- {name: a, input: {}, dropped: true}\n")
    for arguments, words in (
        ([], "give a file of cases"),
        (["none.yaml", *OPTIONS], "none.yaml: can't read this file of tests"),
        (["cases.yaml", "--routes_file=no.yaml"], "no.yaml: can't read this routes file"),
        (["none.yaml"], "none.yaml: can't read this file of tests"),
        ([""], "the name of the file of tests is empty"),
        (["cases.yaml", "-x"], "command line: -x: unknown option"),
        (["cases.yaml", "--junit=", *OPTIONS], "--junit: expected a path, got an empty text"),
        (["--pipeline=x"], "expected one of kafka_to_aep"),
    ):
        assert main(["test", *arguments]) == 2
        assert words in capsys.readouterr().err


def test_a_schema_in_the_registry_is_asked_for_as_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    route = {"name": "r", "topics": ["t"], "inlet_url": RAW["inlet_url"], "dataset_id": "D", "schema_id": "https://s"}
    Path("routes.yaml").write_text(yaml.safe_dump({"routes": [route]}))
    case = {"name": "a", "topic": "t", "input": {}, "output_equals": {}}
    assert main(["test", write(case), "--routes_file=routes.yaml"]) == 2
    words = "t.yaml:2: a: its schema, https://s, is in the Schema Registry, and tests use no network: give the route"
    assert words in capsys.readouterr().err


def test_what_only_a_request_shows_is_a_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    case = {"name": "a", "input": {"identityMap": {}}, "refused": {"code": "bad_key", "stage": "post"}}
    options = ["--pipeline=profiles_to_kinesis", "--kinesis_stream=s", "--kafka_topics=t"]
    assert main(["test", write(case), *options]) == 0, capsys.readouterr()


def test_the_sample_passes_without_the_network() -> None:
    command = ["test", "configs/loyalty-tests.yaml", "--routes_file=configs/loyalty-routes.yaml"]
    wrapped = [sys.executable, "-m", "testing.services.no_network", sys.executable, "-m", "pipelines.cli", *command]
    done = subprocess.run(wrapped, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert (done.returncode, done.stderr) == (0, "6 of 6 tests passed, 0 failed\n")


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (1, True, False),
        (0, False, False),
        (None, False, False),
        ({"a": [1, {"b": 2}]}, {"a": [1.0, {"b": 2}]}, True),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ([1], [1, 1], False),
        ("1", 1, False),
    ],
)
def test_values_are_compared_as_json(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


@pytest.mark.parametrize(
    ("value", "wanted", "seen"),
    [
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "d": 1}}, {"a": {"c": 2}}),
        ([{"a": 1, "b": 2}, {"a": 2}], [{"a": 1}, {}], [{"a": 1}, {}]),
        ([1, 2], [1], [1, 2]),
        ({"a": 1}, [1], {"a": 1}),
    ],
)
def test_only_what_is_wanted_is_looked_at(value: Any, wanted: Any, seen: Any) -> None:
    assert part(value, wanted) == seen


def test_problems_are_in_the_order_of_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Path("t.yaml").write_text(
        "tests:\n- name: a\n  topc: orders\n  input: {}\n  refused: typ\n  timestamp: x\n- 7\n- input: 1\ntest: []\n"
    )
    assert main(["test", "t.yaml", *OPTIONS]) == 2
    lines = [int(line.split(":")[2]) for line in capsys.readouterr().err.splitlines()]
    assert lines == sorted(lines)
    assert set(lines) == {3, 5, 6, 7, 8, 9}


def test_on_a_terminal_only_what_differs_is_coloured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    Path("t.yaml").write_text("tests:\n- {name: a, topic: orders, input: {}, refused: json}\n")
    assert main(["test", "t.yaml", *OPTIONS]) == 1
    assert "\x1b[31mFAIL  \x1b[0m\x1b[1ma\x1b[0m\x1b[2m  (t.yaml:2)\x1b[0m\n" in capsys.readouterr().out
