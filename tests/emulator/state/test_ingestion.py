"""Asynchronous validation: accepted first, failed afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from testing.services.emulator import Emulator
from tests.emulator.conftest import SCHEMA, Client, make_message


def test_invalid_messages_are_accepted_and_fail_later(
    emulator: Emulator, inlet: dict[str, Any], client: Client
) -> None:
    bad = {"_id": "bad", "timestamp": "2018-00-23T22:07:01Z"}
    answer = client.batch(inlet, [make_message(inlet, "good"), make_message(inlet, bad)])
    assert [list(each) for each in answer.json()["responses"]] == [["xactionId"], ["xactionId"]]

    (failed,) = emulator.failed(inlet["inletId"])
    assert failed["entity"] == bad
    assert failed["xactionId"] == answer.json()["responses"][1]["xactionId"]
    (error,) = failed["_validationErrors"]
    assert (error["keyword"], error["pointerToViolation"]) == ("format", "#/timestamp")
    assert error["causingExceptions"] == []
    stats = emulator.inlet_stats(inlet["inletId"])
    assert (stats["accepted"], stats["rejected"], stats["invalid"]) == (2, 0, 1)


def test_many_messages(emulator: Emulator, inlet: dict[str, Any], client: Client) -> None:
    for start in range(0, 2000, 500):
        entities = [
            {"_id": str(number), **({} if number % 3 else {"extra": 1})} for number in range(start, start + 500)
        ]
        for entity in entities:
            entity["timestamp"] = "2026-01-02T03:04:05Z"
        client.batch(inlet, [make_message(inlet, entity) for entity in entities])
    failed = emulator.failed(inlet["inletId"])
    assert [message["entity"]["_id"] for message in failed] == [str(number) for number in range(0, 2000, 3)]
    assert emulator.inlet_stats(inlet["inletId"])["invalid"] == len(failed)


@pytest.mark.parametrize("definition", [{"schema": SCHEMA, "validation": "off"}, {"validation": "async"}])
def test_switched_off_or_without_schema(emulator: Emulator, client: Client, definition: dict[str, Any]) -> None:
    inlet = emulator.create_inlet(**definition)
    client.batch(inlet, [make_message(inlet, {"_id": 5})])
    assert emulator.failed(inlet["inletId"]) == []
    assert emulator.inlet_stats(inlet["inletId"])["accepted"] == 1
