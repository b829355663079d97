"""A kind of destination that is nothing like AEP: what a pipeline to it needs, and what it does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pipelines
from pipelines.cli.check.checks import check_run
from pipelines.cli.main import main
from pipelines.destinations.aep.kind import AEP
from pipelines.options.checks import contradictions
from pipelines.options.destination import DestinationKind, Named
from pipelines.options.make_route import route_to
from pipelines.options.merge import parse
from pipelines.options.problems import Fault
from pipelines.options.route_keys import REQUIRED, RouteKeys, own_key
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError
from pipelines.runtime.plan import make_plan
from tests.transforms.test_destination import Stream, StreamConnection
from transforms.records.route import Route


class StreamKeys(RouteKeys):
    stream: str = own_key(REQUIRED, "The stream that records are put to.")
    shared: bool = own_key(False, "Whether others put records to it too.")


def _faults(keys: StreamKeys, settings: Settings, named: Named) -> Iterator[Fault]:
    if keys.shared and keys.stream == "own":
        yield Fault("shared", f"contradicts {named('stream')}=own", ("stream",))


def _route(keys: StreamKeys, settings: Settings) -> Route:
    return route_to(Stream(keys.stream), keys, settings)


STREAMS = DestinationKind("Streams", StreamKeys, _faults, _route, lambda settings: StreamConnection())

ROUTES = """\
routes:
- name: profiles
  topics: [loyalty-profiles]
  stream: orders
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("events.jsonl").write_text('{"n": 1}\n{"n": 2}\nnot JSON\n')
    Path("routes.yaml").write_text(ROUTES)


RUN = ["--kafka_source=file", "--kafka_file_pattern=events.jsonl", "--dead_letter_path=dead"]


def settings_of(*arguments: str, kind: DestinationKind[StreamKeys] = STREAMS) -> Settings:
    return parse([*RUN, *arguments], lambda settings: contradictions(settings, kind))


def test_it_needs_none_of_aeps_options() -> None:
    settings = settings_of("--routes_file=routes.yaml")
    plan = make_plan(settings, STREAMS)
    assert [route.destination for route in plan.routes] == [Stream("orders")]
    assert plan.connection == StreamConnection()


def test_where_a_key_is_no_option_a_routes_file_is_asked_for() -> None:
    with pytest.raises(OptionsError) as caught:
        settings_of()
    assert caught.value.problems == ["routes_file: missing: give one, whose routes have stream"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("  dataset_id: d\n", "routes.yaml:5: dataset_id: unknown key of a route"),
        ("  payload: raw\n", "routes.yaml:5: payload: unknown key of a route"),
        ("  shared: 1\n", "routes.yaml:5: shared: expected bool, got int 1"),
        ("- {name: other, topics: [t]}\n", "routes.yaml:5: stream: missing: a route needs it"),
        ("- {name: other, topics: [t],\n   stream: own, shared: true}\n", "routes.yaml:6: route other: shared: contra"),
    ],
)
def test_its_routes_file_is_checked_for_its_own_keys(more: str, says: str) -> None:
    Path("routes.yaml").write_text(ROUTES + more)
    with pytest.raises(OptionsError) as caught:
        make_plan(settings_of("--routes_file=routes.yaml"), STREAMS)
    (problem,) = caught.value.problems
    assert problem.startswith(says)


def test_a_routes_file_of_another_pipeline_is_refused_key_by_key() -> None:
    with pytest.raises(OptionsError) as caught:
        make_plan(settings_of("--routes_file=routes.yaml"), AEP)
    assert caught.value.problems == [
        "routes.yaml:4: stream: unknown key of a route",
        "routes.yaml:2: inlet_url: missing: a route needs it",
    ]


def test_a_check_asks_its_connection_and_prepares_records_by_its_routes() -> None:
    found = check_run(settings_of("--routes_file=routes.yaml"), STREAMS, 10)
    assert [(check.subject, check.state) for check in found.checks] == [
        ("profiles: options", "ok"),
        ("dead letters", "ok"),
        ("connection to Streams", "ok"),
        ("file events.jsonl", "warning"),
    ]
    assert [letter.stage for letter in found.letters] == ["parse"]


PIPELINE = """
from pipelines.runtime.plan import make_plan
from pipelines.runtime.job import Job
from tests.pipelines.test_second_destination import STREAMS

JOB = Job("Files to streams", STREAMS, make_plan, build=None)
"""


def test_the_command_checks_the_pipeline_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "files_to_streams.py").write_text(PIPELINE)
    monkeypatch.setattr(pipelines, "__path__", [*pipelines.__path__, str(folder)])
    monkeypatch.delitem(sys.modules, "pipelines.files_to_streams", raising=False)
    run = [*RUN, "--routes_file=routes.yaml"]
    assert main(["check", "--pipeline", "files_to_streams", *run]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("Checks of files_to_streams")
    assert "connection to Streams" in told.out
    assert "AEP" not in told.out + told.err
    assert "Platform" not in told.out + told.err
    assert main(["check", *run]) == 2
    assert "routes.yaml:4: stream: unknown key of a route" in capsys.readouterr().err
    assert main(["check", "--pipeline", "nowhere", *run]) == 2
    refusal = capsys.readouterr().err
    assert "--pipeline: expected one of " in refusal
    assert "kafka_to_aep" in refusal
    assert "files_to_streams" in refusal
