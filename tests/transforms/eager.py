"""Runs a transform on elements in this process and returns what came out, so that a test of it is one line."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import apache_beam as beam

from transforms.records.dead_letter import DeadLetter

# FnApiRunner works in this process, so what its steps collect is found here.
_collected: dict[str, list[Any]] = defaultdict(list)


class Collect(beam.PTransform):
    """Collects elements; `taken` returns them after the run."""

    def __init__(self) -> None:
        super().__init__()
        self._key = uuid.uuid4().hex

    def expand(self, elements: beam.PCollection[Any]) -> beam.PCollection[None]:
        return elements | beam.Map(_collect, self._key)

    def taken(self) -> list[Any]:
        return _collected.pop(self._key, [])


def _collect(element: Any, key: str) -> None:
    _collected[key].append(element)


def apply(transform: beam.PTransform, elements: Sequence[Any]) -> list[Any]:
    """Return the output of a transform with one output."""
    collect = Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        pipeline | beam.Create(elements, reshuffle=False) | transform | collect
    return collect.taken()


def apply_refusing(transform: beam.PTransform, elements: Sequence[Any]) -> tuple[list[Any], list[DeadLetter]]:
    """Return the outputs `main` and `dead_letters` of a transform."""
    main, dead = Collect(), Collect()
    with beam.Pipeline("FnApiRunner") as pipeline:
        outputs = pipeline | beam.Create(elements, reshuffle=False) | transform
        outputs.main | "Main" >> main
        outputs.dead_letters | "DeadLetters" >> dead
    return main.taken(), dead.taken()
