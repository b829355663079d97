"""The two outputs of a step that may refuse records: ``main`` and ``dead_letters``."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from transforms.dead_letters import DeadLetter

_MAIN, _DEAD_LETTERS = "main", "dead_letters"


def with_dead_letters(step: beam.ParDo, pcoll: beam.PCollection, main_type: type) -> DoOutputsTuple:
    """Applies a step and gives both outputs their types, and so their deterministic coders."""
    outputs = pcoll | step.with_outputs(_DEAD_LETTERS, main=_MAIN)
    outputs[_MAIN].element_type = main_type
    outputs[_DEAD_LETTERS].element_type = DeadLetter
    return outputs


def refused(dead_letter: DeadLetter) -> TaggedOutput:
    """The dead letter, on its output."""
    return TaggedOutput(_DEAD_LETTERS, dead_letter)
