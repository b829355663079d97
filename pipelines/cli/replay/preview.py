"""How many dead letters would pass now: each is prepared as in a replay; nothing is sent, written or committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aep.counted import counted
from pipelines.cli.common import plain
from pipelines.jobs import find_run
from pipelines.options.merge import parse
from pipelines.output.layout import Column
from pipelines.output.table import Table
from pipelines.runtime.job import Judge
from pipelines.runtime.replay_plan import ReplayPlan, make_replay_plan, replay_run_findings
from transforms.records.dead_letter import DeadLetter
from transforms.records.outcome import Dropped
from transforms.replay import is_chosen, originals
from transforms.worker import process

# Steps that wait for a service, as a replay does without end, wait so long here.
_PATIENCE_SECONDS = 15.0


@dataclass
class Tally:
    """What would become of the dead letters of a route and a code.

    Attributes:
        passing, dropped: How many would be sent, or dropped by their route.
        again: Those that would be refused again, by stage and code.
    """

    passing: int = 0
    dropped: int = 0
    again: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """Return how many would be refused again."""
        return self.again.total()

    @property
    def total(self) -> int:
        """Return how many there are."""
        return self.passing + self.dropped + self.refused


@dataclass
class Preview:
    """What a replay would do.

    Attributes:
        by_reason: By route, stage and code of the dead letters.
        passed_over: Those that the options leave out, or whose topic the pipeline does not read.
    """

    by_reason: dict[tuple[str, str, str], Tally] = field(default_factory=dict)
    passed_over: int = 0

    @property
    def refused(self) -> int:
        """Return how many would be refused again."""
        return sum(each.refused for each in self.by_reason.values())

    @property
    def document(self) -> dict[str, Any]:
        """Return it for `--json`."""
        tallies = self.by_reason.values()
        return {
            "dead_letters": sum(each.total for each in tallies),
            "passing": sum(each.passing for each in tallies),
            "refused": self.refused,
            "dropped": sum(each.dropped for each in tallies),
            "passed_over": self.passed_over,
            "by_reason": [
                {
                    "route": route,
                    "stage": stage,
                    "code": code,
                    "dead_letters": tally.total,
                    "passing": tally.passing,
                    "refused": tally.refused,
                    "dropped": tally.dropped,
                    "now": [
                        {"stage": now, "code": why, "count": count} for (now, why), count in tally.again.most_common()
                    ],
                }
                for (route, stage, code), tally in self._most_first()
            ],
        }

    @property
    def table(self) -> Table:
        """Return it for people."""
        total = sum(each.total for each in self.by_reason.values())
        numbers = (Column(name, "number") for name in ("dead letters", "would pass", "refused again", "dropped"))
        columns = (Column("route"), Column("stage", rank=1), Column("code"), *numbers, Column("why", "text", rank=2))
        table = Table(f"{counted(total, 'dead letter')}, as a replay would find them now", columns)
        for reason, tally in self._most_first():
            counts = (tally.total, tally.passing, tally.refused, tally.dropped)
            why = ", ".join(f"{stage}, {code}: {count:,}" for (stage, code), count in tally.again.most_common())
            table.add(*map(plain, reason), *(f"{count:,}" for count in counts), plain(why))
        return table

    def _most_first(self) -> list[tuple[tuple[str, str, str], Tally]]:
        return sorted(self.by_reason.items(), key=lambda item: -item[1].total)


def preview_replay(arguments: Sequence[str], pipeline: str) -> Preview | None:
    """Look at the dead letters that a replay would take; None where no pipeline with dead letters has this name.

    Args:
        arguments: The options of the replay.
        pipeline: Name of the module of the pipeline that wrote them.

    Raises:
        UserError: The options, or what they name.
    """
    found = find_run(pipeline)
    if found is None or found.replay is None:
        return None
    plan = make_replay_plan(parse(arguments, partial(replay_run_findings, found)), found.replay)
    return look(plan.source.look(), plan, found.replay.judge(plan.plan))


def look(letters: Iterator[DeadLetter], plan: ReplayPlan[Any], judge: Judge) -> Preview:
    """Judge each dead letter that a replay would take."""
    preview = Preview()
    for one in letters:
        if not is_chosen(one, plan.selection, plan.reads):
            preview.passed_over += 1
            continue
        (chunk,) = originals([one])
        tally = preview.by_reason.setdefault((one.route, one.stage, one.code), Tally())
        process.request_stop(_PATIENCE_SECONDS)  # for each by itself: it would stop what reads the letters
        try:
            outcome = judge(chunk.topic, chunk.partition, chunk.records[0])
        finally:
            process.start_run()
        if outcome is None:
            tally.passing += 1
        elif isinstance(outcome, Dropped):
            tally.dropped += 1
        else:
            tally.again[outcome.stage, outcome.code] += 1
    return preview
