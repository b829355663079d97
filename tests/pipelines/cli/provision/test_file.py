"""Provision files: each wrong one is refused with its line, before any call."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.cli.provision.file import is_ours, read_provision, routes_text
from pipelines.options.yaml_files import OptionsError
from tests.aep.provisioning import sample

ROOT = Path(__file__).parents[4]
GOOD = """\
field_groups:
  - title: Details
    classes: [profile]
    fields:
      _{TENANT_ID}:
        type: object
        fields:
          member: string
schemas:
  - title: Member
    class: profile
    field_groups: [Details]
    profile: true
    identities:
      - field: /_{TENANT_ID}/member
        namespace: Loyalty
        primary: true
datasets:
  - name: Members
    schema: Member
connections:
  - name: Stream
flows:
  - name: Members
    connection: Stream
    dataset: Members
routes:
  - name: members
    flow: Members
    topics: [members]
"""


def refusals_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "aep.yaml"
    file.write_text(text)
    with pytest.raises(OptionsError) as refused:
        read_provision(str(file))
    return [problem.replace(f"{tmp_path}/", "") for problem in refused.value.problems]


def test_the_sample_configuration_is_right() -> None:
    wanted = read_provision(str(ROOT / "configs" / "provision.yaml")).wanted
    assert [route.name for route in wanted.routes] == ["profiles", "events"]


def test_places_follow_the_tenant_id(tmp_path: Path) -> None:
    file = tmp_path / "aep.yaml"
    file.write_text(GOOD)
    of_tenant = read_provision(str(file)).of_tenant("acme")
    assert of_tenant.lines[("field_groups", 0, "fields", "_acme", "fields", "member")] == 8
    assert of_tenant.wanted.schemas[0].identities[0].field == "/_acme/member"


@pytest.mark.parametrize(
    ("old", "new", "refusal"),
    [
        ("datasets:", "data_sets:", "aep.yaml:18: data_sets: unknown key, did you mean datasets?"),
        ("    classes:", "    class:", "aep.yaml:3: class: unknown key, did you mean classes?"),
        ("        type: object", "        typ: object", "aep.yaml:6: typ: unknown key, did you mean type?"),
        ("        primary: true", "        primry: true", "aep.yaml:17: primry: unknown key, did you mean primary?"),
        ("    schema: Member", "    shema: Member", "aep.yaml:20: shema: unknown key, did you mean schema?"),
        ("    topics:", "    topcis:", "aep.yaml:30: topcis: unknown key, did you mean topics?"),
        ("    topics:", "    inlet_url: x\n    topics:", "aep.yaml:30: inlet_url: is filled in by provisioning"),
        ("[members]", "[a b]", "aep.yaml:30: topics: 'a b' is not a valid topic name"),
        ("    topics: [members]", "", "aep.yaml:28: route members: topics: missing: give the topics of this route"),
        ("[members]", "[]", "aep.yaml:28: route members: topics: missing: give the topics of this route"),
        ("[members]", "[members]\n    id_from: /_id", "aep.yaml:31: id_from: expected list of str, got str /_id"),
        ("[members]", "[members]\n    format: avr", "aep.yaml:31: format: expected one of json, avro, got str avr"),
        ("[members]", "[members]\n    operations: {data: merge}", "aep.yaml:31: operations: upserts are raw records"),
        (
            "[members]",
            "[members]\n  - name: again\n    flow: Members\n    topics: [x, members]",
            "aep.yaml:33: topics: members also belongs to route members, which takes all of its records",
        ),
        ("    profile: true", "    profile: yes please", "aep.yaml:13: profile: expected true or false, got str"),
        ("member: string", "member: text", "aep.yaml:8: member: expected one of string, number, long"),
        ("    classes: [profile]", "    classes: profile", "aep.yaml:3: classes: expected a list, got str"),
        ("  - title: Details\n", "  - name: Details\n", "aep.yaml:2: title: missing"),
        ("  - name: Stream", "  - Stream", "aep.yaml:22: connections, entry 1: expected a mapping, got str"),
        ("connection: Stream", "connection: Steam", "aep.yaml:25: Steam: no such connection is declared in this file"),
        ("      _{TENANT_ID}:", "      loyalty:", "aep.yaml:5: loyalty: custom fields must be under"),
        (
            "datasets:",
            "      - {field: '/_{TENANT_ID}/member', namespace: E, primary: true}\ndatasets:",
            "aep.yaml:18: primary: a schema has one primary identity",
        ),
        ("    class: profile\n", "", "aep.yaml:10: schema Member: class: missing"),
        (
            "  - name: Members\n    schema",
            "  - name: Members\n    name: Members\n    schema",
            "duplicate key name",
        ),
        ("flows:", "flows: [", "aep.yaml:"),
        (
            "datasets:",
            "      - &me {field: /a, namespace: *me}\ndatasets:",
            "aep.yaml:18: contains itself, by an alias (*)",
        ),
    ],
)
def test_a_wrong_file(tmp_path: Path, old: str, new: str, refusal: str) -> None:
    assert old in GOOD
    refusals = refusals_of(tmp_path, GOOD.replace(old, new, 1))
    assert any(refusal in each for each in refusals), refusals


@pytest.mark.parametrize(("text", "words"), [("", "declares nothing"), ("- a", "must be a mapping"), ("{}", "nothing")])
def test_no_file_at_all(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in each for each in refusals_of(tmp_path, text))


def test_all_problems_are_told_in_the_order_of_lines(tmp_path: Path) -> None:
    text = GOOD.replace("connection: Stream", "connection: Steam").replace("schema: Member", "schema: Membr")
    assert [each.split(":")[1] for each in refusals_of(tmp_path, text)] == ["20", "25"]


def test_a_routes_file_of_somebody_else(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.yaml", tmp_path / "theirs.yaml"
    ours.write_text(routes_text("aep.yaml", [], tmp_path))
    theirs.write_text("routes: []\n")
    assert [is_ours(each) for each in (ours, theirs, tmp_path / "missing.yaml")] == [True, False, True]


def test_the_file_of_other_tests_is_one(tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "aep.yaml"
    file.write_text(yaml.safe_dump(sample(), sort_keys=False))
    assert len(read_provision(str(file)).wanted.flows) == 2
