"""What would become of records, for replays that only look: decided by the steps of a run, without Beam."""

from __future__ import annotations

from typing import Any

from pipelines.options.destination import DestinationKind
from pipelines.runtime.job import Judge
from pipelines.runtime.plan import Plan
from transforms.records.chunk import Batch, Chunk
from transforms.records.outcome import Dropped, Prepared, Refusal
from transforms.records.prepare import Preparation
from transforms.records.record import Record


def judge_by(plan: Plan, kind: DestinationKind[Any]) -> Judge:
    """Return what judges records by the routes of a plan, up to the request that would carry them."""
    preparations: dict[str, Preparation] = {}

    def judge(topic: str, partition: int, record: Record) -> Refusal | Dropped | None:
        prepare = preparations.get(topic)
        if prepare is None:
            prepare = Preparation(plan.routes.of_topic(topic), plan.rules, plan.tombstones)
            preparations[topic] = prepare
        outcome = prepare(topic, partition, record)
        if not isinstance(outcome, Prepared):
            return outcome
        route = outcome.route
        if kind.request is not None:
            chunk = Chunk(topic, partition, [record], route.name, bodies=[outcome.body])
            fault = kind.request(route.destination, Batch(route.name, [chunk])).refused.get(0)
            if fault is not None:
                return Refusal("post", route.name, *fault)
        return None

    return judge
