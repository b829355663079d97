"""The outputs of a step that may refuse records: `main`, `dead_letters`, and what else it has to tell."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.pvalue import DoOutputsTuple, TaggedOutput

from transforms.records.chunk import Chunk
from transforms.records.dead_letter import DeadLetter, dead_letter
from transforms.records.outcome import Refusal
from transforms.records.record import Record

_MAIN, _DEAD_LETTERS = "main", "dead_letters"


def with_dead_letters(step: beam.ParDo, pcoll: beam.PCollection, main_type: type, **more: type) -> DoOutputsTuple:
    """Apply a step and give its outputs their types, and so their deterministic coders.

    Args:
        more: The types of further outputs, by their tags.
    """
    outputs = pcoll | step.with_outputs(_DEAD_LETTERS, *more, main=_MAIN)
    for tag, element_type in {_MAIN: main_type, _DEAD_LETTERS: DeadLetter, **more}.items():
        outputs[tag].element_type = element_type
    return outputs


def refused(reason: Refusal, chunk: Chunk, record: Record, attempts: int = 0) -> TaggedOutput:
    """Return the dead letter of a record of a chunk, on its output."""
    return TaggedOutput(_DEAD_LETTERS, dead_letter(reason, chunk.topic, chunk.partition, record, attempts))
