"""What `beam-aep check` finds: one check a thing that was looked at."""

from __future__ import annotations

from typing import Literal, NamedTuple

State = Literal["ok", "warning", "wrong", "not checked"]


OFFLINE = "needs the network (--offline)"
"""Why something is not checked where no network may be used."""


class Result(NamedTuple):
    """How a thing is.

    Attributes:
        state: In a word.
        detail: What was found, or why it was not checked.
    """

    state: State
    detail: str


class Check(NamedTuple):
    """One thing that was looked at.

    Attributes:
        subject: What it is.
        state, detail: See `Result`.
        failed: It was to be checked, and could not be: readiness is undetermined.
    """

    subject: str
    state: State
    detail: str
    failed: bool = False
