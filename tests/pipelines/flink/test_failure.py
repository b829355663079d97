"""Of stack traces users read one sentence."""

from __future__ import annotations

import pytest

from pipelines.flink.failure import cause_of

RECOVERY = (
    "org.apache.flink.runtime.JobException: Recovery is suppressed by FixedDelayRestartBackoffTimeStrategy\n"
    "\tat org.apache.flink.runtime.executiongraph.failover.flip1.ExecutionFailureHandler.handleFailure(E.java:139)\n"
    "Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 4: "
)
PYTHON = 'Traceback (most recent call last):\n  File "common.py", line 1, in apache_beam\n    raise error\n'


@pytest.mark.parametrize(
    ("trace", "cause"),
    [
        (
            f"{RECOVERY}{PYTHON}ValueError: first\n\nDuring handling of the above exception, another occurred:\n\n"
            f"{PYTHON}aep.errors.AuthenticationError: IMS refuses the client [while running 'PostToAep/Post']\n"
            "\n\tat org.apache.beam.runners.fnexecution.control.FnApiControlClient.handle(F.java:180)\n",
            "IMS refuses the client (step PostToAep)",
        ),
        (f"{RECOVERY}{PYTHON}KeyError: 'x'\n\tat java.base/java.lang.Thread.run(T.java:1)\n", "KeyError: 'x'"),
        (
            "java.lang.Exception: a\n\tat b\nCaused by: org.x.Y$DiskException: No space left\n",
            "DiskException: No space left",
        ),
        ("nothing of either", "nothing of either"),
    ],
)
def test_the_innermost_cause_is_named(trace: str, cause: str) -> None:
    assert cause_of(trace) == cause


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (f"{RECOVERY}{PYTHON}ModuleNotFoundError: No module named 'transforms'\n", "lacks this package"),
        (f"{RECOVERY}{PYTHON}FileNotFoundError: [Errno 2] No such file or directory: 'python'\n", "finds no `python`"),
        (
            "a.StatusRuntimeException: UNAVAILABLE: io exception\n"
            "Caused by: java.net.ConnectException: Connection refused: localhost/127.0.0.1:50000\n",
            "no worker pool answers at localhost:50000",
        ),
        ("java.lang.OutOfMemoryError: Java heap space\n", "ran out of memory"),
        ("Service failed to start up with error 1", "check flink_job_server_jar"),
        (
            "Unable to fetch remote job server jar at https://repo/x.jar: HTTP Error 404: Not Found. If no Internet",
            "cannot be downloaded from https://repo/x.jar: download it elsewhere",
        ),
    ],
)
def test_what_users_can_fix_is_said(trace: str, words: str) -> None:
    assert words in cause_of(trace, "localhost:50000")


def test_a_refusal_of_another_port_is_not_taken_for_a_missing_pool() -> None:
    refused = "java.net.ConnectException: Connection refused: kafka/127.0.0.1:9092\n"
    assert cause_of(refused, "localhost:50000") == "ConnectException: Connection refused: kafka/127.0.0.1:9092"
