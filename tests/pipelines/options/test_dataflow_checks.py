"""What is said of options for Dataflow before a job is submitted, and of a dry run elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipelines.options.kinesis_checks import reading_findings
from pipelines.options.merge import parse as parse_for
from pipelines.options.yaml_files import OptionsError
from tests.pipelines.to_aep import parse

DATAFLOW = Path(__file__).parents[3] / "configs" / "dataflow.yaml"
OWN = {
    "project": "my-project",
    "region": "europe-west1",
    "temp_location": "gs://bucket/temp",
    "sdk_container_image": "europe-west1-docker.pkg.dev/my-project/beam-aep/dataflow:1",
}
RUN = {
    "kafka_bootstrap_servers": "kafka.invalid:9092",
    "kafka_topics": "events",
    "aep_inlet_url": f"https://dcs.adobedc.net/collection/{'0' * 64}",
    "xdm_payload": "raw",
    "dead_letter_topic": "dead",
}


def flags(*without: str, **more: object) -> list[str]:
    return [f"--{name}={value}" for name, value in {**RUN, **OWN, **more}.items() if name not in without]


@pytest.mark.parametrize("missing", ["project", "temp_location", "sdk_container_image"])
def test_what_a_job_needs_is_asked_for(missing: str) -> None:
    with pytest.raises(OptionsError) as refused:
        parse([*flags(missing), "--runner=DataflowRunner"])
    (problem,) = refused.value.problems
    assert problem.startswith(f"{missing}: missing: DataflowRunner needs ")
    parse([*flags(missing), "--runner=FlinkRunner"])


def test_a_staging_location_is_a_place_for_temporary_files_too() -> None:
    parse([*flags("temp_location", staging_location="gs://bucket/staging"), "--runner=DataflowRunner"])


@pytest.mark.parametrize("name", ["temp_location", "staging_location"])
@pytest.mark.parametrize("folder", ["/tmp/beam", "gs://b/too-short", "s3://bucket/temp"])
def test_a_folder_that_beam_would_replace_by_a_bucket_of_its_own_is_refused(name: str, folder: str) -> None:
    with pytest.raises(OptionsError) as refused:
        parse([*flags(**{name: folder}), "--runner=DataflowRunner"])
    assert refused.value.problems == [f"{name} (command line): expected gs://BUCKET/FOLDER, got {folder}"]


def test_a_reader_of_kinesis_is_asked_for_the_same() -> None:
    given = ["--kinesis_stream=profiles", "--output_path=out", "--dead_letter_path=dead", "--runner=DataflowRunner"]
    with pytest.raises(OptionsError, match="sdk_container_image: missing"):
        parse_for(given, reading_findings)


@pytest.mark.parametrize("runner", ["DirectRunner", "FnApiRunner", "PrismRunner", "FlinkRunner", "PortableRunner"])
@pytest.mark.parametrize("how", ["--dry_run", "--dry_run=true"])
def test_a_dry_run_is_refused_where_the_pipeline_would_run(runner: str, how: str) -> None:
    with pytest.raises(OptionsError) as refused:
        parse([*flags(job_endpoint="localhost:8099"), f"--runner={runner}", how])
    (problem,) = refused.value.problems
    assert problem.startswith(f"dry_run (command line): DataflowRunner alone has dry runs, and {runner} would run the")


def test_a_dry_run_that_is_switched_off_is_none_for_beam_either() -> None:
    """Beam takes any text for true."""
    on, off = (parse([*flags(), "--runner=DataflowRunner", f"--dry_run={value}"]) for value in ("true", "false"))
    assert on.dry_run
    assert "--dry_run=true" in on.beam_flags
    assert not off.dry_run
    assert [flag for flag in off.beam_flags if "dry_run" in flag] == []


def test_a_dry_run_that_is_neither_is_refused() -> None:
    with pytest.raises(OptionsError, match="dry_run: expected true or false"):
        parse([*flags(), "--runner=DataflowRunner", "--dry_run=maybe"])


def test_the_projects_own_file_keeps_bundles_below_the_five_seconds_after_which_dataflow_cuts_them() -> None:
    settings = parse([f"--options_file={DATAFLOW}", *flags("dead_letter_topic")])
    assert settings.on_dataflow
    assert settings.kafka.bundle_max_seconds < 5
    assert "--no_save_main_session" in settings.beam_flags
    assert OWN.keys() & yaml.safe_load(DATAFLOW.read_text()).keys() == set()
