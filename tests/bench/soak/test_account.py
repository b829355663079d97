"""What may be there twice, what must be where, and what no process of the pipeline may do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.soak.account import (
    DROPPED_EVENT_TYPE,
    POLL_RECORDS,
    Duplicates,
    by_code,
    count_duplicates,
    is_dropped,
    misbehaviour,
    reread,
    wrong,
)
from bench.soak.pipeline import Ending, Run
from demo.account import Delivered, Expected
from samples.loyalty import EVENTS_TOPIC, PROFILES_TOPIC, Sample, generate
from transforms.records.chunk import Record
from transforms.records.dead_letter import DeadLetter

BUNDLE = 1_000


def a_run(ending: Ending, **more: Any) -> Run:
    return Run(1, 0, Path("log"), 60, ending, **more)


def letter(sample: Sample, **changes: str) -> DeadLetter:
    headers = (("sequence", str(sample.sequence).encode()),)
    reason = {"stage": str(sample.expected_stage), "code": str(sample.expected_code), **changes}
    record = Record(0, 0, sample.key, headers, sample.value)
    return DeadLetter(reason["stage"], reason["code"], "", sample.topic, 0, record, "route")


@pytest.fixture
def expected() -> Expected:
    expected = Expected.of_topics((EVENTS_TOPIC, PROFILES_TOPIC))
    assert len(list(expected.note(generate(500, broken_share=0.1)))) == 500
    return expected


def all_arrived(expected: Expected, **times: int) -> dict[str, Delivered]:
    return {topic: Delivered(dict.fromkeys(good, times.get("times", 1)), 1, 0) for topic, good in expected.good.items()}


@pytest.mark.parametrize(
    ("endings", "lags", "most"),
    [
        ([], [], 0),
        (["stopped", "running"], [], 0),
        (["killed", "stopped", "gave up"], [], 2 * (BUNDLE + POLL_RECORDS)),
        (["stopped"], [700, 0], 700 + 2 * (BUNDLE + POLL_RECORDS)),
    ],
)
def test_a_crash_repeats_a_bundle_and_a_lost_broker_what_was_not_committed(
    endings: list[Ending], lags: list[int], most: int
) -> None:
    assert reread([a_run(ending) for ending in endings], lags, BUNDLE) == most


def test_nothing_is_wrong_when_every_record_is_where_it_must_be(expected: Expected) -> None:
    letters = [letter(sample) for sample in expected.broken.values()]
    assert wrong(expected, all_arrived(expected), letters) == []
    assert sum(by_code(letters).values()) == len(expected.broken) > 20
    assert by_code([*letters, letters[0]]) == by_code(letters)
    assert count_duplicates(all_arrived(expected), letters) == 0
    good = 500 - len(expected.broken)
    assert count_duplicates(all_arrived(expected, times=3), [*letters, letters[0]]) == 2 * good + 1


def test_a_missing_record_and_a_wrong_stage_or_code_are_found(expected: Expected) -> None:
    samples = list(expected.broken.values())
    letters = [letter(sample) for sample in samples]
    delivered = all_arrived(expected)
    lost = min(expected.good[EVENTS_TOPIC])
    accepted = {number: 1 for number in delivered[EVENTS_TOPIC].accepted if number != lost}
    (sentence,) = wrong(expected, {**delivered, EVENTS_TOPIC: Delivered(accepted, 1, 0)}, letters)
    assert str(lost) in sentence
    (sentence,) = wrong(expected, delivered, letters[1:])
    assert str(samples[0].sequence) in sentence
    (sentence,) = wrong(expected, delivered, [letter(samples[0], stage="post"), *letters[1:]])
    assert "stage post" in sentence
    (sentence,) = wrong(expected, delivered, [letter(samples[0], code="other"), *letters[1:]])
    assert "code other" in sentence


def test_product_views_are_dropped_unless_they_cannot_be_parsed() -> None:
    views = [
        sample
        for sample in generate(2_000, broken_share=0.5)
        if is_dropped(sample) or DROPPED_EVENT_TYPE.encode() in sample.value
    ]
    dropped = [sample for sample in views if is_dropped(sample)]
    assert {sample.expected_stage for sample in dropped} == {None, "validate"}
    assert {sample.expected_stage for sample in views if not is_dropped(sample)} == {"parse"}
    assert all(DROPPED_EVENT_TYPE.encode() in sample.value for sample in dropped)


@pytest.mark.parametrize(
    ("run", "duplicates", "words"),
    [
        (a_run("stopped", memory=[(1.0, 399_000_000)]), Duplicates(60, 10, 20, 30), ""),
        (a_run("stopped"), Duplicates(61, 10, 20, 30), "61 duplicates, where there may be 60"),
        (a_run("killed", memory=[(1.0, 401_000_000), (2.0, 1)]), Duplicates(), "401 MB"),
        (a_run("by itself"), Duplicates(), "ended by itself"),
        (a_run("stopped", summary={"outcome": "stopped", "unaccounted": 3}), Duplicates(), "account for 3"),
        # What it gave up is read again, and so not its to account for.
        (a_run("gave up", summary={"outcome": "failed", "unaccounted": 3}), Duplicates(), ""),
    ],
)
def test_what_no_process_may_do(run: Run, duplicates: Duplicates, words: str) -> None:
    found = misbehaviour([run], duplicates)
    assert len(found) == bool(words)
    assert all(words in sentence for sentence in found)
