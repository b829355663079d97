"""Requests, replies and records of an inlet for the tests of the decision."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import orjson

from aep.http.transport import Reply
from aep.ingestion.decision import SPLIT_TRIES, Attempt, InletStats, RetryPolicy
from testing.defaults import by_default

POLICY = by_default(RetryPolicy)
BUDGET = by_default(RetryPolicy, budget_seconds=100)
NOW = 1_000.0
HEALTHY = InletStats(accepted=50, last_success=NOW - 1, last_sent=NOW - 2)
NEVER = InletStats()
WALL = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

BATCH = Attempt(messages=3, since=NOW - 10)
ONE = Attempt(messages=1, since=NOW - 10)
SINGLE = Attempt(messages=1, since=NOW - 10, single=True)


def sent(base: Attempt = BATCH, **changes: Any) -> Attempt:
    """Return another attempt; what AEP has failed on often enough has been suspected for five seconds."""
    if changes.get("failures", 0) >= SPLIT_TRIES:
        changes = {"suspected_at": NOW - 5, **changes}
    return Attempt(**{**vars(base), **changes})


def reply(status: int, content: object = None, **headers: str) -> Reply:
    body = content if isinstance(content, bytes) else b"" if content is None else orjson.dumps(content)
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


def problem(status: int, words: str = "AEP's words") -> Reply:
    return reply(status, {"status": status, "title": "A title", "report": {"message": words}})


def multi(*statuses: int) -> Reply:
    """Return a 207 with an element of each status."""
    return reply(
        207,
        {
            "responses": [
                {"xactionId": f"u-{place}"}
                if status == 200
                else {"xactionId": f"u-{place}", "status": status, "message": f"words of {status}"}
                for place, status in enumerate(statuses)
            ]
        },
    )
