"""The steps that refuse records, by the names that dead letters and options have for them."""

from __future__ import annotations

from typing import Literal

Stage = Literal["parse", "map", "transform", "validate", "post", "ingest", "shape"]
"""`ingest`: by the destination, after it had received the record. `shape`: what was read is no exported profile."""

DeadLetterStage = Literal[
    Stage,
    "TASK_PUT",
    "TASK_POLL",
    "TRANSFORMATION",
    "KEY_CONVERTER",
    "VALUE_CONVERTER",
    "HEADER_CONVERTER",
    "KAFKA_PRODUCE",
    "KAFKA_CONSUME",
]
"""Ours, and those of Kafka Connect, whose dead letters can be looked at and replayed too."""
