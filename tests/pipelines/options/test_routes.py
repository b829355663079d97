"""Routes: what a file and the options make together, and what is refused where."""

from pathlib import Path

import pytest

from aep.mapping.conditions import Condition
from aep.mapping.field_map import compile_map
from aep.mapping.json_patch import compile_patch
from aep.xdm.rules import XdmRules
from pipelines.destinations.aep.keys import AepRouteKeys
from pipelines.options.merge import OptionsError, Settings
from testing.defaults import by_default
from tests.pipelines.to_aep import load_routes, make_routes, parse

CONFIGS = Path(__file__).parents[3] / "configs"
SCHEMAS = CONFIGS / "schemas"
RUN = ["--kafka_bootstrap_servers=k:9092", "--dead_letter_topic=dead-letters", "--routes_file=routes.yaml"]
ROUTES = """\
routes:
- name: profiles
  topics: [loyalty-profiles]
  inlet_url: https://h/collection/p
  dataset_id: dp
  schema_file: p.json
- name: events
  topics: [loyalty-events, ^other-.*]
  inlet_url: https://h/collection/e
  dataset_id: de
  schema_file: e.json
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def settings_of(text: str, *arguments: str) -> Settings:
    Path("routes.yaml").write_text(text)
    return parse([*RUN, *arguments])


def problems(text: str, *arguments: str) -> list[str]:
    settings = settings_of(text, *arguments)
    with pytest.raises(OptionsError) as caught:
        load_routes(settings)
    return caught.value.problems


def test_routes_in_their_order() -> None:
    profiles, events = load_routes(settings_of(ROUTES))
    assert profiles == AepRouteKeys(
        name="profiles",
        topics=("loyalty-profiles",),
        inlet_url="https://h/collection/p",
        dataset_id="dp",
        schema_file="p.json",
    )
    assert (events.name, events.topics) == ("events", ("loyalty-events", "^other-.*"))


def test_what_a_route_leaves_out_comes_from_the_options() -> None:
    settings = settings_of(
        ROUTES + "  org_id: E@AdobeOrg\n  payload: message\n  auth: none\n  headers: {x-b: 2, x-c: 3.10}\n",
        "--aep_org_id=A@AdobeOrg",
        "--aep_source_name=loyalty",
        "--aep_auth=token",
        "--aep_token=env:T",
        "--aep_headers=x-a=1",
        "--aep_headers=x-b=1",
    )
    profiles, events = load_routes(settings)
    assert (profiles.org_id, profiles.source_name, profiles.payload) == ("A@AdobeOrg", "loyalty", "entity")
    assert (profiles.auth, profiles.headers) == ("token", {"x-a": "1", "x-b": "1"})
    assert (events.org_id, events.source_name, events.payload) == ("E@AdobeOrg", "loyalty", "message")
    assert (events.auth, events.headers) == ("none", {"x-a": "1", "x-b": "2", "x-c": "3.10"})


def test_a_run_without_a_routes_file_has_one_route() -> None:
    settings = parse(
        [
            "--kafka_bootstrap_servers=k:9092",
            "--kafka_topics=a,b",
            "--dead_letter_path=dl",
            "--aep_inlet_url=https://h/collection/i",
            "--aep_dataset_id=d",
            "--aep_org_id=A@AdobeOrg",
            "--aep_flow_id=f",
            "--aep_headers=x-a=1",
            "--xdm_schema_file=s.json",
            "--xdm_schema_id=https://ns/s",
        ]
    )
    assert load_routes(settings) == [
        AepRouteKeys(
            name="default",
            topics=("a", "b"),
            inlet_url="https://h/collection/i",
            dataset_id="d",
            org_id="A@AdobeOrg",
            flow_id="f",
            headers={"x-a": "1"},
            schema_file="s.json",
            schema_id="https://ns/s",
        )
    ]


REFUSED = [
    ("", ["routes.yaml: must have one key, routes, with a list of routes"]),
    ("routes:\n", ["routes.yaml:1: routes: expected a list of routes"]),
    ("routes: []\n", ["routes.yaml:1: routes: expected a list of routes"]),
    ("- name: a\n", ["routes.yaml:1: must be a mapping of names to values"]),
    ("routes: [x]\n", ["routes.yaml:1: a route must be a mapping with name, topics, inlet_url, ..."]),
    (ROUTES + "route: []\n", ["routes.yaml:12: route: unknown key, did you mean routes?"]),
    (ROUTES + ROUTES, ["routes.yaml: must have one key, routes, with a list of routes"]),
    (ROUTES + "  datasetid: x\n", ["routes.yaml:12: datasetid: unknown key of a route, did you mean dataset_id?"]),
    (ROUTES + "  topics: [x]\n", ["routes.yaml:12: topics: duplicate key, first on line 8"]),
    (ROUTES + "  payload: avro\n", ["routes.yaml:12: payload: expected one of entity, message, raw, got str avro"]),
    (ROUTES + "  primary_identity: [id]\n", ["routes.yaml:12: primary_identity: 'id' is not a JSON pointer"]),
    (ROUTES + "  identity: needed\n", ["routes.yaml:12: identity: expected"]),
    (ROUTES + "  namespaces: Email\n", ["routes.yaml:12: namespaces: expected"]),
    (ROUTES + "  org_id: 5\n", ["routes.yaml:12: org_id: expected str or null, got int 5"]),
    (
        ROUTES + "  headers:\n    x-a: 1\n    Cookie: hunter2\n",
        ["routes.yaml:14: headers: Cookie would carry a secret"],
    ),
    (
        ROUTES.replace("https://h/collection/e", "https://h/e"),
        ["routes.yaml:9: inlet_url: must be the inletUrl of a streaming connection"],
    ),
    (ROUTES.replace("name: events", "name: a/b"), ["routes.yaml:7: name: 'a/b' is not a valid route name"]),
    (
        ROUTES.replace("  inlet_url: https://h/collection/e\n", ""),
        ["routes.yaml:7: inlet_url: missing: a route needs it"],
    ),
    (
        ROUTES.replace("  dataset_id: de\n", "").replace("  schema_file: e.json\n", ""),
        [
            "routes.yaml:7: route events: dataset_id: missing: payload=entity needs it",
            "routes.yaml:7: route events: schema_file: missing: payload=entity needs it",
        ],
    ),
    (
        ROUTES.replace("[loyalty-events, ^other-.*]", "[]"),
        ["routes.yaml:7: route events: topics: missing: give the topics of this route"],
    ),
    (
        ROUTES.replace("name: events", "name: profiles"),
        ["routes.yaml:7: name: str profiles is taken by the route on line 2"],
    ),
    (
        ROUTES.replace("loyalty-events", "loyalty-profiles"),
        ["routes.yaml:8: topics: loyalty-profiles belongs to route profiles (line 3) too, but a record has one route"],
    ),
    (
        ROUTES.replace("^other", "^loyalty"),
        ["routes.yaml:8: topics: loyalty-profiles belongs to route profiles (line 3) too"],
    ),
    (
        ROUTES.replace("loyalty-profiles", "^other-.*"),
        ["routes.yaml:8: topics: ^other-.* belongs to route profiles (line 3) too"],
    ),
    (
        ROUTES.replace("^other", "^dead"),
        ["routes.yaml:8: topics: ^dead-.* matches dead_letter_topic (command line), an endless loop"],
    ),
    (ROUTES + "  auth: token\n", ["routes.yaml:12: route events: aep_token: missing: auth=token needs it"]),
    (
        ROUTES.replace("name: profiles", "name: ''").replace("dataset_id: de", "dataset: de"),
        [
            "routes.yaml:2: name: is empty (an unset variable?)",
            "routes.yaml:10: dataset: unknown key of a route, did you mean dataset_id?",
            "routes.yaml:7: route events: dataset_id: missing",
        ],
    ),
    (ROUTES + "  format: csv\n", ["routes.yaml:12: format: expected one of json, avro, got str csv"]),
    (
        ROUTES + "  format: avro\n",
        ["routes.yaml:12: route events: format: avro needs schemas: give a kafka_schema_registry_url, or"],
    ),
    (
        ROUTES + "  avro_schema_file: e.avsc\n",
        ["routes.yaml:12: route events: avro_schema_file: is for values in Avro, and format=json"],
    ),
    (ROUTES + "  map: 5\n", ["routes.yaml:12: map: must be a list of JSON Patch operations, a mapping of fields to"]),
    (
        ROUTES + "  map:\n  - {op: add, path: /a, value: 1}\n  - {op: add, path: a}\n  - {op: no}\n",
        [
            "routes.yaml:14: map: operation 1: add needs value",
            "routes.yaml:15: map: operation 2: op must be one of",
        ],
    ),
    (
        ROUTES + "  map:\n    /a: {from: /b}\n    /c: {form: /b}\n",
        [
            "routes.yaml:14: map: /c: has an unknown key form: expected from, value, kafka, type, unit, pattern, zone, "
            "scale, optional, default"
        ],
    ),
    (
        ROUTES + "  when: commerce\n",
        [
            "routes.yaml:12: when: must be a mapping of JSON pointers to values, such as {/eventType: "
            "[commerce.purchases]}"
        ],
    ),
    (
        ROUTES + "  when:\n    /a: 1\n    b: 1\n",
        ["routes.yaml:14: when: 'b' is not a JSON pointer: write /eventType"],
    ),
    (
        ROUTES + "  drop: commerce\n",
        [
            "routes.yaml:12: drop: must be a mapping of JSON pointers to values, such as {/eventType: "
            "[commerce.purchases]}"
        ],
    ),
    (
        ROUTES + "  drop:\n    /a: 1\n    b: 1\n",
        ["routes.yaml:14: drop: 'b' is not a JSON pointer: write /eventType"],
    ),
    (
        ROUTES + "  transform: acme.loyalty.enrich\n",
        ["routes.yaml:12: transform: expected package.module:function, such as acme.loyalty:enrich, got"],
    ),
    (ROUTES + "  transform: [a]\n", ["routes.yaml:12: transform: expected str or null"]),
    (
        ROUTES.replace("loyalty-events", "loyalty-profiles") + "  when: {/a: 1}\n",
        [
            "routes.yaml:8: topics: loyalty-profiles belongs to route profiles (line 3) too, but a record has "
            "one route, and that route takes all records: put it after this one"
        ],
    ),
    ("routes: [\n", ["routes.yaml:1: not valid YAML: an unclosed ["]),
]


@pytest.mark.parametrize(("text", "says"), REFUSED)
def test_refused(text: str, says: list[str]) -> None:
    found = problems(text)
    assert len(found) == len(says), found
    for problem, expected in zip(found, says, strict=True):
        assert problem.startswith(expected)
        assert "hunter2" not in problem


def test_routes_with_conditions_may_share_a_topic_if_they_read_it_in_one_format() -> None:
    text = ROUTES.replace("schema_file: p.json", "schema_file: p.json\n  when: {/type: [p, q], /n: 1}")
    text = text.replace("loyalty-events", "loyalty-profiles")
    profiles, events = load_routes(settings_of(text))
    assert profiles.when == (Condition("/type", ("p", "q")), Condition("/n", (1,)))
    assert events.when == ()
    text += "  format: avro\n"
    assert problems(text, "--kafka_schema_registry_url=http://r:8081") == [
        "routes.yaml:9: topics: loyalty-profiles belongs to route profiles (line 3) too, in another format"
    ]


def test_a_route_may_drop_records_and_have_a_function_of_its_own() -> None:
    profiles, events = load_routes(settings_of(ROUTES + "  drop: {/test: true}\n  transform: acme.loyalty:enrich\n"))
    assert (profiles.drop, profiles.transform) == ((), None)
    assert (events.drop, events.transform) == ((Condition("/test", (True,)),), "acme.loyalty:enrich")


def test_a_map_is_a_patch_fields_or_a_file() -> None:
    fields = {"/a": {"from": "/b"}}
    operations = [{"op": "remove", "path": "/a"}]
    for given, expected in (
        ("{/a: {from: /b}}", compile_map(fields)),
        ("[{op: remove, path: /a}]", compile_patch(operations, "rfc6902")),
        ("maps/events.yaml", "maps/events.yaml"),
    ):
        assert load_routes(settings_of(f"{ROUTES}  map: {given}\n"))[1].map == expected


def test_the_dialect_of_a_patch_is_the_routes_or_the_options() -> None:
    operations = [{"op": "Remove", "path": "a"}]
    own = "  map: [{op: Remove, path: a}]\n  map_patch_dialect: adobe\n"  # in either order
    assert load_routes(settings_of(ROUTES + own))[1].map == compile_patch(operations, "adobe")
    shared = ROUTES + "  map: [{op: Remove, path: a}]\n"
    assert load_routes(settings_of(shared, "--map_patch_dialect=adobe"))[1].map == compile_patch(operations, "adobe")
    assert problems(shared) == [
        "routes.yaml:12: map: operation 0: op must be one of add, remove, replace, move, copy, test"
    ]
    (problem,) = problems(shared + "  map_patch_dialect: connect\n")  # by which the patch could not be judged
    assert problem.startswith("routes.yaml:13: map_patch_dialect: ")


def test_the_format_comes_from_the_options_unless_a_route_says_otherwise() -> None:
    registry = "--kafka_schema_registry_url=http://r:8081"
    settings = settings_of(ROUTES + "  format: json\n", "--kafka_format=avro", registry)
    assert [route.format for route in load_routes(settings)] == ["avro", "json"]


def test_a_routes_file_that_is_not_there() -> None:
    settings = settings_of(ROUTES)
    Path("routes.yaml").unlink()
    with pytest.raises(OptionsError, match=r"^routes.yaml: can't read this routes file: No such file or directory$"):
        load_routes(settings)


def test_raw_routes_need_neither_dataset_nor_schema() -> None:
    text = "routes: [{name: raw, topics: [t], inlet_url: 'https://h/collection/r', payload: raw, flow_id: f}]"
    assert load_routes(settings_of(text)) == [
        AepRouteKeys(name="raw", topics=("t",), inlet_url="https://h/collection/r", payload="raw", flow_id="f")
    ]


def test_the_samples_routes() -> None:
    run = [*RUN[:2], f"--routes_file={CONFIGS / 'loyalty-routes.yaml'}"]
    assert [(route.name, route.topics) for route in load_routes(parse(run))] == [
        ("profiles", ("loyalty-profiles",)),
        ("events", ("loyalty-events",)),
    ]


def test_a_route_says_what_is_asked_of_identities() -> None:
    files = ROUTES.replace("p.json", str(SCHEMAS / "loyalty-profile.schema.json"))
    files = files.replace("e.json", str(SCHEMAS / "loyalty-event.schema.json"))
    options = ("--xdm_identity=required", "--xdm_namespaces=Phone", "--xdm_max_age_days=9")

    def rules(said: str) -> list[XdmRules | None]:
        return [route.rules for route in make_routes(settings_of(files + said, *options))]

    own = by_default(
        XdmRules, identity="required", primary_identity=("/_acme/id",), namespaces=("Email", "CRMID"), max_age_days=9
    )
    none: XdmRules | None = None  # what the records of all routes are asked
    assert rules("  primary_identity: [/_acme/id]\n  namespaces: [Email, CRMID]\n") == [none, own]
    # What a route says to be off or empty is said: the options no longer hold.
    assert rules("  identity: off\n  namespaces: []\n") == [none, by_default(XdmRules, max_age_days=9)]
