from __future__ import annotations

from collections.abc import Iterable

import pytest

from pipelines.destinations.kinesis import KINESIS
from pipelines.options.checks import contradictions
from pipelines.options.kinesis_checks import reading_findings
from pipelines.options.merge import Check, parse
from pipelines.options.problems import Finding
from pipelines.options.settings import Settings
from pipelines.options.yaml_files import OptionsError
from tests.pipelines.options.test_merge import MINIMAL
from tests.pipelines.to_aep import parse as parse_to_aep

CREDENTIALS = ["--kinesis_access_key_id=env:K", "--kinesis_external_id=x"]


def writing_findings(settings: Settings) -> Iterable[Finding]:
    return contradictions(settings, KINESIS)


@pytest.mark.parametrize("check", [reading_findings, writing_findings])
def test_credentials_are_asked_for_whole_where_kinesis_is_used(check: Check) -> None:
    with pytest.raises(OptionsError) as caught:
        parse(CREDENTIALS, check)
    missing = [problem for problem in caught.value.problems if "needs it" in problem]
    assert missing == [
        "kinesis_secret_access_key: missing: kinesis_access_key_id (command line) needs it",
        "kinesis_role_arn: missing: kinesis_external_id (command line) needs it",
    ]


ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/profiles"


@pytest.mark.parametrize("check", [reading_findings, writing_findings])
def test_an_arn_of_another_region_than_the_options_is_refused(check: Check) -> None:
    with pytest.raises(OptionsError) as caught:
        parse([f"--kinesis_stream={ARN}", "--kinesis_region=us-east-1"], check)
    (found,) = [problem for problem in caught.value.problems if "region" in problem]
    assert "kinesis_stream (command line)" in found
    assert (
        "its ARN names the region eu-west-1, and kinesis_region (command line) is us-east-1: they must agree" in found
    )


@pytest.mark.parametrize("region", [[], ["--kinesis_region=eu-west-1"]])
@pytest.mark.parametrize("check", [reading_findings, writing_findings])
def test_an_arn_of_the_same_region_is_taken(check: Check, region: list[str]) -> None:
    with pytest.raises(OptionsError) as caught:  # for what else is missing
        parse([f"--kinesis_stream={ARN}", *region], check)
    assert not [problem for problem in caught.value.problems if "region" in problem]


def test_a_pipeline_to_aep_does_not_ask_for_them() -> None:
    parse_to_aep([*MINIMAL, *CREDENTIALS])


@pytest.mark.parametrize("check", [reading_findings, writing_findings])
def test_a_region_of_dataflow_is_not_taken_for_that_of_the_stream(check: Check) -> None:
    def said(*options: str) -> list[str]:
        with pytest.raises(OptionsError) as caught:  # for what else is missing
            parse(["--kinesis_stream=profiles", *options], check)
        return [problem for problem in caught.value.problems if problem.startswith("kinesis_region")]

    assert said("--region=eu-west-1") == [
        "kinesis_region: missing: region (command line) is Dataflow's, and says nothing of the stream"
    ]
    assert said("--region=eu-west-1", "--kinesis_region=eu-west-1") == []
    assert said("--region=europe-west1", "--runner=DataflowRunner") == []
