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


def test_a_pipeline_to_aep_does_not_ask_for_them() -> None:
    parse_to_aep([*MINIMAL, *CREDENTIALS])
