"""Jobs for Dataflow, constructed by Beam's own client with the packages of the image: no job has run there."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from testing.services import downloads
from testing.services.process import PATIENCE_SECONDS
from testing.services.pytest_support import require
from tests.deploy.dockerfile import ROOT

pytestmark = pytest.mark.slow  # the packages take a minute or two to be installed, once

IMAGE = "europe-west1-docker.pkg.dev/my-project/beam-aep/dataflow:1"
SECRET = "hunter2-of-the-submitting-machine"
OPTIONS = {
    "project": "my-project",
    "region": "europe-west1",
    "temp_location": "gs://bucket/temp",
    "sdk_container_image": IMAGE,
    "kafka_bootstrap_servers": "kafka.invalid:9092",
    "kafka_topics": ["loyalty-events"],
    "kafka_config": {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "beam-aep",
        "sasl.password": "env:KAFKA_PASSWORD",
    },
    "aep_inlet_url": f"https://dcs.adobedc.net/collection/{'0' * 64}",
    "aep_org_id": "ACME@AdobeOrg",
    "aep_dataset_id": "dataset",
    "aep_auth": "oauth",
    "aep_client_id": "client",
    "aep_client_secret": "env:AEP_CLIENT_SECRET",
    "xdm_schema_file": str(ROOT / "configs" / "schemas" / "loyalty-event.schema.json"),
}
FILES = [f"--options_file={ROOT / 'configs' / name}.yaml" for name in ("base", "dataflow")]


@contextmanager
def _installed() -> Iterator[Path]:
    yield downloads.dataflow_packages()


@pytest.fixture(scope="module")
def packages() -> Iterator[Path]:
    """The folder of the packages."""
    with require(_installed()) as folder:
        yield folder


def python(packages: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python without network, with the packages of the image before those of the tests."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(OPTIONS))
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)]),
        "HOME": str(folder),  # no credentials
        "KAFKA_PASSWORD": SECRET,
        "AEP_CLIENT_SECRET": SECRET,
    }
    return subprocess.run(
        [sys.executable, "-m", "testing.services.no_network", sys.executable, *command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


@pytest.fixture(scope="module")
def job(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A job, see `dataflow_job`."""
    folder = tmp_path_factory.mktemp("job")
    done = python(packages, folder, "-m", "tests.deploy.dataflow_job", *FILES, "--options_file=mine.yaml", "--dry_run")
    assert done.returncode == 0, done.stderr
    return dict(orjson.loads(done.stdout))


def test_a_dry_run_shows_what_would_be_submitted_without_network_or_credentials(packages: Path, tmp_path: Path) -> None:
    done = python(packages, tmp_path, "-m", "pipelines.cli", "run", *FILES, "--options_file=mine.yaml", "--dry_run")
    assert done.returncode == 0, done.stderr
    head, options = done.stdout.split("# options that differ from the defaults:\n")
    assert "# Dataflow job kafka-to-aep: constructed, not submitted\n" in head
    assert f"# image of the workers: {IMAGE}\n" in head
    shown = yaml.safe_load(options)
    dataflow = yaml.safe_load((ROOT / "configs" / "dataflow.yaml").read_text())
    given = {**dataflow, **OPTIONS, "dry_run": True}
    assert shown == {name: value for name, value in given.items() if value is not None}
    assert re.search(r"^aep_client_secret: env:AEP_CLIENT_SECRET +# mine\.yaml:\d+$", options, re.MULTILINE)
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_options_that_the_launcher_of_the_template_adds_are_taken(packages: Path, tmp_path: Path) -> None:
    """As far as they are known: the file is run as the launcher does it, in the image's folder."""
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    added = [
        "--runner=DataflowRunner",
        "--project=other-project",
        "--region=us-central1",
        "--job_name=loyalty",
        "--temp_location=gs://bucket/temp",
        "--staging_location=gs://bucket/staging",
        "--template_location=gs://bucket/staging/template_launches/1/job_object",
        '--labels={"goog-dataflow-provided-template-type": "flex"}',
        "--service_account_email=worker@other-project.iam.gserviceaccount.com",
        "--num_workers=1",
        "--max_num_workers=3",
        "--machine_type=n2-standard-2",
        "--no_use_public_ips",
    ]
    parameters = ["--options_file=configs/base.yaml,configs/dataflow.yaml,mine.yaml", "--kafka_tombstones=dead_letter"]
    done = python(packages, tmp_path, str(ROOT / "deploy/dataflow/launch.py"), *parameters, *added, "--dry_run")
    assert done.returncode == 0, done.stderr
    assert "# Dataflow job loyalty: constructed, not submitted\n" in done.stdout
    shown = yaml.safe_load(done.stdout)
    assert (shown["project"], shown["max_num_workers"], shown["kafka_tombstones"]) == (
        "other-project",
        3,
        "dead_letter",
    )


