"""A Prism that is missing or is something else is said before anything is read; see tests/e2e/test_prism.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipelines.runtime.preflight import PreflightError
from pipelines.runtime.prism import running_prism
from tests.pipelines.to_aep import parse

OPTIONS = [
    "--kafka_bootstrap_servers=b:9092",
    "--kafka_topics=events",
    "--aep_inlet_url=https://dcs.adobedc.net/collection/INLET_ID",
    "--aep_org_id=ORG_ID@AdobeOrg",
    "--aep_dataset_id=DATASET_ID",
    "--xdm_payload=raw",
    "--dead_letter_path=dead-letters",
    "--runner=PrismRunner",
]
HOW = r"build it by `go install github\.com/apache/beam/sdks/v2/go/cmd/prism@v[\d.]+`, .* as prism_location"


def start(*more: str) -> None:
    with running_prism(parse([*OPTIONS, *more])):
        pytest.fail("it runs")


def test_a_program_that_is_not_there_is_named_with_its_option() -> None:
    said = rf"^prism_location \(command line\): there is no file /none/prism; {HOW}$"
    with pytest.raises(PreflightError, match=said):
        start("--prism_location=/none/prism")


def test_one_that_cannot_be_downloaded_is_said_with_what_to_do() -> None:
    with pytest.raises(PreflightError, match=rf"^no Prism: .*127\.0\.0\.1:1/prism.*; {HOW}$"):
        start("--prism_location=http://127.0.0.1:1/prism")


def test_a_file_that_is_no_program_is_said(tmp_path: Path) -> None:
    (tmp_path / "prism").write_bytes(b"\0")
    with pytest.raises(PreflightError, match=rf"prism cannot be started as Prism: Exec format error; {HOW}$"):
        start(f"--prism_location={tmp_path / 'prism'}")


def test_another_program_is_said(tmp_path: Path) -> None:
    program = tmp_path / "prism"
    program.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n")
    with pytest.raises(PreflightError, match=r"prism ended with exit code 3: is it Prism\?$"):
        start(f"--prism_location={program}")


def test_other_runners_and_a_prism_of_ones_own_start_none() -> None:
    for more in (["--runner=FnApiRunner"], ["--job_endpoint=localhost:8073"]):
        with running_prism(parse([*OPTIONS, *more])) as flags:
            assert flags == ()
