import itertools
import time
from collections import Counter
from typing import Any

import orjson
import pytest

from aep.formats.json import ParsedObject, parse_object
from aep.xdm.rules import XdmRules
from aep.xdm.validate import XdmValidator
from samples.fragments import MEMBERS
from samples.loyalty import EVENTS_TOPIC, MIN_EVENT_BYTES, PROFILES_TOPIC, Kind, Sample, generate, sequence_of
from testing.defaults import by_default
from tests.aep.xdm.schemas import EVENT, PROFILE

VALIDATORS = {
    EVENTS_TOPIC: XdmValidator(EVENT, by_default(XdmRules, identity="required")),
    PROFILES_TOPIC: XdmValidator(
        PROFILE, by_default(XdmRules, identity="required", primary_identity=("/_acme/loyalty/memberId",))
    ),
}


def entity_of(sample: Sample) -> dict[str, Any]:
    result = parse_object(sample.value)
    assert isinstance(result, ParsedObject)
    return result.entity


@pytest.mark.parametrize("kind", ["mixed", "profiles", "events"])
@pytest.mark.parametrize("seed", [7, 0, 2**32 - 1])
def test_every_good_sample_is_valid(kind: Kind, seed: int) -> None:
    for number, sample in enumerate(generate(1500, kind=kind, seed=seed)):
        parsed = parse_object(sample.value)
        assert isinstance(parsed, ParsedObject)
        assert parsed.data == sample.value  # canonical, so that sizes are the same before and after
        assert VALIDATORS[sample.topic].check(parsed.entity, len(parsed.data)) is None
        assert sample.sequence == number == sequence_of(parsed.entity["_id"])
        assert parsed.entity["_id"] == f"loyalty-{seed}-{number:09d}"
        assert sample.key.decode() == parsed.entity["_acme"]["loyalty"]["memberId"]
        assert sample.broken is sample.expected_code is sample.expected_stage is None


def test_the_same_for_the_same_seed_whatever_the_count() -> None:
    few = list(generate(100, broken_share=0.2))
    assert few == list(itertools.islice(generate(5000, broken_share=0.2), 100))
    assert [sample.value for sample in few] != [sample.value for sample in generate(100, seed=8, broken_share=0.2)]


def test_a_mixed_stream_has_a_profile_in_five() -> None:
    topics = Counter(sample.topic for sample in generate(1000))
    assert topics == {PROFILES_TOPIC: 200, EVENTS_TOPIC: 800}
    assert {sample.topic for sample in generate(50, kind="profiles")} == {PROFILES_TOPIC}
    assert {sample.topic for sample in generate(50, kind="events")} == {EVENTS_TOPIC}


def test_each_member_has_one_profile() -> None:
    keys = [sample.key for sample in generate(MEMBERS, kind="profiles")]
    assert len(set(keys)) == MEMBERS
    assert {sample.key for sample in generate(5000, kind="events")} <= set(keys)


def test_events_are_of_one_to_two_kilobytes() -> None:
    sizes = [len(sample.value) for sample in generate(3000, kind="events")]
    assert min(sizes) > 1000
    assert max(sizes) < 2300


@pytest.mark.parametrize("size", [MIN_EVENT_BYTES, 901, 1000, 1900, 5000, 10_240])
@pytest.mark.parametrize("seed", [7, 2**32 - 1])
def test_events_of_an_exact_size(size: int, seed: int) -> None:
    for sample in generate(1000, kind="events", event_bytes=size, seed=seed):
        assert len(sample.value) == size
    assert VALIDATORS[EVENTS_TOPIC].check(entity_of(sample), size) is None


def test_names_are_of_many_scripts() -> None:
    names = {entity_of(sample)["person"]["name"]["fullName"] for sample in generate(300, kind="profiles")}
    assert any(name.isascii() for name in names)
    assert sum(not name.isascii() for name in names) > 50


def test_about_the_wanted_share_is_broken() -> None:
    broken = sum(sample.broken is not None for sample in generate(5000, broken_share=0.1))
    assert 400 < broken < 600
    assert all(sample.broken for sample in generate(500, broken_share=1.0))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"kind": "both"}, "mixed, profiles, events"),
        ({"broken_share": 1.5}, "0 to 1"),
        ({"seed": -1}, "seed"),
        ({"event_bytes": 100}, "at least 900"),
        ({"broken_kinds": ["nonsense"]}, "unknown broken kinds nonsense"),
        ({"broken_kinds": ["missing_id"], "broken_share": 0.1, "kind": "profiles"}, "applies to profiles"),
        ({"broken_kinds": [], "broken_share": 0.1}, "applies to mixed"),
    ],
)
def test_wrong_arguments_are_refused_at_once(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        generate(1, **arguments)


def test_it_is_fast_enough_for_a_load_test() -> None:
    """As a ratio: making a sample takes no more than three times as long as parsing it."""
    samples = list(generate(3000, kind="events"))

    def parse() -> None:
        for sample in samples:
            orjson.loads(sample.value)

    def make() -> None:
        for _ in generate(3000, kind="events"):
            pass

    def seconds(function: Any) -> float:
        start = time.thread_time()  # of the processor: a busy machine takes its own
        function()
        return time.thread_time() - start

    ratios = sorted(seconds(make) / seconds(parse) for _ in range(5))
    assert ratios[2] < 3