def test_a_dry_run_without_an_image_is_refused(packages: Path, tmp_path: Path) -> None:
    arguments = [*FILES, "--options_file=mine.yaml", "--dry_run", "--sdk_container_image="]
    done = python(packages, tmp_path, "-m", "pipelines.cli", "run", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "sdk_container_image: missing: DataflowRunner needs an image with this package" in done.stderr


def test_a_project_that_cannot_be_one_is_refused_in_a_sentence(packages: Path, tmp_path: Path) -> None:
    arguments = [*FILES, "--options_file=mine.yaml", "--dry_run", "--project=My Project"]
    done = python(packages, tmp_path, "-m", "pipelines.cli", "run", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: Invalid Project ID (My Project)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_of_kinesis_has_a_dry_run_too(packages: Path, tmp_path: Path) -> None:
    arguments = ["--pipeline=kinesis_to_kafka", "--kinesis_stream=profiles", "--kinesis_region=eu-west-1"]
    arguments += ["--output_topic=profiles", "--dry_run", f"--options_file={ROOT / 'configs' / 'dataflow.yaml'}"]
    of_cloud = ("project", "region", "temp_location", "sdk_container_image", "kafka_bootstrap_servers")
    done = python(
        packages, tmp_path, "-m", "pipelines.cli", "run", *arguments, *(f"--{k}={OPTIONS[k]}" for k in of_cloud)
    )
    assert done.returncode == 0, done.stderr
    assert "# Dataflow job kafka-to-aep: constructed, not submitted\n" in done.stdout


def test_the_graph_needs_nothing_that_dataflow_lacks(job: dict[str, Any]) -> None:
    """Splittable DoFns and finalisation are all that it asks for; one shuffle spreads the shards."""
    assert job["type"] == "JOB_TYPE_STREAMING"
    assert set(job["pipeline"]["requirements"]) == {
        "beam:requirement:pardo:splittable_dofn:v1",
        "beam:requirement:pardo:finalization:v1",
    }
    kinds = Counter(
        each["spec"]["urn"] for each in job["pipeline"]["components"]["transforms"].values() if "spec" in each
    )
    assert kinds["beam:transform:group_by_key:v1"] == kinds["beam:transform:reshuffle:v1"] == 1
    assert not [kind for kind in kinds if "external" in kind]
    assert {"enable_streaming_engine", "use_runner_v2"} <= set(job["environment"]["experiments"])
    assert "streaming_mode_at_least_once" in str(job["environment"])


def test_all_code_runs_in_the_image(job: dict[str, Any]) -> None:
    (environment,) = job["pipeline"]["components"]["environments"].values()
    assert environment["urn"] == "beam:env:docker:v1"
    assert IMAGE.encode() in base64.b64decode(environment["payload"])
    (pool,) = job["environment"]["workerPools"]
    assert [each["containerImage"] for each in pool["sdkHarnessContainerImages"]] == [IMAGE]
    # A list of packages, for support; no session of the process, no archive of code.
    assert set(job["staged"]) <= {"submission_environment_dependencies.txt"}


def test_no_secret_is_in_what_is_submitted(job: dict[str, Any]) -> None:
    pickles, staged = (
        b"\n".join(base64.b64decode(each) for each in encoded) for encoded in (job["pickles"], job["staged"].values())
    )
    assert pickles.count(b"env:KAFKA_PASSWORD") >= 1  # the references travel, and are resolved where they are used
    assert pickles.count(b"env:AEP_CLIENT_SECRET") >= 1
    for submitted in (orjson.dumps(job), pickles, staged):
        assert SECRET.encode() not in submitted
