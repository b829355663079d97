"""Runners that are misspelt, not installed or not for these pipelines are refused in a sentence."""

from __future__ import annotations

import pytest

from pipelines.options.yaml_files import OptionsError
from tests.pipelines.to_aep import parse

OPTIONS = [
    "--kafka_bootstrap_servers=b:9092",
    "--kafka_topics=events",
    "--aep_inlet_url=https://dcs.adobedc.net/collection/INLET_ID",
    "--aep_org_id=ORG_ID@AdobeOrg",
    "--aep_dataset_id=DATASET_ID",
    "--xdm_schema_file=configs/schemas/loyalty-event.schema.json",
    "--dead_letter_path=dead-letters",
]
OF_FN_API = "apache_beam.runners.portability.fn_api_runner"


def problem(*arguments: str) -> str:
    with pytest.raises(OptionsError) as raised:
        parse([*OPTIONS, *arguments])
    (only,) = raised.value.problems
    return only


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("apache_beam.runners.flink.FlinkRunner", "No module named 'apache_beam.runners.flink'"),
        (f"{OF_FN_API}.FnApiRuner", f"module '{OF_FN_API}' has no attribute 'FnApiRuner'"),
        (f"{OF_FN_API}.", f"module '{OF_FN_API}' has no attribute ''"),
        ("json.dumps", "dumps() missing 1 required positional argument: 'obj'"),
    ],
)
def test_a_full_name_without_a_class_is_refused(name: str, why: str) -> None:
    assert problem(f"--runner={name}") == (
        f"runner (command line): cannot load {name}: {why}; give one of Beam's by its short name, such as FlinkRunner"
    )


def test_a_class_that_is_no_runner_is_refused() -> None:
    assert problem("--runner=json.JSONDecoder").startswith(
        "runner (command line): json.JSONDecoder is not a runner of Beam's; "
    )


@pytest.mark.parametrize(
    "name",
    [
        "BundleBasedDirectRunner",
        "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner",
        "interactive",
        "SwitchingDirectRunner",
        "TestDirectRunner",
    ],
)
def test_runners_for_tests_and_notebooks_are_refused(name: str) -> None:
    said = problem(f"--runner={name}")
    assert said.startswith("runner (command line): ")
    assert said.endswith("Runner does not run this pipeline: use FnApiRunner on one machine")


def test_a_portable_runner_without_a_job_server_is_refused() -> None:
    assert problem("--runner=PortableRunner") == (
        "job_endpoint: missing: runner (command line) needs the address of a job server, HOST:PORT; FlinkRunner "
        "starts its own"
    )


def test_a_full_name_of_a_runner_is_taken() -> None:
    for name in (f"{OF_FN_API}.FnApiRunner", "apache_beam.runners.direct.direct_runner.DirectRunner"):
        assert parse([*OPTIONS, f"--runner={name}"]).runner == name
