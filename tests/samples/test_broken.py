"""Each way to break a sample gets the code it promises, from the very code that the pipeline runs."""

import pytest

from aep.formats.json import ParseFailure, parse_object
from aep.xdm.rules import XdmRules
from aep.xdm.validate import XdmValidator
from samples.broken import BROKEN_KINDS
from samples.loyalty import EVENTS_TOPIC, PROFILES_TOPIC, Kind, Sample, generate
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT, PROFILE

VALIDATORS = {
    EVENTS_TOPIC: XdmValidator(EVENT, by_default(XdmRules)),
    PROFILES_TOPIC: XdmValidator(PROFILE, by_default(XdmRules)),
}


def verdict(sample: Sample) -> tuple[str, str]:
    parsed = parse_object(sample.value)
    if isinstance(parsed, ParseFailure):
        return "parse", parsed.code
    rejection = VALIDATORS[sample.topic].check(parsed.entity, len(parsed.data))
    assert rejection is not None, f"{sample.broken} is valid"
    assert rejection.error_count == 1
    return "validate", rejection.code


@pytest.mark.parametrize("name", BROKEN_KINDS)
def test_stage_and_code(name: str) -> None:
    broken = BROKEN_KINDS[name]
    assert broken.name == name
    assert broken.events or broken.profiles
    kinds: dict[Kind, bool] = {"events": broken.events, "profiles": broken.profiles}
    for kind, applies in kinds.items():
        if applies:
            for sample in generate(25, kind=kind, broken_share=1.0, broken_kinds=[name]):
                assert sample.broken == name
                assert verdict(sample) == (broken.stage, broken.code) == (sample.expected_stage, sample.expected_code)


def test_a_mixed_stream_breaks_each_record_in_a_way_that_applies() -> None:
    seen = set()
    for sample in generate(3000, broken_share=1.0):
        assert verdict(sample) == (sample.expected_stage, sample.expected_code)
        seen.add(sample.broken)
    assert seen == set(BROKEN_KINDS)


def test_a_kind_for_events_leaves_profiles_whole() -> None:
    for sample in generate(200, broken_share=1.0, broken_kinds=["missing_timestamp"]):
        assert (sample.broken is None) == (sample.topic == PROFILES_TOPIC)
