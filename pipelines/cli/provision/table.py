"""A plan as a table for the user."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text

from aep.provision.steps import Action, Step

_STYLES = {
    Action.CREATE: "green",
    Action.CHANGE: "yellow",
    Action.DELETE: "bold red",
    Action.DIFFERS: "magenta",
    Action.KEPT: "magenta",
    Action.RIGHT: "dim",
}


def plan_table(steps: Iterable[Step]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "what", "name", "why"):
        table.add_column(heading, overflow="fold")
    for step in steps:
        words = Text("\n".join(step.reasons))
        table.add_row(Text(step.action.value, _STYLES[step.action]), Text(step.kind), Text(step.name), words)
    return table
