"""Files of mappings: what is read, and what is refused where."""

import re
from pathlib import Path

import pytest

from aep.formats.json import ParsedObject
from aep.mapping.field_map import compile_map
from aep.mapping.json_patch import compile_patch
from aep.mapping.transform import RecordTransform
from pipelines.options.mapping_file import read_mapping
from pipelines.options.merge import OptionsError
from tests.pipelines.to_aep import make_plan, parse
from transforms.kafka.confluent_registry import SchemaRegistry
from transforms.parse_avro import ParseAvro, ParseConfluentAvro

RUN = [
    "--kafka_bootstrap_servers=k:9092",
    "--kafka_topics=orders",
    "--dead_letter_path=dl",
    "--aep_inlet_url=https://h/collection/i",
    "--xdm_payload=raw",
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_list_is_a_patch_and_a_mapping_a_map() -> None:
    Path("map.yaml").write_text("# of orders\n/_id: {from: /orderId}\n_acme.channel: {value: web}\n")
    Path("patch.json").write_text('[\n\t{"op": "add",\t"path": "/a", "value": "x\\ty"}\n]\n')
    fields = {"/_id": {"from": "/orderId"}, "_acme.channel": {"value": "web"}}
    assert read_mapping("map.yaml", "rfc6902") == compile_map(fields)
    assert read_mapping("patch.json", "rfc6902") == compile_patch(
        [{"op": "add", "path": "/a", "value": "x\ty"}], "rfc6902"
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["map.yaml: is empty: give a list of operations or a mapping of fields"]),
        ("5\n", ["map.yaml:1: must be a list of operations or a mapping of fields, not int 5"]),
        ("/a: 1\n/b:\n  from: /x\n/c: {}\n", ["map.yaml:1: /a: needs a source", "map.yaml:4: /c: needs one of"]),
        (
            "- {op: no}\n- op: remove\n",
            ["map.yaml:1: operation 0: op must be", "map.yaml:2: operation 1: remove needs"],
        ),
        ("/a: {from: /x}\n/a: {from: /y}\n", ["map.yaml:2: not valid YAML: duplicate key /a"]),
        ("/a: !x 1\n", ["map.yaml:1: not valid YAML: a tag (!) is not accepted here"]),
        ("/a/1: {value: 1}\n", ["map.yaml:1: /a: an array needs the places"]),
        (
            "/a: {value: 1}\n/b: {from: /x, type: date, unit: weeks}\n/c:\n  from: /x\n  scale: 2\n",
            ["map.yaml:2: /b: unit must be one of days, s, ms, us, ns", "map.yaml:3: /c: scale needs type: number"],
        ),
        ("/a: [\n", ["map.yaml:1: not valid YAML: an unclosed ["]),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(text: str, problems: list[str]) -> None:
    Path("map.yaml").write_text(text)
    with pytest.raises(OptionsError) as caught:
        read_mapping("map.yaml", "rfc6902")
    assert len(caught.value.problems) == len(problems), caught.value.problems
    for problem, expected in zip(caught.value.problems, problems, strict=True):
        assert problem.startswith(expected)


def test_a_patch_has_the_dialect_of_its_route_or_the_options() -> None:
    Path("map.yaml").write_text("- {op: Remove, path: a}\n")
    (route,) = make_plan(parse([*RUN, "--map_file=map.yaml", "--map_patch_dialect=adobe"])).routes
    operations = [{"op": "Remove", "path": "a"}]
    assert route.mapping == compile_patch(operations, "adobe")
    with pytest.raises(OptionsError, match=r"^map\.yaml:1: operation 0: op must be one of add, remove"):
        make_plan(parse([*RUN, "--map_file=map.yaml"]))


def test_a_single_route_has_the_function_of_the_options() -> None:
    (route,) = make_plan(parse([*RUN, "--map_transform=acme.loyalty:enrich"])).routes
    assert route.transform == RecordTransform("acme.loyalty:enrich")
    (route,) = make_plan(parse(RUN)).routes
    assert route.transform is None


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(OptionsError, match=r"^no\.yaml: can't read this mapping: No such file or directory$"):
        read_mapping("no.yaml", "rfc6902")


def test_a_plan_has_the_mapping_and_the_format_of_its_routes() -> None:
    Path("map.yaml").write_text("- {op: remove, path: /a}\n")
    Path("order.avsc").write_text('{"type":"record","name":"R","fields":[]}')
    plain = make_plan(
        parse([*RUN, "--map_file=map.yaml", "--kafka_format=avro", "--kafka_avro_schema_file=order.avsc"])
    )
    (route,) = plan_routes = list(plain.routes)
    assert len(plan_routes) == 1
    assert route.mapping == compile_patch([{"op": "remove", "path": "/a"}], "rfc6902")
    assert route.parse == ParseAvro(Path("order.avsc").read_text())
    registry = "--kafka_schema_registry_url=https://a:8081,https://b:8081"
    info = "--kafka_schema_registry_config=basic.auth.user.info=env:REGISTRY"
    (route,) = make_plan(parse([*RUN, "--kafka_format=avro", registry, info])).routes
    expected = SchemaRegistry("https://a:8081,https://b:8081", {"basic.auth.user.info": "env:REGISTRY"})
    assert route.parse == ParseConfluentAvro(expected)


MONEY = '{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"int"}]}'
LINE = '{"type":"record","name":"shop.Line","fields":[{"name":"price","type":"Money"}]}'
ORDER = '{"type":"record","name":"shop.Order","fields":[{"name":"line","type":"Line"}]}'
AVRO_ROUTES = """routes:
- name: orders
  topics: [orders]
  inlet_url: https://dcs.adobedc.net/collection/i
  payload: raw
  format: avro
  avro_schema_file: [money.avsc, line.avsc, order.avsc]
"""


def avro_files() -> None:
    for name, text in (("money", MONEY), ("line", LINE), ("order", ORDER)):
        Path(f"{name}.avsc").write_text(text)


@pytest.mark.parametrize("way", ["option", "options file", "route"])
def test_an_avro_schema_of_several_files(way: str) -> None:
    avro_files()
    if way == "option":
        arguments = [*RUN, "--kafka_format=avro", "--kafka_avro_schema_file=money.avsc,line.avsc,order.avsc"]
    elif way == "options file":
        Path("o.yaml").write_text("kafka_format: avro\nkafka_avro_schema_file: [money.avsc, line.avsc, order.avsc]\n")
        arguments = [*RUN, "--options_file=o.yaml"]
    else:
        Path("routes.yaml").write_text(AVRO_ROUTES)
        arguments = ["--kafka_bootstrap_servers=k:9092", "--dead_letter_path=dl", "--routes_file=routes.yaml"]
    (route,) = make_plan(parse(arguments)).routes
    assert route.parse == ParseAvro(ORDER, (MONEY, LINE))
    parsed = route.parse(b"\x06", ())
    assert isinstance(parsed, ParsedObject)
    assert parsed.entity == {"line": {"price": {"cents": 3}}}


@pytest.mark.parametrize("files", ["order.avsc", "[order.avsc]"])
def test_one_avro_schema_file_needs_no_list(files: str) -> None:
    Path("order.avsc").write_text(MONEY)
    Path("o.yaml").write_text(f"kafka_format: avro\nkafka_avro_schema_file: {files}\n")
    Path("routes.yaml").write_text(AVRO_ROUTES.replace("[money.avsc, line.avsc, order.avsc]", files))
    assert next(iter(make_plan(parse([*RUN, "--options_file=o.yaml"])).routes)).parse == ParseAvro(MONEY)
    by_route = ["--kafka_bootstrap_servers=k:9092", "--dead_letter_path=dl", "--routes_file=routes.yaml"]
    assert next(iter(make_plan(parse(by_route)).routes)).parse == ParseAvro(MONEY)


def test_avro_schema_files_in_the_wrong_order_name_the_file_and_the_type() -> None:
    avro_files()
    settings = parse([*RUN, "--kafka_format=avro", "--kafka_avro_schema_file=money.avsc,order.avsc,line.avsc"])
    with pytest.raises(
        OptionsError, match=r"^order\.avsc: not a valid Avro schema: the type shop\.Line is not defined in it or "
    ):
        make_plan(settings)


def test_a_schema_that_is_none() -> None:
    Path("order.avsc").write_text('{"type":"record"}')
    settings = parse([*RUN, "--kafka_format=avro", "--kafka_avro_schema_file=order.avsc"])
    with pytest.raises(OptionsError, match=r"^order\.avsc: not a valid Avro schema: "):
        make_plan(settings)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ["--kafka_format=avro"],
            "kafka_format (command line): avro needs schemas: give a kafka_schema_registry_url",
        ),
        (
            ["--kafka_avro_schema_file=a"],
            "kafka_avro_schema_file (command line): is for values in Avro, and format=json",
        ),
        (
            ["--kafka_schema_registry_config=timeout=5"],
            "kafka_schema_registry_url: missing: kafka_schema_registry_config",
        ),
        (["--kafka_schema_registry_url=r:8081"], "kafka_schema_registry_url: must be an address like"),
        (["--kafka_schema_registry_url=http://a,http://u:p@b"], "password: use kafka_schema_registry_config"),
        (
            ["--kafka_schema_registry_config=basic.auth.user.info=me:hunter2"],
            "basic.auth.user.info is a secret: give a reference",
        ),
        (["--kafka_schema_registry_config=proxy=http://me:hunter2@p:1"], "proxy is a secret: give a reference"),
        (["--kafka_schema_registry_config=max.retries=5"], "max.retries can't be set here: use basic.auth.user.info, "),
        (["--kafka_schema_registry_config=timeout=soon"], "timeout must be a number of seconds"),
        (
            ["--kafka_source=file", "--kafka_file_pattern=x", "--kafka_format=avro"],
            "kafka_format (command line): avro cannot be read with kafka_source=file",
        ),
        (["--routes_file=r.yaml", "--map_file=m.yaml"], "map_file (command line): contradicts routes_file"),
        (["--routes_file=r.yaml", "--map_transform=a:b"], "map_transform (command line): contradicts routes_file"),
        (["--map_transform=a.b"], "map_transform: expected package.module:function"),
    ],
)
def test_options_that_do_not_go_together(arguments: list[str], problem: str) -> None:
    with pytest.raises(OptionsError, match=re.escape(problem)) as caught:
        parse([*RUN, *arguments])
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "\n  /_id: {from: /orderId}\n  /_acme/channel: {value: web}\n",
        "\n  - {op: remove, path: /a}\n  - {op: remove, path: /b}\n",
    ],
)
def test_an_option_takes_what_a_route_takes_a_file_or_what_it_would_hold(written: str) -> None:
    Path("map.yaml").write_text(written)
    Path("options.yaml").write_text(f"map_file:{written}")
    settings = parse([*RUN, "-f", "options.yaml"])
    by_file = parse([*RUN, "--map_file=map.yaml"])
    (mapping,) = (route.mapping for route in make_plan(settings).routes)
    assert mapping == next(iter(make_plan(by_file).routes)).mapping
    Path("routes.yaml").write_text(
        "routes:\n  - name: orders\n    topics: [orders]\n    inlet_url: https://h/collection/i\n    payload: raw\n"
        f"    map:{written.replace(chr(10), chr(10) + '    ')}"
    )
    by_route = parse([*RUN[:1], RUN[2], "--routes_file=routes.yaml"])
    assert next(iter(make_plan(by_route).routes)).mapping == mapping

    Path("printed.yaml").write_text(settings.as_yaml())
    assert parse(["-f", "printed.yaml"]).map == settings.map
    assert ("/_id: {from: /orderId}  # options.yaml:2" in settings.as_yaml()) == ("from" in written)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("map_file:\n  /a: {from: /b}\n  /c: 5\n", "options.yaml:3: map_file: /c: needs a source"),
        ("map_file: 5\n", "options.yaml:1: map_file: must be a list of JSON Patch operations, a mapping of fields"),
        ("map_patch_dialect: adobe\nmap_file:\n  - {op: no, path: /a}\n", "options.yaml:2: map_file: operation 0: op "),
    ],
)
def test_an_option_that_is_no_mapping_is_refused_with_its_line(written: str, says: str) -> None:
    Path("options.yaml").write_text(written)
    with pytest.raises(OptionsError) as caught:
        parse([*RUN, "-f", "options.yaml"])
    (problem,) = caught.value.problems
    assert problem.startswith(says)
