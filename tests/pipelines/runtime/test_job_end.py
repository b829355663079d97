"""How a job ended is read from Beam's error where no cluster can be asked."""

from __future__ import annotations

import grpc
import pytest

from pipelines.options.merge import parse
from pipelines.runtime.flink import how_it_ended


@pytest.mark.parametrize(
    ("error", "outcome", "words"),
    [
        (grpc.RpcError(), "unknown", "no longer follows the job, and it may run on"),
        (RuntimeError("Pipeline x failed in state CANCELLED: y"), "cancelled", "was cancelled on the cluster"),
        (
            RuntimeError("java.lang.OutOfMemoryError: Java heap space"),
            "failed",
            "the job failed: a task manager ran out",
        ),
    ],
)
def test_an_error_of_beam_says_how_a_job_ended(error: Exception, outcome: str, words: str) -> None:
    end = how_it_ended(parse([], lambda _: iter(())), None, error)
    assert end.outcome == outcome
    assert words in end.text
