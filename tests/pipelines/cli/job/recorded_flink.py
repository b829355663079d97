"""Answers of a real Flink 1.19, recorded and cut, from a real HTTP server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from testing.fakes.http_server import Exchange, HttpServer

RUNNING = "e65e93a8d0d10fe14c4ba6ee194b88c3"
STOPPED = "1f1d4d8c2fe6ecfd7a189f9ed0424b39"  # with a savepoint
RESTORED = "d5253ec46c23999b6e8014418cd0d0e7"  # from it, and failed before a checkpoint was completed
FAILED = "151ef1397b9ad6096307c9f6a06224af"  # started at the committed offsets
SAVEPOINT = "file:/data/savepoints/savepoint-1f1d4d-38025c982357"


class RecordedFlink:
    """Answers as Flink did, for the jobs that a test chooses.

    Attributes:
        jobs: Ids of those that it knows.
        answers: By path, or method and path: a document; a status, a document and the address of a redirect; or None,
            for a connection that breaks.
        after_calls: Answers instead of these, once anything besides GET was called.
        hiccups: Answers before these, one after another, once anything besides GET was called.
        called: What was called besides GET, with the body.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Any] = orjson.loads((Path(__file__).parent / "answers.json").read_bytes())
        self.answers[f"PATCH /jobs/{RUNNING}?mode=cancel"] = {}
        self.jobs = [RUNNING, STOPPED]
        self.after_calls: dict[str, Any] = {}
        self.hiccups: dict[str, list[Any]] = {}
        self.called: list[tuple[str, Any]] = []
        self.server = HttpServer(self._answer)

    def _answer(self, exchange: Exchange) -> None:
        method, path, _ = exchange.request.line.split(" ")
        what = path if method == "GET" else f"{method} {path}"
        answers = self.answers | (self.after_calls if self.called else {})
        answer = answers.get(what, (404, {"errors": ["Not found"]}))
        if self.called and self.hiccups.get(what):
            answer = self.hiccups[what].pop(0)
        if method != "GET":
            self.called.append((what, orjson.loads(exchange.request.body or b"null")))
        if answer is None:
            exchange.reset()
            return
        status, document, *location = answer if isinstance(answer, tuple) else (200, answer)
        if path == "/jobs/overview" and status == 200:
            document = {"jobs": [self._now(job) for job in document["jobs"] if job["jid"] in self.jobs]}
        exchange.reply(status, orjson.dumps(document), **dict(zip(["Location"], location, strict=False)))

    def _now(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return a job, which ends when it is stopped or cancelled."""
        state = "CANCELED" if any("cancel" in each for each, _ in self.called) else "FINISHED"
        return {**job, "state": state} if self.called and job["jid"] == RUNNING else job
