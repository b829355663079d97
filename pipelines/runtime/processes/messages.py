"""What a process of a run reports to its parent, a line of JSON each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

from aep.errors import UserError

ENVIRONMENT = "BEAM_AEP_PROCESS"
"""The variable by which a process knows its parent: a `Start` as JSON."""


@dataclass(frozen=True)
class Start:
    """What a process is given at its start.

    Attributes:
        socket: File descriptor to report to. Its other end is closed when the parent is gone, however that ended.
        options: Options that its parent adds to its command line.
        is_terminal: Whether a terminal shows its log, which its parent writes.
    """

    socket: int
    options: Sequence[str]
    is_terminal: bool

    def text(self) -> str:
        """Return what the variable holds."""
        return orjson.dumps(asdict(self)).decode()


@dataclass(frozen=True)
class Report:
    """What a process reports.

    Attributes:
        grown: What was counted since its last report.
        in_flight: Requests without an answer now.
        waiting: Why batches wait to be sent again now, a reason for each.
        lag: Records still to be read now; None where that is not known.
        uncommitted: Records that would be read again if it were killed now.
        silence: For how many seconds Kafka has not answered it; None while it does.
        polled: When it last asked for records, in seconds since 1970; None for never.
        most_in_flight, request_seconds: Load of requests since its last report, see `Load`.
        error: Why it ends; "" otherwise.
        outcome: How it ended, with its last report; "" before that.
        examples: Dead letters for the report of the run, with its last report.
    """

    grown: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    waiting: Sequence[str] = ()
    lag: int | None = None
    uncommitted: int = 0
    silence: int | None = None
    polled: float | None = None
    most_in_flight: int = 0
    request_seconds: float = 0.0
    error: str = ""
    outcome: str = ""
    examples: dict[str, dict[str, Any]] = field(default_factory=dict)

    def line(self) -> bytes:
        """Return the report as it is sent."""
        return orjson.dumps(asdict(self), default=str) + b"\n"


_REPORT = TypeAdapter(Report)


def read_report(line: bytes) -> Report | None:
    """Return the report of a line; None for one that was cut off as its process was killed.

    A process that was started again after an upgrade may report more than its parent knows, which is ignored.

    Raises:
        UserError: The line is no report.
    """
    if not line.endswith(b"\n"):
        return None
    try:
        return _REPORT.validate_json(line)
    except ValidationError:  # its words may quote records
        raise UserError(
            "its report cannot be read; if another version was installed since the run began, restart the run"
        ) from None


def grown(before: Counter[str], now: Counter[str]) -> dict[str, int]:
    """Return by how much counts have grown."""
    return dict(now - before)
