"""A plan as a table for the user."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from aep.provision.steps import Action, Step
from pipelines.output.layout import Column
from pipelines.output.table import Table

_STYLES = {
    Action.CREATE: "green",
    Action.CHANGE: "yellow",
    Action.DELETE: "bold red",
    Action.DIFFERS: "magenta",
    Action.KEPT: "magenta",
    Action.RIGHT: "dim",
}


def plan_table(steps: Iterable[Step]) -> Table:
    table = Table("", (Column("action"), Column("what"), Column("name", "id"), Column("why", "text")), lines=False)
    for step in steps:
        action = Text(step.action.value, _STYLES[step.action])
        table.add(action, step.kind, step.name, "\n".join(step.reasons))
    return table
