"""The parameters of the Flex Template for Dataflow are the options, with their checks as far as regexes go."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from aep.http.secrets import is_well_formed
from pipelines.flex_template import is_parameter, metadata
from pipelines.options.declarations import GROUPS
from pipelines.options.merge import known_options
from pipelines.options.table import OPTIONS, Option
from pipelines.options.yaml_files import scalar
from tests.deploy.dockerfile import ROOT
from tests.pipelines.options.test_dataflow_checks import OWN

FILE = ROOT / "deploy" / "dataflow" / "metadata.json"
PARAMETERS: dict[str, dict[str, Any]] = {each["name"]: each for each in metadata()["parameters"]}
WITH_REGEX = [option for option in OPTIONS.values() if "regexes" in PARAMETERS.get(option.name, {})]
REFERENCES = [option for option in WITH_REGEX if option.secret]

# Texts of which each option takes some.
TEXTS = [
    *(
        "true",
        "false",
        "yes",
        "1",
        "0",
        "-1",
        "8080",
        "0.5",
        ".5",
        "1e3",
        "1.5e-2",
        "",
        "a",
        "null",
        "nulls",
        "bundles",
    ),
    *("env:AEP_SECRET", "file:/run/secrets/aep", "gcp-secret:projects/p/secrets/s/versions/latest"),
    *("gcp-secret:projects/p/locations/europe-west1/secrets/s/versions/1", "hunter2", "env:", "env:a b"),
]


def takes(option: Option, text: str) -> bool:
    """Return whether an option takes a value that is given as text."""
    if text == "null":
        return option.nullable
    value = scalar(text) if option.kind in ("bool", "int", "float") else text
    try:
        GROUPS[option.group][1](**{option.field: value})
    except ValidationError:
        return False
    return True


def matches(option: Option, text: str) -> bool:
    return all(re.match(regex, text) for regex in PARAMETERS[option.name]["regexes"])


def test_the_file_is_made_from_the_declarations_that_run() -> None:
    assert orjson.loads(FILE.read_bytes()) == metadata(), "run `make docs`"


def test_each_parameter_is_an_option_with_its_help() -> None:
    assert PARAMETERS.keys() <= set(known_options())
    for name in PARAMETERS.keys() & OPTIONS.keys():
        assert PARAMETERS[name]["helpText"].startswith(OPTIONS[name].help)
        assert PARAMETERS[name]["label"]


def test_all_options_of_the_pipeline_are_parameters_but_those_with_a_reason() -> None:
    left_out = {name for name, option in OPTIONS.items() if not is_parameter(option)}
    groups = {OPTIONS[name].group for name in left_out}
    assert groups == {"kafka", "aep", "general", "kinesis", "output", "replay"}
    assert {name for name in left_out if OPTIONS[name].group in ("kafka", "aep")} == {
        *("kafka_config", "kafka_schema_registry_config", "aep_headers", "aep_proxy"),
    }
    assert "options_file" in PARAMETERS


def test_only_what_the_template_cannot_know_must_be_given() -> None:
    """An options file in the image may have the rest, and the launcher gives project, region and folders."""
    assert {name for name, each in PARAMETERS.items() if not each["isOptional"]} == {"sdk_container_image"}
    assert "sdk_container_image" in OWN


@pytest.mark.parametrize("option", WITH_REGEX, ids=lambda option: option.name)
def test_what_an_option_takes_matches_its_regexes(option: Option) -> None:
    choices = option.type.removesuffix(" or null").split("|")
    taken = [text for text in [*TEXTS, *choices] if takes(option, text)]
    assert taken
    assert [text for text in taken if not matches(option, text)] == []
    if option.default is not None:
        text = str(option.default)
        assert matches(option, text.lower() if option.kind == "bool" else text)


@pytest.mark.parametrize(
    "option",
    [option for option in WITH_REGEX if option.kind in ("bool", "str")],
    ids=lambda option: option.name,
)
def test_what_is_a_choice_or_a_reference_matches_nothing_else(option: Option) -> None:
    assert [text for text in TEXTS if matches(option, text) and not takes(option, text)] == []


def test_a_secret_is_no_parameter_but_by_reference() -> None:
    assert {option.name for option in REFERENCES} == {
        *("aep_client_secret", "aep_token", "aep_proxy_password", "aep_client_key_password"),
    }
    for name in PARAMETERS.keys() & OPTIONS.keys():
        assert OPTIONS[name] in REFERENCES or not OPTIONS[name].secret
    for option in REFERENCES:
        assert [text for text in TEXTS if matches(option, text) and text != "null" and not is_well_formed(text)] == []
