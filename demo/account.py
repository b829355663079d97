"""Where every event must end, and which did not: no input or output here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from samples.loyalty import Sample
from transforms.records.dead_letter import DeadLetter

_SHOWN = 5  # numbers in a sentence


@dataclass
class Expected:
    """What was put into Kafka.

    Attributes:
        good: Sequence numbers of the samples that must arrive, by topic.
        broken: The samples that must be dead-lettered, by sequence number.
        dropped: Sequence numbers of the samples that a `drop` of their route leaves out.
    """

    good: dict[str, set[int]]
    broken: dict[int, Sample] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)

    @classmethod
    def of_topics(cls, topics: Iterable[str]) -> Expected:
        """Nothing yet, for these topics."""
        return cls({topic: set() for topic in topics})

    def note(
        self, samples: Iterable[Sample], is_dropped: Callable[[Sample], bool] = lambda sample: False
    ) -> Iterator[Sample]:
        """Pass samples on and remember what must become of each.

        Args:
            samples: In any order.
            is_dropped: Whether the sample's route drops it; by default no route drops any.
        """
        for sample in samples:
            if is_dropped(sample):
                self.dropped.add(sample.sequence)
            elif sample.broken is None:
                self.good[sample.topic].add(sample.sequence)
            else:
                self.broken[sample.sequence] = sample
            yield sample

    @property
    def codes(self) -> Counter[str]:
        """How many dead letters there must be, by code."""
        return Counter(str(sample.expected_code) for sample in self.broken.values())


@dataclass(frozen=True)
class Delivered:
    """What an inlet received, by its own count.

    Attributes:
        accepted: Sequence number of each accepted event, and how often it came.
        requests: Requests that brought them.
        invalid: Accepted events that failed the platform's validation afterwards.
    """

    accepted: Mapping[int, int]
    requests: int
    invalid: int


def sequence_of(letter: DeadLetter) -> int:
    """Return the number that a sample carries in the Kafka header `sequence`; -1 when there is none."""
    return int(dict(letter.record.headers).get("sequence") or -1)


def differences(
    expected: Expected, delivered: Mapping[str, Delivered], dead_letters: Sequence[DeadLetter]
) -> list[str]:
    """Compare what was put in with what arrived, each event by its number.

    Returns:
        A sentence for each problem; none when every event was accepted, dead-lettered, or dropped by its route.
    """
    found = []
    for topic, good in expected.good.items():
        inlet = delivered[topic]
        found += _sentence(good - inlet.accepted.keys(), f"good samples of {topic} never arrived")
        arrived = inlet.accepted.keys()
        found += _sentence(arrived & expected.dropped, f"samples of {topic} arrived although its route drops them")
        found += _sentence(
            arrived - good - expected.dropped, f"events arrived from {topic} that are not good samples of it"
        )
        if inlet.invalid:
            found.append(f"{inlet.invalid:,} events of {topic} arrived and failed the validation afterwards")
    letters = {sequence_of(letter): letter for letter in dead_letters}
    broken = expected.broken
    found += _sentence(broken.keys() - letters.keys(), "broken samples have no dead letter")
    found += _sentence(letters.keys() & expected.dropped, "samples have a dead letter although their route drops them")
    found += _sentence(letters.keys() - broken.keys() - expected.dropped, "dead letters are not of a broken sample")
    for number in sorted(letters.keys() & broken.keys()):
        letter, sample = letters[number], broken[number]
        if letter.code != sample.expected_code:
            found.append(f"sample {number} ({sample.broken}): code {letter.code}, not {sample.expected_code}")
        if letter.record.value != sample.value:
            found.append(f"sample {number} ({sample.broken}): its dead letter lacks the original bytes")
    return found


def _sentence(numbers: Collection[int], what: str) -> list[str]:
    if not numbers:
        return []
    shown = ", ".join(str(number) for number in sorted(numbers)[:_SHOWN])
    return [f"{len(numbers):,} {what}: {shown}{', ...' if len(numbers) > _SHOWN else ''}"]
