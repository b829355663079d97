"""What is made of answers that are JSON, and not what Flink says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from pipelines.flink.rest import FlinkError, FlinkRest
from testing.fakes.http_server import Exchange, HttpServer

CALLS: dict[str, Callable[[FlinkRest], object]] = {
    "version": FlinkRest.version,
    "slots": FlinkRest.slots,
    "configuration": FlinkRest.configuration,
    "jobs": FlinkRest.jobs,
    "job": lambda rest: rest.job("1"),
    "checkpoints": lambda rest: rest.checkpoints("1"),
    "final_checkpoints": lambda rest: rest.final_checkpoints("1"),
    "keeps_checkpoints": lambda rest: rest.keeps_checkpoints("1"),
    "restarts": lambda rest: rest.restarts("1"),
    "load": lambda rest: rest.load("1", "2"),
    "failures": lambda rest: rest.failures("1"),
    "stop": lambda rest: rest.stop("1", None),
    "savepoint": lambda rest: rest.savepoint("1", "2"),
}


@pytest.mark.parametrize("answer", ['"hello"', "[5]"])
@pytest.mark.parametrize("call", CALLS)
def test_another_service_that_answers_with_json_is_named(call: str, answer: str) -> None:
    def reply(exchange: Exchange) -> None:
        exchange.reply(200, answer.encode())

    with HttpServer(reply) as server:
        rest = FlinkRest(server.url, requests.Session())
        with pytest.raises(
            FlinkError, match=f"{server.url} answers 200, but not as Flink's REST API does; flink_master"
        ):
            CALLS[call](rest)
