"""The account finds whatever can go wrong, and nothing when nothing has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from demo.account import Delivered, Expected, differences
from samples.loyalty import EVENTS_TOPIC, PROFILES_TOPIC, Sample, generate
from transforms.records.chunk import Record
from transforms.records.dead_letter import DeadLetter

Arrived = dict[str, Delivered]


def dead_letter(sample: Sample) -> DeadLetter:
    headers = (("sequence", str(sample.sequence).encode()),)
    record = Record(sample.sequence, 0, sample.key, headers, sample.value)
    return DeadLetter(str(sample.expected_stage), str(sample.expected_code), "why", sample.topic, 0, record)


@pytest.fixture
def expected() -> Expected:
    expected = Expected.of_topics([PROFILES_TOPIC, EVENTS_TOPIC])
    assert len(list(expected.note(generate(500, broken_share=0.1)))) == 500
    assert len(expected.broken) > 10
    return expected


@pytest.fixture
def arrived(expected: Expected) -> Arrived:
    return {topic: Delivered(dict.fromkeys(good, 1), 1, 0) for topic, good in expected.good.items()}


@pytest.fixture
def letters(expected: Expected) -> list[DeadLetter]:
    return [dead_letter(sample) for sample in expected.broken.values()]


def lose(arrived: Arrived) -> None:
    good = arrived[EVENTS_TOPIC]
    arrived[EVENTS_TOPIC] = replace(good, accepted=dict(list(good.accepted.items())[1:]))


def accept_a_broken_one(arrived: Arrived) -> None:
    good = arrived[EVENTS_TOPIC]
    arrived[EVENTS_TOPIC] = replace(good, accepted={**good.accepted, 1_000_000: 1})


def deliver_to_the_wrong_dataset(arrived: Arrived) -> None:
    arrived[EVENTS_TOPIC], arrived[PROFILES_TOPIC] = arrived[PROFILES_TOPIC], arrived[EVENTS_TOPIC]


def find_invalid_later(arrived: Arrived) -> None:
    arrived[PROFILES_TOPIC] = replace(arrived[PROFILES_TOPIC], invalid=3)


def lose_letter(letters: list[DeadLetter]) -> None:
    letters.pop()


def give_another_code(letters: list[DeadLetter]) -> None:
    letters[0].code = "another"


def change_bytes(letters: list[DeadLetter]) -> None:
    letters[0].record = letters[0].record._replace(value=b"changed")


def forget_the_number(letters: list[DeadLetter]) -> None:
    letters[0].record = letters[0].record._replace(headers=())


def test_all_accounted_for(expected: Expected, arrived: Arrived, letters: list[DeadLetter]) -> None:
    assert differences(expected, arrived, letters) == []


def test_duplicates_lose_nothing(expected: Expected, arrived: Arrived, letters: list[DeadLetter]) -> None:
    twice = {topic: Delivered(dict.fromkeys(good, 2), 2, 0) for topic, good in expected.good.items()}
    assert differences(expected, twice, letters + letters) == []


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lose, ["1 good samples of loyalty-events never arrived"]),
        (accept_a_broken_one, ["1 events arrived from loyalty-events that are not good samples of it: 1000000"]),
        (deliver_to_the_wrong_dataset, ["never arrived: 0, 5, 10", ", ...", "that are not good samples of it"]),
        (find_invalid_later, ["3 events of loyalty-profiles arrived and failed the validation"]),
    ],
)
def test_tampered_arrivals(
    expected: Expected,
    arrived: Arrived,
    letters: list[DeadLetter],
    tamper: Callable[[Arrived], None],
    words: list[str],
) -> None:
    tamper(arrived)
    found = "\n".join(differences(expected, arrived, letters))
    assert [word for word in words if word not in found] == []


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lose_letter, "1 broken samples have no dead letter"),
        (give_another_code, "code another, not "),
        (change_bytes, "lacks the original bytes"),
        (forget_the_number, "1 dead letters are not of a broken sample"),
    ],
)
def test_tampered_dead_letters(
    expected: Expected,
    arrived: Arrived,
    letters: list[DeadLetter],
    tamper: Callable[[list[DeadLetter]], None],
    words: str,
) -> None:
    tamper(letters)
    assert words in "\n".join(differences(expected, arrived, letters))


def test_dropped_samples_must_neither_arrive_nor_be_dead_lettered() -> None:
    expected = Expected.of_topics([PROFILES_TOPIC, EVENTS_TOPIC])
    samples = list(expected.note(generate(500, broken_share=0.1), lambda sample: sample.sequence in (7, 8)))
    assert (len(samples), expected.dropped) == (500, {7, 8})
    arrived = {topic: Delivered(dict.fromkeys(good, 1), 1, 0) for topic, good in expected.good.items()}
    letters = [dead_letter(sample) for sample in expected.broken.values()]
    assert differences(expected, arrived, letters) == []
    events = arrived[EVENTS_TOPIC]
    arrived[EVENTS_TOPIC] = replace(events, accepted={**events.accepted, 7: 1})
    assert differences(expected, arrived, [*letters, dead_letter(samples[8])]) == [
        "1 samples of loyalty-events arrived although its route drops them: 7",
        "1 samples have a dead letter although their route drops them: 8",
    ]
